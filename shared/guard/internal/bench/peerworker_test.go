package bench_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"sfrelay/shared/awsclient"
	"sfrelay/shared/consumer"
	"sfrelay/shared/guard/dynamo"
	"sfrelay/shared/sink"
	"sfrelay/shared/telemetry"
	"sfrelay/shared/verdict"
)

// A worker is a process that takes invocations from the driver, one a line, and answers with
// one line each: a function's instances, as many as it has slots. Those of the peers are in
// testdata/peers; this is that of sfrelay, its consumers as they are with their store, and
// that of the four calls.
const peerVariable = "GUARDBENCH_PEER"

// job is one invocation.
type job struct {
	ID     int             `json:"id"`
	To     string          `json:"to"`     // act, state, fields; clock: what the process has used
	Case   string          `json:"case"`   // whose effects these are
	Effect string          `json:"effect"` // post, none, fail
	Event  json.RawMessage `json:"event,omitempty"`
}

// done is the end of one.
type done struct {
	ID     int             `json:"id"`
	Error  string          `json:"error,omitempty"`
	Answer json.RawMessage `json:"answer,omitempty"` // sfrelay's, of a batch or a redrive
	CPU    int64           `json:"cpu,omitempty"`    // µs
}

// Times of AWS on the driver's scale. How long work may take is not scaled.
const (
	peerScale  = 1.0 / 15
	minute     = 4 * time.Second         // Lambda tries again after one, and after two more
	shortLease = 2 * time.Second         // a function time-out of 30 s
	mayTake    = 2500 * time.Millisecond // one call of the sink: with the margin less than a minute
	untilKill  = 10 * time.Second        // of sfrelay's functions; no invocation comes near
)

type jobKey struct{}

func jobOf(ctx context.Context) job { return ctx.Value(jobKey{}).(job) }

// peerWorker is the process: sfrelay with a sink that is keyed, has a look-up, or offers
// nothing (park, repeat); or the four calls.
func peerWorker(kind string) error {
	slots, err := strconv.Atoi(os.Getenv("SLOTS"))
	if err != nil {
		return err
	}
	free := make(chan func(context.Context, job) done, slots) // an instance has clients of its own
	for range slots {
		handle, err := peerHandler(kind)
		if err != nil {
			return err
		}
		free <- handle
	}
	var mu sync.Mutex
	say := func(d done) {
		b, err := json.Marshal(d)
		if err != nil {
			b = fmt.Appendf(nil, `{"id":%d,"error":%q}`, d.ID, err)
		}
		mu.Lock()
		defer mu.Unlock()
		_, _ = os.Stdout.Write(append(b, '\n'))
	}
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var j job
		if err := json.Unmarshal(line, &j); err != nil {
			return err
		}
		run := func() {
			ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), jobKey{}, j), untilKill)
			defer cancel()
			handle := <-free
			d := handle(ctx, j)
			free <- handle
			say(d)
		}
		switch {
		case j.To == "clock":
			var u syscall.Rusage
			err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
			if err != nil {
				return err
			}
			say(done{ID: j.ID, CPU: (u.Utime.Nano() + u.Stime.Nano()) / 1000})
		case slots == 1:
			run()
		default:
			go run()
		}
	}
}

func peerHandler(kind string) (func(context.Context, job) done, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	s := &peerSink{client: client, url: os.Getenv("SINK"), kind: kind}
	if kind == protocolOnly {
		return fourCallsHandler(s)
	}
	cfg := config(os.Getenv("ENDPOINT"))
	cfg.HTTPClient = awsclient.HTTPClient()
	env := consumer.Env{
		Store: dynamo.New(dynamo.NewClient(cfg), os.Getenv("TABLE")),
		Park:  func(ctx context.Context, body []byte) error { return s.say(ctx, "/park", [][]byte{body}, 0) },
		Lane: func(ctx context.Context, bodies [][]byte, delay time.Duration) error {
			return s.say(ctx, "/lane", bodies, delay)
		},
		Log: telemetry.New(os.Stderr, "peer", slog.LevelInfo), Scale: peerScale,
	}
	handlers := map[string]consumer.Handler{}
	for to, def := range s.definitions() {
		h, err := consumer.New(def, env)
		if err != nil {
			return nil, err
		}
		handlers[to] = h
	}
	return func(ctx context.Context, j job) (d done) {
		d.ID = j.ID
		resp, err := handlers[j.To].Handle(ctx, j.Event)
		if err == nil && resp != nil {
			d.Answer, err = json.Marshal(resp)
		}
		if err != nil {
			d.Error = err.Error()
		}
		return d
	}, nil
}

// peerSink is the port to the driver's sink.
type peerSink struct {
	client    *http.Client
	url, kind string
}

// Contract implements sink.Port.
func (s *peerSink) Contract() sink.Contract {
	return sink.Contract{UniqueKey: s.kind == "keyed", Lookup: s.kind == "look-up", Effect: mayTake}
}

// states is the same sink for states: it takes what comes last, whatever it offers for actions.
type states struct{ *peerSink }

// Contract implements sink.Port.
func (states) Contract() sink.Contract { return sink.Contract{Effect: mayTake} }

type peerOrder struct {
	Case string `event:"Case__c,required"`
}

type peerLevel struct {
	Case  string `event:"Case__c,required"`
	Level string `event:"Level__c"`
}

