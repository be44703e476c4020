package relay_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"sfrelay/cmd/sfrelay/internal/relay"
	orgsandbox "sfrelay/shared/sandbox/org"
)

var start = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

// world is the stand-in of both sides with a clock of its own.
type world struct {
	*testing.T
	stand  *orgsandbox.Org
	url    string
	now    time.Time
	org    *relay.Org
	events *eventbridge.Client
	place  relay.Place
	login  string // answer to every login; empty: the stand-in's
	token  string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, now: start, place: relay.Place{Region: "eu-west-2", Account: "123456789012", Orgs: []string{orgsandbox.OrgID}}}
	w.stand = orgsandbox.New(orgsandbox.Options{Now: func() time.Time { return w.now }})
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if w.login != "" && strings.HasSuffix(r.URL.Path, "/token") {
			out.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(out, w.login)
			return
		}
		w.stand.ServeHTTP(out, r)
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	c := w.stand.Credentials()
	secret, _ := json.Marshal(map[string]string{"clientId": c.ConsumerKey, "clientSecret": c.ConsumerSecret})
	var err error
	if w.org, err = relay.NewOrg(w.url, func(context.Context) (string, error) { return string(secret), nil }); err != nil {
		t.Fatal(err)
	}
	w.events = eventbridge.New(eventbridge.Options{Region: "eu-west-2", BaseEndpoint: aws.String(w.url + "/aws"), Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	return w
}

func (w *world) setup() (map[string]string, error) {
	s := relay.Setup{Org: w.org, Events: w.events, Place: w.place, Now: func() time.Time { return w.now },
		Say:  func(step, what string, _ time.Duration) { w.Logf("%s: %s", step, what) },
		Wait: func(context.Context) error { w.now = w.now.Add(time.Minute); return nil }}
	return s.Run(w.Context())
}

// good is a set-up where nothing is wrong.
func (w *world) good() map[string]string {
	w.Helper()
	buses, err := w.setup()
	if err != nil {
		w.Fatal(err)
	}
	for _, bus := range buses {
		w.rule(bus, types.RuleStateEnabled)
	}
	return buses
}

func (w *world) rule(bus string, state types.RuleState) {
	w.Helper()
	if _, err := w.events.PutRule(w.Context(), &eventbridge.PutRuleInput{Name: aws.String("take"), EventBusName: &bus, EventPattern: aws.String("{}"), State: state}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) findings() []string {
	w.Helper()
	v, err := relay.Look(w.Context(), w.org, w.events, w.now)
	if err != nil {
		return []string{err.Error()}
	}
	names := v.Unseen
	for _, f := range v.Findings(w.place) {
		if f.Evidence == "" || f.Cure == "" {
			w.Errorf("%+v", f)
		}
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// tooling is a request to the Tooling API.
func (w *world) tooling(method, path string, body any) map[string]any {
	w.Helper()
	if w.token == "" {
		c := w.stand.Credentials()
		resp, err := http.PostForm(w.url+"/services/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ConsumerKey}, "client_secret": {c.ConsumerSecret}})
		if err != nil {
			w.Fatal(err)
		}
		defer resp.Body.Close()
		var answer struct {
			Token string `json:"access_token"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			w.Fatal(err)
		}
		w.token = answer.Token
	}
	text, _ := json.Marshal(body)
	req, _ := http.NewRequestWithContext(w.Context(), method, w.url+"/services/data/v66.0/tooling/"+path, strings.NewReader(string(text)))
	req.Header.Set("Authorization", "Bearer "+w.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode >= 300 {
		w.Fatalf("%s %s: %s", method, path, answer)
	}
	var m map[string]any
	_ = json.Unmarshal(answer, &m)
	return m
}

// change sets one member of the metadata of a component.
func (w *world) change(object, name, member string, value any) {
	w.Helper()
	found := w.tooling("GET", "query?q="+url.QueryEscape("SELECT Id FROM "+object+" WHERE DeveloperName = '"+name+"'"), nil)
	id := found["records"].([]any)[0].(map[string]any)["Id"].(string)
	metadata := w.tooling("GET", "sobjects/"+object+"/"+id, nil)["Metadata"].(map[string]any)
	metadata[member] = value
	w.tooling("PATCH", "sobjects/"+object+"/"+id, map[string]any{"Metadata": metadata})
}

func TestTheGoodOneHasNoFinding(t *testing.T) {
	w := newWorld(t)
	buses := w.good()
	if len(buses) != 2 || !strings.HasPrefix(buses["EventBusName"], "aws.partner/salesforce.com/"+orgsandbox.OrgID+"/") || buses["EventBusName"] == buses["ChangeBusName"] {
		t.Errorf("buses %v", buses)
	}
	if found := w.findings(); len(found) != 0 {
		t.Errorf("%v", found)
	}
	w.place.Orgs = []string{orgsandbox.OrgID[:15]} // the console of an org shows this form
	if found := w.findings(); len(found) != 0 {
		t.Errorf("with the id of 15 characters: %v", found)
	}
	made := w.stand.State().Records
	again, err := w.setup()
	if now := w.stand.State().Records; err != nil || again["EventBusName"] != buses["EventBusName"] || made["EventRelayConfig"] != 2 || now["EventRelayConfig"] != 2 || now["PlatformEventChannelMember"] != made["PlatformEventChannelMember"] {
		t.Errorf("a second setup: %v, %v, %v then %v", again, err, made, now)
	}
}

// Twelve set-ups that are broken, and what doctor calls each.
func TestBrokenSetUpsAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		breaks func(*world, map[string]string)
		want   []string
	}{
		"another account": {func(w *world, _ map[string]string) {
			w.change("NamedCredential", "Sfrelay_AWS", "endpoint", "arn:aws:EU-WEST-2:210987654321")
		}, []string{"other-account-or-region"}},
		"resume LATEST": {func(w *world, _ map[string]string) {
			w.change("EventRelayConfig", "Sfrelay_Events", "relayOption", `{"ReplayRecovery":"LATEST"}`)
		}, []string{"resume-latest"}},
		"paused beyond 72 h": {func(w *world, _ map[string]string) {
			w.stand.RelaySays("Sfrelay_Changes", map[string]any{"LastRelayedEventTime": w.now})
			w.change("EventRelayConfig", "Sfrelay_Changes", "state", "PAUSE")
			w.now = w.now.Add(73 * time.Hour)
		}, []string{"paused-too-long", "relay-not-running"}},
		"running, source pending": {func(w *world, buses map[string]string) {
			w.drop(buses["ChangeBusName"])
		}, []string{"source-pending"}},
		"source expired": {func(w *world, buses map[string]string) {
			w.drop(buses["ChangeBusName"])
			w.now = w.now.Add(7 * 24 * time.Hour)
		}, []string{"source-missing"}},
		"bus deleted": {func(w *world, buses map[string]string) {
			w.stand.RelaySays("Sfrelay_Changes", map[string]any{"LastRelayedEventTime": w.now})
			w.drop(buses["ChangeBusName"])
		}, []string{"bus-deleted"}},
		"region in small letters": {func(w *world, _ map[string]string) {
			w.change("NamedCredential", "Sfrelay_AWS", "endpoint", "arn:aws:eu-west-2:123456789012")
		}, []string{"region-in-small-letters"}},
		"credential disabled": {func(w *world, _ map[string]string) {
			w.change("NamedCredential", "Sfrelay_AWS", "calloutStatus", "Disabled")
		}, []string{"credential-disabled"}},
		"credential not legacy": {func(w *world, _ map[string]string) {
			w.change("NamedCredential", "Sfrelay_AWS", "namedCredentialType", "SecuredEndpoint")
		}, []string{"credential-not-legacy"}},
		"relay in error": {func(w *world, _ map[string]string) {
			w.stand.RelaySays("Sfrelay_Events", map[string]any{"Status": "ERROR", "ErrorCode": "sfdc.platform.eventbus.relay.event.delivery.limit.error"})
		}, []string{"relay-in-error"}},
		"org not accepted": {func(w *world, _ map[string]string) { w.place.Orgs = []string{"00D000000000001EAA"} }, []string{"org-not-accepted"}},
		"rule disabled": {func(w *world, buses map[string]string) {
			w.rule(buses["EventBusName"], types.RuleStateDisabled)
		}, []string{"rule-disabled"}},
		"field permission missing": {func(w *world, _ map[string]string) {
			if err := w.stand.Break(orgsandbox.Fault{Name: "hidden-field", Object: "Account", Field: "Tax_Number__c"}); err != nil {
				w.Fatal(err)
			}
		}, []string{"field-unreadable"}},
		"channel of another relay": {func(w *world, _ map[string]string) {
			w.tooling("POST", "sobjects/NamedCredential", map[string]any{"FullName": "Other", "Metadata": map[string]any{"label": "x", "endpoint": "arn:aws:US-EAST-1:123456789012"}})
			found := w.tooling("GET", "query?q="+url.QueryEscape("SELECT Id FROM EventRelayConfig WHERE DeveloperName = 'Sfrelay_Events'"), nil)
			w.tooling("DELETE", "sobjects/EventRelayConfig/"+found["records"].([]any)[0].(map[string]any)["Id"].(string), nil)
			w.tooling("POST", "sobjects/EventRelayConfig", map[string]any{"FullName": "Left_Over", "Metadata": map[string]any{"label": "x", "eventChannel": "Sfrelay_Events__chn", "destinationResourceName": "callout:Other", "state": "STOP"}})
			w.change("EventRelayConfig", "Left_Over", "state", "RUN")
		}, []string{"channel-of-another-relay"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.breaks(w, w.good())
			if got := w.findings(); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func (w *world) drop(bus string) {
	w.Helper()
	if _, err := w.events.DeleteEventBus(w.Context(), &eventbridge.DeleteEventBusInput{Name: &bus}); err != nil {
		w.Fatal(err)
	}
}

func TestARefusedLoginNamesItsSetting(t *testing.T) {
	for answer, want := range map[string]string{
		`{"error":"invalid_client","error_description":"app must be installed into org"}`:      "not installed in this org",
		`{"error":"invalid_grant","error_description":"user hasn't approved this consumer"}`:   "policies of the app",
		`{"error":"invalid_client","error_description":"invalid client credentials"}`:          "clientSecret",
		`{"error":"invalid_client_id","error_description":"client identifier invalid"}`:        "clientId",
		`{"error":"invalid_grant","error_description":"no client credentials user enabled"}`:   "user to run as",
		`{"error":"invalid_grant","error_description":"request not supported on this domain"}`: "My Domain",
	} {
		w := newWorld(t)
		w.login = answer
		if _, err := w.setup(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", answer, err, want)
		}
	}
}

// An allocation is named at 80 %.
func TestAnAllocationThatIsNearlyUsed(t *testing.T) {
	for remaining, want := range map[int]int{2001: 0, 2000: 1} {
		v := relay.View{OrgID: orgsandbox.OrgID, Delivered: relay.Limit{Max: 10000, Remaining: remaining}, Unseen: []string{"named credentials: no right"}}
		if found := v.Findings(relay.Place{}); len(found) != want {
			t.Errorf("%d left: %+v", remaining, found)
		}
	}
}

// A credential that leads elsewhere is not changed under a relay, and what another relay
// holds is not taken.
func TestSetupSaysWhatIsInTheWay(t *testing.T) {
	w := newWorld(t)
	w.good()
	w.place.Account = "210987654321"
	if _, err := w.setup(); err == nil || !strings.Contains(err.Error(), "Setup, Named Credentials") {
		t.Errorf("%v", err)
	}
}

func TestTeardownLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.good()
	s := relay.Setup{Org: w.org, Events: w.events, Place: w.place, Now: func() time.Time { return w.now }, Say: func(string, string, time.Duration) {}}
	if err := s.Teardown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, object := range []string{"EventRelayConfig", "PlatformEventChannel", "PlatformEventChannelMember", "NamedCredential"} {
		if n := w.stand.State().Records[object]; n != 0 {
			t.Errorf("%d %s", n, object)
		}
	}
	if _, err := w.setup(); err != nil {
		t.Errorf("and again: %v", err)
	}
}

// Somebody may associate a source by hand at the same time.
func TestASourceThatIsAssociatedIsTaken(t *testing.T) {
	w := newWorld(t)
	bus := w.good()["EventBusName"]
	if err := relay.Associate(t.Context(), w.events, bus); err != nil {
		t.Error(err)
	}
	if err := relay.Associate(t.Context(), w.events, bus+"x"); err == nil {
		t.Error("a source that is not there was associated")
	}
}
