// Package sinkhttp is the HTTP side that all connectors share: a client that tells
// afterwards whether a request can have left this process, follows no redirect,
// and never reads a body without end.
//
// It retries nothing. net/http itself sends a request again, with the same key and
// body, when a kept connection turns out to be closed before an answer began: that
// is wanted, because a function that was frozen wakes up with dead connections.
package sinkhttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sfrelay/shared/connect"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// MaxBody is the most that is read of an answer, in bytes. One page of a hundred
// Stripe invoices is well under it.
const MaxBody = 8 << 20

// ErrTooLong says that an answer is longer than MaxBody.
var ErrTooLong = fmt.Errorf("the answer is longer than %d bytes", MaxBody)

// NewClient is an HTTP client without a time-out of its own: time-outs come from
// the context. A redirect is an answer like any other, so credentials never leave
// for another address.
func NewClient() *http.Client {
	return Over(http.DefaultTransport.(*http.Transport).Clone())
}

// Over is such a client over a transport of the connector's own.
func Over(t *http.Transport) *http.Client {
	t.MaxIdleConnsPerHost = 16
	t.DialContext = connect.Dialing(t.DialContext)
	return &http.Client{
		Transport:     transport{t},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Prepare does before the first call what that would have to do first: it reads the
// credential and connects to address, side by side. It sends nothing there, and keeps no
// error: the first call tries again what did not work. client is one of this package that
// has sent nothing yet.
func Prepare(ctx context.Context, key *Key, client *http.Client, address string) {
	var group sync.WaitGroup
	group.Go(func() { _, _ = key.Get(ctx) })
	if strings.HasPrefix(address, "https:") {
		group.Go(func() {
			connect.Ahead(ctx, func(ctx context.Context) {
				r, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
				if err != nil {
					return
				}
				if res, err := client.Do(r); err == nil {
					_ = res.Body.Close()
				}
			})
		})
	}
	group.Wait()
}

// Exchange is what is known of one request after its end.
type Exchange struct {
	connected atomic.Bool
	status    atomic.Int64
	header    atomic.Pointer[http.Header]
}

type exchangeKey struct{}

// Watch returns a context whose requests write down in the Exchange how far they
// came. Of several requests the last answer counts.
func Watch(ctx context.Context) (context.Context, *Exchange) {
	x := new(Exchange)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { x.connected.Store(true) },
	})
	return context.WithValue(ctx, exchangeKey{}, x), x
}

// Sent reports whether the request may have reached the other side. False is
// certain: there never was a connection.
func (x *Exchange) Sent() bool { return x.connected.Load() }

// Status is that of the answer, 0 where there was none.
func (x *Exchange) Status() int { return int(x.status.Load()) }

// Header is a header of the answer.
func (x *Exchange) Header(name string) string {
	if h := x.header.Load(); h != nil {
		return h.Get(name)
	}
	return ""
}

// Lost is the class of a request that got no answer, or none that can be read:
// certainly not applied where there never was a connection, else nobody knows.
// what names the request for people, without its address.
func (x *Exchange) Lost(what string, err error) *sink.Error {
	applied, fate := sink.No, "nothing was sent"
	if x.Sent() {
		applied, fate = sink.Maybe, "it may have been carried out"
	}
	return &sink.Error{
		Class:   verdict.Unknown,
		Applied: applied,
		Reason:  what + ": no answer, " + fate,
		Err:     x.bare(err),
	}
}

// bare strips off what may repeat a customer's data: the address, whose path or
// query may hold it, and once there was a connection whatever came over it.
func (x *Exchange) bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	switch {
	case !x.Sent():
		return err // e.g. an unknown host or a certificate that nobody trusts
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, ErrTooLong):
		return ErrTooLong
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return io.ErrUnexpectedEOF
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op
	}
	return errors.New("the exchange broke off or the answer could not be read")
}

// RetryAfter reads the header of RFC 9110, section 10.2.3: seconds or a date.
// Anything else, and the past, is zero; more than a day is a day.
func RetryAfter(value string, now time.Time) time.Duration {
	const day = 24 * time.Hour
	value = strings.TrimSpace(value)
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, day)
	}
	if t, err := http.ParseTime(value); err == nil {
		return min(max(t.Sub(now), 0), day)
	}
	return 0
}

// transport writes the Exchange and bounds bodies.
type transport struct{ next http.RoundTripper }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if x, ok := r.Context().Value(exchangeKey{}).(*Exchange); ok {
		x.status.Store(int64(res.StatusCode))
		x.header.Store(&res.Header)
	}
	res.Body = &bounded{ReadCloser: res.Body, left: MaxBody}
	return res, nil
}

// CloseIdleConnections lets http.Client.CloseIdleConnections through.
func (t transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// bounded fails instead of ending where a body is too long: a cut JSON text must
// not look like a broken connection.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, ErrTooLong
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, ErrTooLong
	}
	return n, err
}
