package orgsandbox_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	orgsandbox "sfrelay/shared/sandbox/org"
)

// relayed is an org with two relays: accounts by the one, Cloud_Customer_Sync__e by the other.
type relayed struct {
	*trial
	config, source map[string]string // by the name of the relay
	got, order     []string          // what was delivered: sorted, and as it came
	fails          error
}

const (
	byChange = "Changes"
	byEvent  = "Events"
)

func relaying(t *testing.T, o orgsandbox.Options, option string) *relayed {
	t.Helper()
	w := &relayed{trial: start(t, o), config: map[string]string{}, source: map[string]string{}}
	w.tooling("POST", "NamedCredential", `{"FullName":"C","Metadata":{"label":"c","endpoint":"arn:aws:EU-WEST-2:123456789012"}}`)
	for name, c := range map[string]struct{ kind, event string }{byEvent: {"event", "Cloud_Customer_Sync__e"}, byChange: {"data", "AccountChangeEvent"}} {
		w.tooling("POST", "PlatformEventChannel", `{"FullName":"`+name+`__chn","Metadata":{"channelType":"`+c.kind+`","label":"a"}}`)
		w.tooling("POST", "PlatformEventChannelMember", `{"FullName":"`+name+`_chn_m","Metadata":{"eventChannel":"`+name+`__chn","selectedEntity":"`+c.event+`"}}`)
		made := w.tooling("POST", "EventRelayConfig", `{"FullName":"`+name+`","Metadata":{"destinationResourceName":"callout:C","eventChannel":"`+name+`__chn","label":"a","relayOption":"{\"ReplayRecovery\":\"`+option+`\"}"}}`)
		w.config[name] = member[string](t, made, "id")
		w.source[name] = w.feedback(name)["RemoteResource"].(string)
	}
	return w
}

