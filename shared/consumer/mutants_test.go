package consumer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/sink"
	"sfrelay/shared/telemetry"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// bench is a consumer whose parked messages and log the test reads.
type bench struct {
	consumer.Handler
	mu     sync.Mutex
	parked []transport.Parked
	log    bytes.Buffer
}

func newBench(t *testing.T, def consumer.Definition, change func(*consumer.Env)) *bench {
	t.Helper()
	b := &bench{}
	env := consumer.Env{Store: &memory.Store{}, Log: telemetry.New(&b.log, "test", 0), Park: func(_ context.Context, body []byte) error {
		p, err := transport.DecodeParked(body)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.parked = append(b.parked, p)
		return err
	}}
	change(&env)
	var err error
	if b.Handler, err = consumer.New(def, env); err != nil {
		t.Fatal(err)
	}
	return b
}

// A redrive has all its attempts, and those beside it in a batch have theirs.
func TestARedriveCountsForItselfOnly(t *testing.T) {
	down := answering(sink.Contract{Fenced: true}, sink.NotYet(verdict.Throttled, "made up by the test"))
	first := change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`)
	second := change("UPDATE", 2, id(account), `["Phone"]`, `"Phone":"2"`)
	redriven := parkedAs("unknown", first, id(account))
	old := func(batch []byte, of string) []byte { // received six hours ago for the first time
		return bytes.Replace(batch, []byte(`"`+of+`","receiptHandle":"r"`), []byte(`"`+of+`","receiptHandle":"r","attributes":{"ApproximateFirstReceiveTimestamp":"1795327200000"}`), 1)
	}
	for name, batch := range map[string][]byte{"the redrive first": old(batchOf(redriven, second), "m1"), "the redrive last": old(batchOf(second, redriven), "m0")} {
		batch = bytes.ReplaceAll(batch, []byte(`"attributes":{"ApproximateReceiveCount":"1"}`), []byte(`"x":1`))
		b := newBench(t, down, func(e *consumer.Env) { e.Now = func() time.Time { return consumertest.Now } })
		resp, err := b.Handle(t.Context(), batch)
		if err != nil || len(resp.BatchItemFailures) != 1 || len(b.parked) != 1 || !bytes.Equal(b.parked[0].Event, second) {
			t.Errorf("%s: %+v, %v, parked %+v", name, resp, err, b.parked)
		}
	}
	// What was taken out of the failure queue lies there again when it is refused again,
	// whoever stands beside it; and what lies there has no second message.
	refusing := answering(sink.Contract{Fenced: true}, sink.Refuse("test", "made up by the test"))
	for name, tc := range map[string]struct {
		batch []byte
		want  int
	}{
		"beside a new one":   {batchOf(second, redriven), 3},
		"in front of a copy": {batchOf(redriven, first), 2},
	} {
		b := newBench(t, refusing, func(*consumer.Env) {})
		for _, payload := range [][]byte{first, tc.batch} {
			if _, err := b.Handle(t.Context(), payload); err != nil {
				t.Fatal(err)
			}
		}
		if len(b.parked) != tc.want {
			t.Errorf("%s: %d messages, want %d", name, len(b.parked), tc.want)
		}
	}
	t.Run("refused again it stays where it lay", func(t *testing.T) {
		k := consumertest.New(t, answering(sink.Contract{Fenced: true}, sink.Refuse("test", "made up by the test")))
		k.Send(first).Redrive()
		k.Want(verdict.Parked, verdict.Failed)
		if len(k.Parked()) != 1 {
			t.Fatalf("%d messages of one change", len(k.Parked()))
		}
	})
}

// A message of another consumer stays in its queue, however often it is delivered: parked
// by us it would never find its own.
func TestAForeignMessageIsNeverParked(t *testing.T) {
	b := newBench(t, accounts(fenced()), func(*consumer.Env) {})
	foreign := bytes.Replace(parkedAs("unknown", change("CREATE", 1, id(account), "[]", `"Name":"x"`), "null"), []byte(`"accounts"`), []byte(`"orders"`), 1)
	for _, n := range []int{1, 990, 2000} {
		resp, err := b.Handle(t.Context(), mail(foreign, n))
		if err != nil || len(resp.BatchItemFailures) != 1 || len(b.parked) != 0 {
			t.Fatalf("delivery %d: %+v, %v, parked %+v", n, resp, err, b.parked)
		}
	}
}

// What is parked again keeps what its message said: which records, how often, since when.
func TestAParkedCopyRemembers(t *testing.T) {
	event := change("CREATE", 1, id(account, other), "[]", `"Name":"Example Ltd"`)
	message := func(records string) []byte {
		return fmt.Appendf(nil, `{"event":%s,"records":%s,"consumer":"accounts","class":"unknown","error":"","attempts":7,`+
			`"firstAt":"2026-11-20T08:30:00Z","lastAt":"2026-11-21T12:00:00Z"}`, event, records)
	}
	firstAt := time.Date(2026, 11, 20, 8, 30, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		def      consumer.Definition
		orgs     salesforce.OrgList
		attempts int
	}{
		"refused by the sink":          {answering(sink.Contract{Fenced: true}, sink.Refuse("test", "made up by the test")), nil, 8},
		"before its changes are known": {accounts(fenced()), salesforce.OrgList{"00D000000000001EAA"}, 7},
	} {
		t.Run(name, func(t *testing.T) {
			k := consumertest.New(t, tc.def, consumertest.In(func(e *consumer.Env) { e.Orgs = tc.orgs }))
			k.Send(message(id(other)))
			k.Want(verdict.Parked)
			p := k.Parked()[0]
			if len(p.Records) != 1 || p.Records[0] != other || p.Attempts != tc.attempts || !p.FirstAt.Equal(firstAt) || !p.LastAt.Equal(consumertest.Now) {
				t.Fatalf("parked %+v", p)
			}
		})
	}
}

// Changed names a field or the compound around it, nothing that only begins alike, and
// nothing that the channel added.
func TestChangedIsExact(t *testing.T) {
	type deal struct {
		Name  sink.Field[string] `cdc:"Name"`
		Stage sink.Field[string] `cdc:"StageName"`
		City  sink.Field[string] `cdc:"BillingAddress.City"`
	}
	s := consumertest.NewSink(sink.Contract{UniqueKey: true})
	var changed []bool
	k := consumertest.New(t, consumer.Action[deal]{
		Name: "deals", Object: "Account", Changes: true, Once: consumer.PerRecord("deal"), To: s,
		When: func(c consumer.Change[deal]) consumer.Decision {
			changed = append(changed, c.Changed("StageName"), c.Changed("BillingAddress.City"))
			return consumer.Ignore
		},
		Do: func(context.Context, sink.Ref, consumer.Change[deal]) (sink.Receipt, error) {
			return sink.Receipt{}, nil
		},
	})
	for _, tc := range []struct {
		what        string
		event       []byte
		stage, city bool
	}{
		{"another field that begins alike", change("UPDATE", 1, id(account), `["Name","Stage"]`, `"Name":"x","Stage":"y","StageName":"z"`), false, false},
		{"the field", change("UPDATE", 2, id(account), `["StageName"]`, `"StageName":"z"`), true, false},
		{"the compound", change("UPDATE", 3, id(account), `["BillingAddress"]`, `"BillingAddress":{"City":"Bern"}`), false, true},
		{"added to a delete", change("DELETE", 4, id(account), `[]`, `"StageName":"z"`), false, false},
		{"created with it", change("CREATE", 5, id(account), `[]`, `"StageName":"z"`), true, false},
	} {
		changed = nil
		k.Send(tc.event)
		if len(changed) != 2 || changed[0] != tc.stage || changed[1] != tc.city {
			t.Errorf("%s: stage and city changed: %v, want %v, %v", tc.what, changed, tc.stage, tc.city)
		}
	}
}

// Eight records wait for the sink at the same time.
func TestSubjectsAreWorkedOnSideBySide(t *testing.T) {
	def := accounts(fenced())
	var mu sync.Mutex
	var once sync.Once
	inside, all := 0, make(chan struct{})
	def.Put = func(context.Context, sink.Ref, string, Account) (sink.Receipt, error) {
		mu.Lock()
		if inside++; inside == 8 {
			once.Do(func() { close(all) })
		}
		mu.Unlock()
		select {
		case <-all:
		case <-time.After(time.Minute):
			once.Do(func() {
				close(all)
				t.Error("a record waits for others that nobody has begun")
			})
		}
		return sink.Receipt{}, nil
	}
	b := newBench(t, def, func(*consumer.Env) {})
	if _, err := b.Handle(t.Context(), change("CREATE", 1, id(manyIDs(t, 8)...), "[]", `"Name":"Example Ltd"`)); err != nil {
		t.Fatal(err)
	}
}

// Lambda tries again after a minute: a lease of 50 s has ended by then, whatever the
// clocks say.
func TestTheLongestLease(t *testing.T) {
	for settle, ok := range map[time.Duration]bool{38 * time.Second: true, 38*time.Second + time.Millisecond: false} {
		_, err := consumer.New(accounts(consumertest.NewSink(sink.Contract{Lookup: true, Effect: 10 * time.Second, Settle: settle})), consumer.Env{
			Store: &memory.Store{}, Log: telemetry.New(&bytes.Buffer{}, "test", 0), Park: func(context.Context, []byte) error { return nil },
			Scale: 0.01, // a local stack does not hide it
		})
		if (err == nil) != ok || !ok && !strings.Contains(err.Error(), "is longer than 50s") {
			t.Errorf("effect 10s, settle %v, margin 2s: %v", settle, err)
		}
	}
}

// What refers to something that comes later waits for it, for longer than what fails is
// tried.
func TestWaitingForADependencyUsesUpNothing(t *testing.T) {
	l, o := down(t, 0)
	comes := l.now.Add(20 * time.Hour)
	o.answer = func(string) error {
		if l.clock().Before(comes) {
			return sink.NotYet(verdict.DependencyMissing, "made up by the test")
		}
		return nil
	}
	l.send(false, change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`))
	l.settle()
	if len(l.parked) != 0 || o.holds[account] != "Example Ltd" || o.calls < 10 {
		t.Errorf("%d parked, %q, %d calls before it came", len(l.parked), o.holds[account], o.calls)
	}
}

