package consumer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/guard"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/salesforce/api"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// asking is accounts with an org that can be asked.
func asking(t *testing.T, opts ...consumertest.Option) (*consumertest.Kit, *consumertest.Sink, *consumertest.Records) {
	t.Helper()
	s, org := fenced(), &consumertest.Records{}
	return consumertest.New(t, accounts(s), append(opts, consumertest.In(org.Asked))...), s, org
}

func alpha(phone string) map[string]any {
	return map[string]any{"Name": "Alpha", "Phone": phone, "BillingCity": "Bern"}
}

func wholeAlpha(phone string) Account {
	return Account{Name: sink.Set("Alpha"), Phone: sink.Set(phone), City: sink.Set("Bern")}
}

// writes counts what a guard asks of its table.
type writes struct {
	guard.Store
	n *atomic.Int64
}

func (w writes) Write(ctx context.Context, wr guard.Write) (guard.Record, bool, error) {
	w.n.Add(1)
	return w.Store.Write(ctx, wr)
}

func (w writes) Read(ctx context.Context, key string) (guard.Record, error) {
	w.n.Add(1)
	return w.Store.Read(ctx, key)
}

// The first change of a record costs two writes more and one question; a record that was
// seen whole costs nothing more.
func TestFirstSightIsWhole(t *testing.T) {
	var n atomic.Int64
	k, s, org := asking(t, consumertest.In(func(e *consumer.Env) { e.Store = writes{&memory.Store{}, &n} }))
	org.Put(account, 5, alpha("1"))
	k.Send(change("UPDATE", 5, id(account), `["Phone"]`, `"Phone":"1"`))
	if got := n.Swap(0); got != 4 {
		t.Errorf("%d requests of the table, want 4", got)
	}
	if got := org.Statements(); !slices.Equal(got, []string{account}) {
		t.Errorf("asked %q", got)
	}
	if got := s.Took(); len(got) != 1 || got[0].Body != wholeAlpha("1") || got[0].Method != "PUT" {
		t.Fatalf("the sink took %+v", got)
	}
	k.Send(change("UPDATE", 6, id(account), `["Phone"]`, `"Phone":"2"`))
	if got := n.Load(); got != 2 || len(org.Statements()) != 0 {
		t.Errorf("a record that was seen whole: %d requests", got)
	}
	if got := s.Took(); len(got) != 2 || (got[1].Body != Account{Phone: sink.Set("2")}) {
		t.Errorf("then %+v", got)
	}
	k.Want(verdict.Applied, verdict.Applied)
}

// A record that is known from its creation is never asked for, nor one that is deleted.
func TestWhatIsWholeIsNotAskedFor(t *testing.T) {
	k, _, org := asking(t)
	k.Send(
		change("CREATE", 1, id(account), "[]", `"Name":"Alpha"`),
		change("UPDATE", 2, id(account), `["Phone"]`, `"Phone":"1"`),
		change("UPDATE", 3, id(account), `["Industry"]`, `"Industry":"Energy"`),
		change("DELETE", 4, id(account), "[]", ""),
		change("DELETE", 4, id(other), "[]", ""),
	)
	k.SendBatch(change("UPDATE", 6, id(other), `["Phone"]`, `"Phone":"1"`), change("CREATE", 5, id(other), "[]", `"Name":"Beta"`))
	if got := org.Statements(); len(got) != 0 {
		t.Errorf("asked %q", got)
	}
	// What comes before an undelete is.
	org.Put(account, 9, alpha("9"))
	k.Send(change("UPDATE", 9, id(account), `["Phone"]`, `"Phone":"9"`))
	if got := org.Statements(); !slices.Equal(got, []string{account}) {
		t.Errorf("after a delete: asked %q", got)
	}
}

func thinAccount(record string, second int) []byte {
	return consumertest.PlatformEvent("Account_Sync__e", second, map[string]any{"Record_Id__c": record, "Modified__c": consumertest.At(second), "Style__c": "THIN"})
}

