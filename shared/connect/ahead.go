// Package connect makes the first event after a cold start cheap: connections that are there
// before anything is to be sent, and root certificates that are read once.
package connect

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
)

// Dial is a transport's DialContext.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// ahead is a request that is there for its connection only.
type ahead struct {
	giveUp   context.CancelFunc
	returned chan struct{} // send has: nobody is left who could send anything
	begun    atomic.Bool   // a connection was asked for
	over     chan struct{} // the connection is made, or is not
	once     sync.Once
}

type aheadKey struct{}

func (a *ahead) done() { a.once.Do(func() { close(a.over) }) }

// Ahead connects with TLS, and sends nothing. send makes a request, with its context, through
// an http.Transport that has Dialing and no connection to that host yet: it fails when the
// connection is begun, and the transport keeps the connection for whoever comes next. Ahead
// returns when it is made, when it cannot be, or when ctx ends; then it goes on by itself.
func Ahead(ctx context.Context, send func(context.Context)) {
	sending, giveUp := context.WithCancel(ctx)
	defer giveUp()
	a := &ahead{giveUp: giveUp, returned: make(chan struct{}), over: make(chan struct{})}
	sending = httptrace.WithClientTrace(sending, &httptrace.ClientTrace{
		TLSHandshakeDone: func(tls.ConnectionState, error) { a.done() },
	})
	send(context.WithValue(sending, aheadKey{}, a))
	close(a.returned)
	if !a.begun.Load() {
		return
	}
	select {
	case <-a.over:
	case <-ctx.Done():
	}
}

// Dialing has connections made Ahead: the request ends before its connection begins, which
// the transport makes all the same (net/http, Transport: a dial does not end with the request
// that has asked for it).
func Dialing(next Dial) Dial {
	if next == nil {
		next = new(net.Dialer).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		a, ok := ctx.Value(aheadKey{}).(*ahead)
		if !ok {
			return next(ctx, network, address)
		}
		a.begun.Store(true)
		a.giveUp()
		<-a.returned
		conn, err := next(ctx, network, address)
		if err != nil {
			a.done()
		}
		return conn, err
	}
}
