package relaymonitor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"sfrelay/shared/config"
	"sfrelay/shared/relay"
	orgsandbox "sfrelay/shared/sandbox/org"
	"sfrelay/shared/telemetry"
)

// items is a table of announcements.
type items struct {
	relay.Table
	item map[string]*dynamodb.PutItemInput
	err  error
}

func (t *items) PutItem(_ context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	t.item = map[string]*dynamodb.PutItemInput{text(in.Item["pk"]): in}
	return &dynamodb.PutItemOutput{}, nil
}

func (t *items) GetItem(_ context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	out := &dynamodb.GetItemOutput{}
	if put := t.item[text(in.Key["pk"])]; put != nil && *put.TableName == *in.TableName {
		out.Item = put.Item
	}
	return out, t.err
}

func text(v any) string { b, _ := json.Marshal(v); return string(b) }

// world is an org sandbox with both relays running, EventBridge's side included, and a
// monitor of them.
type world struct {
	*testing.T
	stand  *orgsandbox.Org
	now    time.Time
	client *relay.Org
	events *eventbridge.Client
	items  *items
	out    bytes.Buffer

	refuses, refusal string // requests that have this in them, and the answer

	*monitor
}

const place = "arn:aws:EU-WEST-2:" + orgsandbox.Account

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, now: time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC), items: &items{}}
	w.stand = orgsandbox.New(orgsandbox.Options{Now: func() time.Time { return w.now }})
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if w.refuses != "" && strings.Contains(r.Header.Get("X-Amz-Target")+" "+r.URL.String(), w.refuses) {
			out.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(out, w.refusal)
			return
		}
		w.stand.ServeHTTP(out, r)
	}))
	t.Cleanup(server.Close)
	c := w.stand.Credentials()
	secret, _ := json.Marshal(map[string]string{"clientId": c.ConsumerKey, "clientSecret": c.ConsumerSecret})
	var err error
	if w.client, err = relay.NewOrg(server.URL, func(context.Context) (string, error) { return string(secret), nil }); err != nil {
		t.Fatal(err)
	}
	w.events = eventbridge.New(eventbridge.Options{Region: orgsandbox.Region, BaseEndpoint: aws.String(server.URL + "/aws"), Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), RetryMaxAttempts: 1})
	w.monitor = &monitor{org: w.client, events: w.events, items: w.items, table: "guard", buses: map[string]string{}, now: func() time.Time { return w.now },
		log: telemetry.New(&w.out, "sfrelay", slog.LevelInfo).InStage("test")}
	w.create("NamedCredential", relay.CredentialName, map[string]any{"label": "l", "endpoint": place, "generateAuthorizationHeader": true,
		"principalType": "NamedUser", "protocol": "NoAuthentication", "namedCredentialType": "Legacy", "calloutStatus": "Enabled"})
	for _, k := range relay.Kinds {
		w.create("PlatformEventChannel", k.Name+"__chn", map[string]any{"channelType": k.Channel, "label": k.Label})
		w.create("EventRelayConfig", k.Name, map[string]any{"destinationResourceName": "callout:" + relay.CredentialName, "eventChannel": k.Name + "__chn", "label": k.Label,
			"relayOption": `{"ReplayRecovery":"EARLIEST"}`, "state": "STOP", "usageType": "AMAZON_EVENTBRIDGE"})
	}
	for _, one := range w.view().Relays {
		bus := one.Feedback.RemoteResource
		if _, err := w.events.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: &bus, EventSourceName: &bus}); err != nil {
			t.Fatal(err)
		}
		w.buses[one.Kind.Parameter] = bus
	}
	w.set("RUN")
	return w
}

func (w *world) create(object, name string, metadata map[string]any) {
	w.Helper()
	if err := w.client.Create(w.Context(), object, name, metadata); err != nil {
		w.Fatal(err)
	}
}

func (w *world) view() *relay.View {
	w.Helper()
	v, err := relay.LookAtStates(w.Context(), w.client, w.now)
	if err != nil {
		w.Fatal(err)
	}
	return v
}

// set asks both relays for a state, and waits until Salesforce is there.
func (w *world) set(state string) {
	w.Helper()
	for _, one := range w.view().Relays {
		if err := w.client.SetState(w.Context(), one.Config, state); err != nil {
			w.Fatal(err)
		}
	}
	w.now = w.now.Add(10 * time.Minute)
}