// definitions are consumers as users write them: an action once for each event, the full
// state of a key, the fields of a record.
func (s *peerSink) definitions() map[string]consumer.Definition {
	var doubt consumer.Doubt
	switch s.kind {
	case "park":
		doubt = consumer.ParkInDoubt
	case "repeat":
		doubt = consumer.RepeatInDoubt
	}
	return map[string]consumer.Definition{
		"act": consumer.Action[peerOrder]{
			Name: "peer-act", Events: []consumer.PlatformEvent{{Name: "Order__e"}}, Once: consumer.PerEvent(), To: s, InDoubt: doubt,
			Do: func(ctx context.Context, ref sink.Ref, _ consumer.Change[peerOrder]) (sink.Receipt, error) {
				if ref.InDoubt && s.kind == "look-up" {
					if there, err := s.look(ctx); there || err != nil {
						return sink.Receipt{}, err
					}
				}
				return s.send(ctx, http.MethodPost, "/act/", ref.ActionKey("act", 0), struct{}{})
			},
		},
		"state": consumer.State[peerLevel]{
			Name: "peer-state", Events: []consumer.PlatformEvent{{Name: "Level__e", ModifiedAt: "Modified_At__c"}}, To: states{s},
			Key: func(l peerLevel) consumer.Key { return consumer.KeyOf("level", l.Case) },
			Put: func(ctx context.Context, ref sink.Ref, l peerLevel) (sink.Receipt, error) {
				return s.send(ctx, http.MethodPut, "/state/", ref.StateKey("PUT", []byte(l.Level)), map[string]string{"Level": l.Level})
			},
		},
		"fields": consumer.Record[account]{
			Name: "peer-fields", Object: "Account", Changes: true, To: states{s},
			Patch: func(ctx context.Context, ref sink.Ref, _ string, a account) (sink.Receipt, error) {
				some := map[string]string{}
				for name, f := range map[string]sink.Field[string]{"Name": a.Name, "Phone": a.Phone, "Website": a.Website} {
					if f.Present {
						some[name] = f.Value
					}
				}
				return s.send(ctx, http.MethodPatch, "/fields/", ref.Version, some)
			},
			Delete: func(context.Context, sink.Ref, string) (sink.Receipt, error) {
				return sink.Receipt{}, sink.Refuse("unexpected", "nothing is deleted here")
			},
		},
	}
}

func (s *peerSink) send(ctx context.Context, method, path, key string, body any) (sink.Receipt, error) {
	switch jobOf(ctx).Effect {
	case "none":
		return sink.Receipt{}, nil
	case "fail":
		return sink.Receipt{}, sink.NotYet(verdict.Throttled, "the sink is down")
	}
	b, err := json.Marshal(body)
	if err != nil {
		return sink.Receipt{}, sink.Refuse("unexpected", "%w", err)
	}
	status, err := s.request(ctx, method, path+jobOf(ctx).Case, key, b)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the sink answered %d", status)
	}
	if err != nil {
		return sink.Receipt{}, sink.InDoubt(err)
	}
	return sink.Receipt{}, nil
}

// look asks the sink whether it has acted.
func (s *peerSink) look(ctx context.Context) (bool, error) {
	status, err := s.request(ctx, http.MethodGet, "/act/"+jobOf(ctx).Case, "", nil)
	switch {
	case err != nil:
		return false, sink.NotYet(verdict.Throttled, "the look-up: %w", err)
	case status == http.StatusOK:
		return true, nil
	case status == http.StatusNotFound:
		return false, nil
	}
	return false, sink.NotYet(verdict.Throttled, "the look-up answered %d", status)
}

func (s *peerSink) request(ctx context.Context, method, path, key string, body []byte) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Idempotency-Key", key)
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, errors.Join(err, resp.Body.Close())
}

// queued are messages for a queue of the driver.
type queued struct {
	Case, To string
	Bodies   [][]byte
	Delay    time.Duration
}

// say puts messages into a queue of the driver.
func (s *peerSink) say(ctx context.Context, path string, bodies [][]byte, delay time.Duration) error {
	j := jobOf(ctx)
	b, err := json.Marshal(queued{j.Case, j.To, bodies, delay})
	if err != nil {
		return err
	}
	status, err := s.request(ctx, http.MethodPost, path, "", b)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the queue answered %d", status)
	}
	return err
}

// fourCallsHandler is the protocol that both Powertools have, written here: with it the
// driver is tested where they are not installed.
func fourCallsHandler(s *peerSink) (func(context.Context, job) done, error) {
	cfg := config(os.Getenv("ENDPOINT"))
	cfg.HTTPClient = awsclient.HTTPClient()
	do, err := fourCallsFor(shortLease)(cfg, os.Getenv("TABLE"))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, j job) done {
		var e struct {
			Detail struct {
				Event   struct{ EventUuid string }
				Payload struct {
					Name, Phone, Website *string
					Level                string `json:"Level__c"`
				}
			}
		}
		if err := json.Unmarshal(j.Event, &e); err != nil {
			return done{ID: j.ID, Error: err.Error()}
		}
		got, err := do(ctx, e.Detail.Event.EventUuid, func() bool {
			var sent error
			switch j.To {
			case "act":
				_, sent = s.send(ctx, http.MethodPost, "/act/", e.Detail.Event.EventUuid, struct{}{})
			case "state":
				_, sent = s.send(ctx, http.MethodPut, "/state/", "", map[string]string{"Level": e.Detail.Payload.Level})
			default:
				some := map[string]string{}
				for name, v := range map[string]*string{"Name": e.Detail.Payload.Name, "Phone": e.Detail.Payload.Phone, "Website": e.Detail.Payload.Website} {
					if v != nil {
						some[name] = *v
					}
				}
				_, sent = s.send(ctx, http.MethodPatch, "/fields/", "", some)
			}
			return sent == nil
		})
		if err == nil && got == failed {
			err = errors.New("the sink is down")
		}
		if err != nil {
			return done{ID: j.ID, Error: err.Error()}
		}
		return done{ID: j.ID}
	}, nil
}