// One question for all that a batch leaves out.
func TestOneQuestionForABatch(t *testing.T) {
	k, s, org := asking(t)
	ids := make([]string, 7)
	for i := range ids {
		ids[i] = fmt.Sprintf("0015f00002%05dAAA", i)
		org.Put(ids[i], 30, alpha(fmt.Sprint(i)))
	}
	k.Pass(time.Minute)
	k.SendBatch(
		change("GAP_UPDATE", 1, id(ids[0], ids[1]), "[]", ""),
		thinAccount(ids[2], 2),
		change("UPDATE", 3, id(ids[3]), `["Phone","Name"]`, `"Phone":"3"`),
		change("UPDATE", 4, id(ids[4]), "[]", `"Phone":"4"`),
		change("UPDATE", 5, id(ids[5]), `["BillingAddress"]`, ""),
		change("UPDATE", 6, id(ids[6]), `["Name"]`, `"Name":"--- \n+++ \n@@ -1 +1 @@\n-a\n+b"`),
	)
	if got := org.Statements(); !slices.Equal(got, []string{strings.Join(ids, ",")}) {
		t.Errorf("asked %q", got)
	}
	if len(s.Took()) != len(ids) || len(k.Parked()) != 0 {
		t.Fatalf("%d requests, parked %+v", len(s.Took()), k.Parked())
	}
	for _, r := range s.Took() {
		if got := r.Body.(Account); got.Name != sink.Set("Alpha") || got.City != sink.Set("Bern") || got.Phone.Value != r.Key[14:15] {
			t.Errorf("%s: %+v", r.Key, got)
		}
	}
}

// What was read is the state of the change that caused the reading: what came before it is
// stale, and what comes later wins.
func TestAFetchedStateHasTheVersionOfItsChange(t *testing.T) {
	k, s, org := asking(t)
	org.Put(account, 50, alpha("read later"))
	k.Send(change("GAP_UPDATE", 10, id(account), "[]", ""), change("GAP_UPDATE", 5, id(account), "[]", ""),
		change("UPDATE", 9, id(account), `["Phone"]`, `"Phone":"9"`), change("UPDATE", 11, id(account), `["Phone"]`, `"Phone":"11"`))
	k.Want(verdict.Applied, verdict.Stale, verdict.Stale, verdict.Applied)
	if got := s.Took(); len(got) != 2 || got[0].Body != wholeAlpha("read later") || (got[1].Body != Account{Phone: sink.Set("11")}) {
		t.Errorf("%+v", got)
	}
	// Two changes and one question: the older one is stale.
	org.Statements()
	org.Put(other, 50, alpha("x"))
	k.SendBatch(change("GAP_UPDATE", 20, id(other), "[]", ""), change("GAP_UPDATE", 21, id(other), "[]", ""))
	if got := org.Statements(); len(got) != 1 {
		t.Errorf("asked %q", got)
	}
	if l := k.Lines()[4:]; l[0].Verdict != "stale" || l[1].Verdict != "applied" || len(s.Took()) != 3 {
		t.Errorf("%+v", l)
	}
}

// A read that is behind the change is repeated for five minutes, and then taken: the fields
// of the change itself are never lost by it.
func TestAReadThatIsBehind(t *testing.T) {
	k, s, org := asking(t)
	org.Put(account, 5, map[string]any{"Name": "Old", "Phone": "old", "BillingCity": "Bern"})
	first := change("UPDATE", 20, id(account), `["Phone","LastModifiedDate"]`, `"Phone":"20","LastModifiedDate":"`+consumertest.At(20)+`"`)
	second := change("UPDATE", 21, id(account), `["Name","LastModifiedDate"]`, `"Name":"New","LastModifiedDate":"`+consumertest.At(21)+`"`)
	k.SendBatch(first, second)
	state := s.State()
	for _, want := range []string{`"New"`, `"20"`, `"Bern"`} {
		if !strings.Contains(state, want) {
			t.Errorf("the sink ends with %s", state)
		}
	}
	if got := len(org.Statements()); got < 3 || got > 20 {
		t.Errorf("asked %d times in five minutes", got)
	}
	lines := k.Lines()
	if !slices.ContainsFunc(lines, func(l consumertest.Line) bool { return l.Read == "old" && l.Verdict == "applied" }) {
		t.Errorf("%+v", lines)
	}
	if l := lines[0]; l.Verdict != "failed" || l.Class != "needs-fetch" || l.Attempt != 0 {
		t.Errorf("%+v", l)
	}
}

