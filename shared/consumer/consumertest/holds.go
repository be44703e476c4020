package consumertest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"sfrelay/shared/consumer"
	"sfrelay/shared/guard"
	"sfrelay/shared/verdict"
)

// The bounds of Holds.
const (
	orders   = 20 // ways to deliver the events
	redrives = 5
)

// Holds plays the events, which are given in the order of their commits, in twenty other
// orders: each twice, with one of every fault of a sink between them, Lambda's deadline
// on every invocation, and redrives of what lies in the failure queue then. In the end
// the sink has to hold what it holds after the events came once, in order and without a
// fault; an action must have happened once for each key.
//
// It needs a port with a Sink of this package behind it. Give it at least two events of
// one thing, and one of another.
func (k *Kit) Holds(events ...[]byte) {
	k.t.Helper()
	s := k.behind()
	k.begin()
	s.reset()
	k.Send(events...)
	want, acts := s.State(), s.acts()
	if err := k.undisturbed(len(events)); err != nil {
		k.t.Fatalf("the events in their order, without a fault: %v\n%s", err, k.log.String())
	}
	for seed := range uint64(orders) {
		k.begin()
		s.reset()
		k.disturbed(seed, events)
		if err := s.misused(); err != nil {
			k.t.Fatalf("order %d: %v", seed, err)
		}
		if left := k.unresolved(); len(left) > 0 || len(k.failed) > 0 {
			k.t.Fatalf("order %d: %d events are still in the failure queue after %d redrives: %s\n%s", seed, len(left)+len(k.failed), redrives, left, k.log.String())
		}
		switch def := k.def.Describe(); {
		case def.Policy == guard.EachOnce:
			if got := s.acts(); !sameActs(got, acts, def) {
				k.t.Fatalf("order %d: acts by key %v, want %v", seed, got, acts)
			}
		case s.State() != want:
			k.t.Fatalf("order %d: the sink ends with\n%swant, as in the order of the commits,\n%s", seed, s.State(), want)
		}
	}
}

// undisturbed says what cannot be right although nothing went wrong.
func (k *Kit) undisturbed(events int) error {
	s := k.sink
	if err := s.misused(); err != nil {
		return err
	}
	if left := k.unresolved(); len(left) > 0 || len(k.failed) > 0 {
		return fmt.Errorf("%d are parked, %d failed: %s", len(left), len(k.failed), left)
	}
	applied := 0
	for _, l := range k.Lines() {
		if l.Verdict == string(verdict.Applied) {
			applied++
		}
	}
	switch took := len(s.Took()); {
	case applied == 0:
		return fmt.Errorf("none of %d events was applied: give Holds events that the consumer takes", events)
	case took < applied:
		return fmt.Errorf("%d changes count as applied, and %d requests reached the sink behind To: call that port, once for every change", applied, took)
	}
	return nil
}

func (k *Kit) disturbed(seed uint64, events [][]byte) {
	r := rand.New(rand.NewPCG(seed, 1))
	faults := []func(){
		func() { k.sink.Refuse(verdict.Throttled) },
		func() { k.sink.Refuse(verdict.Conflict) },
		func() { k.sink.LoseRequest() },
		func() { k.sink.LoseAnswer() },
	}
	all := slices.Concat(events, events)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	at := make([]int, len(faults))
	for i := range at {
		at[i] = r.IntN(len(all))
	}
	for i, e := range all {
		for f, fault := range faults {
			if at[f] == i {
				fault()
			}
		}
		k.Send(e)
	}
	for range redrives {
		k.Pass(2 * time.Hour)
		k.Redrive()
	}
}

// unresolved are the classes of what is parked, without those that no redrive can mend:
// a fact that came twice with two contents, and a doubt that the author left to people.
func (k *Kit) unresolved() []string {
	var left []string
	for _, p := range k.parked {
		if p.Class != verdict.ChangedAfterDone && p.Class != verdict.InDoubt {
			left = append(left, fmt.Sprintf("%s: %s", p.Class, p.Error))
		}
	}
	return left
}

// sameActs compares how often the sink acted. Where it cannot know a key again, the
// author chose: at most once, or at least once.
func sameActs(got, want map[string]int, def consumer.Description) bool {
	for key, n := range want {
		switch {
		case def.InDoubt == consumer.ParkInDoubt && got[key] > n,
			def.InDoubt == consumer.RepeatInDoubt && got[key] < n,
			def.InDoubt == 0 && got[key] != n:
			return false
		}
	}
	return len(got) <= len(want)
}

// acts is how often the sink acted, by key.
func (s *Sink) acts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]int)
	for key, t := range s.things {
		if t.acts > 0 {
			all[key] = t.acts
		}
	}
	return all
}

// misused is the first thing that a consumer did and none may do.
func (s *Sink) misused() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.wrong) == 0 {
		return nil
	}
	return s.wrong[0]
}
