package dynamo_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"sfrelay/shared/guard"
	"sfrelay/shared/order"
	"sfrelay/shared/verdict"
)

// asked is what a worker wants of a subject, told what it heard.
type asked struct {
	subject string
	version byte // 0: an action
}

// sequential is what a guard is when nothing happens at once: an action happens once, a
// state only gets newer. Busy and failed say nothing.
var sequential = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		bySubject := map[string][]porcupine.Operation{}
		for _, op := range history {
			s := op.Input.(asked).subject
			bySubject[s] = append(bySubject[s], op)
		}
		var parts [][]porcupine.Operation
		for _, p := range bySubject {
			parts = append(parts, p)
		}
		return parts
	},
	Init: func() any { return -1 }, // the newest version applied; 0 for an action that is done
	Step: func(state, input, output any) (bool, any) {
		newest, v := state.(int), int(input.(asked).version)
		switch output.(verdict.Verdict) {
		case verdict.Applied:
			return v > newest, v
		case verdict.Duplicate:
			return v == newest, newest
		case verdict.Stale:
			return v < newest, newest
		default:
			return true, newest
		}
	},
}

// TestLinearizable lets 16 workers at a handful of subjects in DynamoDB Local at once
// and checks that what they heard could have happened one after the other.
func TestLinearizable(t *testing.T) {
	store := open(t, nil)
	for _, policy := range []guard.Policy{guard.EachOnce, guard.NewestWins} {
		t.Run(policy.String(), func(t *testing.T) {
			const workers, each, subjects = 16, 20, 8
			var clock atomic.Int64
			var mu sync.Mutex
			var history []porcupine.Operation
			effects := map[string][]byte{}
			var wg sync.WaitGroup
			for id := range workers {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(uint64(id), 1))
					g, err := guard.New(store, guard.Config{
						Consumer: "linear-" + policy.String(), Policy: policy,
						Random: func() (b [10]byte) {
							for i := range b {
								b[i] = byte(r.Uint32())
							}
							return b
						},
					})
					if err != nil {
						t.Error(err)
						return
					}
					for range each {
						in := asked{subject: fmt.Sprint("s", r.IntN(subjects))}
						if policy == guard.NewestWins {
							in.version = byte(1 + r.IntN(10)) // so few that some come twice: of 320 operations 30
						}
						fails := r.IntN(4) == 0
						call := clock.Add(1)
						rep := g.Do(t.Context(), guard.Call{Org: "org", Subject: in.subject,
							BusyWait: 100 * time.Millisecond,
							Changes:  []guard.Change{{Kind: guard.Full, Version: order.Version{0: 1, 5: in.version}}},
							Park:     func(context.Context, guard.Parking) error { return nil },
						}, func(context.Context, guard.Attempt) guard.Outcome {
							if fails {
								return guard.Outcome{Effect: guard.NotApplied, Class: "throttled"}
							}
							mu.Lock()
							defer mu.Unlock()
							effects[in.subject] = append(effects[in.subject], in.version)
							return guard.Outcome{Effect: guard.Took}
						})
						end := clock.Add(1)
						mu.Lock()
						history = append(history, porcupine.Operation{ClientId: id, Input: in, Call: call, Output: rep.Results[0].Verdict, Return: end})
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			if res := porcupine.CheckOperationsTimeout(sequential, history, time.Minute); res != porcupine.Ok {
				t.Fatalf("the history of %d operations is not linearizable: %s", len(history), res)
			}
			count := map[verdict.Verdict]int{}
			for _, op := range history {
				count[op.Output.(verdict.Verdict)]++
			}
			for s, vs := range effects {
				for i := 1; i < len(vs); i++ {
					if policy == guard.EachOnce || vs[i] <= vs[i-1] {
						t.Errorf("the sink saw %v of subject %s", vs, s)
					}
				}
			}
			if count[verdict.Applied] == 0 || count[verdict.Duplicate] == 0 {
				t.Errorf("too little happened: %v", count)
			}
			t.Logf("%d operations of %d workers on %d subjects: %v", len(history), workers, subjects, count)
		})
	}
}