// What is read is no newer than the save that it shows: a change between it and the one that
// caused the reading comes later, and wins.
func TestAnOldReadCoversNothingBehindIt(t *testing.T) {
	k, s, org := asking(t)
	org.Put(account, 5, map[string]any{"Name": "Old", "Phone": "old", "BillingCity": "Bern"})
	saved := func(second int, field, value string) []byte {
		return change("UPDATE", second, id(account), `["`+field+`","LastModifiedDate"]`, `"`+field+`":"`+value+`","LastModifiedDate":"`+consumertest.At(second)+`"`)
	}
	k.SendBatch(saved(21, "Name", "New"))
	k.Send(saved(20, "Phone", "20"))
	state := s.State()
	for _, want := range []string{`"New"`, `"20"`, `"Bern"`} {
		if !strings.Contains(state, want) {
			t.Errorf("the sink ends with %s", state)
		}
	}
}

// Without the time of the save the commit's counts, with room for a save before it.
func TestWhatIsBehindWithoutATimeOfTheSave(t *testing.T) {
	for stamp, want := range map[int]int{17: 2, 18: 1, 19: 1} {
		k, s, org := asking(t)
		org.Put(account, stamp, alpha("1"))
		k.SendBatch(change("GAP_UPDATE", 20, id(account), "[]", ""))
		if got := len(org.Statements()); got < want || want == 1 && got > 1 || len(s.Took()) != 1 {
			t.Errorf("read as of second %d: asked %d times", stamp, got)
		}
	}
}

// What the user may not see is parked with its name, and nothing is blanked. Once it may be
// seen again the message goes through.
func TestALostPermissionBlanksNobody(t *testing.T) {
	k, s, org := asking(t)
	org.Put(account, 5, alpha("1"))
	org.Put(other, 5, alpha("2"))
	org.Hide("Phone")
	k.SendBatch(change("GAP_UPDATE", 5, id(account), "[]", ""), change("UPDATE", 5, id(other), `["Name"]`, `"Name":"Alpha"`))
	k.Want(verdict.Parked, verdict.Parked)
	for _, p := range k.Parked() {
		if p.Class != verdict.RecordUnreadable || !strings.Contains(p.Error, "Phone") || !strings.Contains(p.Error, "permission set") {
			t.Errorf("%+v", p)
		}
	}
	if len(s.Took()) != 0 {
		t.Errorf("the sink took %+v", s.Took())
	}
	org.Hide()
	k.Redrive()
	if len(s.Took()) != 2 || s.Took()[0].Body != wholeAlpha("1") || len(k.Parked()) != 0 {
		t.Errorf("%+v, parked %+v", s.Took(), k.Parked())
	}
}

