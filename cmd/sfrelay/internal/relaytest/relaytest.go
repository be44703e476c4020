// Package relaytest is a set-up of Event Relay to break, for tests.
package relaytest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"sfrelay/cmd/sfrelay/internal/relaysetup"
	"sfrelay/shared/relay"
	orgsandbox "sfrelay/shared/sandbox/org"
)

var start = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

// World is the stand-in of both sides with a clock of its own.
type World struct {
	*testing.T
	Stand  *orgsandbox.Org
	Now    time.Time
	Org    *relay.Org
	Events *eventbridge.Client
	Place  relay.Place
	// Before answers in place of the stand-in where it returns true, by either side's calls.
	Before func(http.ResponseWriter, *http.Request) bool
	Login  string                                                     // answer to every login; empty: the stand-in's
	Answer func(path string, body []byte) (status int, answer string) // before the stand-in does, unless status is 0
	url    string
	token  string
}

// New is one whose clock stands at 9 o'clock.
func New(t *testing.T) *World {
	t.Helper()
	w := &World{T: t, Now: start, Place: relay.Place{Region: "eu-west-2", Account: "123456789012", Orgs: []string{orgsandbox.OrgID}}}
	w.Stand = orgsandbox.New(orgsandbox.Options{Now: func() time.Time { return w.Now }})
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if w.Login != "" && strings.HasSuffix(r.URL.Path, "/token") {
			out.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(out, w.Login)
			return
		}
		if w.Before != nil && w.Before(out, r) {
			return
		}
		if w.Answer != nil {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			if status, answer := w.Answer(r.Header.Get("X-Amz-Target")+" "+r.URL.RequestURI(), body); status != 0 {
				out.Header().Set("Content-Type", "application/json")
				out.WriteHeader(status)
				_, _ = io.WriteString(out, answer)
				return
			}
		}
		w.Stand.ServeHTTP(out, r)
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	c := w.Stand.Credentials()
	secret, _ := json.Marshal(map[string]string{"clientId": c.ConsumerKey, "clientSecret": c.ConsumerSecret})
	var err error
	if w.Org, err = relay.NewOrg(w.url, func(context.Context) (string, error) { return string(secret), nil }); err != nil {
		t.Fatal(err)
	}
	w.Events = eventbridge.New(eventbridge.Options{Region: "eu-west-2", BaseEndpoint: aws.String(w.url + "/aws"), Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	return w
}

// Setup sets up everything.
func (w *World) Setup() (map[string]string, error) { return w.setup().Run(w.Context()) }

// Teardown deletes it again.
func (w *World) Teardown() {
	w.Helper()
	if err := w.setup().Teardown(w.Context()); err != nil {
		w.Fatal(err)
	}
}

func (w *World) setup() *relaysetup.Setup {
	return &relaysetup.Setup{Org: w.Org, Events: w.Events, Place: w.Place, Now: func() time.Time { return w.Now },
		Say:  func(step, what string, _ time.Duration) { w.Logf("%s: %s", step, what) },
		Wait: func(context.Context) error { w.Now = w.Now.Add(time.Minute); return nil }}
}

// Good is a set-up where nothing is wrong.
func (w *World) Good() map[string]string {
	w.Helper()
	buses, err := w.Setup()
	if err != nil {
		w.Fatal(err)
	}
	for _, bus := range buses {
		w.Rule(bus, types.RuleStateEnabled)
	}
	return buses
}

// Rule makes the one rule of a bus.
func (w *World) Rule(bus string, state types.RuleState) {
	w.Helper()
	if _, err := w.Events.PutRule(w.Context(), &eventbridge.PutRuleInput{Name: aws.String("take"), EventBusName: &bus, EventPattern: aws.String("{}"), State: state}); err != nil {
		w.Fatal(err)
	}
}

// Tooling is a request to the Tooling API.
func (w *World) Tooling(method, path string, body any) map[string]any {
	w.Helper()
	if w.token == "" {
		c := w.Stand.Credentials()
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

// Change sets one member of the metadata of a component.
func (w *World) Change(object, name, member string, value any) {
	w.Helper()
	found := w.Tooling("GET", "query?q="+url.QueryEscape("SELECT Id FROM "+object+" WHERE DeveloperName = '"+name+"'"), nil)
	id := found["records"].([]any)[0].(map[string]any)["Id"].(string)
	metadata := w.Tooling("GET", "sobjects/"+object+"/"+id, nil)["Metadata"].(map[string]any)
	metadata[member] = value
	w.Tooling("PATCH", "sobjects/"+object+"/"+id, map[string]any{"Metadata": metadata})
}

// Drop deletes a bus.
func (w *World) Drop(bus string) {
	w.Helper()
	if _, err := w.Events.DeleteEventBus(w.Context(), &eventbridge.DeleteEventBusInput{Name: &bus}); err != nil {
		w.Fatal(err)
	}
}
