package orgsandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"sfrelay/shared/salesforce/api"
	"sfrelay/shared/salesforce/sweep"
	orgsandbox "sfrelay/shared/sandbox/org"
)

// Our own client and the sandbox were written apart: each is the other's judge.
func TestOurOwnClient(t *testing.T) {
	org := orgsandbox.New(orgsandbox.Options{})
	server := httptest.NewServer(org)
	defer server.Close()
	c := org.Credentials()
	for what, keys := range map[string]map[string]string{
		"JWT":                {"clientId": c.ConsumerKey, "username": c.Username, "privateKey": c.PrivateKey, "audience": server.URL},
		"client credentials": {"clientId": c.ConsumerKey, "clientSecret": c.ConsumerSecret},
	} {
		secret, err := json.Marshal(keys)
		if err != nil {
			t.Fatal(err)
		}
		client, err := api.New(func(context.Context) (string, error) { return string(secret), nil }, server.URL)
		if err != nil {
			t.Fatal(err)
		}
		const alpha, nobody = "0015f0000200001AAA", "0015f0000299999AAA"
		found, err := client.Retrieve(t.Context(), "Account", []string{alpha, nobody}, []string{"Name", "Phone"})
		if err != nil || len(found) != 1 || found[alpha] == nil {
			t.Fatalf("%s: retrieve: %v, %v", what, found, err)
		}
		if v, ok := found[alpha].Value("Name"); !ok || string(v) != `"Alpha Example Ltd"` {
			t.Errorf("%s: name %s, %t", what, v, ok)
		}
		rows := 0
		if err := client.Query(t.Context(), api.Select{Object: "Account", Fields: []string{"Name"}, All: true}, func(*api.Record) error { rows++; return nil }); err != nil || rows == 0 {
			t.Errorf("%s: query: %d rows, %v", what, rows, err)
		}
		_, err = client.Retrieve(t.Context(), "Account", []string{alpha}, []string{"No_Such_Field__c"})
		if e, ok := errors.AsType[*api.Error](err); !ok || e.Temporary() || e.Code != "INVALID_FIELD" {
			t.Errorf("%s: an unknown field: %v", what, err)
		}
		now := time.Now()
		if w, err := sweep.Updated(t.Context(), client, "Account", now.Add(-time.Hour), now); err != nil || w.Covered.IsZero() {
			t.Errorf("%s: updated: %+v, %v", what, w, err)
		}
		if fates, err := client.Fates(t.Context(), "Account", []string{alpha}); err != nil || fates[alpha].Deleted {
			t.Errorf("%s: fates: %+v, %v", what, fates, err)
		}
		job, err := sweep.StartJob(t.Context(), client, api.Select{Object: "Account", Fields: []string{"Name"}, All: true})
		if err != nil {
			t.Fatalf("%s: bulk: %v", what, err)
		}
		for try := 0; ; try++ {
			done, err := sweep.JobDone(t.Context(), client, job)
			if err != nil || try > 100 {
				t.Fatalf("%s: job %s: %v after %d tries", what, job, err, try)
			}
			if done {
				break
			}
		}
		bulk := 0
		for locator, pages := "", 0; ; pages++ {
			next, err := sweep.JobRows(t.Context(), client, job, locator, func(_, _ []string) error { bulk++; return nil })
			if err != nil || pages > 100 {
				t.Fatalf("%s: rows: %v", what, err)
			}
			if locator = next; next == "" {
				break
			}
		}
		if bulk != rows {
			t.Errorf("%s: %d rows in bulk, %d by query", what, bulk, rows)
		}
	}
}

// What goes wrong with an org, our client names: what passes, what a person has to mend,
// and what became of a record that is not there.
func TestOurOwnClientAndFaults(t *testing.T) {
	org := orgsandbox.New(orgsandbox.Options{})
	server := httptest.NewServer(org)
	defer server.Close()
	c := org.Credentials()
	secret, err := json.Marshal(map[string]string{"clientId": c.ConsumerKey, "clientSecret": c.ConsumerSecret})
	if err != nil {
		t.Fatal(err)
	}
	client, err := api.New(func(context.Context) (string, error) { return string(secret), nil }, server.URL)
	if err != nil {
		t.Fatal(err)
	}
	const alpha, beta = "0015f0000200001AAA", "0015f0000200002AAA"
	retrieve := func() (map[string]*api.Record, error) {
		return client.Retrieve(t.Context(), "Account", []string{alpha, beta}, []string{"Name", "Phone"})
	}
	if found, err := retrieve(); err != nil || len(found) != 2 {
		t.Fatalf("%v, %v", found, err)
	}
	for _, f := range []struct {
		fault       orgsandbox.Fault
		code, field string
		temporary   bool
	}{
		{orgsandbox.Fault{Name: "session-expired"}, "", "", false}, // it logs in again
		{orgsandbox.Fault{Name: "html-unavailable"}, "", "", true},
		{orgsandbox.Fault{Name: "hidden-field", Object: "Account", Field: "Phone"}, "INVALID_FIELD", "Phone", false},
	} {
		if err := org.Break(f.fault); err != nil {
			t.Fatal(err)
		}
		_, err := retrieve()
		org.Mend()
		if f.fault.Name == "session-expired" {
			if err != nil {
				t.Errorf("an expired session: %v", err)
			}
			continue
		}
		e, ok := errors.AsType[*api.Error](err)
		if !ok || f.code != "" && e.Code != f.code || e.Field != f.field || e.Temporary() != f.temporary {
			t.Errorf("%s: %v, %+v", f.fault.Name, err, e)
		}
	}
	if err := org.Merge(alpha, beta); err != nil {
		t.Fatal(err)
	}
	found, err := retrieve()
	if err != nil || len(found) != 1 || found[beta] != nil {
		t.Errorf("after a merge: %v, %v", found, err)
	}
	fates, err := client.Fates(t.Context(), "Account", []string{alpha, beta})
	if err != nil || fates[alpha].Deleted || !fates[beta].Deleted || fates[beta].Master != alpha {
		t.Errorf("fates %+v, %v", fates, err)
	}
	if err := org.HardDelete(beta); err != nil {
		t.Fatal(err)
	}
	if fates, err = client.Fates(t.Context(), "Account", []string{beta}); err != nil || len(fates) != 0 {
		t.Errorf("of what is gone for good: %+v, %v", fates, err)
	}
	// More rows than a page, in one statement.
	for i := range 2500 {
		if _, err := org.Insert("Account", map[string]any{"Name": strconv.Itoa(i)}); err != nil {
			t.Fatal(err)
		}
	}
	rows := 0
	err = client.Query(t.Context(), api.Select{Object: "Account", Fields: []string{"Name"}, All: true}, func(*api.Record) error { rows++; return nil })
	if err != nil || rows < 2500 {
		t.Errorf("%d rows, %v", rows, err)
	}
	// The day's requests are used up: it says so once, and does not ask any more.
	if err := org.Break(orgsandbox.Fault{Name: "request-limit"}); err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{"REQUEST_LIMIT_EXCEEDED", "BRAKE"} {
		before := len(org.State().Requests)
		_, err := retrieve()
		if e, ok := errors.AsType[*api.Error](err); !ok || e.Code != code || !e.Temporary() || code == "BRAKE" && len(org.State().Requests) != before {
			t.Errorf("%v, want %s", err, code)
		}
	}
}