// Without the field that does not fit a full state is a patch: sent as a state it would
// clear that field.
func TestAFieldThatDoesNotFitMakesAPatch(t *testing.T) {
	def := accounts(fenced())
	put := def.Put
	def.Put = func(ctx context.Context, ref sink.Ref, id string, all Account) (sink.Receipt, error) {
		if all.Phone.Present {
			return sink.Receipt{}, &sink.UnfitError{Fields: []sink.Unfit{{Field: "Phone", Name: "field-too-long", Reason: "is too long"}}}
		}
		return put(ctx, ref, id, all)
	}
	k := consumertest.New(t, def)
	k.Send(change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd","Phone":"1"`))
	if got := k.Took(); len(got) != 1 || got[0].Method != "PATCH" || got[0].Body != (Account{Name: sink.Set("Example Ltd"), City: sink.Clear[string]()}) {
		t.Fatalf("the sink took %+v", got)
	}
}

// Who redrives a change that lacks its content has waited already.
func TestARedriveWaitsForNoOtherEvent(t *testing.T) {
	type deal struct {
		Name sink.Field[string] `cdc:"Name" event:"Name__c"`
	}
	s := consumertest.NewSink(sink.Contract{UniqueKey: true})
	k := consumertest.New(t, consumer.Action[deal]{
		Name: "accounts", Object: "Account", Changes: true, Once: consumer.PerRecord("deal"), To: s,
		Events: []consumer.PlatformEvent{{Name: "Deal__e", Record: "Record_Id__c", ModifiedAt: "Modified__c"}},
		When:   func(consumer.Change[deal]) consumer.Decision { return consumer.NeedsSnapshot },
		Do: func(context.Context, sink.Ref, consumer.Change[deal]) (sink.Receipt, error) {
			return sink.Receipt{}, nil
		},
	})
	won := change("UPDATE", 59, id(account), `["Name"]`, `"Name":"x"`)
	k.Send(parkedAs("needs-snapshot", won, id(account)))
	k.Want(verdict.Parked)
	k.Send(won) // the first time it waits two minutes
	k.Want(verdict.Parked, verdict.Failed, verdict.Parked)
}

// At least once, where the author chose it: nothing at this sink tells whether it acted.
func TestRepeatInDoubtIsSentAgain(t *testing.T) {
	type notice struct {
		Text string `event:"Text__c"`
	}
	for doubt, want := range map[consumer.Doubt]verdict.Verdict{consumer.RepeatInDoubt: verdict.Applied, consumer.ParkInDoubt: verdict.Parked} {
		s := consumertest.NewSink(sink.Contract{})
		k := consumertest.New(t, consumer.Action[notice]{
			Name: "notices", Events: []consumer.PlatformEvent{{Name: "Notice__e"}}, Once: consumer.PerEvent(), To: s, InDoubt: doubt,
			Do: func(_ context.Context, ref sink.Ref, c consumer.Change[notice]) (sink.Receipt, error) {
				return s.Do(ref, ref.Subject, c.Content)
			},
		})
		k.LoseAnswer().Send(consumertest.PlatformEvent("Notice__e", 1, map[string]any{"Text__c": "x"}))
		k.Want(verdict.Failed, want)
	}
}

// A message that cannot be parked has to come again: acknowledged it would be lost.
func TestWhatCannotBeParkedComesAgain(t *testing.T) {
	for name, event := range map[string][]byte{
		"cannot be read": []byte(`{"id":"e1"`),
		"lacks content":  change("GAP_UPDATE", 1, id(account), "[]", ""),
	} {
		b := newBench(t, accounts(fenced()), func(e *consumer.Env) {
			e.Park = func(context.Context, []byte) error { return errors.New("the queue is down") }
		})
		if _, err := b.Handle(t.Context(), event); err == nil {
			t.Errorf("%s: a direct invocation ends without an error", name)
		}
		resp, err := b.Handle(t.Context(), batchOf(event))
		if err != nil || len(resp.BatchItemFailures) != 1 {
			t.Errorf("%s: %+v, %v", name, resp, err)
		}
	}
}

// An error that no connector classified may stand for anything: the next attempt is in doubt.
func TestAnErrorOfNoClassLeavesADoubt(t *testing.T) {
	def := accounts(fenced())
	var doubts []bool
	def.Put = func(_ context.Context, ref sink.Ref, _ string, _ Account) (sink.Receipt, error) {
		if doubts = append(doubts, ref.InDoubt); len(doubts) == 1 {
			return sink.Receipt{}, errors.New("made up by the test")
		}
		return sink.Receipt{}, nil
	}
	k := consumertest.New(t, def)
	k.Send(change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`))
	k.Want(verdict.Failed, verdict.Applied)
	if len(doubts) != 2 || doubts[0] || !doubts[1] {
		t.Fatalf("in doubt: %v", doubts)
	}
}

// What no retry solves is parked at once, also where its class is not called permanent.
func TestWhatNeedsAPersonIsNotTriedAgain(t *testing.T) {
	for _, class := range []verdict.Class{verdict.InDoubt, verdict.DuplicateRemote, verdict.RecordUnreadable, verdict.NeedsSnapshot, verdict.NeedsFetch} {
		k := consumertest.New(t, answering(sink.Contract{Fenced: true}, &sink.Error{Class: class, Applied: sink.No, Reason: "made up by the test"}))
		k.Send(change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`))
		k.Want(verdict.Parked)
		if len(k.Parked()) != 1 || k.Parked()[0].Class != class {
			t.Errorf("%s: parked %+v", class, k.Parked())
		}
	}
}

