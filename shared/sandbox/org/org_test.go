package orgsandbox_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	orgsandbox "sfrelay/shared/sandbox/org"
)

// The account and the deal of events/01 and events/26.
const (
	alpha     = "0015f0000200001AAA"
	alphaDeal = "0065f0000300001AAA"
)

// trial is an org that is served, with a clock that stands, and one session.
type trial struct {
	*testing.T
	org   *orgsandbox.Org
	now   time.Time
	url   string
	token string
}

func start(t *testing.T, o orgsandbox.Options) *trial {
	t.Helper()
	tr := &trial{T: t, now: time.Date(2026, 11, 21, 12, 0, 30, 0, time.UTC)}
	o.Now = func() time.Time { return tr.now }
	tr.org = orgsandbox.New(o)
	server := httptest.NewServer(tr.org)
	t.Cleanup(server.Close)
	tr.url = server.URL
	tr.login()
	return tr
}

func (t *trial) login() {
	c := t.org.Credentials()
	status, got := t.post("/services/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ConsumerKey}, "client_secret": {c.ConsumerSecret}}.Encode())
	if status != 200 {
		t.Fatalf("login: %d %s", status, got)
	}
	t.token = member[string](t, got, "access_token")
}

func (t *trial) ask(method, path, body string) (int, string) {
	t.Helper()
	status, text, _ := t.full(method, path, body)
	return status, text
}

func (t *trial) full(method, path, body string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, t.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+t.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

func (t *trial) get(path string) (int, string) { t.Helper(); return t.ask("GET", data+path, "") }

func (t *trial) post(path, body string) (int, string) { t.Helper(); return t.ask("POST", path, body) }

const data = "/services/data/v66.0"

func q(soql string) string { return "/query?q=" + url.QueryEscape(soql) }

// is compares an answer.
func (t *trial) is(status int, text string, wantStatus int, want string) {
	t.Helper()
	if status != wantStatus || strings.TrimSpace(text) != want {
		t.Errorf("got  %d %s\nwant %d %s", status, text, wantStatus, want)
	}
}

func member[T any](t testing.TB, text, name string) T {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	v, ok := m[name].(T)
	if !ok {
		t.Fatalf("%s: %v in %s", name, m[name], text)
	}
	return v
}

func TestTokens(t *testing.T) {
	tr := start(t, orgsandbox.Options{})
	c := tr.org.Credentials()
	block, _ := pem.Decode([]byte(c.PrivateKey))
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(key *rsa.PrivateKey, claims map[string]any) string {
		text, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		first := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"}`)) + "." + base64.RawURLEncoding.EncodeToString(text)
		digest := sha256.Sum256([]byte(first))
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		return first + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
	soon := tr.now.Add(3 * time.Minute).Unix()
	good := func(change ...any) map[string]any {
		claims := map[string]any{"iss": c.ConsumerKey, "sub": c.Username, "aud": "https://login.salesforce.com", "exp": soon}
		for i := 0; i < len(change); i += 2 {
			claims[change[i].(string)] = change[i+1]
		}
		return claims
	}
	jwt := func(a string) url.Values {
		return url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {a}}
	}
	for _, tc := range []struct {
		form url.Values
		want string // in the error; empty: a token
	}{
		{jwt(sign(key, good())), ""},
		{jwt(sign(key, good("exp", fmt.Sprint(soon)))), ""},
		{jwt(sign(key, good("aud", "https://test.salesforce.com/"))), ""},
		{jwt(sign(key, good("aud", tr.url))), ""},
		{jwt(sign(other, good())), `{"error":"invalid_grant","error_description":"invalid assertion"}`},
		{jwt(sign(key, good("exp", tr.now.Add(-3*time.Minute).Unix()))), ""},
		{jwt(sign(key, good("exp", tr.now.Add(-3*time.Minute-time.Second).Unix()))), `{"error":"invalid_grant","error_description":"invalid assertion"}`},
		{jwt("a.b"), `{"error":"invalid_grant","error_description":"invalid assertion"}`},
		{jwt(sign(key, good("aud", "https://example.com"))), `{"error":"invalid_grant","error_description":"audience is invalid"}`},
		{jwt(sign(key, good("sub", "x@example.com"))), `{"error":"invalid_grant","error_description":"user hasn't approved this consumer"}`},
		{jwt(sign(key, good("iss", "x"))), `{"error":"invalid_client_id","error_description":"client identifier invalid"}`},
		{url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ConsumerKey}, "client_secret": {"x"}}, `{"error":"invalid_client","error_description":"invalid client credentials"}`},
		{url.Values{"grant_type": {"client_credentials"}, "client_id": {"x"}, "client_secret": {c.ConsumerSecret}}, `{"error":"invalid_client_id","error_description":"client identifier invalid"}`},
		{url.Values{"grant_type": {"password"}}, `{"error":"unsupported_grant_type","error_description":"grant type not supported"}`},
	} {
		status, got := tr.post("/services/oauth2/token", tc.form.Encode())
		if tc.want != "" {
			tr.is(status, got, 400, tc.want)
			continue
		}
		if id := member[string](t, got, "id"); status != 200 || id != tr.url+"/id/00D5f000005KcCnEAK/0055f0000100001AAA" || member[string](t, got, "instance_url") != tr.url {
			t.Errorf("%d %s", status, got)
		}
		tr.token = member[string](t, got, "access_token")
		if status, got := tr.get("/limits"); status != 200 {
			t.Errorf("the token does not open the door: %d %s", status, got)
		}
	}
	tr.token = "none"
	status, got := tr.get("/limits")
	tr.is(status, got, 401, `[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]`)
}

