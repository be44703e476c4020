// Package api asks a Salesforce org for records over its REST API, as the integration user
// that a secret names. It only reads.
//
// It retries nothing but a call whose session had ended: who calls has a queue. Statements
// are made of checked ids and API names, never of values.
package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"sfrelay/shared/config"
)

const (
	resources = "/services/data/v66.0/"
	maxAnswer = 32 << 20 // bytes of an answer: 600,000 ids are 13 MB
)

// ErrNotConfigured is what a nil Client answers.
var ErrNotConfigured error = &Error{What: "ask", Code: codeInvalid, Setting: "SALESFORCE_URL and SALESFORCE_SECRET, which are not set"}

// Client asks one org. It is safe for concurrent use.
type Client struct {
	org     *url.URL // scheme and host only
	http    *http.Client
	secret  func(context.Context) (string, error)
	session *session
	usage   *usage
	purpose Purpose
}

// FromEnv is the client of the org that the environment names, nil where it names none.
// secret reads a secret by its name or ARN. What is wrong, r says; then the client is nil.
func FromEnv(r *config.Reader, secret func(nameOrARN string) func(context.Context) (string, error)) *Client {
	address, name := r.Optional("SALESFORCE_URL", ""), r.Optional("SALESFORCE_SECRET", "")
	switch {
	case address == "" && name == "":
		return nil
	case name == "":
		r.Required("SALESFORCE_SECRET", "the name or ARN of the secret with the credentials of the org in SALESFORCE_URL")
		return nil
	}
	c, err := New(secret(name), address)
	r.Check("SALESFORCE_URL", err)
	return c
}

// New asks the org at its My Domain address, e.g. https://example.my.salesforce.com, for
// the purpose Fetch. The secret is read with every login, because it may be rotated.
func New(secret func(context.Context) (string, error), address string) (*Client, error) {
	u, err := url.Parse(strings.TrimRight(address, "/"))
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("want the My Domain address of the org without a path, e.g. https://example.my.salesforce.com")
	case u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback()):
		return nil, errors.New("want https: plain http would send the credentials in the clear and is taken for loopback only")
	case strings.EqualFold(u.Hostname(), "login.salesforce.com") || strings.EqualFold(u.Hostname(), "test.salesforce.com"):
		return nil, errors.New("want the org's own address: find it in Setup, My Domain")
	}
	return &Client{org: u, secret: secret, session: &session{free: make(chan struct{}, 1)}, usage: new(usage), purpose: Fetch, http: &http.Client{
		Transport: http.DefaultTransport.(*http.Transport).Clone(),
		// The session does not leave for another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// For is the same client, with its session and its count, for another purpose.
func (c *Client) For(p Purpose) *Client {
	if c == nil {
		return nil
	}
	other := *c
	other.purpose = p
	return &other
}

// request is what is asked. what names it for people, without ids and values.
type request struct {
	what, path string // path: below resources, or of the host where it begins with a slash
	query      url.Values
	body       string   // makes it a POST
	fields     []string // that are asked for
}

// ask makes a request, and makes it once more if its session had ended. Who gets an answer
// closes it; it is a success.
func (c *Client) ask(ctx context.Context, r request) (*http.Response, error) {
	if c == nil {
		return nil, ErrNotConfigured
	}
	if used, most, over := c.usage.over(c.purpose); over {
		return nil, &Error{What: r.what, Code: codeBrake, Used: used, Most: most}
	}
	resp, token, err := c.once(ctx, r, "")
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusUnauthorized && token != "" {
		resp, _, err = c.once(ctx, r, token)
	}
	return resp, err
}

func (c *Client) once(ctx context.Context, r request, ended string) (resp *http.Response, token string, err error) {
	if token, err = c.token(ctx, ended); err != nil {
		return nil, "", err
	}
	u := url.URL{Scheme: c.org.Scheme, Host: c.org.Host, Path: r.path, RawQuery: r.query.Encode()}
	if !strings.HasPrefix(r.path, "/") {
		u.Path = resources + r.path
	}
	header := http.Header{"Authorization": {"Bearer " + token}}
	if r.body != "" {
		header.Set("Content-Type", "application/json")
	}
	if resp, err = c.send(ctx, r.what, u.String(), header, r.body); err != nil {
		return nil, token, err
	}
	used, most := c.usage.note(resp.Header.Get("Sforce-Limit-Info"))
	if resp.StatusCode < 300 {
		return resp, token, nil
	}
	defer resp.Body.Close()
	e := refusal(r, resp)
	if e.Code == codeLimit {
		used, most = c.usage.exhausted()
	}
	e.Used, e.Most = used, most
	return nil, token, e
}

// send makes one HTTP request, a POST if it has a body. Its errors leave the address out.
func (c *Client) send(ctx context.Context, what, address string, header http.Header, body string) (*http.Response, error) {
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, &Error{What: what, Code: codeInvalid}
	}
	req.Header = header
	resp, err := c.http.Do(req)
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if err != nil {
		return nil, &Error{What: what, Code: codeNoAnswer, Err: err}
	}
	return resp, nil
}

// text is the whole answer.
func (c *Client) text(ctx context.Context, r request) ([]byte, error) {
	resp, err := c.ask(ctx, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, &Error{What: r.what, Code: codeNoAnswer, Err: err}
	}
	if len(text) > maxAnswer {
		return nil, r.unreadable("the answer is longer than 32 MB")
	}
	return text, nil
}

// follow is the request for the next page. It stays at the org, whatever the answer says.
func (c *Client) follow(r request, next string) (request, error) {
	u, err := c.org.Parse(next)
	if err != nil || u.Scheme != c.org.Scheme || u.Host != c.org.Host || u.User != nil || !strings.HasPrefix(u.Path, "/services/data/") {
		return r, &Error{What: r.what, Code: codeForeign}
	}
	return request{what: r.what, path: u.Path, query: u.Query(), fields: r.fields}, nil
}