// line is one of a run, as CloudWatch reads it: the metrics are those that _aws names.
type line struct {
	Level, Msg, Service, Stage, Relay, Org, Refused, Setting, Source, ErrorCode, AnnouncedBy string
	Down, Unseen                                                                             []string
	metrics                                                                                  map[string]float64
}

// ran are the lines of one run, by relay; that of the org has an empty name.
func (w *world) ran() map[string]line {
	w.Helper()
	w.out.Reset()
	if err := w.run(w.Context(), json.RawMessage(`{}`)); err != nil {
		w.Errorf("a run fails: %v", err)
	}
	lines := map[string]line{}
	for text := range strings.Lines(w.out.String()) {
		var l line
		var all map[string]any
		var emf struct {
			AWS struct {
				CloudWatchMetrics []struct{ Metrics []struct{ Name string } }
			} `json:"_aws"`
		}
		if err := errors.Join(json.Unmarshal([]byte(text), &l), json.Unmarshal([]byte(text), &all), json.Unmarshal([]byte(text), &emf)); err != nil || l.Service != "sfrelay" || l.Stage != "test" {
			w.Errorf("%v: %s", err, text)
		}
		l.metrics = map[string]float64{}
		for _, d := range emf.AWS.CloudWatchMetrics {
			for _, m := range d.Metrics {
				l.metrics[m.Name] = all[m.Name].(float64)
			}
		}
		lines[l.Relay] = l
	}
	return lines
}

const (
	platform = "Sfrelay_Events"
	changes  = "Sfrelay_Changes"
)

func (l line) has(t *testing.T, what string, want map[string]float64) {
	t.Helper()
	for name, value := range want {
		if got, measured := l.metrics[name]; !measured || got != value {
			t.Errorf("%s: %s is %v (measured: %v), want %v", what, name, got, measured, value)
		}
	}
}

func (l line) lacks(t *testing.T, what string, names ...string) {
	t.Helper()
	for _, name := range names {
		if got, measured := l.metrics[name]; measured {
			t.Errorf("%s: %s is %v, and was not seen", what, name, got)
		}
	}
}

func TestBothRelaysRun(t *testing.T) {
	w := newWorld(t)
	w.stand.RelaySays(platform, map[string]any{"LastRelayedEventTime": w.now.Add(-90 * time.Second)})
	lines := w.ran()
	if len(lines) != 3 || strings.Count(w.out.String(), "\n") != 3 {
		t.Fatalf("%d lines: %s", len(lines), w.out.String())
	}
	for _, name := range []string{platform, changes} {
		lines[name].has(t, name, map[string]float64{relayDown: 0, relayError: 0, relayUnseen: 0, relayAnnounced: 0, sourcePending: 0, relayHoursLeft: 72})
		if l := lines[name]; l.Level != "INFO" || l.Msg != "relay" || l.Source != "ACTIVE" || l.Org != orgsandbox.OrgID {
			t.Errorf("%+v", l)
		}
	}
	lines[platform].has(t, "lag", map[string]float64{relayLag: 90_000})
	lines[changes].lacks(t, "nothing was relayed yet", relayLag)
	lines[""].has(t, "org", map[string]float64{orgRefused: 0, relayUnseen: 0})
	if a := lines[""].metrics[orgAllocation]; a <= 0 || a >= 80 {
		t.Errorf("%v %% of the day are used", a)
	}
	for _, secret := range []string{w.stand.Credentials().ConsumerSecret, w.stand.Credentials().ConsumerKey} {
		if strings.Contains(w.out.String(), secret) {
			t.Error("a line repeats the secret")
		}
	}
}

