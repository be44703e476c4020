package api_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"sfrelay/shared/salesforce/api"
)

// org is a strict stand-in: it answers what a test wrote for a request, word for word, and
// fails the test for every other request.
type org struct {
	t   *testing.T
	url string

	mu       sync.Mutex
	answers  map[string][]answer // by "GET path?query" or "POST path body"; the last one stays
	asked    []string
	logins   []url.Values
	login    func(url.Values) answer // nil: a new token for every login
	sessions map[string]bool
	instance string
	secret   string
	secrets  int
}

type answer struct {
	status int // 0: 200
	body   string
	header map[string]string
}

func newOrg(t *testing.T) (*org, *api.Client) {
	t.Helper()
	o := &org{t: t, answers: map[string][]answer{}, sessions: map[string]bool{}, secret: `{"clientId":"app","clientSecret":"word"}`}
	s := httptest.NewServer(o)
	t.Cleanup(s.Close)
	o.url, o.instance = s.URL, s.URL
	c, err := api.New(o.readSecret, s.URL+"/")
	if err != nil {
		t.Fatal(err)
	}
	return o, c
}

func (o *org) readSecret(context.Context) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.secrets++
	return o.secret, nil
}

// on answers a request below /services/data/v66.0/.
func (o *org) on(request string, answers ...answer) {
	method, rest, _ := strings.Cut(request, " ")
	o.answers[method+" /services/data/v66.0/"+rest] = answers
}

// query is the request for a statement.
func query(path, soql string) string { return "GET " + path + "?" + url.Values{"q": {soql}}.Encode() }

func (o *org) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	if r.URL.Path == "/services/oauth2/token" {
		form, err := url.ParseQuery(string(body))
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.URL.RawQuery != "" {
			o.t.Errorf("a token is asked for with %s %s: %v", r.Method, r.URL, err)
		}
		o.logins = append(o.logins, form)
		a := answer{}
		if o.login != nil {
			a = o.login(form)
		}
		if a.body == "" {
			token := fmt.Sprintf("00D5f000005KcCnEAK!%d", len(o.logins))
			o.sessions[token] = true
			a.body = fmt.Sprintf(`{"access_token":%q,"instance_url":%q,"id":"https://login.salesforce.com/id/00D5f000005KcCnEAK/0055f000005mc66AAA","token_type":"Bearer","scope":"api"}`, token, o.instance)
		}
		o.write(w, a)
		return
	}
	request := r.Method + " " + r.URL.RequestURI()
	if len(body) > 0 {
		request += " " + string(body)
		if r.Header.Get("Content-Type") != "application/json" {
			o.t.Errorf("%s has the type %q", request, r.Header.Get("Content-Type"))
		}
	}
	o.asked = append(o.asked, request)
	if token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "); !o.sessions[token] {
		o.write(w, answer{status: 401, body: `[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]`}) // restforce's recording, MIT
		return
	}
	list := o.answers[request]
	if len(list) == 0 {
		o.t.Errorf("asked: %s", request)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	if len(list) > 1 {
		o.answers[request] = list[1:]
	}
	o.write(w, list[0])
}

func (o *org) write(w http.ResponseWriter, a answer) {
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(cmp.Or(a.status, http.StatusOK))
	_, _ = io.WriteString(w, a.body)
}

// end ends all sessions.
func (o *org) end() { o.mu.Lock(); clear(o.sessions); o.mu.Unlock() }
