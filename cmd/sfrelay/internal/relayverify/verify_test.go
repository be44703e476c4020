package relayverify_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sfrelay/cmd/sfrelay/internal/relaytest"
	"sfrelay/cmd/sfrelay/internal/relayverify"
	"sfrelay/cmd/sfrelay/internal/verdicts"
	"sfrelay/functions"
	"sfrelay/shared/consumer"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/verdict"
)

var deployed = []string{"customer-billing", "customer-erp", "inventory-erp", "opportunity-billing"}

// stand is a set-up whose functions answer each event of the org as consumers do, unless
// silent says otherwise.
type stand struct {
	*relaytest.World
	seen   int
	silent map[string]bool // consumers
	said   []relayverify.Arrival
	rules  []string       // consumers that the rules hand everything to
	later  map[string]any // what the relay of the platform events says while it is waited for
}

func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{World: relaytest.New(t), silent: map[string]bool{}, rules: deployed}
	s.Good()
	return s
}

func (s *stand) verify() *relayverify.Verify {
	return &relayverify.Verify{
		Org: s.Org, Events: s.Events, Now: func() time.Time { return s.Now }, AtMost: 295 * time.Second, Pause: 10 * time.Second,
		Wait: func(_ context.Context, d time.Duration) error { s.Now = s.Now.Add(d); return nil },
		Say:  func(a relayverify.Arrival) { s.said = append(s.said, a) },
		Stack: relayverify.Stack{Consumers: deployed, Lines: s.lines,
			Targets: func(context.Context, string, string) ([]string, error) { return s.rules, nil }},
	}
}

// lines are those that the consumers log of the events since the last call.
func (s *stand) lines(context.Context, []string) (lines []verdicts.Line, err error) {
	for _, raw := range s.Stand.Events(s.seen) {
		s.seen++
		e, err := salesforce.Decode(raw.JSON, salesforce.Options{})
		if err != nil {
			return nil, err
		}
		for _, def := range functions.All(functions.Ports{}) {
			d := def.Describe()
			if s.silent[d.Name] || !slices.ContainsFunc(d.Sources, func(s consumer.Source) bool { return s.DetailType == e.DetailType }) {
				continue
			}
			l := verdicts.Line{Time: s.Now.Add(2 * time.Second), Consumer: d.Name, DetailType: e.DetailType, Verdict: verdict.Ignored}
			if e.Probe {
				l.Verdict, l.Subject = verdict.Probe, e.ProbeID
			} else {
				l.Subject = e.Changes[0].Entity + "/" + e.Changes[0].RecordID
			}
			lines = append(lines, l)
		}
	}
	return lines, nil
}

func arrived(all []*relayverify.Arrival) (names []string) {
	for _, a := range all {
		names = append(names, fmt.Sprintf("%s %s %s %.0f", a.Event, a.Consumer, a.Verdict, a.Seconds))
	}
	return names
}

func TestAProbeOfEachEventArrives(t *testing.T) {
	s := newStand(t)
	all, err := s.verify().Probes(t.Context())
	want := []string{"Cloud_Customer_Sync__e customer-billing probe 2", "Cloud_Customer_Sync__e customer-erp probe 2", "Inventory_Update__e inventory-erp probe 2", "Opportunity_Won__e opportunity-billing probe 2"}
	if err != nil || relayverify.Outcome(all) != nil || !slices.Equal(arrived(all), want) || len(s.said) != 4 {
		t.Errorf("%v, %q, %v", err, arrived(all), s.said)
	}
	if all[0].UUID == "" || all[0].UUID != all[1].UUID || all[0].UUID == all[2].UUID {
		t.Errorf("%+v", all[0])
	}
}

// What does not arrive is named with the hop that lost it.
func TestTheHopThatLostIt(t *testing.T) {
	for name, c := range map[string]struct {
		breaks func(*stand)
		want   string
	}{
		"no relay": {func(s *stand) {
			s.Teardown()
		}, "relay: there is none"},
		"relay paused": {func(s *stand) {
			s.Change("EventRelayConfig", "Sfrelay_Events", "state", "PAUSE")
		}, "relay: Sfrelay_Events is PAUSED"},
		"relay does not send": {func(s *stand) {
			s.Stand.RelaySays("Sfrelay_Events", map[string]any{"LastRelayedEventTime": s.Now.Add(-time.Hour)})
			s.later = map[string]any{"LastRelayedEventTime": s.Now.Add(-time.Hour)}
		}, "relay: published, and Sfrelay_Events runs, but says that it relayed its last event at 2026-11-27T08:00:00Z"},
		"source pending": {func(s *stand) { s.Drop(s.bus()) }, "source: aws.partner/salesforce.com/"},
		"no rule":        {func(s *stand) { s.rules = nil }, "rule: no enabled rule"},
		"function":       {func(s *stand) {}, "function: a rule hands it the event"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			s.silent["inventory-erp"] = true
			c.breaks(s)
			if s.later == nil {
				s.later = map[string]any{"LastRelayedEventTime": s.Now}
			}
			v := s.verify()
			wait := v.Wait
			v.Wait = func(ctx context.Context, d time.Duration) error {
				s.Stand.RelaySays("Sfrelay_Events", s.later)
				return wait(ctx, d)
			}
			all, err := v.Probes(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(all, func(a *relayverify.Arrival) bool { return a.Consumer == "inventory-erp" })
			if !strings.HasPrefix(all[i].Lost, c.want) || all[i].Seconds != 295 { // the time it was given, no pause more
				t.Errorf("%+v, want %s", all[i], c.want)
			}
			hop, _, _ := strings.Cut(c.want, ":")
			if err := relayverify.Outcome(all); err == nil || !strings.Contains(err.Error(), "Inventory_Update__e at inventory-erp ("+hop+")") {
				t.Errorf("%v", err)
			}
		})
	}
}