// Each way in which nothing arrives is named, and says 1.
func TestARelayIsDown(t *testing.T) {
	for name, c := range map[string]struct {
		breaks func(w *world)
		why    string
		also   map[string]float64
	}{
		"paused":            {func(w *world) { w.set("PAUSE") }, "wanted PAUSE", nil},
		"stopped":           {func(w *world) { w.set("STOP") }, "wanted STOP", nil},
		"not as wanted":     {func(w *world) { w.stand.RelaySays(platform, map[string]any{"Status": "PAUSED"}) }, "is PAUSED", nil},
		"in error":          {func(w *world) { w.stand.RelaySays(platform, map[string]any{"Status": "ERROR"}) }, "is ERROR", map[string]float64{relayError: 1}},
		"leads elsewhere":   {func(w *world) { w.stand.RelaySays(platform, map[string]any{"RemoteResource": "aws.partner/elsewhere"}) }, `leads to "aws.partner/elsewhere"`, nil},
		"the bus is gone":   {func(w *world) { w.drop("EventBusName") }, "no bus", map[string]float64{sourcePending: 1}},
		"the source ends":   {func(w *world) { w.drop("EventBusName"); w.now = w.now.Add(8 * 24 * time.Hour) }, "source MISSING", map[string]float64{sourcePending: 0}},
		"there is no relay": {func(w *world) { w.remove(platform) }, "the org has no relay " + platform, nil},
	} {
		w := newWorld(t)
		c.breaks(w)
		l := w.ran()[platform]
		l.has(t, name, map[string]float64{relayDown: 1, relayUnseen: 0, relayAnnounced: 0})
		l.has(t, name, c.also)
		if !slices.Contains(l.Down, c.why) || l.Level != "WARN" {
			t.Errorf("%s: %s, down because of %q, want %q", name, l.Level, l.Down, c.why)
		}
	}
}

