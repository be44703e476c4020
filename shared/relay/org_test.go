package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sfrelay/shared/relay"
)

// answering is an org that answers every request but the login with this.
func answering(t *testing.T, status int, answer string) *relay.Org {
	t.Helper()
	return served(t, func(*http.Request, []byte) (int, string) { return status, answer })
}

func served(t *testing.T, answer func(*http.Request, []byte) (int, string)) *relay.Org {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.HasSuffix(r.URL.Path, "/token") {
			_, _ = io.WriteString(w, `{"access_token":"x","instance_url":"http://`+r.Host+`","token_type":"Bearer"}`)
			return
		}
		status, text := answer(r, body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	org, err := relay.NewOrg(server.URL, func(context.Context) (string, error) { return `{"clientId":"app","clientSecret":"word"}`, nil })
	if err != nil {
		t.Fatal(err)
	}
	return org
}

// Only the answer that Salesforce gives for an unknown object says that it is not there.
func TestAnEventIsThereOrNot(t *testing.T) {
	for _, c := range []struct {
		status int
		answer string
		there  bool
		err    string
	}{
		{200, `{"name":"Note__e"}`, true, ""},
		{404, `[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]`, false, ""},
		{403, `[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]`, false, "REQUEST_LIMIT_EXCEEDED"},
		{503, `<html>`, false, "503"},
	} {
		there, err := answering(t, c.status, c.answer).IsThere(t.Context(), "Note__e")
		if there != c.there || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%d: %v, %v", c.status, there, err)
		}
	}
}

// A probe sets its id and what the definition requires, and nothing else.
func TestAProbeFillsWhatTheEventRequires(t *testing.T) {
	const definition = `{"fields":[{"name":"EventUuid","type":"string","nillable":false,"createable":false},{"name":"Event_Id__c","type":"string","nillable":true,"createable":true},
		{"name":"Sku__c","type":"string","nillable":false,"createable":true},{"name":"On_Hand__c","type":"double","nillable":false,"createable":true},
		{"name":"At__c","type":"datetime","nillable":false,"createable":true},{"name":"Day__c","type":"date","nillable":false,"createable":true},
		{"name":"Open__c","type":"boolean","nillable":false,"createable":true,"defaultedOnCreate":true},{"name":"Unit__c","type":"string","nillable":true,"createable":true}]}`
	var sent map[string]any
	org := served(t, func(r *http.Request, body []byte) (int, string) {
		if r.Method == http.MethodPost && r.URL.Path == "/services/data/v66.0/sobjects/Note__e" {
			_ = json.Unmarshal(body, &sent)
			return 201, `{"id":"e01000000000001AAA","success":true,"errors":[{"statusCode":"OPERATION_ENQUEUED","message":"a1b2","fields":[]}]}`
		}
		return 200, definition
	})
	uuid, err := org.Probe(t.Context(), "Note__e", "sfrelay-probe-1")
	got, _ := json.Marshal(sent)
	if want := `{"At__c":"1970-01-01T00:00:00.000Z","Day__c":"1970-01-01","Event_Id__c":"sfrelay-probe-1","On_Hand__c":0,"Sku__c":"-"}`; err != nil || uuid != "a1b2" || string(got) != want {
		t.Errorf("%q, %v, %s", uuid, err, got)
	}
	if _, err := answering(t, 200, `{"fields":[{"name":"Sku__c"}]}`).Probe(t.Context(), "Note__e", "sfrelay-probe-1"); err == nil || !strings.Contains(err.Error(), "no field Event_Id__c") {
		t.Errorf("%v", err)
	}
}

// Salesforce says in three ways that a user may not publish. Each names the permission set.
func TestWhoMayNotPublish(t *testing.T) {
	for _, c := range []struct {
		status int
		answer string
		want   string
	}{
		{403, `[{"errorCode":"INSUFFICIENT_ACCESS","message":"no"}]`, "Sfrelay_Publisher"},
		{404, `[{"errorCode":"NOT_FOUND","message":"no"}]`, "Sfrelay_Publisher"},
		{201, `{"success":false,"errors":[{"statusCode":"CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY","message":"no"}]}`, "Sfrelay_Publisher"},
		{201, `{"success":false,"errors":[]}`, "no success"},
		{400, `[{"errorCode":"LIMIT_EXCEEDED","message":"no"}]`, "LIMIT_EXCEEDED: no"},
	} {
		org := served(t, func(r *http.Request, _ []byte) (int, string) {
			if r.Method == http.MethodPost {
				return c.status, c.answer
			}
			return 200, `{"fields":[{"name":"Event_Id__c"}]}`
		})
		_, err := org.Probe(t.Context(), "Note__e", "sfrelay-probe-1")
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "Sfrelay_Publisher") != (c.want == "Sfrelay_Publisher") {
			t.Errorf("%s: %v", c.answer, err)
		}
	}
}

// What the org does not let its user do names the right, and only that does.
func TestARefusalNamesTheRight(t *testing.T) {
	for answer, want := range map[string]string{
		`[{"errorCode":"INSUFFICIENT_ACCESS_OR_READONLY","message":"no"}]`:                                                 "Customize Application",
		`[{"errorCode":"INVALID_TYPE","message":"sObject type 'NamedCredential' is not supported."}]`:                      "Customize Application",
		`[{"errorCode":"FIELD_INTEGRITY_EXCEPTION","message":"Cannot create a component with namespace: Sfrelay_Events"}]`: "two underscores",
		`[{"errorCode":"FIELD_INTEGRITY_EXCEPTION","message":"The event channel is used by another event relay"}]`:         "",
	} {
		err := answering(t, 400, answer).Create(t.Context(), "NamedCredential", "x", nil)
		if err == nil || want != "" && !strings.Contains(err.Error(), want) || want == "" && strings.Contains(err.Error(), "; correct ") {
			t.Errorf("%s: %v", answer, err)
		}
	}
	v := relay.View{Unseen: []string{"allocations: no", "relays: INVALID_TYPE"}}
	if blind := v.Blind(); !strings.HasPrefix(blind, "relays: INVALID_TYPE; ") || !strings.Contains(blind, "View Setup and Configuration") {
		t.Errorf("%q", blind)
	}
	if v.Unseen = v.Unseen[:1]; v.Blind() != "" {
		t.Error("allocations are not needed")
	}
}

// A session that has ended is renewed once; a request that is refused with a new one is refused.
func TestASessionIsRenewedOnce(t *testing.T) {
	logins, calls, refuse := 0, 0, 1
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/services/oauth2/token" {
			logins++
			_, _ = io.WriteString(w, `{"access_token":"t","instance_url":"http://`+r.Host+`"}`)
			return
		}
		if calls++; calls <= refuse {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]`)
			return
		}
		_, _ = io.WriteString(w, `{}`)
	}))
	defer server.Close()
	org, err := relay.NewOrg(server.URL, func(context.Context) (string, error) { return `{"clientId":"a","clientSecret":"b"}`, nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := org.Call(t.Context(), "limits", http.MethodGet, "limits", nil, nil); err != nil || logins != 2 || calls != 2 {
		t.Errorf("%v after %d logins and %d calls", err, logins, calls)
	}
	refuse = 100
	err = org.Call(t.Context(), "limits", http.MethodGet, "limits", nil, nil)
	if no, ok := errors.AsType[*relay.Refused](err); !ok || no.Code != "INVALID_SESSION_ID" || calls != 4 {
		t.Errorf("%v after %d calls", err, calls)
	}
}