// Missing, deleted and merged are told apart.
func TestWhatIsNotThere(t *testing.T) {
	k, s, org := asking(t)
	k.Send(change("CREATE", 1, id(account), "[]", `"Name":"Alpha"`), change("CREATE", 1, id(other), "[]", `"Name":"Beta"`))
	org.Gone(account, true, "")
	org.Gone(other, true, account)
	k.SendBatch(change("GAP_UPDATE", 3, id(account), "[]", ""), change("GAP_UPDATE", 3, id(other), "[]", ""))
	if got := s.Took(); len(got) != 4 || got[2].Method != "DELETE" || got[3].Method != "DELETE" {
		t.Fatalf("%+v", got)
	}
	// Gone without a trace: its deletion is on its way for five minutes.
	const third = "0015f00002J9YYGAA3"
	k.Send(change("GAP_UPDATE", 4, id(third), "[]", ""))
	if p := k.Parked(); len(p) != 1 || p[0].Class != verdict.RecordUnreadable || len(s.Took()) != 4 {
		t.Fatalf("parked %+v, took %d", p, len(s.Took()))
	}
	if waited := k.Lines()[len(k.Lines())-1].At.Sub(consumertest.Start.Add(4 * time.Second)); waited < 5*time.Minute {
		t.Errorf("it waited %s", waited)
	}
	// A gap that says that it was deleted is believed.
	const fourth = "0015f00002J9YYHAA3"
	k.Send(change("CREATE", 5, id(fourth), "[]", `"Name":"D"`), change("GAP_DELETE", 6, id(fourth), "[]", ""))
	if got := s.Took(); len(got) != 6 || got[5].Method != "DELETE" {
		t.Errorf("%+v", got[4:])
	}
}

func TestAMaskIsNoValue(t *testing.T) {
	for _, mask := range []string{"****", "***-**-6789", "*********1234"} {
		k, s, org := asking(t)
		org.Put(account, 5, alpha(mask))
		k.Send(change("GAP_UPDATE", 5, id(account), "[]", ""))
		if p := k.Parked(); len(p) != 1 || p[0].Class != verdict.RecordUnreadable || !strings.Contains(p[0].Error, "Phone") || strings.Contains(p[0].Error, "*") || len(s.Took()) != 0 {
			t.Errorf("%q: parked %+v", mask, p)
		}
	}
	k, s, org := asking(t)
	org.Put(account, 5, alpha("** 24 h **"))
	if k.Send(change("GAP_UPDATE", 5, id(account), "[]", "")); len(s.Took()) != 1 {
		t.Error("a text with asterisks was taken for a mask")
	}
}

func TestAnOrgThatDoesNotAnswer(t *testing.T) {
	for _, c := range []struct {
		err    error
		class  verdict.Class
		parked time.Duration // after which it is
	}{
		{&api.Error{What: "query Account", Code: "REQUEST_LIMIT_EXCEEDED", Status: 403}, verdict.OrgLimit, 6 * time.Hour},
		{&api.Error{What: "query Account", Code: "BRAKE"}, verdict.OrgLimit, 6 * time.Hour},
		{&api.Error{What: "query Account", Code: "NO_ANSWER"}, verdict.OrgDown, 6 * time.Hour},
		{&api.Error{What: "query Account", Code: "SERVER_UNAVAILABLE", Status: 503}, verdict.OrgDown, 6 * time.Hour},
		{errors.New("whatever"), verdict.OrgDown, 6 * time.Hour},
		{&api.Error{What: "login", Code: "INVALID_GRANT", Status: 400, Setting: "the secret"}, verdict.Auth, 6 * time.Hour},
		{&api.Error{What: "query Account", Code: "INVALID_TYPE", Status: 400}, verdict.RecordUnreadable, 0},
	} {
		k, s, org := asking(t)
		org.Put(account, 5, alpha("1"))
		org.Fail(c.err)
		k.Send(change("UPDATE", 5, id(account), `["Phone"]`, `"Phone":"1"`))
		p, lines := k.Parked(), k.Lines()
		if len(p) != 1 || p[0].Class != c.class || len(s.Took()) != 0 {
			t.Fatalf("%v: parked %+v, took %+v", c.err, p, s.Took())
		}
		first, last := lines[0].At, lines[len(lines)-1].At
		if waited := last.Sub(first); waited < c.parked || waited > c.parked+time.Hour {
			t.Errorf("%v: parked after %s", c.err, waited)
		}
		org.Fail(nil)
		if k.Redrive(); len(s.Took()) != 1 || s.Took()[0].Body != wholeAlpha("1") {
			t.Errorf("%v: after a redrive %+v", c.err, s.Took())
		}
	}
}