// A function of an earlier version parks what it does not know for a probe.
func TestAnotherVerdictIsNamed(t *testing.T) {
	all := []*relayverify.Arrival{{Event: "Note__e", Consumer: "notes", Verdict: verdict.Parked}}
	if err := relayverify.Outcome(all); err == nil || !strings.Contains(err.Error(), "another verdict: Note__e at notes (parked)") {
		t.Errorf("%v", err)
	}
}

// Who may not publish is told the permission set.
func TestTheRightToPublish(t *testing.T) {
	for code, status := range map[string]int{"INSUFFICIENT_ACCESS": 403, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": 400, "NOT_FOUND": 404} {
		s := newStand(t)
		s.Answer = func(path string, body []byte) (int, string) {
			if strings.Contains(path, "/sobjects/Cloud_Customer_Sync__e") && len(body) > 0 {
				return status, `[{"errorCode":"` + code + `","message":"no"}]`
			}
			return 0, ""
		}
		if _, err := s.verify().Probes(t.Context()); err == nil || !strings.Contains(err.Error(), "Setup, Permission Sets, Sfrelay_Publisher") || !strings.Contains(err.Error(), code) {
			t.Errorf("%s: %v", code, err)
		}
	}
}

func (s *stand) bus() string { return s.Good()["EventBusName"] }

func (s *stand) account() string {
	s.Helper()
	var made struct{ ID string }
	if err := s.Org.Call(s.Context(), "insert", http.MethodPost, "sobjects/Account", map[string]any{"Name": "Acme", "AnnualRevenue": 5, "Industry": "Energy"}, &made); err != nil {
		s.Fatal(err)
	}
	return made.ID
}

// A touch changes a field and changes it back, and its events reach all who take them.
func TestTouch(t *testing.T) {
	s := newStand(t)
	id := s.account()
	touch, err := relayverify.ParseTouch("Account/" + id + ".AnnualRevenue")
	if err != nil {
		t.Fatal(err)
	}
	if err := touch.Check(s.verify().Stack, "", "Email=E_Mail__c"); err != nil {
		t.Error(err)
	}
	_, _ = s.lines(t.Context(), nil)
	before := s.seen
	all, err := s.verify().Touch(t.Context(), touch)
	if want := []string{"AccountChangeEvent customer-billing ignored 2", "AccountChangeEvent customer-erp ignored 2"}; err != nil || relayverify.Outcome(all) != nil || !slices.Equal(arrived(all), want) {
		t.Errorf("%v, %q", err, arrived(all))
	}
	if n := s.seen - before; n != 2 {
		t.Errorf("%d events", n)
	}
	if v, err := s.Org.Value(t.Context(), "Account", id, "AnnualRevenue"); err != nil || fmt.Sprint(v) != "5" {
		t.Errorf("%v, %v", v, err)
	}
}

// A touch never reaches a sink, and is refused where no event could follow.
func TestATouchThatIsRefused(t *testing.T) {
	s := newStand(t)
	id := s.account()
	for text, want := range map[string]string{"Account/" + id: "want Object/id.Field", "Account/1.Name": "want Object/id.Field", "": "want Object/id.Field"} {
		if _, err := relayverify.ParseTouch(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	stack := s.verify().Stack
	stack.Consumers = append(slices.Clone(deployed), "contact-notify")
	for text, want := range map[string]string{
		"Account/" + id + ".Phone":              "customer-billing acts on a change of Account.Phone",
		"Account/" + id + ".Region__c":          "settings of the stack name the field Region__c",
		"Contact/003000000000001.Description":   "contact-notify acts on a change",
		"Account/" + id + ".BillingCity":        "customer-billing acts on a change of Account.BillingCity",
		"Opportunity/006000000000001.StageName": "opportunity-billing acts on a change",
		"Lead/00Q000000000001.Description":      "no consumer of the stack takes LeadChangeEvent",
		"Opportunity/006000000000001.NextStep":  "",
	} {
		touch, err := relayverify.ParseTouch(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := touch.Check(stack, "", "Region__c:region"); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	for _, field := range []string{"Description__c", "ParentId", "CreatedDate"} {
		touch, _ := relayverify.ParseTouch("Account/" + id + "." + field)
		before := len(s.Stand.Events(0))
		if _, err := s.verify().Touch(t.Context(), touch); err == nil || len(s.Stand.Events(0)) != before {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// A value that could not be written back is said.
func TestATouchThatStopsHalfWay(t *testing.T) {
	s := newStand(t)
	id := s.account()
	writes := 0
	s.Answer = func(path string, body []byte) (int, string) {
		if strings.Contains(path, "/sobjects/Account/"+id) && strings.Contains(string(body), "AnnualRevenue") {
			if writes++; writes == 2 {
				return 403, `[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"no"}]`
			}
		}
		return 0, ""
	}
	touch, _ := relayverify.ParseTouch("Account/" + id + ".AnnualRevenue")
	if _, err := s.verify().Touch(t.Context(), touch); err == nil || !strings.Contains(err.Error(), "is 6 now: write 5 back") {
		t.Errorf("%v", err)
	}
}