func TestQueries(t *testing.T) {
	tr := start(t, orgsandbox.Options{})
	second, err := tr.org.Insert("OpportunityLineItem", map[string]any{"OpportunityId": alphaDeal, "ProductCode": "SKU-200", "Quantity": 1})
	if err != nil {
		t.Fatal(err)
	}
	line := func(id string) string {
		return `{"attributes":{"type":"OpportunityLineItem","url":"/services/data/v66.0/sobjects/OpportunityLineItem/` + id + `"},`
	}
	for _, tc := range []struct{ soql, want string }{
		{"SELECT COUNT() FROM Account", `{"totalSize":7,"done":true,"records":[]}`},
		{"select id, name from account where phone = '+49 30 0000 50'",
			`{"totalSize":1,"done":true,"records":[{"attributes":{"type":"Account","url":"/services/data/v66.0/sobjects/Account/0015f0000200001AAA"},"Id":"0015f0000200001AAA","Name":"Alpha Example Ltd"}]}`},
		{"SELECT Name, Account.Name, Account.Owner.Name, Amount, LastModifiedDate, (SELECT ProductCode, Quantity FROM OpportunityLineItems ORDER BY ProductCode DESC) FROM Opportunity WHERE Id IN ('0065f0000300001')",
			`{"totalSize":1,"done":true,"records":[{"attributes":{"type":"Opportunity","url":"/services/data/v66.0/sobjects/Opportunity/0065f0000300001AAA"},"Name":"Alpha widgets",` +
				`"Account":{"attributes":{"type":"Account","url":"/services/data/v66.0/sobjects/Account/0015f0000200001AAA"},"Name":"Alpha Example Ltd",` +
				`"Owner":{"attributes":{"type":"User","url":"/services/data/v66.0/sobjects/User/0055f0000100001AAA"},"Name":"Integration User"}},"Amount":1000.00,"LastModifiedDate":"2026-11-21T10:06:00.000+0000",` +
				`"OpportunityLineItems":{"totalSize":2,"done":true,"records":[` + line(second) + `"ProductCode":"SKU-200","Quantity":1},` + line("00k5f0000500001AAA") + `"ProductCode":"SKU-100","Quantity":10}]}}]}`},
		{"SELECT Name FROM Opportunity WHERE Amount > 990 AND IsWon = true ORDER BY Name LIMIT 1",
			`{"totalSize":1,"done":true,"records":[{"attributes":{"type":"Opportunity","url":"/services/data/v66.0/sobjects/Opportunity/0065f0000300001AAA"},"Name":"Alpha widgets"}]}`},
		{"SELECT COUNT() FROM Opportunity WHERE Amount >= 990", `{"totalSize":2,"done":true,"records":[]}`},
		{"SELECT COUNT() FROM Opportunity WHERE Amount < 990.0 AND Account.Name != 'Eta Example Ltd'", `{"totalSize":1,"done":true,"records":[]}`},
		{"SELECT COUNT() FROM Account WHERE SystemModstamp > 2026-11-21T09:49:59Z", `{"totalSize":6,"done":true,"records":[]}`},
		{"SELECT COUNT() FROM Account WHERE SystemModstamp > 2026-11-21T11:20:00.000+0000", `{"totalSize":0,"done":true,"records":[]}`},
		{"SELECT COUNT() FROM Account WHERE Website = null", `{"totalSize":1,"done":true,"records":[]}`},
		{"SELECT COUNT() FROM Account WHERE Name = 'O\\'Neill'", `{"totalSize":0,"done":true,"records":[]}`},
	} {
		status, got := tr.get(q(tc.soql))
		tr.is(status, got, 200, tc.want)
	}
	for _, tc := range []struct{ soql, code, message string }{
		{"SELECT Id FORM Account", "MALFORMED_QUERY", "\nSELECT Id FORM Account\n          ^\nERROR at Row:1:Column:11\nunexpected token: 'FORM'"},
		{"SELECT Id FROM Account WHERE Name LIKE 'A%'", "MALFORMED_QUERY", "\nSELECT Id FROM Account WHERE Name LIKE 'A%'\n                                  ^\nERROR at Row:1:Column:35\nunexpected token: 'LIKE'"},
		{"SELECT Id FROM Account WHERE Name = 'A' OR Name = 'B'", "MALFORMED_QUERY", "\nSELECT Id FROM Account WHERE Name = 'A' OR Name = 'B'\n                                        ^\nERROR at Row:1:Column:41\nunexpected token: 'OR'"},
		{"SELECT Id FROM Account LIMIT", "MALFORMED_QUERY", "\nSELECT Id FROM Account LIMIT\n                            ^\nERROR at Row:1:Column:29\nunexpected token: '<EOF>'"},
		{"SELECT Id, Nope FROM Account", "INVALID_FIELD", "\nSELECT Id, Nope FROM Account\n           ^\nERROR at Row:1:Column:12\nNo such column 'Nope' on entity 'Account'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names."},
		{"SELECT Id FROM Account WHERE BillingAddress = 'x'", "INVALID_FIELD", "\nSELECT Id FROM Account WHERE BillingAddress = 'x'\n                             ^\nERROR at Row:1:Column:30\nfield 'BillingAddress' can not be filtered in a query call"},
		{"SELECT Id FROM Account ORDER BY BillingAddress", "INVALID_FIELD", "\nSELECT Id FROM Account ORDER BY BillingAddress\n                                ^\nERROR at Row:1:Column:33\nfield 'BillingAddress' can not be sorted in a query call"},
		{"SELECT Id FROM Accountz LIMIT 2", "INVALID_TYPE", "\nSELECT Id FROM Accountz LIMIT 2\n               ^\nERROR at Row:1:Column:16\nsObject type 'Accountz' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names."},
	} {
		status, got := tr.get(q(tc.soql))
		var list []struct{ Message, ErrorCode string }
		if err := json.Unmarshal([]byte(got), &list); err != nil || status != 400 || len(list) != 1 || list[0].ErrorCode != tc.code || list[0].Message != tc.message {
			t.Errorf("%s: %d %s %v", tc.soql, status, got, err)
		}
	}
}