// An outage of the org says nothing of the sink, and changes that need no question go on.
func TestAnOutageOfTheOrgHoldsNobodyElse(t *testing.T) {
	k, s, org := asking(t)
	org.Fail(&api.Error{Code: "NO_ANSWER"})
	for i := range 5 {
		record := fmt.Sprintf("0015f00002%05dAAA", i)
		k.SendBatch(change("CREATE", 1, id(record), "[]", `"Name":"Alpha"`))
	}
	if len(s.Took()) != 5 {
		t.Errorf("%d creates", len(s.Took()))
	}
}

// Codes of states and currencies are not in every org: a question without them follows, and
// the next one knows.
func TestWhatNotEveryOrgHas(t *testing.T) {
	type place struct {
		Currency sink.Field[string] `guard:"c" cdc:"CurrencyIsoCode"`
		Country  sink.Field[string] `guard:"n" cdc:"BillingAddress.CountryCode|BillingAddress.Country"`
	}
	s, org := fenced(), &consumertest.Records{}
	def := consumer.Record[place]{
		Name: "places", Object: "Account", Changes: true, To: s,
		Patch: func(_ context.Context, ref sink.Ref, id string, some place) (sink.Receipt, error) {
			return s.Patch(ref, id, some)
		},
		Delete: func(_ context.Context, ref sink.Ref, id string) (sink.Receipt, error) { return s.Delete(ref, id) },
	}
	k := consumertest.New(t, def, consumertest.In(org.Asked))
	org.Put(account, 5, map[string]any{"BillingCountry": "CH"})
	org.Hide("CurrencyIsoCode", "BillingCountryCode")
	k.Send(change("GAP_UPDATE", 5, id(account), "[]", ""), change("GAP_UPDATE", 6, id(account), "[]", ""))
	if got := org.Statements(); len(got) != 4 {
		t.Errorf("asked %d times", len(got))
	}
	if got := s.Took(); len(got) != 2 || (got[1].Body != place{sink.Clear[string](), sink.Set("CH")}) {
		t.Errorf("%+v", got)
	}
}

var commitNumber = regexp.MustCompile(`"commitNumber":\d+,`)

// A change that does not say all is read when its second is over and a late row must be seen:
// also one without a place in its second. One that says all does not wait.
func TestASecondIsAwaited(t *testing.T) {
	for name, c := range map[string]struct {
		event []byte
		slept time.Duration
	}{
		"a gap":                   {change("GAP_UPDATE", 60, id(account), "[]", ""), 4 * time.Second},
		"a thin event":            {thinAccount(account, 60), 4 * time.Second},
		"without a commit number": {commitNumber.ReplaceAll(change("UPDATE", 60, id(account), `["Phone"]`, `"Phone":"1"`), nil), 4 * time.Second},
		"before":                  {change("GAP_UPDATE", 56, id(account), "[]", ""), 0},
		"first sight":             {change("UPDATE", 60, id(account), `["Phone"]`, `"Phone":"1"`), 0},
	} {
		var slept time.Duration
		k, s, org := asking(t, consumertest.In(func(e *consumer.Env) {
			pass := e.Sleep
			e.Sleep = func(done <-chan struct{}, d time.Duration) bool { slept += d; return pass(done, d) }
		}))
		org.Put(account, 61, alpha("1"))
		k.Send(c.event)
		if len(s.Took()) != 1 || s.Took()[0].Body != wholeAlpha("1") || slept != c.slept {
			t.Errorf("%s: %+v, slept %s", name, s.Took(), slept)
		}
		k.Want(verdict.Applied)
	}
	// Where the invocation has no time for it, it comes again.
	k, s, org := asking(t, consumertest.In(func(e *consumer.Env) {
		e.Sleep = func(<-chan struct{}, time.Duration) bool { return false }
	}))
	org.Put(account, 61, alpha("1"))
	k.Send(change("GAP_UPDATE", 60, id(account), "[]", ""))
	if l := k.Lines(); len(s.Took()) != 1 || l[0].Verdict != "failed" || l[0].Class != "needs-fetch" || l[0].Attempt != 0 {
		t.Errorf("%+v", l)
	}
}

