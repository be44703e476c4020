package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sfrelay/shared/config"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/salesforce/api"
)

const (
	one, two   = "0015f00002J9YYEAA3", "0015f00002J9YYFAA3"
	retrieve   = `POST composite/sobjects/Account {"ids":["` + one + `","` + two + `"],"fields":["Id","Phone"]}`
	phoneOfOne = `{"attributes":{"type":"Account","url":"/services/data/v66.0/sobjects/Account/` + one + `"},"Id":"` + one + `","Phone":"1"}`
)

func code(err error) string {
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e.Code
	}
	return fmt.Sprint(err)
}

func temporary(err error) bool {
	e, ok := errors.AsType[*api.Error](err)
	return ok && e.Temporary()
}

func phones(c *api.Client) (map[string]*api.Record, error) {
	return c.Retrieve(context.Background(), "Account", []string{two, one, one[:15]}, []string{"Phone"})
}

func TestOneLoginForAllWhoWait(t *testing.T) {
	o, c := newOrg(t)
	o.on(retrieve, answer{body: "[null,null]"})
	all := func(want int) {
		t.Helper()
		var wait sync.WaitGroup
		for range 20 {
			wait.Go(func() {
				if _, err := phones(c); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if len(o.logins) != want || o.secrets != want {
			t.Errorf("%d logins, %d times the secret was read, want %d", len(o.logins), o.secrets, want)
		}
	}
	all(1)
	o.end()
	all(2)
	if f := o.logins[1]; f.Encode() != "client_id=app&client_secret=word&grant_type=client_credentials" {
		t.Errorf("the form %v", f)
	}
	if got := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(got, "00D5f000005KcCnEAK!") {
		t.Errorf("the token is printed: %s", got)
	}
}

// A session that ends at once is no loop.
func TestASessionIsRenewedOnce(t *testing.T) {
	o, c := newOrg(t)
	o.login = func(url.Values) answer {
		return answer{body: fmt.Sprintf(`{"access_token":"ended%d","instance_url":%q}`, len(o.logins), o.instance)}
	}
	_, err := phones(c)
	if e, _ := errors.AsType[*api.Error](err); len(o.logins) != 2 || len(o.asked) != 2 || e == nil || e.Status != 401 || !e.Temporary() {
		t.Errorf("%v after %d logins and %d requests", err, len(o.logins), len(o.asked))
	}
}

type passing struct{}

func (passing) Error() string   { return "throttled by the secret manager" }
func (passing) Temporary() bool { return true }

func TestASecretThatCannotBeRead(t *testing.T) {
	for fails, want := range map[error]bool{errors.New("denied"): false, passing{}: true} {
		c, err := api.New(func(context.Context) (string, error) { return "", fails }, "https://example.my.salesforce.com")
		if err != nil {
			t.Fatal(err)
		}
		_, err = phones(c)
		if e, _ := errors.AsType[*api.Error](err); e == nil || e.Temporary() != want || !errors.Is(err, fails) {
			t.Errorf("%v: %v", fails, err)
		}
	}
}

// The texts are those of Salesforce's token endpoint: the first four of Help, "OAuth 2.0 JWT
// Bearer Flow", and of what users of it report.
func TestARefusedLoginNamesTheSetting(t *testing.T) {
	for text, setting := range map[string]string{
		`"invalid_grant","error_description":"user hasn't approved this consumer"`:              "permission set",
		`"invalid_grant","error_description":"audience is invalid"`:                             "audience in the secret",
		`"invalid_grant","error_description":"invalid assertion"`:                               "privateKey in the secret",
		`"invalid_grant","error_description":"invalid user"`:                                    "username in the secret",
		`"invalid_grant","error_description":"no client credentials user enabled"`:              "run as",
		`"invalid_grant","error_description":"request not supported on this domain"`:            "SALESFORCE_URL",
		`"invalid_grant","error_description":"app must be installed into org"`:                  "installed",
		`"invalid_client_id","error_description":"client identifier invalid"`:                   "clientId in the secret",
		`"invalid_client","error_description":"invalid client credentials"`:                     "clientSecret in the secret",
		`"invalid_grant","error_description":"hidden@example.test is something else entirely!"`: "INVALID_GRANT",
		`"hidden value"`: "UNREADABLE",
	} {
		o, c := newOrg(t)
		o.login = func(url.Values) answer { return answer{status: 400, body: `{"error":` + text + `}`} }
		for range 3 {
			_, err := phones(c)
			e, _ := errors.AsType[*api.Error](err)
			if e == nil || e.Status != 400 || e.Temporary() || !strings.Contains(e.Error(), setting) || strings.Contains(e.Error(), "hidden") {
				t.Errorf("%s: %v", text, err)
			}
		}
		if len(o.logins) != 1 {
			t.Errorf("%s: %d logins within a minute", text, len(o.logins))
		}
	}
}

// A token goes to no other host than the one that the operator named.
func TestTheOrgStaysWhereItIs(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked elsewhere: %s", r.URL) }))
	defer elsewhere.Close()
	for _, instance := range []string{elsewhere.URL, "", "//" + elsewhere.Listener.Addr().String(), "https://127.0.0.1"} {
		o, c := newOrg(t)
		o.instance = instance
		if _, err := phones(c); code(err) != "FOREIGN_HOST" || len(o.asked) > 0 {
			t.Errorf("instance_url %q: %v", instance, err)
		}
	}
	for _, next := range []string{elsewhere.URL + "/services/data/v66.0/query/1", "//" + elsewhere.Listener.Addr().String() + "/services/data/v66.0/query/1", "/services/oauth2/token", "../../../oauth2/token", "%"} {
		o, c := newOrg(t)
		o.on(query("query", "SELECT Id FROM Account"), answer{body: fmt.Sprintf(`{"done":false,"nextRecordsUrl":%q,"records":[]}`, next)})
		err := c.Query(t.Context(), api.Select{Object: "Account", All: true}, nil)
		if code(err) != "FOREIGN_HOST" || len(o.asked) != 1 {
			t.Errorf("nextRecordsUrl %q: %v after %d requests", next, err, len(o.asked))
		}
	}
	o, c := newOrg(t)
	o.on(retrieve, answer{status: 302, header: map[string]string{"Location": elsewhere.URL}})
	if _, err := phones(c); err == nil || !strings.Contains(err.Error(), "My Domain") {
		t.Errorf("a redirect: %v", err)
	}
}

func TestRetrieve(t *testing.T) {
	o, c := newOrg(t)
	o.on(retrieve, answer{body: "[" + phoneOfOne + ",null]"})
	got, err := phones(c)
	if err != nil || len(got) != 1 || string(got[one].Fields["Phone"]) != `"1"` {
		t.Errorf("%v, %v", got, err)
	}
	for body, want := range map[string]string{
		"[" + phoneOfOne + "]":        "UNREADABLE", // short: not a deleted record
		"[null," + phoneOfOne + "]":   "UNREADABLE", // another order
		"[null,null,null]":            "UNREADABLE",
		"<html>":                      "UNREADABLE",
		"{}":                          "UNREADABLE",
		"":                            "UNREADABLE",
		`[{"Id":"` + one + `"},null]`: "FIELD_MISSING",
		`[{"Id":"` + one + `","phone":"1"},null]`:                       "FIELD_MISSING",
		"[" + strings.Replace(phoneOfOne, `"Id"`, `"id"`, 1) + ",null]": "FIELD_MISSING",
	} {
		o.on(retrieve, answer{body: body})
		if _, err := phones(c); code(err) != want {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
	o.on(retrieve, answer{body: `[` + strings.Repeat(" ", 32<<20)})
	if _, err := phones(c); code(err) != "UNREADABLE" {
		t.Errorf("an answer without an end: %v", err)
	}
	if got, err := c.Retrieve(t.Context(), "Account", nil, []string{"Phone"}); len(got) > 0 || err != nil {
		t.Errorf("no ids: %v, %v", got, err)
	}
}

// A call has 2,000 ids at most.
func TestRetrieveOfMany(t *testing.T) {
	o, c := newOrg(t)
	var ids []string
	for i := range 2001 {
		id, err := salesforce.ID18(fmt.Sprintf("0015f00000%05d", i))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	for _, part := range [][]string{ids[:2000], ids[2000:]} {
		o.on(`POST composite/sobjects/Account {"ids":["`+strings.Join(part, `","`)+`"],"fields":["Id"]}`, answer{body: "[null" + strings.Repeat(",null", len(part)-1) + "]"})
	}
	if got, err := c.Retrieve(t.Context(), "Account", ids, nil); err != nil || len(got) != 0 || len(o.asked) != 2 {
		t.Errorf("%d, %v, %d requests", len(got), err, len(o.asked))
	}
}

func TestRefusals(t *testing.T) {
	long := `[{"message":"hidden value","errorCode":"` + strings.Repeat("A", 65) + `"}]`
	for body, want := range map[string]struct {
		status    int
		code      string
		says      string
		temporary bool
	}{
		// Recorded by amp-labs/connectors (MIT).
		`[{"message":"No such column 'Phone' on sobject of type Account","errorCode":"INVALID_FIELD"}]`:                                         {400, "INVALID_FIELD", "INVALID_FIELD Phone; the field does not exist", false},
		`[{"message":"\nName,Phone FROM Account\n ^\nERROR at Row:1\nNo such column 'phone' on entity 'Account'","errorCode":"INVALID_FIELD"}]`: {400, "INVALID_FIELD", "INVALID_FIELD Phone;", false},
		`[{"message":"No such column 'hidden' on sobject of type Account","errorCode":"INVALID_FIELD"}]`:                                        {400, "INVALID_FIELD", "permission set", false},
		`[{"message":"entity is deleted","errorCode":"ENTITY_IS_DELETED","fields":[]}]`:                                                         {404, "ENTITY_IS_DELETED", "404 ENTITY_IS_DELETED", false},
		`[{"message":"TotalRequests Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]`:                                                    {403, "REQUEST_LIMIT_EXCEEDED", "15000 of the day's 15000", true},
		`<html>hidden maintenance</html>`:                   {503, "NO_CODE", "503 NO_CODE", true},
		`[{"errorCode":"hidden value","message":"hidden"}]`: {500, "NO_CODE", "500", true},
		long:                         {400, "NO_CODE", "400", false},
		`[]`:                         {429, "NO_CODE", "429", true},
		`{"message":"hidden value"}`: {400, "NO_CODE", "400", false},
	} {
		o, c := newOrg(t)
		o.on(retrieve, answer{status: want.status, body: body, header: map[string]string{"Sforce-Limit-Info": "api-usage=24/15000"}})
		_, err := phones(c)
		e, _ := errors.AsType[*api.Error](err)
		if e == nil || e.Status != want.status || e.Code != want.code || e.Temporary() != want.temporary || !strings.Contains(e.Error(), want.says) ||
			strings.Contains(e.Error(), "hidden") || !strings.HasPrefix(e.Error(), "Salesforce, retrieve Account: ") || e.Most != 15000 {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestNoAnswer(t *testing.T) {
	o, c := newOrg(t)
	o.on(retrieve, answer{body: "[null,null]"})
	if _, err := phones(c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Retrieve(ctx, "Account", []string{one, two}, []string{"Phone"})
	if code(err) != "NO_ANSWER" || !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), o.url) {
		t.Errorf("%v", err)
	}
}

// 90 % of the day's requests end fetching, 80 % reconciling; status is always asked. A count
// of an hour ago is not believed, and one request finds out.
func TestTheBrake(t *testing.T) {
	o, c := newOrg(t)
	r := c.For(api.Reconcile)
	ask := func(c *api.Client, usage, want string) {
		t.Helper()
		o.on(retrieve, answer{body: "[null,null]", header: map[string]string{"Sforce-Limit-Info": usage}})
		if _, err := phones(c); code(err) != want {
			t.Errorf("%s: %v, want %s", usage, err, want)
		}
	}
	const fine = "<nil>"
	ask(c, "api-usage=79/100", fine)
	ask(r, "api-usage=80/100; per-app-api-usage=1/250(appName=sample)", fine)
	ask(r, "", "BRAKE")
	ask(c, "api-usage=89/100", fine)
	ask(c, "nonsense", fine)
	ask(c, "per-app-api-usage=99/100(appName=sample)", fine)
	ask(c, "api-usage=90/100", fine)
	ask(c, "", "BRAKE")
	ask(r, "", "BRAKE")
	ask(c.For(api.Status), "api-usage=10/100", fine)
	ask(r, "api-usage=10/100", fine)
	o.on(retrieve, answer{status: 403, body: `[{"errorCode":"REQUEST_LIMIT_EXCEEDED"}]`})
	_, err := phones(c)
	if code(err) != "REQUEST_LIMIT_EXCEEDED" {
		t.Fatal(err)
	}
	ask(c, "", "BRAKE")
	if _, err := phones(c); !strings.Contains(err.Error(), "100 of the day's 100") || !temporary(err) {
		t.Error(err)
	}
}

func TestTheBrakeLetsOneThroughAfterAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c, err := api.New(func(context.Context) (string, error) { return `{"clientId":"a","clientSecret":"b"}`, nil }, "http://127.0.0.1:9")
		if err != nil {
			t.Fatal(err)
		}
		api.Through(c, func(r *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/token") {
				_, _ = w.WriteString(`{"access_token":"t","instance_url":"http://127.0.0.1:9"}`)
			} else {
				if asked++; asked == 1 { // a platform that is down does not count
					w.Header().Set("Sforce-Limit-Info", "api-usage=90/100")
				}
				w.WriteHeader(503)
			}
			return w.Result(), nil
		})
		_, _ = phones(c)
		time.Sleep(59 * time.Minute)
		if _, err := phones(c); code(err) != "BRAKE" || asked != 1 {
			t.Errorf("%v after %d requests", err, asked)
		}
		time.Sleep(2 * time.Minute)
		for range 3 {
			_, _ = phones(c)
		}
		if asked != 2 {
			t.Errorf("%d requests, want 2", asked)
		}
	})
}

func TestStatementsAreMadeOfNames(t *testing.T) {
	_, c := newOrg(t) // whatever is asked fails the test
	for _, bad := range []string{"", "Na me", "Name,Phone", "Name'", "Name)", "Näme", "A..B", ".A", "A.", "A\\", `A"`, strings.Repeat("a", 256)} {
		for _, s := range []api.Select{
			{Object: bad}, {Object: "Account", Fields: []string{"Name", bad}}, {Object: "Account", Children: []api.Select{{Object: bad}}},
			{Object: "Account", Children: []api.Select{{Object: "Contacts", Fields: []string{bad}}}},
		} {
			s.All = true
			if err := c.Query(t.Context(), s, nil); code(err) != "INVALID_REQUEST" {
				t.Errorf("%+v: %v", s, err)
			}
		}
		if _, err := c.Retrieve(t.Context(), "Account", []string{one}, []string{bad}); code(err) != "INVALID_REQUEST" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, id := range []string{"", "1", one + "'", strings.ToLower(one), "0015f00002J9Y' O"} {
		if err := c.Query(t.Context(), api.Select{Object: "Account", IDs: []string{one, id}}, nil); code(err) != "INVALID_REQUEST" {
			t.Errorf("id %q: %v", id, err)
		}
	}
	if err := c.Query(t.Context(), api.Select{Object: "Account", Fields: []string{"Name"}}, nil); err != nil {
		t.Errorf("no ids: %v", err)
	}
}

// One statement gives a deal with its lines; both may have pages of any size.
func TestQueryWithChildren(t *testing.T) {
	o, c := newOrg(t)
	deal := func(id, account, lines string) string {
		return `{"attributes":{"type":"Opportunity"},"Id":"` + id + `","Name":null,"Account":` + account + `,"OpportunityLineItems":` + lines + `}`
	}
	const a, b, d = "0065f0000000001AAA", "0065f0000000002AAA", "0065f0000000003AAA"
	soql := "SELECT Id,Name,Account.Name,Account.Owner.Email,(SELECT Id,Quantity FROM OpportunityLineItems) FROM Opportunity WHERE Id IN ('" + a + "','" + b + "','" + d + "')"
	o.on(query("query", soql), answer{body: `{"totalSize":3,"done":false,"nextRecordsUrl":"/services/data/v66.0/query/0r8-2","records":[` +
		deal(a, `{"attributes":{},"Name":"Acme","Owner":null}`, `{"totalSize":2,"done":false,"nextRecordsUrl":"/services/data/v66.0/query/0r9-1","records":[{"Id":"1","Quantity":2.50}]}`) + `,` + deal(b, "null", "null") + `]}`})
	o.on("GET query/0r9-1", answer{body: `{"totalSize":2,"done":true,"records":[{"Id":"2","Quantity":1}]}`})
	o.on("GET query/0r8-2", answer{body: `{"totalSize":3,"done":true,"records":[` + deal(d, "null", `{"done":true,"records":[]}`) + `]}`})
	var got []string
	s := api.Select{Object: "Opportunity", Fields: []string{"Name", "Account.Name", "Account.Owner.Email"}, IDs: []string{d, a, b}, Children: []api.Select{{Object: "OpportunityLineItems", Fields: []string{"Quantity"}}}}
	err := c.Query(t.Context(), s, func(r *api.Record) error {
		line := string(r.Fields["Id"])
		for _, f := range []string{"Name", "Account.Name", "Account.Owner.Email"} {
			v, ok := r.Value(f)
			line += fmt.Sprintf(" %s %v", v, ok)
		}
		for _, child := range r.Children["OpportunityLineItems"] {
			line += " " + string(child.Fields["Quantity"])
		}
		got = append(got, line)
		return nil
	})
	want := []string{`"` + a + `" null true "Acme" true null true 2.50 1`, `"` + b + `" null true null true null true`, `"` + d + `" null true null true null true`}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v\n got %q\nwant %q", err, got, want)
	}
	for _, missing := range []string{`"Name":null,`, `"Name":"Acme",`, `,"OpportunityLineItems":null`} {
		whole := deal(a, `{"Name":"Acme","Owner":null}`, "null")
		o.on(query("query", soql), answer{body: `{"done":true,"records":[` + strings.Replace(whole, missing, "", 1) + `]}`})
		if err := c.Query(t.Context(), s, func(*api.Record) error { return nil }); code(err) != "FIELD_MISSING" {
			t.Errorf("without %s: %v", missing, err)
		}
	}
	for _, page := range []string{`{"done":true}`, `{"done":false,"records":[]}`, `{"records":[]}`, `{"done":true,"nextRecordsUrl":"/services/data/v66.0/query/1","records":[]}`, `[]`, `<html>`, `{"done":true,"records":[7]}`} {
		o.on(query("query", soql), answer{body: page})
		if err := c.Query(t.Context(), s, func(*api.Record) error { return nil }); code(err) != "UNREADABLE" {
			t.Errorf("%s: %v", page, err)
		}
	}
	o.on(query("query", soql), answer{status: 400, body: `[{"errorCode":"INVALID_FIELD","message":"No such column 'Quantity' on entity 'OpportunityLineItem'"}]`})
	if err := c.Query(t.Context(), s, nil); code(err) != "INVALID_FIELD" || !strings.Contains(err.Error(), " Quantity;") {
		t.Errorf("%v", err)
	}
}

func TestManyIDsAreSeveralStatements(t *testing.T) {
	o, c := newOrg(t)
	var ids []string
	for i := range 301 {
		id, err := salesforce.ID18(fmt.Sprintf("0015f00000%05d", i))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	for _, part := range [][]string{ids[:300], ids[300:]} {
		o.on(query("query", "SELECT Id FROM Account WHERE Id IN ('"+strings.Join(part, "','")+"')"), answer{body: `{"done":true,"records":[]}`})
	}
	if err := c.Query(t.Context(), api.Select{Object: "Account", IDs: ids}, nil); err != nil || len(o.asked) != 2 {
		t.Errorf("%v, %d requests", err, len(o.asked))
	}
	if len(o.asked[0]) > 16384-2048 { // the header is in the limit too
		t.Errorf("an address of %d bytes", len(o.asked[0]))
	}
}

func TestFates(t *testing.T) {
	o, c := newOrg(t)
	o.on(query("queryAll", "SELECT Id,IsDeleted,SystemModstamp,MasterRecordId FROM Account WHERE Id IN ('"+one+"','"+two+"')"),
		answer{body: `{"done":true,"records":[{"Id":"` + one + `","IsDeleted":true,"SystemModstamp":"2026-11-22T12:00:00.000+0000","MasterRecordId":"` + two + `"},{"Id":"` + two + `","IsDeleted":false,"SystemModstamp":"2026-11-22T12:00:01.000+0000","MasterRecordId":null}]}`})
	got, err := c.Fates(t.Context(), "Account", []string{one, two})
	if err != nil || len(got) != 2 || got[one] != (api.Fate{Deleted: true, Master: two, Stamp: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}) ||
		got[two] != (api.Fate{Stamp: time.Date(2026, 11, 22, 12, 0, 1, 0, time.UTC)}) {
		t.Errorf("%v, %v", got, err)
	}
	o.on(query("queryAll", "SELECT Id,IsDeleted,SystemModstamp FROM Order WHERE Id IN ('"+one+"')"), answer{body: `{"done":true,"records":[]}`})
	if got, err := c.Fates(t.Context(), "Order", []string{one}); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestFromEnv(t *testing.T) {
	for _, tc := range []struct {
		env   map[string]string
		wrong string // the variable
		made  bool
	}{
		{nil, "", false},
		{map[string]string{"SALESFORCE_URL": "https://example.my.salesforce.com/", "SALESFORCE_SECRET": "org"}, "", true},
		{map[string]string{"SALESFORCE_URL": "http://127.0.0.1:1", "SALESFORCE_SECRET": "org"}, "", true},
		{map[string]string{"SALESFORCE_URL": "https://example.my.salesforce.com"}, "SALESFORCE_SECRET", false},
		{map[string]string{"SALESFORCE_SECRET": "org"}, "SALESFORCE_URL", false},
		{map[string]string{"SALESFORCE_URL": "http://example.my.salesforce.com", "SALESFORCE_SECRET": "org"}, "SALESFORCE_URL", false},
		{map[string]string{"SALESFORCE_URL": "https://login.salesforce.com", "SALESFORCE_SECRET": "org"}, "SALESFORCE_URL", false},
		{map[string]string{"SALESFORCE_URL": "https://u:hidden@example.my.salesforce.com", "SALESFORCE_SECRET": "org"}, "SALESFORCE_URL", false},
		{map[string]string{"SALESFORCE_URL": "https://example.my.salesforce.com/services", "SALESFORCE_SECRET": "org"}, "SALESFORCE_URL", false},
	} {
		r := config.NewReader(func(name string) (string, bool) { v, ok := tc.env[name]; return v, ok })
		c := api.FromEnv(r, func(name string) func(context.Context) (string, error) {
			if name != "org" {
				t.Errorf("the secret %q", name)
			}
			return nil
		})
		if err := r.Err(); (c != nil) != tc.made || (err != nil) != (tc.wrong != "") || err != nil && (!strings.Contains(err.Error(), tc.wrong) || strings.Contains(err.Error(), "hidden")) {
			t.Errorf("%v: %v, %v", tc.env, c != nil, err)
		}
	}
	var none *api.Client
	if _, err := phones(none.For(api.Status)); !errors.Is(err, api.ErrNotConfigured) {
		t.Errorf("%v", err)
	}
}
