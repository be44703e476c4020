// Package relay says how Event Relay does between an org and an AWS account. It asks both
// sides, because each may look well alone.
package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sfrelay/shared/salesforce/login"
)

const (
	api       = "/services/data/v66.0/"
	maxAnswer = 8 << 20 // bytes; a description of Account has 300 KB
	maxTime   = 30 * time.Second
)

// Org is the Salesforce side, as the user of its credentials.
type Org struct {
	base    *url.URL
	http    *http.Client
	session *login.Session
}

// Refused is what the org says to a request that it does not grant.
type Refused struct {
	What, Code, Message string
	Setting             string // what to correct, where the org says it
}

func (e *Refused) Error() string {
	s := "Salesforce, " + e.What + ": " + e.Code
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Setting != "" {
		s += "; correct " + e.Setting
	}
	return s
}

// NewOrg is the org at its My Domain address. secret reads its credentials, in the form of
// SALESFORCE_SECRET.
func NewOrg(address string, secret func(context.Context) (string, error)) (*Org, error) {
	u, err := url.Parse(strings.TrimRight(address, "/"))
	if err != nil || u.Host == "" || u.Path != "" {
		return nil, errors.New("--org: want the My Domain address of the org, e.g. https://example.my.salesforce.com; see Setup, My Domain")
	}
	local := u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return nil, errors.New("--org: want https; plain http is for a sandbox on loopback")
	}
	client := &http.Client{
		Timeout:       maxTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the session does not leave for another host
	}
	return &Org{u, client, login.New(u, client, secret)}, nil
}

// Call makes a request and reads its answer into a value, unless that is nil. path begins
// behind the version. A session that has ended is renewed once. A refusal is a *Refused.
func (o *Org) Call(ctx context.Context, what, method, path string, body, into any) error {
	ended := ""
	for {
		token, no := o.session.Token(ctx, ended)
		if no != nil {
			return &Refused{What: "login", Code: no.Code, Setting: no.Setting}
		}
		status, err := o.call(ctx, token, what, method, path, body, into)
		if status != http.StatusUnauthorized || ended != "" {
			return err
		}
		ended = token
	}
}

func (o *Org) call(ctx context.Context, token, what, method, path string, body, into any) (status int, err error) {
	var text []byte
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			return 0, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, o.base.String()+api+path, bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := o.http.Do(req)
	if err != nil {
		return 0, &Refused{What: what, Code: login.NoAnswer, Message: login.Cause(err).Error()}
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, err
	}
	if resp.StatusCode >= 300 {
		var list []struct{ ErrorCode, Message string }
		if json.Unmarshal(answer, &list) != nil || len(list) == 0 {
			return resp.StatusCode, &Refused{What: what, Code: resp.Status}
		}
		return resp.StatusCode, &Refused{What: what, Code: list[0].ErrorCode, Message: list[0].Message}
	}
	if into == nil || len(answer) == 0 {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.Unmarshal(answer, into)
}

// Rows are those of a statement, of one page: no list here is longer.
func Rows[T any](ctx context.Context, o *Org, soql string) ([]T, error) {
	var page struct{ Records []T }
	path := "query?" + url.Values{"q": {soql}}.Encode()
	_, object, _ := strings.Cut(soql, " FROM ")
	object, _, _ = strings.Cut(object, " ")
	if strings.HasPrefix(object, "PlatformEventChannel") || object == "NamedCredential" {
		path = "tooling/" + path
	}
	err := o.Call(ctx, "query "+object, http.MethodGet, path, nil, &page)
	return page.Records, err
}

// Create makes a component by the Tooling API.
func (o *Org) Create(ctx context.Context, object, name string, metadata map[string]any) error {
	return o.Call(ctx, "create "+object+" "+name, http.MethodPost, "tooling/sobjects/"+object, map[string]any{"FullName": name, "Metadata": metadata}, nil)
}

// Remove deletes a component.
func (o *Org) Remove(ctx context.Context, object, id string) error {
	return o.Call(ctx, "delete "+object, http.MethodDelete, "tooling/sobjects/"+object+"/"+url.PathEscape(id), nil, nil)
}

// SetState asks a relay to run, pause or stop; it follows in some minutes.
func (o *Org) SetState(ctx context.Context, r *Config, state string) error {
	return o.Call(ctx, fmt.Sprintf("set %s to %s", r.DeveloperName, state), http.MethodPatch, "tooling/sobjects/EventRelayConfig/"+url.PathEscape(r.ID),
		map[string]any{"Metadata": map[string]any{"state": state}}, nil)
}

// Fields are the names of those that the user sees of an object.
func (o *Org) Fields(ctx context.Context, object string) (map[string]bool, error) {
	var d struct{ Fields []struct{ Name string } }
	err := o.Call(ctx, "describe "+object, http.MethodGet, "sobjects/"+url.PathEscape(object)+"/describe", nil, &d)
	names := map[string]bool{}
	for _, f := range d.Fields {
		names[f.Name] = true
	}
	return names, err
}