// An event that names no records stands for what the org lists.
func TestAnOverflow(t *testing.T) {
	k, s, org := asking(t)
	var ids []string
	for i := range 450 {
		ids = append(ids, fmt.Sprintf("0015f00002%05dAAA", i))
		org.Put(ids[i], -100, alpha("1"))
	}
	org.Gone(ids[7], true, "")
	org.List(consumertest.Start.Add(time.Hour), append(slices.Clone(ids), ids[3])...)
	k.Send(change("GAP_OVERFLOW", 5, id("000000000000000AAA"), "[]", ""))
	if got := len(s.Took()); got != 450 || len(k.Parked()) != 0 {
		t.Fatalf("%d requests, parked %+v", got, k.Parked())
	}
	if got := org.Statements(); len(got) != 1+3+1 || got[0] != "changed" {
		t.Errorf("asked %d times: %.40q", len(got), got)
	}
	// So do ids of a whole object.
	k, s, org = asking(t)
	org.Put(account, 1, alpha("1"))
	org.List(consumertest.Start.Add(time.Hour), account)
	k.Send(change("UPDATE", 5, id("001*"), `["Phone"]`, `"Phone":"5"`))
	if got := s.Took(); len(got) != 1 || got[0].Body != wholeAlpha("1") {
		t.Errorf("%+v, parked %+v", got, k.Parked())
	}
	// A list that does not reach the commit is not believed.
	k, s, org = asking(t)
	org.Put(account, 1, alpha("1"))
	org.List(consumertest.Start, account)
	k.Send(change("GAP_OVERFLOW", 5, id("000000000000000AAA"), "[]", ""))
	if p := k.Parked(); len(s.Took()) != 0 || len(p) != 1 || p[0].Class != verdict.OrgDown {
		t.Fatalf("took %+v, parked %+v", s.Took(), p)
	}
	org.List(consumertest.Start.Add(time.Hour), account)
	if k.Redrive(); len(k.Parked()) != 0 {
		t.Errorf("parked %+v", k.Parked())
	}
}

// Thin events of one second cannot be told apart, so the second one reads again.
func TestThinEventsOfOneSecond(t *testing.T) {
	k, s, org := asking(t)
	org.Put(account, 5, alpha("1"))
	k.Send(thinAccount(account, 5))
	org.Put(account, 5, alpha("2"))
	k.Send(thinAccount(account, 5))
	if got := s.Took(); len(got) != 2 || got[1].Body != wholeAlpha("2") {
		t.Fatalf("%+v", got)
	}
	k.Want(verdict.Applied, verdict.Applied)
	if got := len(org.Statements()); got != 3 {
		t.Errorf("asked %d times", got)
	}
}

// A message about a record whose state at the sink is in question reads it under the claim
// and sends it whole, at the newest version that is known.
func TestARepair(t *testing.T) {
	k, s, org := asking(t)
	k.Send(change("CREATE", 1, id(account), "[]", `"Name":"Alpha"`), change("UPDATE", 9, id(account), `["Phone"]`, `"Phone":"9"`))
	org.Put(account, 9, alpha("now"))
	message := func(kind string, second int) []byte {
		b, _ := json.Marshal(map[string]any{"event": json.RawMessage(change(kind, second, id(account), `["Phone"]`, `"Phone":"5"`)),
			"records": []string{account}, "consumer": "accounts", "class": "overwrote-newer", "attempts": 1})
		return b
	}
	k.Send(message("UPDATE", 5))
	got := s.Took()
	if len(got) != 3 || got[2].Method != "PUT" || got[2].Body != wholeAlpha("now") || got[2].Ref.Version <= got[0].Ref.Version {
		t.Fatalf("%+v", got)
	}
	org.Gone(account, true, "")
	k.Send(message("UPDATE", 5))
	if got := s.Took(); len(got) != 4 || got[3].Method != "DELETE" {
		t.Fatalf("%+v", got[3:])
	}
}

