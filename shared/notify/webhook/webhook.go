// Package webhook tells a receiver over HTTP, in the form of Standard Webhooks
// (github.com/standard-webhooks/standard-webhooks, spec 1.0.0): a POST whose id, time and
// body are signed.
//
// The receiver is told at least once. What is in doubt is sent again, with the same id and
// body: nothing in the specification obliges a receiver to tell what it took, so the
// contract promises nothing that settles a doubt. The receiver drops an id that it has, and
// of two notifications of one record the one with the lower version.
package webhook

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"sfrelay/shared/config"
	"sfrelay/shared/notify"
	"sfrelay/shared/sink"
	"sfrelay/shared/sink/sinkhttp"
	"sfrelay/shared/verdict"
)

// maxDrained is the most that is read of an answer's body, which says nothing: a body that
// was read lets the connection be used again.
const maxDrained = 64 << 10

// Options of a client; the zero value is the careful one.
type Options struct {
	// PrivateAddresses lets the receiver be in a private network (RFC 1918, RFC 6598, RFC
	// 4193) or on loopback. Link-local addresses, where clouds keep their metadata, stay out.
	PrivateAddresses bool
}

// Client is one receiver: a notify.Receiver, safe for concurrent use.
type Client struct {
	url    string
	secret *sinkhttp.Key
	http   *http.Client
}

// FromEnv connects to the receiver that the environment names. secret reads a secret by its
// name or ARN. What is wrong, r says; then the client is of no use.
func FromEnv(r *config.Reader, secret func(nameOrARN string) func(context.Context) (string, error)) *Client {
	address := r.Required("NOTIFY_URL", "the address of the receiver, https")
	name := r.Required("NOTIFY_SECRET", "the name or ARN of the secret with the signing secret that the receiver knows")
	o := Options{PrivateAddresses: r.OneOf("NOTIFY_PRIVATE_ADDRESSES", "false", "true") == "true"}
	if address == "" {
		return new(Client)
	}
	c, err := New(secret(name), address, o)
	if err != nil {
		r.Check("NOTIFY_URL", err)
		return new(Client)
	}
	return c
}

// New connects to the receiver at address, which is used as it is written. The signing
// secrets are read before the first call, kept, and read once more when the receiver
// refuses the signature. Plain http is taken for loopback addresses only.
func New(secret sinkhttp.ReadKey, address string, o Options) (*Client, error) {
	// The address itself may carry a credential in its path or query: no error repeats it.
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.RawFragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("the address of the receiver must be a URL without user, password and fragment, e.g. https://crm.example.com/hooks/sfrelay")
	}
	ip, literal := netip.ParseAddr(u.Hostname())
	loopback := u.Hostname() == "localhost" || literal == nil && ip.Unmap().IsLoopback()
	if u.Scheme != "https" && !loopback {
		return nil, errors.New("the address of the receiver must be https; plain http would show the content to the network and is taken for loopback only")
	}
	reach := reachPublic
	switch {
	case o.PrivateAddresses:
		reach = reachPrivate
	case loopback:
		reach = reachLoopback
	}
	if literal == nil && !reach.allows(ip) {
		return nil, errors.New("the receiver must have a public address; " + reach.advice())
	}
	return &Client{url: address, secret: sinkhttp.NewKey(oneLine(secret)), http: newHTTP(reach)}, nil
}

// Prepare implements sink.Preparer.
func (c *Client) Prepare(ctx context.Context) { sinkhttp.Prepare(ctx, c.secret, c.http, c.url) }

// Contract implements notify.Receiver. Nothing settles a doubt: the consumer has to choose
// what becomes of it.
func (*Client) Contract() sink.Contract { return sink.Contract{Effect: 10 * time.Second} }