// many makes accounts, and line items of Alpha's deal.
func (t *trial) many(accounts, lines int) {
	t.Helper()
	for i := range accounts {
		if _, err := t.org.Insert("Account", map[string]any{"Name": fmt.Sprintf("Account %d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	for range lines {
		if _, err := t.org.Insert("OpportunityLineItem", map[string]any{"OpportunityId": alphaDeal, "Quantity": 1}); err != nil {
			t.Fatal(err)
		}
	}
}

// pages follows nextRecordsUrl and returns the sizes of the pages.
func (t *trial) pages(text string) (sizes []int) {
	t.Helper()
	for range 100 {
		sizes = append(sizes, len(member[[]any](t, text, "records")))
		if member[bool](t, text, "done") {
			return sizes
		}
		status, next := t.ask("GET", member[string](t, text, "nextRecordsUrl"), "")
		if text = next; status != 200 {
			t.Fatalf("%d %s", status, text)
		}
	}
	return sizes
}

func TestPages(t *testing.T) {
	tr := start(t, orgsandbox.Options{Empty: true})
	tr.many(4500, 0)
	_, first := tr.get(q("SELECT Id FROM Account"))
	if got := tr.pages(first); !reflect.DeepEqual(got, []int{2000, 2000, 500}) {
		t.Errorf("pages of %v", got)
	}
	if err := tr.org.Break(orgsandbox.Fault{Name: "short-page"}); err != nil {
		t.Fatal(err)
	}
	_, first = tr.get(q("SELECT Id FROM Account"))
	if got := tr.pages(first); !reflect.DeepEqual(got, []int{1000, 1000, 1000, 1000, 500}) {
		t.Errorf("short pages of %v", got)
	}
	tr.org.Mend()
	if err := tr.org.Break(orgsandbox.Fault{Name: "expired-locator"}); err != nil {
		t.Fatal(err)
	}
	_, first = tr.get(q("SELECT Id FROM Account"))
	for range 2 { // it does not come back
		status, got := tr.ask("GET", member[string](t, first, "nextRecordsUrl"), "")
		tr.is(status, got, 400, `[{"message":"invalid query locator","errorCode":"INVALID_QUERY_LOCATOR"}]`)
	}
}

func TestPagesInASubselect(t *testing.T) {
	tr := start(t, orgsandbox.Options{})
	tr.many(0, 2100)
	_, text := tr.get(q("SELECT Id, (SELECT Id FROM OpportunityLineItems) FROM Opportunity WHERE Id = '" + alphaDeal + "'"))
	record := member[[]any](t, text, "records")[0].(map[string]any)
	inner, err := json.Marshal(record["OpportunityLineItems"])
	if err != nil {
		t.Fatal(err)
	}
	if got := tr.pages(string(inner)); !reflect.DeepEqual(got, []int{2000, 101}) {
		t.Errorf("pages of %v", got)
	}
}

func TestCollections(t *testing.T) {
	tr := start(t, orgsandbox.Options{})
	const gone = "0015f0000200099AAA"
	const at = data + "/composite/sobjects/Account"
	status, got := tr.post(at, `{"ids":["`+gone+`","0015f0000200001"],"fields":["Name","BillingStreet","BillingAddress"]}`)
	tr.is(status, got, 200, `[null,{"attributes":{"type":"Account","url":"/services/data/v66.0/sobjects/Account/0015f0000200001AAA"},"Name":"Alpha Example Ltd","BillingStreet":"50 Sample Street",`+
		`"BillingAddress":{"city":"Berlin","country":"DE","postalCode":"10115","state":null,"street":"50 Sample Street","geocodeAccuracy":null,"latitude":null,"longitude":null},"Id":"0015f0000200001AAA"}]`)
	status, got = tr.post(at, `{"ids":["`+alpha+`"],"fields":["Name","Nope"]}`)
	tr.is(status, got, 400, `[{"message":"No such column 'Nope' on sobject of type Account","errorCode":"INVALID_FIELD"}]`)
	status, got = tr.post(at, `{"ids":["`+strings.Repeat(alpha+`","`, 2000)+alpha+`"],"fields":["Id"]}`)
	if status != 400 {
		t.Errorf("2,001 ids: %d %.200s", status, got)
	}
	if err := tr.org.Break(orgsandbox.Fault{Name: "null-record", ID: alpha}); err != nil {
		t.Fatal(err)
	}
	status, got = tr.post(at, `{"ids":["`+alpha+`"],"fields":["Id"]}`)
	tr.is(status, got, 200, `[null]`)
	if err := tr.org.Delete(alpha); err != nil {
		t.Fatal(err)
	}
	status, got = tr.post(at, `{"ids":["`+alpha+`"],"fields":["Id"]}`)
	tr.is(status, got, 200, `[null]`)
}

func TestRowsByREST(t *testing.T) {
	tr := start(t, orgsandbox.Options{})
	status, got := tr.post(data+"/sobjects/Account", `{"Name":"New","AnnualRevenue":1.50}`)
	id := member[string](t, got, "id")
	tr.is(status, got, 201, `{"id":"`+id+`","success":true,"errors":[]}`)
	if len(id) != 18 {
		t.Errorf("id %q", id)
	}
	status, got = tr.get("/sobjects/Account/" + id + "?fields=Name,AnnualRevenue")
	tr.is(status, got, 200, `{"attributes":{"type":"Account","url":"/services/data/v66.0/sobjects/Account/`+id+`"},"Name":"New","AnnualRevenue":1.50,"Id":"`+id+`"}`)
	for _, tc := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"PATCH", "/sobjects/Account/" + id, `{"Name":"Newer"}`, 204, ""},
		{"POST", "/sobjects/Account", `{"Phone":"1"}`, 400, `[{"message":"Required fields are missing: [Name]","errorCode":"REQUIRED_FIELD_MISSING","fields":["Name"]}]`},
		{"PATCH", "/sobjects/Account/" + id, `{"SystemModstamp":"x"}`, 400, `[{"message":"Unable to create/update fields: SystemModstamp. Please check the security settings of this field and verify that it is read/write for your profile or permission set.","errorCode":"INVALID_FIELD_FOR_INSERT_UPDATE","fields":["SystemModstamp"]}]`},
		{"GET", "/sobjects/Account/" + id + "?fields=Nope", "", 400, `[{"message":"No such column 'Nope' on sobject of type Account","errorCode":"INVALID_FIELD"}]`},
		{"GET", "/sobjects/Account/0015f0000200099AAA", "", 404, `[{"message":"The requested resource does not exist","errorCode":"NOT_FOUND"}]`},
		{"GET", "/sobjects/Nope/" + id, "", 404, `[{"message":"The requested resource does not exist","errorCode":"NOT_FOUND"}]`},
		{"GET", "/sobjects/Account/1", "", 404, `[{"message":"Provided external ID field does not exist or is not accessible: 1","errorCode":"NOT_FOUND"}]`},
		{"DELETE", "/sobjects/Account/" + id, "", 204, ""},
		{"GET", "/sobjects/Account/" + id, "", 404, `[{"message":"entity is deleted","errorCode":"ENTITY_IS_DELETED","fields":[]}]`},
		{"GET", "/tooling/sobjects/SourceMember/describe", "", 404, `[{"message":"The requested resource does not exist","errorCode":"NOT_FOUND"}]`},
	} {
		status, got := tr.ask(tc.method, data+tc.path, tc.body)
		tr.is(status, got, tc.status, tc.want)
	}
	if status, _ := tr.ask("GET", "/services/data/v99.0/limits", ""); status != 404 {
		t.Errorf("version 99: %d", status)
	}
}

func TestDeletedMergedAndErased(t *testing.T) {
	tr := start(t, orgsandbox.Options{})
	ids := []string{alpha, "0015f0000200002AAA", "0015f0000200003AAA"}
	if err := tr.org.Delete(ids[0]); err != nil {
		t.Fatal(err)
	}
	for _, f := range []orgsandbox.Fault{{Name: "merge", ID: ids[1], Into: "0015f0000200005AAA"}, {Name: "hard-delete", ID: ids[2]}} {
		if err := tr.org.Break(f); err != nil {
			t.Fatal(err)
		}
	}
	all := strings.Replace(q("SELECT Id, IsDeleted, MasterRecordId FROM Account WHERE Id IN ('"+strings.Join(ids, "','")+"')"), "/query?", "/queryAll?", 1)
	_, text := tr.get(all)
	got := map[string]any{}
	for _, r := range member[[]any](t, text, "records") {
		row := r.(map[string]any)
		got[row["Id"].(string)] = []any{row["IsDeleted"], row["MasterRecordId"]}
	}
	want := map[string]any{ids[0]: []any{true, nil}, ids[1]: []any{true, "0015f0000200005AAA"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	tr.now = tr.now.Add(time.Minute)
	_, text = tr.get("/sobjects/Account/deleted/?start=2026-11-21T12%3A00%3A00Z&end=2026-11-21T12%3A01%3A00%2B00%3A00")
	if n := len(member[[]any](t, text, "deletedRecords")); n != 3 {
		t.Errorf("%d deleted: %s", n, text)
	}
	if member[string](t, text, "earliestDateAvailable") != "2026-10-22T12:01:00.000+0000" {
		t.Error(text)
	}
}

// A walk by the greatest stamp seen loses the rows of a transaction that was open; a walk
// by latestDateCovered does not.
func TestLatestDateCoveredWaitsForOpenTransactions(t *testing.T) {
	tr := start(t, orgsandbox.Options{})
	tr.now = time.Date(2026, 11, 21, 13, 0, 10, 0, time.UTC)
	if err := tr.org.Break(orgsandbox.Fault{Name: "open-transaction"}); err != nil {
		t.Fatal(err)
	}
	if err := tr.org.Update(map[string]any{"Phone": "1"}, alpha); err != nil {
		t.Fatal(err)
	}
	tr.now = tr.now.Add(2 * time.Minute)
	if err := tr.org.Update(map[string]any{"Phone": "1"}, "0015f0000200002AAA"); err != nil {
		t.Fatal(err)
	}
	if err := tr.org.Update(map[string]any{"Phone": "2"}, alpha); err == nil || !strings.Contains(err.Error(), "UNABLE_TO_LOCK_ROW") || !strings.Contains(err.Error(), "unable to obtain exclusive access to this record or 1 records: "+alpha) {
		t.Errorf("a locked row: %v", err)
	}
	window := func(from, to string) (int, string) {
		return tr.get("/sobjects/Account/updated/?start=" + url.QueryEscape("2026-11-21T"+from+"Z") + "&end=" + url.QueryEscape("2026-11-21T"+to+"Z"))
	}
	tr.now = tr.now.Add(time.Minute)
	status, got := window("13:00:00", "13:03:59")
	tr.is(status, got, 200, `{"ids":["0015f0000200002AAA"],"latestDateCovered":"2026-11-21T13:00:10.000+0000"}`)
	tr.now = tr.now.Add(4 * time.Minute)
	status, got = window("13:00:10", "13:07:00")
	tr.is(status, got, 200, `{"ids":["0015f0000200001AAA","0015f0000200002AAA"],"latestDateCovered":"2026-11-21T13:07:00.000+0000"}`)
	status, got = window("13:03:00", "13:07:00") // where a walk by stamps would go on
	tr.is(status, got, 200, `{"ids":[],"latestDateCovered":"2026-11-21T13:07:00.000+0000"}`)
	for _, w := range [][2]string{{"13:00:00", "13:00:59"}, {"13:00:00", "x"}} {
		if status, got := window(w[0], w[1]); status != 400 || !strings.Contains(got, "INVALID_REPLICATION_DATE") {
			t.Errorf("%v: %d %s", w, status, got)
		}
	}
	if err := tr.org.Break(orgsandbox.Fault{Name: "too-many-ids", Times: -1}); err != nil {
		t.Fatal(err)
	}
	if status, got := window("12:00:00", "13:08:00"); status != 400 || !strings.Contains(got, "EXCEEDED_ID_LIMIT") {
		t.Errorf("%d %s", status, got)
	}
	if status, got := window("12:30:00", "13:08:00"); status != 200 {
		t.Errorf("half of the window: %d %s", status, got)
	}
}

func TestFaults(t *testing.T) {
	tr := start(t, orgsandbox.Options{})
	order := func(f orgsandbox.Fault) {
		t.Helper()
		if err := tr.org.Break(f); err != nil {
			t.Fatal(err)
		}
	}
	order(orgsandbox.Fault{Name: "request-limit"})
	status, got := tr.get("/limits")
	tr.is(status, got, 403, `[{"message":"TotalRequests Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]`)
	order(orgsandbox.Fault{Name: "html-unavailable"})
	status, got, header := tr.full("GET", data+"/limits", "")
	if status != 503 || !strings.HasPrefix(got, "<html>") || header.Get("Content-Type") != "text/html; charset=UTF-8" {
		t.Errorf("%d %s %s", status, got, header)
	}
	order(orgsandbox.Fault{Name: "session-expired"})
	if status, _ := tr.get("/limits"); status != 401 {
		t.Errorf("an expired session: %d", status)
	}
	tr.login()
	order(orgsandbox.Fault{Name: "hidden-field", Object: "Account", Field: "Phone"})
	status, got = tr.post(data+"/composite/sobjects/Account", `{"ids":["`+alpha+`"],"fields":["Name","Phone"]}`)
	tr.is(status, got, 400, `[{"message":"No such column 'Phone' on sobject of type Account","errorCode":"INVALID_FIELD"}]`)
	if status, got := tr.get(q("SELECT Phone FROM Account")); status != 400 || !strings.Contains(got, "INVALID_FIELD") {
		t.Errorf("a query of a hidden field: %d %s", status, got)
	}
	if _, got := tr.get("/sobjects/Account/describe"); strings.Contains(got, `"name":"Phone"`) || !strings.Contains(got, `"name":"Website"`) {
		t.Error("describe shows a hidden field")
	}
	order(orgsandbox.Fault{Name: "late-row"})
	tr.now = tr.now.Add(time.Hour)
	if _, err := tr.org.Insert("Account", map[string]any{"Name": "Late"}); err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]string{2 * time.Second: `{"totalSize":0,"done":true,"records":[]}`, 3 * time.Second: `{"totalSize":1,"done":true,"records":[]}`} {
		now := tr.now
		tr.now = now.Add(after)
		status, got := tr.get(q("SELECT COUNT() FROM Account WHERE Name = 'Late'"))
		tr.is(status, got, 200, want)
		if got, want := len(tr.org.Events(0)) == 1, after == 3*time.Second; got != want {
			t.Errorf("after %v the change event is there: %v", after, got)
		}
		tr.now = now
	}
	if err := tr.org.Break(orgsandbox.Fault{Name: "nope"}); err == nil {
		t.Error("an unknown fault is taken")
	}
}

// Every write is one change event, in the form of events/.
func TestEventsOfOwnWrites(t *testing.T) {
	tr := start(t, orgsandbox.Options{})
	if n := len(tr.org.Events(0)); n != 0 {
		t.Fatalf("%d events of the seed", n)
	}
	if err := tr.org.Update(map[string]any{"ShippingCity": "Bremen", "ShippingPostalCode": "28195"}, alpha); err != nil {
		t.Fatal(err)
	}
	got := tr.org.Events(0)[0]
	shape := func(file []byte) string {
		var e struct {
			DetailType string `json:"detail-type"`
			Source     string
			Detail     struct{ Payload map[string]any }
		}
		if err := json.Unmarshal(file, &e); err != nil {
			t.Fatal(err)
		}
		header := e.Detail.Payload["ChangeEventHeader"].(map[string]any)
		keys := []string{}
		for k := range header {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		delete(e.Detail.Payload, "ChangeEventHeader")
		delete(e.Detail.Payload, "LastModifiedDate")
		return fmt.Sprint(e.DetailType, e.Source, keys, header["entityName"], header["recordIds"], header["changeType"], header["changedFields"], e.Detail.Payload)
	}
	sample, err := os.ReadFile("../../../events/08-account-update-city-same-second.json")
	if err != nil {
		t.Fatal(err)
	}
	sample = bytes.ReplaceAll(bytes.ReplaceAll(sample, []byte("Hamburg"), []byte("Bremen")), []byte("20095"), []byte("28195"))
	if shape(got.JSON) != shape(sample) {
		t.Errorf("got  %s\nwant %s", shape(got.JSON), shape(sample))
	}
	if err := tr.org.Delete(alpha); err != nil {
		t.Fatal(err)
	}
	if err := tr.org.Undelete(alpha); err != nil {
		t.Fatal(err)
	}
	status, text := tr.post(data+"/sobjects/Inventory_Update__e", `{"SKU__c":"SKU-1","Warehouse__c":"BER","Quantity_On_Hand__c":5}`)
	if status != 201 || !strings.Contains(text, `"errors":[{"statusCode":"OPERATION_ENQUEUED","message":"d0000000-`) {
		t.Errorf("%d %s", status, text)
	}
	names := []string{}
	for _, e := range tr.org.Events(1) {
		names = append(names, e.Name)
	}
	if !reflect.DeepEqual(names, []string{"AccountChangeEvent", "AccountChangeEvent", "Inventory_Update__e"}) {
		t.Errorf("events %q", names)
	}
}

func TestBulkQuery(t *testing.T) {
	tr := start(t, orgsandbox.Options{})
	status, got := tr.post(data+"/jobs/query", `{"operation":"query","query":"SELECT Name, Account.Name, Amount FROM Opportunity ORDER BY Name"}`)
	id := member[string](t, got, "id")
	if status != 200 || member[string](t, got, "state") != "UploadComplete" || member[float64](t, got, "apiVersion") != 66 || len(id) != 18 {
		t.Errorf("%d %s", status, got)
	}
	_, got = tr.get("/jobs/query/" + id)
	if member[string](t, got, "state") != "JobComplete" || member[float64](t, got, "numberRecordsProcessed") != 4 {
		t.Error(got)
	}
	_, got, header := tr.full("GET", data+"/jobs/query/"+id+"/results?maxRecords=3", "")
	if got != "Name,Account.Name,Amount\nAlpha widgets,Alpha Example Ltd,1000.00\nBeta widgets,Beta Example Holding Ltd,990.00\nEpsilon widgets,Epsilon Example Ltd,99.90\n" ||
		header.Get("Sforce-Locator") != "3" || header.Get("Sforce-NumberOfRecords") != "3" {
		t.Error(got, header)
	}
	_, got, header = tr.full("GET", data+"/jobs/query/"+id+"/results?maxRecords=3&locator=3", "")
	if got != "Name,Account.Name,Amount\nEta widgets,Eta Example Ltd,99.90\n" || header.Get("Sforce-Locator") != "null" {
		t.Error(got, header)
	}
}

func TestComposite(t *testing.T) {
	tr := start(t, orgsandbox.Options{})
	status, got, header := tr.full("POST", data+"/composite", `{"compositeRequest":[
		{"method":"GET","url":"/services/data/v66.0/query?q=SELECT COUNT() FROM Account","referenceId":"a"},
		{"method":"GET","url":"/services/data/v66.0/sobjects/Nope","referenceId":"b"}]}`)
	tr.is(status, got, 200, `{"compositeResponse":[{"body":{"totalSize":7,"done":true,"records":[]},"httpHeaders":{},"httpStatusCode":200,"referenceId":"a"},`+
		`{"body":[{"message":"The requested resource does not exist","errorCode":"NOT_FOUND"}],"httpHeaders":{},"httpStatusCode":404,"referenceId":"b"}]}`)
	if header.Get("Sforce-Limit-Info") != "api-usage=1/15000" {
		t.Error(header)
	}
	if _, _, header := tr.full("GET", data+"/limits", ""); header.Get("Sforce-Limit-Info") != "api-usage=2/15000" {
		t.Error(header)
	}
}

func TestRelayObjects(t *testing.T) {
	tr := start(t, orgsandbox.Options{})
	create := func(kind, body string) (int, string) { return tr.post(data+"/tooling/sobjects/"+kind, body) }
	ids := map[string]string{}
	for _, c := range []struct{ kind, body, prefix string }{
		{"PlatformEventChannel", `{"FullName":"Changes__chn","Metadata":{"channelType":"data","label":"Changes"}}`, "0YL"},
		{"PlatformEventChannelMember", `{"FullName":"Changes_Account","Metadata":{"eventChannel":"Changes__chn","selectedEntity":"AccountChangeEvent"}}`, "0v8"},
		{"NamedCredential", `{"FullName":"AWS","Metadata":{"label":"AWS","endpoint":"arn:aws:EU-WEST-2:123456789012"}}`, "0XA"},
		{"EventRelayConfig", `{"FullName":"Changes","Metadata":{"label":"Changes","destinationResourceName":"callout:AWS","eventChannel":"Changes__chn"}}`, "7k2"},
	} {
		status, got := create(c.kind, c.body)
		id := member[string](t, got, "id")
		tr.is(status, got, 201, `{"id":"`+id+`","success":true,"errors":[],"warnings":[],"infos":[]}`)
		if len(id) != 18 || !strings.HasPrefix(id, c.prefix) {
			t.Errorf("%s: id %q", c.kind, id)
		}
		ids[c.kind] = id
		if status, got := create(c.kind, c.body); status != 400 || !strings.Contains(got, "DUPLICATE_DEVELOPER_NAME") {
			t.Errorf("%s twice: %d %s", c.kind, status, got)
		}
	}
	if status, got := create("EventRelayConfig", `{"FullName":"Second","Metadata":{"label":"x","destinationResourceName":"callout:AWS","eventChannel":"Changes__chn"}}`); status != 400 || !strings.Contains(got, "FIELD_INTEGRITY_EXCEPTION") {
		t.Errorf("a second relay of the channel: %d %s", status, got)
	}
	feedback := func() string {
		_, got := tr.get(q("SELECT Status, RemoteResource FROM EventRelayFeedback WHERE EventRelayConfigId = '" + ids["EventRelayConfig"] + "'"))
		return got
	}
	relay := data + "/tooling/sobjects/EventRelayConfig/" + ids["EventRelayConfig"]
	if got := feedback(); !strings.Contains(got, `"Status":"STOPPED","RemoteResource":"aws.partner/salesforce.com/00D5f000005KcCnEAK/`+ids["PlatformEventChannel"]) {
		t.Error(got)
	}
	if status, got := tr.ask("PATCH", relay, `{"Metadata":{"state":"RUN"}}`); status != 204 {
		t.Errorf("%d %s", status, got)
	}
	if got := feedback(); !strings.Contains(got, `"Status":"RUNNING"`) {
		t.Error(got)
	}
	if status, got := tr.ask("PATCH", relay, `{"Metadata":{"state":"STOPPED"}}`); status != 400 || !strings.Contains(got, "RESTRICTED_PICKLIST") {
		t.Errorf("%d %s", status, got)
	}
	if status, got := tr.ask("PATCH", relay, `{"Metadata":{"label":"x","destinationResourceName":"callout:AWS","eventChannel":"Other__chn"}}`); status != 400 {
		t.Errorf("another channel: %d %s", status, got)
	}
	status, got := tr.ask("GET", relay, "")
	if status != 200 || member[string](t, got, "FullName") != "Changes" || member[map[string]any](t, got, "Metadata")["state"] != "RUN" {
		t.Errorf("%d %s", status, got)
	}
	_, got = tr.get("/tooling" + q("SELECT Id, DeveloperName FROM PlatformEventChannel"))
	tr.is(200, got, 200, `{"size":1,"totalSize":1,"done":true,"queryLocator":null,"entityTypeName":"PlatformEventChannel","records":[{"attributes":{"type":"PlatformEventChannel",`+
		`"url":"/services/data/v66.0/tooling/sobjects/PlatformEventChannel/`+ids["PlatformEventChannel"]+`"},"Id":"`+ids["PlatformEventChannel"]+`","DeveloperName":"Changes"}]}`)
	for _, c := range []struct {
		kind string
		want int
	}{{"PlatformEventChannel", 400}, {"EventRelayConfig", 204}, {"PlatformEventChannelMember", 204}, {"PlatformEventChannel", 204}, {"NamedCredential", 204}} {
		if status, got := tr.ask("DELETE", data+"/tooling/sobjects/"+c.kind+"/"+ids[c.kind], ""); status != c.want {
			t.Errorf("DELETE %s: %d %s", c.kind, status, got)
		}
	}
}

// Two ids that differ in case only are two records.
func TestIDsHaveCase(t *testing.T) {
	tr := start(t, orgsandbox.Options{})
	for id, want := range map[string]int{"0015f0000200001": 1, "0015F0000200001": 0, "0015f0000200001AAA": 1, "0015F0000200001AAI": 0} {
		status, got := tr.get(q("SELECT COUNT() FROM Account WHERE Id = '" + id + "'"))
		tr.is(status, got, 200, fmt.Sprintf(`{"totalSize":%d,"done":true,"records":[]}`, want))
	}
}

// Whatever a query says, the org answers with rows or with a refusal.
func FuzzQueries(f *testing.F) {
	for _, seed := range []string{
		"SELECT Id, Account.Name, (SELECT Quantity FROM OpportunityLineItems WHERE Quantity > 1) FROM Opportunity WHERE Amount >= 1.5 AND IsWon = true ORDER BY Name DESC LIMIT 3",
		"SELECT FIELDS(ALL) FROM Account LIMIT 200", "SELECT COUNT() FROM Account WHERE SystemModstamp < 2026-01-01T00:00:00Z", "SELECT BillingAddress FROM Account WHERE Id IN ('a','b') ORDER BY BillingAddress",
		"SELECT Id FROM Account WHERE Name = 'O\\'Neill' AND Phone != null", "SELECT\nId FROM Accountz", "SELECT COUNT() FROM Opportunity WHERE Amount > 1e999999999",
	} {
		f.Add(seed)
	}
	org := orgsandbox.New(orgsandbox.Options{})
	c := org.Credentials()
	w := httptest.NewRecorder()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ConsumerKey}, "client_secret": {c.ConsumerSecret}}
	org.ServeHTTP(w, httptest.NewRequest("POST", "/services/oauth2/token", strings.NewReader(form.Encode())))
	token := member[string](f, w.Body.String(), "access_token")
	f.Fuzz(func(t *testing.T, soql string) {
		for _, path := range []string{"/query", "/tooling/query"} {
			r := httptest.NewRequest("GET", data+path+"?q="+url.QueryEscape(soql), nil)
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			org.ServeHTTP(w, r)
			if w.Code != 200 && w.Code != 400 || !json.Valid(w.Body.Bytes()) {
				t.Errorf("%q: %d %s", soql, w.Code, w.Body)
			}
		}
	})
}
