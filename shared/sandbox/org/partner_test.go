package orgsandbox_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	orgsandbox "sfrelay/shared/sandbox/org"
)

// EventBridge's side is strict where the documents are clear.
func TestPartnerSources(t *testing.T) {
	now := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	org := orgsandbox.New(orgsandbox.Options{Now: func() time.Time { return now }})
	server := httptest.NewServer(org)
	defer server.Close()
	token := login(t, org, server.URL)
	tooling := func(object, body string) {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/services/data/v66.0/tooling/sobjects/"+object, strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != http.StatusCreated {
			t.Fatalf("%s: %v, %v", object, resp, err)
		}
	}
	events := func(operation, body string) string {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/aws", strings.NewReader(body))
		req.Header.Set("X-Amz-Target", "AWSEvents."+operation)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		return string(text)
	}
	relay := func(n, endpoint string) {
		t.Helper()
		tooling("NamedCredential", `{"FullName":"C`+n+`","Metadata":{"label":"c","endpoint":"`+endpoint+`"}}`)
		tooling("PlatformEventChannel", `{"FullName":"A`+n+`__chn","Metadata":{"channelType":"event","label":"a"}}`)
		tooling("EventRelayConfig", `{"FullName":"A`+n+`","Metadata":{"destinationResourceName":"callout:C`+n+`","eventChannel":"A`+n+`__chn","label":"a"}}`)
	}
	relay("1", "arn:aws:eu-west-2:123456789012") // small letters
	relay("2", "arn:aws:EU-WEST-2:210987654321") // another account
	if got := events("ListEventSources", `{}`); got != `{"EventSources":[]}`+"\n" {
		t.Errorf("relays that lead elsewhere: %s", got)
	}
	relay("3", "arn:aws:EU-WEST-2:123456789012")
	list := events("ListEventSources", `{"NamePrefix":"aws.partner/salesforce.com/"}`)
	_, name, _ := strings.Cut(list, `"Name":"`)
	name, _, _ = strings.Cut(name, `"`)
	if !strings.HasPrefix(name, "aws.partner/salesforce.com/"+orgsandbox.OrgID+"/0YL") || !strings.Contains(list, `"State":"PENDING"`) {
		t.Fatal(list)
	}
	bus := func(name, source string) string {
		return events("CreateEventBus", `{"Name":"`+name+`","EventSourceName":"`+source+`"}`)
	}
	for _, c := range []struct{ got, want string }{
		{bus("mine", name), "ValidationException"},
		{bus(name+"x", name+"x"), "ResourceNotFoundException"},
		{bus(name, name), "EventBusArn"},
		{bus(name, name), "ResourceAlreadyExistsException"},
		{events("DescribeEventSource", `{"Name":"`+name+`"}`), `"State":"ACTIVE"`},
		{events("ActivateEventSource", `{"Name":"`+name+`"}`), "InvalidStateException"},
		{events("DeactivateEventSource", `{"Name":"`+name+`x"}`), "ResourceNotFoundException"},
		{events("DeactivateEventSource", `{"Name":"`+name+`"}`), "{}"},
		{events("DescribeEventSource", `{"Name":"`+name+`"}`), `"State":"PENDING"`},
		{bus(name, name), "ResourceAlreadyExistsException"},
		{events("ActivateEventSource", `{"Name":"`+name+`"}`), "{}"},
		{events("DescribeEventSource", `{"Name":"`+name+`"}`), `"State":"ACTIVE"`},
		{events("DeleteEventBus", `{"Name":"`+name+`"}`), "{}"},
		{events("DescribeEventSource", `{"Name":"`+name+`"}`), `"State":"PENDING"`},
		{events("ListRules", `{"EventBusName":"`+name+`"}`), "ResourceNotFoundException"},
		{events("PutEvents", `{}`), "UnknownOperationException"},
	} {
		if !strings.Contains(c.got, c.want) {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
	now = now.Add(7*24*time.Hour - time.Second)
	if got := events("DescribeEventSource", `{"Name":"`+name+`"}`); !strings.Contains(got, "PENDING") {
		t.Errorf("a second before seven days: %s", got)
	}
	now = now.Add(time.Second)
	if got := events("DescribeEventSource", `{"Name":"`+name+`"}`); !strings.Contains(got, "ResourceNotFoundException") {
		t.Errorf("after seven days: %s", got)
	}
}

func login(t *testing.T, org *orgsandbox.Org, url string) string {
	t.Helper()
	c := org.Credentials()
	resp, err := http.Post(url+"/services/oauth2/token", "application/x-www-form-urlencoded", strings.NewReader("grant_type=client_credentials&client_id="+c.ConsumerKey+"&client_secret="+c.ConsumerSecret))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	_, token, _ := strings.Cut(string(text), `"access_token":"`)
	token, _, _ = strings.Cut(token, `"`)
	return token
}
