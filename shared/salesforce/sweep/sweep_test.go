package sweep_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/salesforce/api"
	"sfrelay/shared/salesforce/sweep"
)

const one = "0015f00002J9YYEAA3"

func code(err error) string {
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e.Code
	}
	return fmt.Sprint(err)
}

// org answers what a test wrote for a request, word for word, and fails the test for every
// other request.
type org struct {
	t       *testing.T
	answers map[string]answer // by "GET path?query" or "POST path body"
}

type answer struct {
	status int // 0: 200
	body   string
	header map[string]string
}

func newOrg(t *testing.T) (*org, *api.Client) {
	t.Helper()
	o := &org{t, map[string]answer{}}
	s := httptest.NewServer(o)
	t.Cleanup(s.Close)
	o.answers["POST /services/oauth2/token client_id=app&client_secret=word&grant_type=client_credentials"] = answer{body: `{"access_token":"t","instance_url":"` + s.URL + `"}`}
	c, err := api.New(func(context.Context) (string, error) { return `{"clientId":"app","clientSecret":"word"}`, nil }, s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return o, c
}

func (o *org) on(request string, a answer) {
	method, rest, _ := strings.Cut(request, " ")
	o.answers[method+" /services/data/v66.0/"+rest] = a
}

func (o *org) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a, ok := o.answers[strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body))]
	if !ok {
		o.t.Errorf("asked: %s %s %s", r.Method, r.URL, body)
	}
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(cmp.Or(a.status, http.StatusOK))
	_, _ = io.WriteString(w, a.body)
}

func TestWindows(t *testing.T) {
	o, c := newOrg(t)
	start := time.Date(2026, 11, 2, 10, 0, 59, 1, time.FixedZone("", 3600))
	at := "?end=2026-11-02T10%3A00%3A00%2B00%3A00&start=2026-11-02T09%3A00%3A00%2B00%3A00"
	o.on("GET sobjects/Contact/updated/"+at, answer{body: `{"ids":["003q000000KvQ1tAAF","003q000000KvQ2DAAV"],"latestDateCovered":"2015-08-19T08:17:00.000+0000"}`}) // restforce's recordings, MIT
	o.on("GET sobjects/Contact/deleted/"+at, answer{body: `{"deletedRecords":[{"id":"a00D0000008pQRAIA2","deletedDate":"2013-05-07T22:07:19.000+0000"}],"earliestDateAvailable":"2013-05-03T15:57:00.000+0000","latestDateCovered":"2013-05-08T21:20:00.000+0000"}`})
	w, err := sweep.Updated(t.Context(), c, "Contact", start, start.Add(time.Hour))
	if err != nil || !slices.Equal(w.IDs, []string{"003q000000KvQ1tAAF", "003q000000KvQ2DAAV"}) || !w.Covered.Equal(time.Date(2015, 8, 19, 8, 17, 0, 0, time.UTC)) {
		t.Errorf("%v, %v", w, err)
	}
	w, err = sweep.Deleted(t.Context(), c, "Contact", start, start.Add(time.Hour))
	if err != nil || !slices.Equal(w.IDs, []string{"a00D0000008pQRAIA2"}) || !w.Covered.Equal(time.Date(2013, 5, 8, 21, 20, 0, 0, time.UTC)) {
		t.Errorf("%v, %v", w, err)
	}
	for _, body := range []string{`{"ids":[]}`, `{"latestDateCovered":"2015-08-19T08:17:00.000+0000"}`, `{"ids":[""],"latestDateCovered":"2015-08-19T08:17:00.000+0000"}`, `{"ids":{},"latestDateCovered":"2015-08-19T08:17:00.000+0000"}`, `{"ids":[],"latestDateCovered":"soon"}`, `[]`} {
		o.on("GET sobjects/Contact/updated/"+at, answer{body: body})
		if _, err := sweep.Updated(t.Context(), c, "Contact", start, start.Add(time.Hour)); code(err) != "UNREADABLE" {
			t.Errorf("%s: %v", body, err)
		}
	}
	o.on("GET sobjects/Contact/updated/"+at, answer{status: 400, body: `[{"errorCode":"EXCEEDED_ID_LIMIT","message":"x"}]`})
	if _, err := sweep.Updated(t.Context(), c, "Contact", start, start.Add(time.Hour)); code(err) != "EXCEEDED_ID_LIMIT" {
		t.Error(err)
	}
	if _, err := sweep.Updated(t.Context(), c, "Contact", start, start); code(err) != "INVALID_REQUEST" {
		t.Errorf("the same minute: %v", err)
	}
	for _, bad := range []string{"", "Account'", "Account.Name"} { // whatever is asked fails the test
		if _, err := sweep.Updated(t.Context(), c, bad, start, start.Add(time.Hour)); code(err) != "INVALID_REQUEST" {
			t.Errorf("%q: %v", bad, err)
		}
		if _, err := sweep.StartJob(t.Context(), c, api.Select{Object: bad, All: true}); code(err) != "INVALID_REQUEST" {
			t.Errorf("job of %q: %v", bad, err)
		}
	}
}

