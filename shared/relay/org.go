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

// version is that of the APIs, and Version its name in their list.
const (
	version = "66.0"
	Version = "v" + version
)

const (
	api       = "/services/data/" + Version + "/"
	maxAnswer = 8 << 20 // bytes; a description of Account has 300 KB
	maxTime   = 30 * time.Second
)

// Org is the Salesforce side, as the user of its credentials.
type Org struct {
	base    *url.URL
	http    *http.Client
	session *login.Session
	skew    time.Duration
}

// Skew is by how much the clock of this machine is before that of the org, to the second, as
// the last answer said it.
func (o *Org) Skew() time.Duration { return o.skew }

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
		s += "; correct " + e.Setting + screenOf(e.Setting)
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
	return &Org{base: u, http: client, session: login.New(u, client, secret)}, nil
}

// Call makes a request and reads its answer into a value, unless that is nil. path begins
// behind the version. A session that has ended is renewed once. A refusal is a *Refused.
func (o *Org) Call(ctx context.Context, what, method, path string, body, into any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	status, answer, err := o.send(ctx, what, method, api+path, "application/json", func(string) []byte { return text })
	if err != nil {
		return err
	}
	if status >= 300 {
		var list []struct{ ErrorCode, Message string }
		if json.Unmarshal(answer, &list) != nil || len(list) == 0 {
			return &Refused{What: what, Code: statusText(status)}
		}
		return &Refused{What: what, Code: list[0].ErrorCode, Message: list[0].Message}
	}
	if into == nil || len(answer) == 0 {
		return nil
	}
	return json.Unmarshal(answer, into)
}

func statusText(status int) string { return fmt.Sprint(status, " ", http.StatusText(status)) }

// send makes a request whose body may hold the token of the session.
func (o *Org) send(ctx context.Context, what, method, path, kind string, body func(token string) []byte) (status int, answer []byte, err error) {
	for ended := ""; ; {
		token, no := o.session.Token(ctx, ended)
		if no != nil {
			return 0, nil, &Refused{What: "login", Code: no.Code, Setting: no.Setting}
		}
		if status, answer, err = o.try(ctx, token, what, method, path, kind, body(token)); status != http.StatusUnauthorized || ended != "" {
			return status, answer, err
		}
		ended = token
	}
}

func (o *Org) try(ctx context.Context, token, what, method, path, kind string, body []byte) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, o.base.String()+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", kind)
	if kind == "text/xml" {
		req.Header.Set("SOAPAction", `""`)
	}
	resp, err := o.http.Do(req)
	if err != nil {
		return 0, nil, &Refused{What: what, Code: login.NoAnswer, Message: login.Cause(err).Error()}
	}
	defer resp.Body.Close()
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		o.skew = time.Since(at).Truncate(time.Second)
	}
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, answer, err
}

// User is the id of the user of the credentials.
func (o *Org) User(ctx context.Context) (string, error) {
	var r struct{ Identity string }
	err := o.Call(ctx, "resources", http.MethodGet, "", nil, &r)
	return r.Identity[strings.LastIndex(r.Identity, "/")+1:], err
}

// Versions are those of the API that the org serves, e.g. v66.0.
func (o *Org) Versions(ctx context.Context) (names []string, err error) {
	status, answer, err := o.send(ctx, "versions", http.MethodGet, "/services/data", "application/json", func(string) []byte { return nil })
	if err != nil {
		return nil, err
	}
	var list []struct{ Version string }
	if status != http.StatusOK || json.Unmarshal(answer, &list) != nil {
		return nil, &Refused{What: "versions", Code: statusText(status)}
	}
	for _, v := range list {
		names = append(names, "v"+v.Version)
	}
	return names, nil
}

// Rows are those of a statement, of one page: no list here is longer.
func Rows[T any](ctx context.Context, o *Org, soql string) ([]T, error) {
	var page struct{ Records []T }
	path := "query?" + url.Values{"q": {soql}}.Encode()
	_, object, _ := strings.Cut(soql, " FROM ")
	object, _, _ = strings.Cut(object, " ")
	if strings.HasPrefix(object, "PlatformE") || object == "NamedCredential" { // channels, members, settings of encryption
		path = "tooling/" + path
	}
	err := o.Call(ctx, "query "+object, http.MethodGet, path, nil, &page)
	return page.Records, err
}

// Create makes a component by the Tooling API.
func (o *Org) Create(ctx context.Context, object, name string, metadata map[string]any) error {
	return customizer(o.Call(ctx, "create "+object+" "+name, http.MethodPost, "tooling/sobjects/"+object, map[string]any{"FullName": name, "Metadata": metadata}, nil))
}

// IsThere reports whether the org has an object, a platform event for example, that the user
// may see: Salesforce says no difference.
func (o *Org) IsThere(ctx context.Context, object string) (bool, error) {
	err := o.Call(ctx, "describe "+object, http.MethodGet, "sobjects/"+url.PathEscape(object)+"/describe", nil, nil)
	if no, ok := errors.AsType[*Refused](err); ok && no.Code == "NOT_FOUND" {
		return false, nil
	}
	return err == nil, err
}

// Remove deletes a component.
func (o *Org) Remove(ctx context.Context, object, id string) error {
	return customizer(o.Call(ctx, "delete "+object, http.MethodDelete, "tooling/sobjects/"+object+"/"+url.PathEscape(id), nil, nil))
}

// SetState asks a relay to run, pause or stop; it follows in some minutes.
func (o *Org) SetState(ctx context.Context, r *Config, state string) error {
	return customizer(o.Call(ctx, fmt.Sprintf("set %s to %s", r.DeveloperName, state), http.MethodPatch, "tooling/sobjects/EventRelayConfig/"+url.PathEscape(r.ID),
		map[string]any{"Metadata": map[string]any{"state": state}}, nil))
}

// Change sets one member of the metadata of a component. A PATCH replaces all of them, so it
// reads them first.
func (o *Org) Change(ctx context.Context, object, id, member string, value any) error {
	path := "tooling/sobjects/" + object + "/" + url.PathEscape(id)
	var now struct{ Metadata map[string]any }
	if err := o.Call(ctx, "read "+object, http.MethodGet, path, nil, &now); err != nil {
		return err
	}
	if now.Metadata == nil {
		return &Refused{What: "read " + object, Code: "no metadata"}
	}
	now.Metadata[member] = value
	return customizer(o.Call(ctx, "change "+object, http.MethodPatch, path, map[string]any{"Metadata": now.Metadata}, nil))
}

// AddMember puts an event into a channel.
func (o *Org) AddMember(ctx context.Context, k Kind, event string) error {
	// Two underscores in a row look like a namespace.
	name := k.Name + "_chn_" + strings.ReplaceAll(event, "__", "_")
	return o.Create(ctx, "PlatformEventChannelMember", name, map[string]any{"eventChannel": k.Name + "__chn", "selectedEntity": event})
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
