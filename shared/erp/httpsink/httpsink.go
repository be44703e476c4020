// Package httpsink connects the ERP ports to any system that answers the HTTP sink
// contract (docs/reference/http-sink.openapi.yaml): PUT a full state, PATCH the winning
// fields, DELETE what is gone, each with the version of the change and the fencing
// token of the attempt.
package httpsink

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sfrelay/shared/config"
	"sfrelay/shared/erp"
	"sfrelay/shared/sink"
	"sfrelay/shared/sink/sinkhttp"
	"sfrelay/shared/verdict"
)

// maxAnswer is the most that is read of an answer, in bytes.
const maxAnswer = 64 << 10

// Client is one sink. It is safe for concurrent use.
type Client struct {
	base string
	key  *sinkhttp.Key
	http *http.Client
}

// FromEnv connects to the sink that the environment names. secret reads a secret by its
// name or ARN. What is wrong, r says; then the client is of no use.
func FromEnv(r *config.Reader, secret func(nameOrARN string) func(context.Context) (string, error)) *Client {
	r.Only("ERP", "http", "the ERP's protocol")
	base := r.URL("ERP_URL", "the base URL of the ERP's HTTP contract")
	name := r.Required("ERP_SECRET", "the name or ARN of the secret with the ERP's bearer key")
	if base == "" {
		return new(Client)
	}
	c, err := New(secret(name), base)
	if err != nil {
		r.Check("ERP_URL", err)
		return new(Client)
	}
	return c
}

// New connects to the sink at base, e.g. https://erp.example.com/sfrelay. The
// bearer key is read before the first call, kept, and read once more when the sink
// refuses it. Plain http is taken for loopback addresses only.
func New(key sinkhttp.ReadKey, base string) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the address of the ERP must be a scheme, a host and perhaps a path, e.g. https://erp.example.com/sfrelay")
	}
	ip := net.ParseIP(u.Hostname())
	if loopback := u.Hostname() == "localhost" || ip.IsLoopback(); u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return nil, errors.New("the address of the ERP must be https; plain http would send the key in the clear and is taken for loopback only")
	}
	return &Client{base: strings.TrimRight(base, "/"), key: sinkhttp.NewKey(key), http: sinkhttp.NewClient()}, nil
}

// Prepare implements sink.Preparer for both ports.
func (c *Client) Prepare(ctx context.Context) { sinkhttp.Prepare(ctx, c.key, c.http, c.base) }

// contract: the sink compares epochs and versions itself, so an attempt in doubt
// is simply sent again.
var contract = sink.Contract{Fenced: true, Versioned: true, Effect: 10 * time.Second}

// Customers is the port erp.Customers at the sink.
func (c *Client) Customers() erp.Customers { return customers{c} }

type customers struct{ *Client }

func (customers) Contract() sink.Contract { return contract }

func (c customers) Put(ctx context.Context, ref sink.Ref, accountID string, v erp.Customer) (sink.Receipt, error) {
	return c.record(ctx, http.MethodPut, ref, accountID, emptied(v))
}

func (c customers) Patch(ctx context.Context, ref sink.Ref, accountID string, v erp.Customer) (sink.Receipt, error) {
	return c.record(ctx, http.MethodPatch, ref, accountID, emptied(v))
}

func (c customers) Delete(ctx context.Context, ref sink.Ref, accountID string) (sink.Receipt, error) {
	return c.record(ctx, http.MethodDelete, ref, accountID, nil)
}

// emptied sends null for an empty text: to Salesforce both are no value.
func emptied(v erp.Customer) erp.Customer {
	b, s := &v.BillingAddress, &v.ShippingAddress
	for _, f := range []*sink.Field[string]{
		&v.Name, &v.Number, &v.Status, &v.Phone, &v.Website, &v.Email, &v.TaxNumber, &v.Currency,
		&b.Street, &b.City, &b.State, &b.PostalCode, &b.Country, &s.Street, &s.City, &s.State, &s.PostalCode, &s.Country,
	} {
		f.Null = f.Null || f.Present && f.Value == ""
	}
	extra := v.Extra
	v.Extra = nil
	for name, f := range extra {
		if v.Extra == nil {
			v.Extra = make(map[string]sink.Field[string], len(extra))
		}
		f.Null = f.Null || f.Present && f.Value == ""
		v.Extra[name] = f
	}
	return v
}

func (c customers) record(ctx context.Context, method string, ref sink.Ref, id string, body any) (sink.Receipt, error) {
	if len(id) != 18 || strings.ContainsFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return sink.Receipt{}, refused("invalid-key", "a customer's key is the 18-character id of its account")
	}
	return c.send(ctx, ref, operation{method: method, kind: "customer", key: id, content: body})
}