func TestBulk(t *testing.T) {
	o, c := newOrg(t)
	const id = "750ak000009AVi5AAG"
	o.on(`POST jobs/query {"operation":"queryAll","query":"SELECT Id,Name FROM Account"}`, answer{body: `{"id":"` + id + `","operation":"queryAll","object":"Account","state":"UploadComplete","apiVersion":60.0}`})
	got, err := sweep.StartJob(t.Context(), c, api.Select{Object: "Account", Fields: []string{"Name"}, All: true, Deleted: true})
	if err != nil || got != id {
		t.Fatalf("%q, %v", got, err)
	}
	for state, want := range map[string]string{"UploadComplete": "false <nil>", "InProgress": "false <nil>", "JobComplete": "true <nil>", "Failed": "false JOB_FAILED", "Aborted": "false JOB_FAILED"} {
		o.on("GET jobs/query/"+id, answer{body: `{"id":"` + id + `","state":"` + state + `"}`})
		if done, err := sweep.JobDone(t.Context(), c, id); fmt.Sprint(done, " ", code(err)) != want {
			t.Errorf("%s: %v, %v", state, done, err)
		}
	}
	o.on("GET jobs/query/"+id, answer{body: `{}`})
	if _, err := sweep.JobDone(t.Context(), c, id); code(err) != "UNREADABLE" {
		t.Error(err)
	}

	for _, bad := range []string{"", "..", "750", "../../oauth2/token"} { // whatever is asked fails the test
		if _, err := sweep.JobDone(t.Context(), c, bad); code(err) != "INVALID_REQUEST" {
			t.Errorf("job %q: %v", bad, err)
		}
		if _, err := sweep.JobRows(t.Context(), c, bad, "", nil); code(err) != "INVALID_REQUEST" {
			t.Errorf("job %q: %v", bad, err)
		}
	}

	rows := func(locator string) (all []string, next string, err error) {
		next, err = sweep.JobRows(t.Context(), c, id, locator, func(names, row []string) error {
			all = append(all, strings.Join(names, "|")+"="+strings.Join(row, "|"))
			return nil
		})
		return all, next, err
	}
	results := "GET jobs/query/" + id + "/results?"
	o.on(results+"maxRecords=10000", answer{body: "\"Id\",\"Name\"\n\"1\",\"a, \"\"b\"\"\nc\"\n\"2\",\"\"\n", header: map[string]string{"Sforce-Locator": "MTAw", "Sforce-NumberOfRecords": "2"}})
	o.on(results+"locator=MTAw&maxRecords=10000", answer{body: "\"Id\",\"Name\"\n", header: map[string]string{"Sforce-Locator": "null", "Sforce-NumberOfRecords": "0"}})
	all, next, err := rows("")
	if err != nil || next != "MTAw" || !slices.Equal(all, []string{"Id|Name=1|a, \"b\"\nc", "Id|Name=2|"}) {
		t.Errorf("%q, %q, %v", all, next, err)
	}
	if all, next, err = rows(next); err != nil || next != "" || len(all) != 0 {
		t.Errorf("%q, %q, %v", all, next, err)
	}
	for _, body := range []string{"\"Id\"\n\"1\"\n\"2", "\"Id\"\n\"1\"\n\"2\"", "\"Id\"\n\"1\"\n", "\"Id\"\n\"1\"\n\"2\",\"3\"\n", ""} {
		o.on(results+"maxRecords=10000", answer{body: body, header: map[string]string{"Sforce-Locator": "null", "Sforce-NumberOfRecords": "2"}})
		if _, _, err := rows(""); code(err) != "NO_ANSWER" {
			t.Errorf("%q: %v", body, err)
		}
	}
	for _, s := range []api.Select{{Object: "Account", IDs: []string{one}}, {Object: "Account", All: true, Children: []api.Select{{Object: "Contacts"}}}} {
		if _, err := sweep.StartJob(t.Context(), c, s); code(err) != "INVALID_REQUEST" {
			t.Errorf("%+v: %v", s, err)
		}
	}
}