// A thin event says that a record is gone as well as a fat one does.
func TestAThinDeleteNeedsNoFetch(t *testing.T) {
	k := consumertest.New(t, accounts(fenced()))
	k.Send(sync1(1, `"Operation__c":"DELETE","Style__c":"THIN"`))
	k.Want(verdict.Applied)
	if got := k.Took(); len(got) != 1 || got[0].Method != "DELETE" {
		t.Fatalf("the sink took %+v", got)
	}
}

// A delete behind an update in one batch is a delete.
func TestADeleteBehindAnUpdate(t *testing.T) {
	k := consumertest.New(t, accounts(fenced()))
	k.SendBatch(change("UPDATE", 1, id(account), `["Phone"]`, `"Phone":"1"`), change("DELETE", 2, id(account), "[]", ""))
	k.Want(verdict.Stale, verdict.Applied)
	if got := k.Took(); len(got) != 1 || got[0].Method != "DELETE" {
		t.Fatalf("the sink took %+v", got)
	}
}

// A connector that refuses a field that it was not handed is wrong about something else:
// it is not asked a second time.
func TestAFieldThatWasNotHandedOverIsNotTakenOut(t *testing.T) {
	def := accounts(fenced())
	asked := 0
	def.Patch = func(context.Context, sink.Ref, string, Account) (sink.Receipt, error) {
		asked++
		return sink.Receipt{}, &sink.UnfitError{Fields: []sink.Unfit{{Field: "Phone", Name: "field-too-long", Reason: "is too long"}}}
	}
	k := consumertest.New(t, def)
	k.Send(change("UPDATE", 1, id(account), `["Name"]`, `"Name":"Example Ltd"`))
	k.Want(verdict.Parked)
	if asked != 1 {
		t.Fatalf("the connector was asked %d times", asked)
	}
}