// Stock is the port erp.Stock at the sink.
func (c *Client) Stock() erp.Stock { return stock{c} }

type stock struct{ *Client }

func (stock) Contract() sink.Contract { return contract }

// Set is a PUT of stock. Neither the SKU nor the warehouse may hold an at sign:
// the key joins the two with it, and a@b at c would be the same key as a at b@c.
func (s stock) Set(ctx context.Context, ref sink.Ref, l erp.Level) (sink.Receipt, error) {
	for _, part := range []struct{ name, value string }{{"SKU", l.SKU}, {"warehouse", l.Warehouse}} {
		if part.value == "" || len(part.value) > 255 || strings.ContainsFunc(part.value, func(r rune) bool { return r == '@' || r < ' ' || r == 0x7f }) {
			return sink.Receipt{}, refused("invalid-key", "the %s must have 1 to 255 bytes and hold neither @ nor control characters", part.name)
		}
	}
	return s.send(ctx, ref, operation{method: http.MethodPut, kind: "stock", key: l.SKU + "@" + l.Warehouse, content: l})
}

func refused(name, format string, args ...any) error {
	return &sink.Error{Class: verdict.Permanent(name), Applied: sink.No, Reason: fmt.Sprintf(format, args...)}
}

// request is one request, ready to be sent with a key.
type request struct {
	method, kind, url string
	header            http.Header
	body              []byte
}

// operation is what is asked of the sink.
type operation struct {
	method, kind, key string
	content           any // nil: none
}

func (c *Client) send(ctx context.Context, ref sink.Ref, op operation) (sink.Receipt, error) {
	if v, err := hex.DecodeString(ref.Version); err != nil || len(v) != 20 || ref.Version != strings.ToLower(ref.Version) || ref.Epoch < 1 || len(ref.Org) != 18 {
		return sink.Receipt{}, refused("invalid-ref", "a request needs an 18-character org, a version of 40 hex digits and an epoch above zero; this is a mistake in the consumer")
	}
	r := request{method: op.method, kind: op.kind, url: c.base + "/" + op.kind + "/" + ref.Org + "/" + escape(op.key), header: http.Header{
		"Accept":          {"application/json, application/problem+json"},
		"User-Agent":      {"sfrelay"},
		"Sfrelay-Version": {ref.Version},
		"Sfrelay-Epoch":   {strconv.FormatInt(ref.Epoch, 10)},
	}}
	if op.content != nil {
		b, err := json.Marshal(op.content)
		if err != nil {
			return sink.Receipt{}, refused("invalid-content", "the content of %s %s cannot be written as JSON", op.method, op.kind)
		}
		r.body = b
		r.header.Set("Content-Type", "application/json")
		if op.method == http.MethodPatch {
			r.header.Set("Content-Type", "application/merge-patch+json")
		}
	}
	r.header.Set("Idempotency-Key", ref.StateKey(op.method, r.body))

	bearer, err := c.key.Get(ctx)
	if err != nil {
		return sink.Receipt{}, err
	}
	// Two rounds at most: the second one with a key that was rotated meanwhile.
	for renewed := false; ; renewed = true {
		receipt, err := c.once(ctx, r, bearer)
		if sink.ClassOf(err) != verdict.Auth || renewed {
			return receipt, err
		}
		other, changed, failed := c.key.Renew(ctx, bearer)
		if failed != nil || !changed {
			return receipt, err
		}
		bearer = other
	}
}

// escape writes a key as one path segment: everything but letters, digits and
// -._~@ is percent-encoded, as RFC 3986 section 2.3 lets every server decode it.
func escape(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(key), "+", "%20"), "%40", "@")
}