func (w *world) drop(parameter string) {
	w.Helper()
	if _, err := w.events.DeleteEventBus(w.Context(), &eventbridge.DeleteEventBusInput{Name: aws.String(w.buses[parameter])}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) remove(name string) {
	w.Helper()
	for _, one := range w.view().Relays {
		if one.Name == name {
			if err := w.client.Remove(w.Context(), "EventRelayConfig", one.Config.ID); err != nil {
				w.Fatal(err)
			}
		}
	}
}

// Salesforce may say an error of a relay that runs, and then runs again by itself.
func TestTheErrorCodeIsInTheLine(t *testing.T) {
	w := newWorld(t)
	w.stand.RelaySays(platform, map[string]any{"ErrorCode": "sfdc.platform.eventbus.relay.event.delivery.limit.error", "ErrorMessage": "not for the line"})
	lines := w.ran()
	lines[platform].has(t, "error", map[string]float64{relayError: 1, relayDown: 0})
	lines[changes].has(t, "the other one", map[string]float64{relayError: 0})
	if l := lines[platform]; !strings.HasSuffix(l.ErrorCode, "delivery.limit.error") || l.Level != "WARN" || strings.Contains(w.out.String(), "not for the line") {
		t.Errorf("%+v", l)
	}
}

// A pause has 72 hours, whoever announced it.
func TestHoursLeftOfAPause(t *testing.T) {
	w := newWorld(t)
	w.stand.RelaySays(platform, map[string]any{"LastRelayedEventTime": w.now})
	last := w.now
	w.set("PAUSE")
	w.now = last.Add(50 * time.Hour)
	lines := w.ran()
	lines[platform].has(t, "after 50 hours", map[string]float64{relayHoursLeft: 22})
	lines[changes].lacks(t, "nothing was relayed yet", relayHoursLeft)
}

func (w *world) announce(until time.Time) {
	w.Helper()
	if err := relay.Announce(w.Context(), w.items, "guard", orgsandbox.OrgID, relay.Pause{Until: until, By: "arn:aws:iam::123456789012:user/ada", Reason: "migration"}); err != nil {
		w.Fatal(err)
	}
}

// An announced pause is no alarm while it lasts, and one from then on.
func TestAnAnnouncedPause(t *testing.T) {
	w := newWorld(t)
	w.set("PAUSE")
	end := w.now.Add(2 * time.Hour)
	w.announce(end)
	w.now = end.Add(-time.Millisecond)
	lines := w.ran()
	for _, name := range []string{platform, changes} {
		lines[name].has(t, "announced", map[string]float64{relayDown: 0, relayAnnounced: 1, relayUnseen: 0})
	}
	if lines[""].AnnouncedBy != "arn:aws:iam::123456789012:user/ada" {
		t.Errorf("%+v", lines[""])
	}
	w.now = end
	w.ran()[platform].has(t, "over", map[string]float64{relayDown: 1, relayAnnounced: 0})
}

// What is announced is a pause: neither a stop, nor that the bus is gone, nor an error.
func TestAnAnnouncementExcusesNothingElse(t *testing.T) {
	for name, breaks := range map[string]func(w *world){
		"stopped":       func(w *world) { w.set("STOP") },
		"lost":          func(w *world) { w.set("PAUSE"); w.stand.RelaySays(platform, map[string]any{"Status": "STOPPED"}) },
		"no bus":        func(w *world) { w.set("PAUSE"); w.drop("EventBusName") },
		"wanted to run": func(w *world) { w.stand.RelaySays(platform, map[string]any{"Status": "PAUSED"}) },
	} {
		w := newWorld(t)
		breaks(w)
		w.announce(w.now.Add(time.Hour))
		w.ran()[platform].has(t, name, map[string]float64{relayDown: 1})
	}
}

// The announcement of another org excuses nothing.
func TestAnAnnouncementIsOfOneOrg(t *testing.T) {
	w := newWorld(t)
	w.set("PAUSE")
	if err := relay.Announce(t.Context(), w.items, "guard", "00D5f000005KcCoEAK", relay.Pause{Until: w.now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	w.ran()[platform].has(t, "another org's", map[string]float64{relayDown: 1, relayAnnounced: 0})
}

// A relay whose bus the stack does not name feeds another stack.
func TestOnlyTheStacksOwnBusesAreWatched(t *testing.T) {
	w := newWorld(t)
	w.buses["ChangeBusName"] = ""
	w.remove(changes)
	lines := w.ran()
	if _, there := lines[changes]; there || len(lines) != 2 {
		t.Errorf("%v", slices.Sorted(maps.Keys(lines)))
	}
	lines[""].has(t, "org", map[string]float64{relayUnseen: 0})
}

// What cannot be seen is never fine: it is said, and no number says that all is well.
func TestWhatIsNotSeenIsUnknown(t *testing.T) {
	w := newWorld(t)
	w.items.err = errors.New("AccessDeniedException: dynamodb:GetItem")
	lines := w.ran()
	lines[""].has(t, "no right on the table", map[string]float64{relayUnseen: 1})
	lines[platform].has(t, "it runs all the same", map[string]float64{relayDown: 0})
	if l := lines[""]; l.Level != "WARN" || !strings.Contains(strings.Join(l.Unseen, " "), "dynamodb:GetItem") {
		t.Errorf("%+v", l)
	}
	w.items.err = nil

	for part, c := range map[string]struct{ line, lacks string }{
		"FROM+EventRelayConfig":         {platform, relayDown},
		"FROM+EventRelayFeedback":       {platform, relayDown},
		"/limits":                       {"", orgAllocation},
		"AWSEvents.DescribeEventSource": {platform, relayDown},
		"AWSEvents.DescribeEventBus":    {platform, relayDown},
	} {
		w.refuses, w.refusal = part, `[{"message":"sObject type is not supported","errorCode":"INVALID_TYPE"}]`
		if strings.HasPrefix(part, "AWS") {
			w.refusal = `{"__type":"AccessDeniedException","message":"not allowed"}`
		}
		l := w.ran()[c.line]
		l.has(t, part, map[string]float64{relayUnseen: 1})
		l.lacks(t, part, c.lacks)
		if l.Level != "WARN" || len(l.Unseen) != 1 {
			t.Errorf("%s: %+v", part, l)
		}
	}
	w.refuses = ""

	r := &Report{At: w.now}
	v := w.view()
	v.Relays[0].Config = nil
	v.Miss("relays", errors.New("INVALID_TYPE"))
	v.Miss("allocations", errors.New("API_DISABLED_FOR_ORG"))
	v.Delivered, v.Requests = relay.Limit{}, relay.Limit{}
	r.seen(v, w.buses)
	r.Relays[0].arrives(relay.Source{State: "ACTIVE", Bus: true}, nil)
	r.Relays[1].arrives(relay.Source{}, errors.New("AccessDeniedException"))
	w.out.Reset()
	r.Write(w.log)
	if s := r.Relays[0]; len(s.Down) > 0 || !strings.Contains(strings.Join(s.Unseen, " "), "INVALID_TYPE") {
		t.Errorf("a relay that is not seen is missing: %+v", s)
	}
	for _, must := range []string{`"relayUnseen":1`, "INVALID_TYPE", "AccessDeniedException", "API_DISABLED_FOR_ORG"} {
		if !strings.Contains(w.out.String(), must) {
			t.Errorf("%s is not in %s", must, w.out.String())
		}
	}
	for _, never := range []string{`"relayDown"`, `"relayError"`, `"orgAllocation"`} {
		if strings.Contains(w.out.String(), never) {
			t.Errorf("%s is in %s", never, w.out.String())
		}
	}
}

// The org refuses the login: that is said with the setting, and EventBridge's side is seen.
func TestTheOrgRefuses(t *testing.T) {
	w := newWorld(t)
	var err error
	if w.org, err = relay.NewOrg("http://127.0.0.1:9", func(context.Context) (string, error) { return `{"clientId":"hidden"}`, nil }); err != nil {
		t.Fatal(err)
	}
	w.drop("EventBusName")
	lines := w.ran()
	lines[""].has(t, "refused", map[string]float64{orgRefused: 1, relayUnseen: 1})
	lines[""].lacks(t, "refused", orgAllocation)
	if l := lines[""]; l.Refused != "SECRET" || !strings.Contains(l.Setting, "SALESFORCE_SECRET") || strings.Contains(w.out.String(), "hidden") {
		t.Errorf("%+v", l)
	}
	lines[platform].has(t, "the bus is seen all the same", map[string]float64{relayDown: 1, relayUnseen: 1, sourcePending: 1})
	lines[changes].has(t, "the other one", map[string]float64{relayUnseen: 1, sourcePending: 0})
	lines[changes].lacks(t, "the other one", relayDown, relayError, relayHoursLeft, relayAnnounced)
}

// A run takes four of the org's requests of the day; a session lasts for many runs.
func TestRequestsOfARun(t *testing.T) {
	w := newWorld(t)
	w.ran()
	used := func() int { return w.view().Requests.Used() } // itself four, of which two come before it is told
	before := used()
	w.ran()
	if n := used() - before; n != 8 {
		t.Errorf("a run, and one more look, take %d requests, want 8", n)
	}
}

// A process lives longer than a session of Salesforce.
func TestASessionEnds(t *testing.T) {
	w := newWorld(t)
	w.ran()
	if err := w.stand.Break(orgsandbox.Fault{Name: "session-expired"}); err != nil {
		t.Fatal(err)
	}
	lines := w.ran()
	lines[""].has(t, "after the session", map[string]float64{orgRefused: 0})
	lines[platform].has(t, "after the session", map[string]float64{relayDown: 0, relayUnseen: 0})
}

// The larger of the two allocations counts: of 10,000 events 8,500 were delivered, of 15,000 requests 300 made.
func TestAllocation(t *testing.T) {
	r := Report{Delivered: relay.Limit{Max: 10_000, Remaining: 1_500}, Requests: relay.Limit{Max: 15_000, Remaining: 14_700}}
	if p, known := r.allocation(); p != 85 || !known {
		t.Errorf("%v, %v", p, known)
	}
	r = Report{Requests: relay.Limit{Max: 15_000, Remaining: 1_500}}
	if p, known := r.allocation(); p != 90 || !known {
		t.Errorf("%v, %v", p, known)
	}
}

// Every mistake in the environment is named at once.
func TestTheEnvironment(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-west-2")
	read := func(env map[string]string) error {
		_, err := newMonitor(t.Context(), config.NewReader(func(name string) (string, bool) { v, ok := env[name]; return v, ok }))
		return err
	}
	err := read(map[string]string{})
	for _, name := range []string{"GUARD_TABLE", "EVENT_BUS", "SALESFORCE_URL", "SALESFORCE_SECRET"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not in %v", name, err)
		}
	}
	good := map[string]string{"GUARD_TABLE": "t", "CHANGE_BUS": "b", "EVENT_BUS": "", "SALESFORCE_URL": "https://example.my.salesforce.com", "SALESFORCE_SECRET": "arn"}
	if err := read(good); err != nil {
		t.Error(err)
	}
	good["SALESFORCE_URL"] = "http://example.my.salesforce.com"
	if err := read(good); err == nil || !strings.Contains(err.Error(), "SALESFORCE_URL") {
		t.Errorf("plain http: %v", err)
	}
}