// Where no platform event is taken, no other event brings the rest: nobody waits for it.
func TestNobodyWaitsForAnEventThatIsNotTaken(t *testing.T) {
	type deal struct {
		Name sink.Field[string] `cdc:"Name"`
	}
	k := consumertest.New(t, consumer.Action[deal]{
		Name: "accounts", Object: "Account", Changes: true, Once: consumer.PerRecord("deal"), To: consumertest.NewSink(sink.Contract{UniqueKey: true}),
		When: func(consumer.Change[deal]) consumer.Decision { return consumer.NeedsSnapshot },
		Do: func(context.Context, sink.Ref, consumer.Change[deal]) (sink.Receipt, error) {
			return sink.Receipt{}, nil
		},
	})
	k.Send(change("UPDATE", 59, id(account), `["Name"]`, `"Name":"x"`))
	k.Want(verdict.Parked)
}

// What the sink took and a person has to see is applied, and lies in the queue.
func TestATakenChangeThatAPersonHasToSee(t *testing.T) {
	k := consumertest.New(t, answering(sink.Contract{Fenced: true}, &sink.Error{Class: verdict.DuplicateRemote, Applied: sink.Yes, Reason: "made up by the test"}))
	k.Send(change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`))
	k.Want(verdict.Applied)
	if len(k.Parked()) != 1 || k.Parked()[0].Class != verdict.DuplicateRemote {
		t.Fatalf("parked %+v", k.Parked())
	}
}

// Two orgs may have records of one id, a sandbox copied from the other for one: in a batch
// they stay apart.
func TestTwoOrgsInABatch(t *testing.T) {
	k := consumertest.New(t, accounts(fenced()))
	first := change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`)
	second := change("UPDATE", 2, id(account), `["Phone"]`, `"Phone":"2"`)
	k.SendBatch(first, bytes.ReplaceAll(second, []byte("00D5f000005KcCnEAK"), []byte("00D000000000001EAA")))
	k.Want(verdict.Applied, verdict.Applied)
	orgs := map[string]string{}
	for _, r := range k.Took() {
		orgs[r.Ref.Org] = r.Method
	}
	if len(orgs) != 2 || orgs["00D5f000005KcCnEAK"] != "PUT" || orgs["00D000000000001EAA"] != "PATCH" {
		t.Fatalf("the sink took %+v", k.Took())
	}
}

