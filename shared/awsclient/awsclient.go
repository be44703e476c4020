// Package awsclient is what everything that talks to AWS shares: how it sends over HTTP,
// and where it reads credentials.
package awsclient

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"sfrelay/shared/connect"
)

// HTTPClient is the SDK's client with a time-out for each step of a try (dialling, TLS,
// waiting for the answer) and enough idle connections for a whole batch. Four tries
// without an answer fit into a lease's margin and effect. Hand it to
// config.LoadDefaultConfig, which adds AWS_CA_BUNDLE.
//
// The last time-out ends where the answer begins. That of http.Client, which would
// cover the few hundred bytes of the answer too, costs 15 allocations a request.
func HTTPClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = stepTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = stepTimeout
			t.ResponseHeaderTimeout = stepTimeout
			t.MaxIdleConnsPerHost = 128
			t.DisableCompression = true
		})
}

// OwnBody makes c send a copy of a request's body, which net/http knows to lie in memory
// and sends in one piece with the headers.
//
// The SDK's own body it sends apart from them, and the SDK closes it when the answer
// begins. Where that is before net/http has looked for its end, a closed body answers
// with an error (smithy-go v1.28.8, safeWriteToReadCloser.WriteTo), and net/http gives
// the connection up with the rest of the answer: one answer of ten messages in 2,000, on
// loopback.
//
// Wrap the client in a service's options. In aws.Config it would keep the SDK from setting
// the time-outs of AWS_DEFAULTS_MODE and of the service, which it does for its own kind only.
func OwnBody(c aws.HTTPClient) aws.HTTPClient {
	if own, ok := c.(ownBody); ok {
		return own
	}
	return ownBody{c}
}

type ownBody struct{ aws.HTTPClient }

func (c ownBody) Do(req *http.Request) (*http.Response, error) {
	if req.Body != nil && req.ContentLength > 0 {
		body := make([]byte, req.ContentLength)
		if _, err := io.ReadFull(req.Body, body); err != nil {
			return nil, err
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	return c.HTTPClient.Do(req)
}

// Early has c take connections that are made ahead (connect.Ahead), where it is the SDK's own
// kind. Wrap the client in a service's options: what the SDK sets before undoes it.
func Early(c aws.HTTPClient) aws.HTTPClient {
	if own, ok := c.(*awshttp.BuildableClient); ok {
		return own.WithTransportOptions(func(t *http.Transport) { t.DialContext = connect.Dialing(t.DialContext) })
	}
	return c
}

const stepTimeout = 2 * time.Second
