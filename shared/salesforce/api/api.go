// Package api asks a Salesforce org for records over its REST API, as the integration user
// that a secret names. It only reads.
//
// It retries nothing but a call whose session had ended: who calls has a queue. Statements
// are made of checked ids and API names, never of values.
package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"sfrelay/shared/config"
	"sfrelay/shared/salesforce/login"
)

const (
	resources = "/services/data/v66.0/"
	maxAnswer = 32 << 20 // bytes of an answer: 600,000 ids are 13 MB
)

// ErrNotConfigured is what a nil Client answers.
var ErrNotConfigured error = &Error{What: "ask", Code: InvalidRequest, Setting: "SALESFORCE_URL and SALESFORCE_SECRET, which are not set"}

// Client asks one org. It is safe for concurrent use.
type Client struct {
	org     *url.URL // scheme and host only
	http    *http.Client
	session *login.Session
	usage   *usage
	purpose Purpose
}

// FromEnv is the client of the org that the environment names, nil where it names none.
// secret reads a secret by its name or ARN. What is wrong, r says; then the client is nil.
func FromEnv(r *config.Reader, secret func(nameOrARN string) func(context.Context) (string, error)) *Client {
	address, name := r.Optional("SALESFORCE_URL", ""), r.Optional("SALESFORCE_SECRET", "")
	if name == "" {
		if address != "" {
			r.Required("SALESFORCE_SECRET", "the name or ARN of the secret with the credentials of the org in SALESFORCE_URL")
		}
		return nil
	}
	c, err := New(secret(name), address)
	r.Check("SALESFORCE_URL", err)
	return c
}

// New asks the org at its My Domain address, e.g. https://example.my.salesforce.com, for
// the purpose Fetch. The secret is read with every login, because it may be rotated.
func New(secret func(context.Context) (string, error), address string) (*Client, error) {
	address = strings.TrimRight(address, "/")
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || address != u.Scheme+"://"+u.Host {
		return nil, errors.New("want the My Domain address of the org and nothing else, e.g. https://example.my.salesforce.com")
	}
	host := strings.ToLower(u.Hostname())
	local := host == "localhost" || net.ParseIP(host).IsLoopback()
	if host == "login.salesforce.com" || host == "test.salesforce.com" || u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return nil, errors.New("want the org's own address, from Setup, My Domain, with https: plain http would send the credentials in the clear and is taken for loopback only")
	}
	plain := &http.Client{
		Transport: http.DefaultTransport.(*http.Transport).Clone(),
		// The session does not leave for another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Client{u, plain, login.New(u, plain, secret), new(usage), Fetch}, nil
}

// For is the same client, with its session and its count, for another purpose.
func (c *Client) For(p Purpose) *Client {
	if c != nil {
		other := *c
		c, other.purpose = &other, p
	}
	return c
}

// Request is what is asked. It is a POST if it has a body.
type Request struct {
	What   string // names it for people, without ids and values
	Path   string // below /services/data/v66.0/, or of the host where it begins with a slash
	Query  url.Values
	Body   string
	Fields []string // that are asked for
}

// Ask makes a request, and makes it once more if its session had ended. Who gets an answer
// closes it; it is a success.
func (c *Client) Ask(ctx context.Context, r Request) (*http.Response, error) {
	if c == nil {
		return nil, ErrNotConfigured
	}
	if used, most, over := c.usage.over(c.purpose); over {
		return nil, &Error{What: r.What, Code: codeBrake, Used: used, Most: most}
	}
	u := url.URL{Scheme: c.org.Scheme, Host: c.org.Host, Path: r.Path, RawQuery: r.Query.Encode()}
	if !strings.HasPrefix(r.Path, "/") {
		u.Path = resources + r.Path
	}
	for ended := ""; ; {
		token, e := c.session.Token(ctx, ended)
		if e != nil {
			return nil, &Error{What: "login", Status: e.Status, Code: e.Code, Setting: e.Setting, Err: e.Err}
		}
		resp, err := c.once(ctx, u.String(), r.Body, token)
		if err != nil {
			return nil, &Error{What: r.What, Code: login.NoAnswer, Err: login.Cause(err)}
		}
		if resp.StatusCode < 300 {
			c.usage.note(resp.Header, false)
			return resp, nil
		}
		no := refusal(r, resp)
		no.Used, no.Most = c.usage.note(resp.Header, no.Code == codeLimit)
		if no.Status != http.StatusUnauthorized || ended != "" {
			return nil, no
		}
		ended = token
	}
}

func (c *Client) once(ctx context.Context, address, body, token string) (*http.Response, error) {
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}}
	return c.http.Do(req)
}

// Text is the whole answer.
func (c *Client) Text(ctx context.Context, r Request) ([]byte, error) {
	resp, err := c.Ask(ctx, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, &Error{What: r.What, Code: login.NoAnswer, Err: err}
	}
	if len(text) > maxAnswer {
		return nil, r.Unreadable("the answer is longer than 32 MB")
	}
	return text, nil
}

// follow is the request for the next page. It stays at the org, whatever the answer says.
func (c *Client) follow(r Request, next string) (Request, error) {
	u, err := c.org.Parse(next)
	if err != nil || u.Scheme != c.org.Scheme || u.Host != c.org.Host || u.User != nil || !strings.HasPrefix(u.Path, "/services/data/") {
		return r, &Error{What: r.What, Code: login.Foreign}
	}
	return Request{What: r.What, Path: u.Path, Query: u.Query(), Fields: r.Fields}, nil
}