// Each message about an action has its own verdict, also where a batch has several.
func TestEveryMessageOfAnActionIsAnswered(t *testing.T) {
	type deal struct {
		Name sink.Field[string] `cdc:"Name"`
	}
	s := consumertest.NewSink(sink.Contract{UniqueKey: true})
	k := consumertest.New(t, consumer.Action[deal]{
		Name: "accounts", Object: "Account", Changes: true, Once: consumer.PerRecord("deal"), To: s,
		When: func(c consumer.Change[deal]) consumer.Decision {
			if c.Content.Name.Value == "" {
				return consumer.NeedsSnapshot
			}
			return consumer.Act
		},
		Do: func(_ context.Context, ref sink.Ref, c consumer.Change[deal]) (sink.Receipt, error) {
			return s.Do(ref, ref.Subject, c.Content)
		},
	})
	k.SendBatch(change("UPDATE", 1, id(account), `["Name"]`, `"Name":"x"`), change("UPDATE", 2, id(account), `["Name"]`, `"Name":"y"`))
	k.Want(verdict.Applied, verdict.Duplicate)
	if got := k.Parked(); len(got) != 1 || got[0].Class != verdict.ChangedAfterDone || !bytes.Contains(got[0].Event, []byte(`"y"`)) {
		t.Fatalf("parked %+v", got)
	}
	k.Send(change("UPDATE", 3, id(account), `["Name"]`, `"Name":null`)) // what was done lacks nothing
	k.Want(verdict.Applied, verdict.Duplicate, verdict.Duplicate)
}

// Beside change events a platform event has to say when its record was modified: by the
// time of its publishing it would win over changes that are newer.
func TestBesideChangeEventsTheRecordsTimeCounts(t *testing.T) {
	k := consumertest.New(t, accounts(fenced()))
	k.Send(sync1(1, `"Modified__c":null,"Name__c":"Example Ltd"`))
	k.Want(verdict.Parked)
	if got := k.Parked(); len(got) != 1 || got[0].Class != verdict.Permanent("missing-time") {
		t.Fatalf("parked %+v", got)
	}
}