func (w *relayed) tooling(method, path, body string) string {
	w.Helper()
	status, text := w.ask(method, data+"/tooling/sobjects/"+path, body)
	if status >= 300 {
		w.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	return text
}

func (w *relayed) state(name, state string) {
	w.Helper()
	w.tooling("PATCH", "EventRelayConfig/"+w.config[name], `{"Metadata":{"state":"`+state+`"}}`)
}

func (w *relayed) feedback(name string) map[string]any {
	w.Helper()
	_, text := w.get(q("SELECT Status, RemoteResource, ErrorCode, LastRelayedEventTime FROM EventRelayFeedback WHERE EventRelayConfigId = '" + w.config[name] + "'"))
	return member[[]any](w, text, "records")[0].(map[string]any)
}

func (w *relayed) aws(operation, body string) {
	w.Helper()
	r, _ := http.NewRequestWithContext(w.Context(), "POST", w.url+"/aws", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "AWSEvents."+operation)
	resp, err := http.DefaultClient.Do(r)
	if err != nil || resp.StatusCode != 200 {
		w.Fatalf("%s: %v, %v", operation, resp, err)
	}
	_ = resp.Body.Close()
}

func (w *relayed) associate(name string) {
	w.Helper()
	w.aws("CreateEventBus", `{"Name":"`+w.source[name]+`","EventSourceName":"`+w.source[name]+`"}`)
}

// runs is a set-up where both relays run and both sources are active.
func (w *relayed) runs() *relayed {
	w.Helper()
	for _, name := range []string{byChange, byEvent} {
		w.associate(name)
		w.state(name, "RUN")
	}
	return w
}

// save writes a phone of the first account, a second after what was before.
func (w *relayed) save(phone string) {
	w.Helper()
	w.now = w.now.Add(time.Second)
	if err := w.org.Update(map[string]any{"Phone": phone}, alpha); err != nil {
		w.Fatal(err)
	}
}

func (w *relayed) publish(name string) {
	w.Helper()
	if status, text := w.post(data+"/sobjects/Cloud_Customer_Sync__e", `{"Name__c":"`+name+`"}`); status != 201 {
		w.Fatal(text)
	}
}

// relay delivers what is due, and returns it.
func (w *relayed) relay() []string {
	w.Helper()
	w.got = nil
	err := w.org.Relay(func(e orgsandbox.Event) error {
		if w.fails != nil {
			return w.fails
		}
		var in struct {
			Source string
			Detail struct {
				Payload struct {
					Phone, Name string `json:",omitempty"`
					Named       string `json:"Name__c"`
				}
			}
		}
		if err := json.Unmarshal(e.JSON, &in); err != nil {
			w.Fatal(err)
		}
		if in.Source != e.Source || in.Source != w.source[byEvent] && in.Source != w.source[byChange] {
			w.Errorf("source %s of %s", in.Source, e.Source)
		}
		p := in.Detail.Payload
		w.got = append(w.got, p.Phone+p.Name+p.Named)
		return nil
	})
	if !errors.Is(err, w.fails) {
		w.Errorf("%v, want %v", err, w.fails)
	}
	w.order = slices.Clone(w.got)
	slices.Sort(w.got)
	return w.got
}

func (w *relayed) wants(what string, want ...string) {
	w.Helper()
	if got := w.relay(); !slices.Equal(got, want) {
		w.Errorf("%s: %q, want %q", what, got, want)
	}
}

// Members of a channel come from its source, once; nothing else comes.
func TestRelaysDeliver(t *testing.T) {
	w := relaying(t, orgsandbox.Options{}, "EARLIEST")
	w.save("before RUN")
	w.runs()
	w.wants("before RUN")
	w.save("1")
	w.publish("sync")
	if _, err := w.org.Insert("Contact", map[string]any{"LastName": "of no channel"}); err != nil {
		t.Fatal(err)
	}
	w.wants("after RUN", "1", "sync")
	w.wants("again")
	if got := w.feedback(byChange)["LastRelayedEventTime"]; got != "2026-11-21T12:00:32.000+0000" {
		t.Errorf("last event at %v", got)
	}
	if events := w.org.Events(0); len(events) != 4 || events[1].Source != "aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL000000000002GAA" {
		t.Errorf("the list of events: %d, from %s", len(events), events[1].Source)
	}
}

// Orgs have ids, and stacks regions and accounts, of their own.
func TestAnotherOrgAndAccount(t *testing.T) {
	w := relaying(t, orgsandbox.Options{OrgID: "00D000000000001EAA", Region: "us-east-1", Account: "000000000000"}, "EARLIEST")
	for _, name := range []string{byChange, byEvent} {
		if !strings.HasPrefix(w.source[name], "aws.partner/salesforce.com/00D000000000001EAA/0YL00000000000") {
			t.Errorf("%s", w.source[name])
		}
	}
	w.save("1")
	var in struct{ Source, Account, Region string }
	if err := json.Unmarshal(w.org.Events(0)[0].JSON, &in); err != nil || in.Account != "000000000000" || in.Region != "us-east-1" || !strings.Contains(in.Source, "/00D000000000001EAA/") {
		t.Errorf("%+v, %v", in, err)
	}
	_, who := w.ask("GET", "/services/oauth2/userinfo", "")
	_, org := w.get(q("SELECT Id FROM Organization"))
	if member[string](t, who, "organization_id") != "00D000000000001EAA" || !strings.Contains(org, "00D000000000001EAA") {
		t.Errorf("%s\n%s", who, org)
	}
}

// Salesforce documents that a paused relay goes on where it was, that a stopped one forgets its
// position, and that events are kept for 72 hours.
func TestPositionsOfRelays(t *testing.T) {
	for _, option := range []string{"EARLIEST", "LATEST"} {
		w := relaying(t, orgsandbox.Options{}, option).runs()
		w.save("1")
		w.wants("runs", "1")
		w.state(byChange, "PAUSE")
		w.save("2")
		w.save("3")
		w.wants("paused")
		w.now = w.now.Add(71 * time.Hour)
		w.state(byChange, "RUN")
		w.wants("goes on", "2", "3")

		w.state(byChange, "STOP")
		w.save("4")
		w.wants("stopped")
		w.state(byChange, "RUN")
		w.save("5")
		w.wants("after STOP", "5")

		w.now = w.now.Add(100 * time.Hour) // without an event
		w.state(byChange, "PAUSE")
		w.save("6")
		w.state(byChange, "RUN")
		w.wants("idle for long, then paused for a second", "6")

		w.state(byChange, "PAUSE")
		w.save("too old")
		w.now = w.now.Add(2 * time.Hour)
		w.save("7")
		w.now = w.now.Add(71 * time.Hour)
		w.state(byChange, "RUN")
		w.save("8")
		if option == "EARLIEST" {
			w.wants("paused too long", "7", "8")
		} else {
			w.wants("paused too long", "8")
		}
	}
}

// A source without a bus takes nothing.
func TestARelayToAPendingSource(t *testing.T) {
	for option, want := range map[string][]string{"EARLIEST": {"1", "2"}, "LATEST": {"2"}} {
		w := relaying(t, orgsandbox.Options{}, option)
		w.state(byChange, "RUN")
		w.save("1")
		w.wants("pending")
		if got := w.feedback(byChange); got["Status"] != "RUNNING" || got["LastRelayedEventTime"] != nil {
			t.Errorf("%v", got)
		}
		w.associate(byChange)
		w.save("2")
		w.wants(option+", associated", want...)
		w.aws("DeleteEventBus", `{"Name":"`+w.source[byChange]+`"}`)
		w.save("3")
		w.wants("bus deleted")
	}
}

// What was not taken comes again, and what is behind it waits.
func TestWhatIsNotTakenComesAgain(t *testing.T) {
	w := relaying(t, orgsandbox.Options{}, "LATEST").runs()
	w.fails = errors.New("no answer")
	w.save("1")
	w.save("2")
	w.wants("no answer")
	if got := w.feedback(byChange)["LastRelayedEventTime"]; got != nil {
		t.Errorf("last event at %v", got)
	}
	w.fails = nil
	w.wants("answers", "1", "2")
	w.org.RelaySays(byChange, map[string]any{"Status": "ERROR", "ErrorCode": "sfdc.platform.eventbus.relay.temporarily.unavailable"})
	w.save("3")
	w.wants("in error")
	w.state(byChange, "STOP")
	if got := w.feedback(byChange)["ErrorCode"]; got != nil {
		t.Errorf("after STOP: %v", got)
	}
}

// Events come in the order of their commits, which is not that of their writes.
func TestALateCommitComesLater(t *testing.T) {
	w := relaying(t, orgsandbox.Options{}, "EARLIEST").runs()
	if err := w.org.Break(orgsandbox.Fault{Name: "late-row", Object: "Account"}); err != nil {
		t.Fatal(err)
	}
	w.save("late")
	const beta = "0015f0000200002AAA"
	if err := w.org.Update(map[string]any{"Phone": "soon"}, beta); err != nil {
		t.Fatal(err)
	}
	w.wants("at once", "soon")
	w.now = w.now.Add(3 * time.Second)
	w.wants("committed", "late")
	if err := w.org.Break(orgsandbox.Fault{Name: "late-row", Object: "Account"}); err != nil {
		t.Fatal(err)
	}
	w.save("written first")
	if err := w.org.Update(map[string]any{"Phone": "committed first"}, beta); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(3 * time.Second)
	if w.relay(); !slices.Equal(w.order, []string{"committed first", "written first"}) {
		t.Errorf("both at once: %q", w.order)
	}
}

// A relay that is paused while it delivers stops behind the event that it is at.
func TestAPauseInTheMiddle(t *testing.T) {
	w := relaying(t, orgsandbox.Options{}, "EARLIEST").runs()
	w.save("1")
	w.save("2")
	taken := 0
	if err := w.org.Relay(func(orgsandbox.Event) error { taken++; w.state(byChange, "PAUSE"); return nil }); err != nil || taken != 1 {
		t.Errorf("%d taken, %v", taken, err)
	}
	w.state(byChange, "RUN")
	w.wants("the rest", "2")
}

// Who has the sandbox's key gets a session without credentials.
func TestASessionForTheKeeper(t *testing.T) {
	w := start(t, orgsandbox.Options{})
	_, w.token = w.ask("POST", "/_sandbox/session", "")
	if status, text := w.get(q("SELECT Id FROM Organization")); status != 200 {
		t.Errorf("%d %s", status, text)
	}
}