// once makes one request.
func (c *Client) once(ctx context.Context, r request, bearer string) (sink.Receipt, error) {
	what := r.method + " " + r.kind
	ctx, x := sinkhttp.Watch(ctx)
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, body)
	if err != nil {
		return sink.Receipt{}, refused("invalid-key", "%s: the key does not make an address", what)
	}
	req.Header = r.header.Clone()
	req.Header.Set("Authorization", "Bearer "+bearer)
	res, err := c.http.Do(req)
	if err != nil {
		return sink.Receipt{}, x.Lost(what+" at the ERP", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err == nil && len(answer) > maxAnswer {
		err = sinkhttp.ErrTooLong
	}
	// What was not applied is known by its status alone; everything else needs its
	// body to be believed.
	if err != nil && (res.StatusCode < 400 || res.StatusCode == http.StatusPreconditionFailed) {
		return sink.Receipt{}, x.Lost(what+" at the ERP", err)
	}
	if res.StatusCode == http.StatusOK || res.StatusCode == http.StatusCreated {
		return receipt(what, answer)
	}
	if res.StatusCode == http.StatusPreconditionFailed {
		return sink.Receipt{}, precondition(what, r.method, answer)
	}
	e := classify(res.StatusCode)
	e.Reason = what + ": the ERP answered " + strconv.Itoa(res.StatusCode) + advice(res.StatusCode)
	if t := problemType(answer); t != "" && !strings.Contains(t, bearer) {
		e.Reason += " (problem type " + t + ")"
	}
	if e.Applied == sink.No {
		e.RetryAfter = sinkhttp.RetryAfter(res.Header.Get("Retry-After"), time.Now())
	}
	return sink.Receipt{}, e
}

// classify is the table of the contract, "Answers".
func classify(status int) *sink.Error {
	switch status {
	case http.StatusConflict, http.StatusTooEarly:
		return &sink.Error{Class: verdict.Conflict, Applied: sink.No}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return &sink.Error{Class: verdict.Throttled, Applied: sink.No, TooMany: status == http.StatusTooManyRequests}
	case http.StatusFailedDependency:
		return &sink.Error{Class: verdict.DependencyMissing, Applied: sink.No}
	case http.StatusBadRequest:
		return &sink.Error{Class: verdict.Permanent("bad-request"), Applied: sink.No}
	case http.StatusNotFound:
		return &sink.Error{Class: verdict.Permanent("not-found"), Applied: sink.No}
	case http.StatusRequestEntityTooLarge:
		return &sink.Error{Class: verdict.Permanent("too-large"), Applied: sink.No}
	case http.StatusUnprocessableEntity:
		return &sink.Error{Class: verdict.Permanent("unprocessable"), Applied: sink.No}
	case http.StatusUnauthorized, http.StatusForbidden:
		return &sink.Error{Class: verdict.Auth, Applied: sink.No}
	default:
		return &sink.Error{Class: verdict.Unknown, Applied: sink.Maybe}
	}
}

func advice(status int) string {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return "; check the key in the secret"
	case status == http.StatusNotFound:
		return "; check the address of the ERP and that it knows this kind"
	case status >= 300 && status < 400:
		return "; a redirect is never followed with the key: set the address it points to"
	default:
		return ""
	}
}

// receipt reads a yes. A yes that cannot be read is no proof.
func receipt(what string, answer []byte) (sink.Receipt, error) {
	var body struct {
		Outcome sink.Outcome `json:"outcome"`
		ID      string       `json:"id"`
	}
	err := json.Unmarshal(answer, &body)
	known := body.Outcome == sink.Created || body.Outcome == sink.Updated || body.Outcome == sink.Unchanged
	if err != nil || !known || (body.ID == "" && body.Outcome != sink.Unchanged) || !sink.ValidLink(body.ID) {
		return sink.Receipt{}, &sink.Error{Class: verdict.Unknown, Applied: sink.Maybe,
			Reason: what + `: the ERP said yes, but not as the contract wants: {"outcome":"created|updated|unchanged","id":"…"}, the id printable and of at most 255 bytes`}
	}
	return sink.Receipt{Link: body.ID, Outcome: body.Outcome}, nil
}

// precondition reads a 412. One that cannot be read is neither stale nor fenced.
func precondition(what, method string, answer []byte) error {
	var body struct {
		Reason  string `json:"reason"`
		Epoch   *int64 `json:"epoch"`
		Version string `json:"version"`
	}
	if err := json.Unmarshal(answer, &body); err == nil {
		v, err := hex.DecodeString(body.Version)
		switch {
		case body.Reason == "epoch" && body.Epoch != nil:
			return &sink.FencedError{Epoch: *body.Epoch}
		case body.Reason == "version" && method == http.MethodPatch:
			// Taking this for stale would lose the fields: only full states have a version.
			return refused("contract-broken", "%s: the ERP compared the version of a PATCH; only PUT and DELETE may be refused by version", what)
		case body.Reason == "version" && err == nil && len(v) == 20:
			return &sink.RefusedVersionError{Version: strings.ToLower(body.Version)}
		}
	}
	return &sink.Error{Class: verdict.Unknown, Applied: sink.Maybe,
		Reason: what + `: the ERP answered 412, but not as the contract wants: {"reason":"epoch","epoch":…} or {"reason":"version","version":"…"}`}
}

// problemType is the type of a problem document (RFC 9457): a machine word.
// Titles and details are left out on purpose: they may repeat what was sent.
func problemType(answer []byte) string {
	var body struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(answer, &body) != nil || len(body.Type) > 100 || body.Type == "about:blank" {
		return ""
	}
	for _, c := range body.Type {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._~:/#", c) {
			return ""
		}
	}
	return body.Type
}