// Tell implements notify.Receiver. Any 2xx is a yes.
func (c *Client) Tell(ctx context.Context, ref sink.Ref, n notify.Notification) (sink.Receipt, error) {
	if !valid(ref, n) {
		return sink.Receipt{}, sink.Refuse("invalid-ref", "a notification needs an 18-character org and record id, a subject, the API name of an object, what happened, when, and a version of 40 hex digits; this is a mistake in the consumer")
	}
	// A hash in hex has no full stop, which parts what is signed.
	m := message{id: "msg_" + ref.ActionKey("tell", 0), body: body(ref.Org, n)}
	signing, err := c.secret.Get(ctx)
	if err != nil {
		return sink.Receipt{}, err
	}
	// Two rounds at most: the second one with secrets that were rotated meanwhile.
	for renewed := false; ; renewed = true {
		err := c.once(ctx, m, signing)
		if sink.ClassOf(err) != verdict.Auth || renewed {
			return sink.Receipt{}, err
		}
		other, changed, failed := c.secret.Renew(ctx, signing)
		if failed != nil || !changed {
			return sink.Receipt{}, err
		}
		signing = other
	}
}

// message is what stays the same however often it is sent.
type message struct {
	id   string
	body []byte
}

// once makes one request.
func (c *Client) once(ctx context.Context, m message, signing string) error {
	keys, err := secrets(signing)
	if err != nil {
		return err
	}
	ctx, x := sinkhttp.Watch(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(m.body))
	if err != nil {
		return sink.Refuse("receiver-address", "the address of the receiver does not make a request: correct NOTIFY_URL, deploy, redrive")
	}
	now := time.Now()
	signed, err := signatures(keys, m, now)
	if err != nil {
		return err
	}
	req.Header = http.Header{
		"Content-Type":      {"application/json"},
		"User-Agent":        {"sfrelay"},
		"Webhook-Id":        {m.id},
		"Webhook-Timestamp": {strconv.FormatInt(now.Unix(), 10)},
		"Webhook-Signature": {signed},
		// Without a value it is not sent. It tells net/http that the request may be sent again
		// where a kept connection turns out to be dead, as those of a frozen function are.
		"Idempotency-Key": {},
	}
	res, err := c.http.Do(req)
	if errors.Is(err, errForbidden) {
		return sink.Refuse("receiver-address", "nothing was sent: the name of the receiver leads to an address that is not allowed; correct NOTIFY_URL or the name's DNS records, or set NOTIFY_PRIVATE_ADDRESSES to true if the receiver is in a private network; then redrive")
	}
	if err != nil {
		return x.Lost("the notification", err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxDrained) // the status has said all
	return answer(res.StatusCode, res.Header.Get("Retry-After"), now)
}

// answer is what a status means. Standard Webhooks says which one is a yes, that redirects
// are not followed, and what 410 and 429 are. That a request was not carried out is known
// where RFC 9110 (4xx, 408, 503), RFC 6585 (429) or RFC 8470 (425) says so.
func answer(status int, retryAfter string, now time.Time) error {
	e := &sink.Error{Applied: sink.No, Reason: "the receiver answered " + strconv.Itoa(status)}
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		e.Class = verdict.Auth
		e.Reason += "; check that it knows a signing secret of the secret, and its clock"
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		e.Class, e.TooMany = verdict.Throttled, status == http.StatusTooManyRequests
	case status >= 300 && status < 400:
		e.Class = verdict.Permanent("receiver-redirects")
		e.Reason += "; a redirect is never followed: set NOTIFY_URL to where the receiver is, deploy, redrive"
	case status == http.StatusGone:
		e.Class = verdict.Permanent("receiver-gone")
		e.Reason += ": it wants no more notifications; set NOTIFY_URL to another one and redrive, or stop the consumer"
	case status >= 400 && status < 500:
		e.Class = verdict.Permanent("receiver-refused")
		e.Reason += "; its own log says why: correct it, then redrive"
	default:
		e.Class, e.Applied = verdict.Unknown, sink.Maybe
	}
	if !e.Class.IsPermanent() {
		e.RetryAfter = sinkhttp.RetryAfter(retryAfter, now)
	}
	return e
}