// A repair whose read is behind what the sink has waits: it would go over something newer.
func TestARepairThatIsBehind(t *testing.T) {
	k, s, org := asking(t)
	k.Send(change("CREATE", 1, id(account), "[]", `"Name":"Alpha"`), change("UPDATE", 59, id(account), `["Phone"]`, `"Phone":"59"`))
	org.Put(account, 1, alpha("old"))
	b, err := json.Marshal(map[string]any{"event": json.RawMessage(change("UPDATE", 5, id(account), `["Phone"]`, `"Phone":"5"`)),
		"records": []string{account}, "consumer": "accounts", "class": "overwrote-newer", "attempts": 1})
	if err != nil {
		t.Fatal(err)
	}
	k.SendBatch(b)
	got := s.Took()
	if len(got) != 3 || got[2].Body != wholeAlpha("old") {
		t.Fatalf("%+v", got)
	}
	lines := k.Lines()
	if l := lines[2]; l.Verdict != "failed" || l.Class != "needs-fetch" {
		t.Errorf("%+v", l)
	}
	if l := lines[len(lines)-1]; l.At.Before(consumertest.Start.Add(59*time.Second + 5*time.Minute)) {
		t.Errorf("taken at %s", l.At)
	}
}

// Without an org everything is as it was.
func TestWithoutAnOrgNothingIsAsked(t *testing.T) {
	s := fenced()
	k := consumertest.New(t, accounts(s))
	k.Send(change("UPDATE", 5, id(account), `["Phone"]`, `"Phone":"1"`), change("GAP_UPDATE", 6, id(account), "[]", ""))
	k.Want(verdict.Applied, verdict.Parked)
	if p := k.Parked(); len(p) != 1 || p[0].Class != verdict.NeedsFetch {
		t.Errorf("%+v", p)
	}
}

// A repair for which the org does not answer says nothing of the sink: others go on.
func TestARepairWithoutAnOrgSparesTheSink(t *testing.T) {
	k, s, org := asking(t)
	org.Fail(&api.Error{What: "login", Code: "INVALID_GRANT", Status: 400, Setting: "the secret"})
	var messages [][]byte
	for i := range 4 {
		record := fmt.Sprintf("0015f00002%05dAAA", i)
		b, err := json.Marshal(map[string]any{"event": json.RawMessage(change("DELETE", 5, id(record), "[]", "")), "records": []string{record}, "consumer": "accounts", "class": "overwrote-newer"})
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, b)
	}
	var many []string // they are worked on after the others
	for i := range 60 {
		many = append(many, fmt.Sprintf("0015f00002%05dAAA", 100+i))
	}
	k.SendBatch(append(messages, change("CREATE", 6, id(many...), "[]", `"Name":"Alpha"`))...)
	if got := s.Took(); len(got) != 60 {
		t.Errorf("%d requests", len(got))
	}
	if l := k.Lines(); slices.ContainsFunc(l, func(l consumertest.Line) bool { return strings.Contains(l.Error, "the sink is not asked") }) {
		t.Errorf("%+v", l)
	}
	for _, p := range k.Parked() {
		if p.Class != verdict.Auth {
			t.Errorf("%s: %s", p.Class, p.Error)
		}
	}
	if len(k.Parked()) != 4 {
		t.Errorf("%d parked", len(k.Parked()))
	}
}
