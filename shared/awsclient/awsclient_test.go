package awsclient_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"sfrelay/shared/awsclient"
	"sfrelay/shared/guard/dynamo"
)

// TestBodyOutlivesTheAnswer: what net/http may still ask of a body after the answer has
// begun, it gets.
func TestBodyOutlivesTheAnswer(t *testing.T) {
	var body io.Reader
	describe(t, "http://127.0.0.1:1", clientFunc(func(r *http.Request) (*http.Response, error) {
		body = r.Body
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}"))}, nil
	}))
	if b, err := io.ReadAll(body); string(b) != `{"TableName":"guard"}` || err != nil {
		t.Errorf("after the answer the body is %q, %v", b, err)
	}
}

// TestOnePiece counts the writes to the connection, each of which is a TLS record on AWS.
func TestOnePiece(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }))
	defer server.Close()
	var writes atomic.Int32
	client := awsclient.HTTPClient().WithTransportOptions(func(t *http.Transport) {
		t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			return counted{c, &writes}, err
		}
	})
	describe(t, server.URL, client)
	if n := writes.Load(); n != 1 {
		t.Errorf("a request takes %d writes, want 1", n)
	}
}

// describe makes one request.
func describe(t *testing.T, endpoint string, client aws.HTTPClient) {
	t.Helper()
	c := dynamo.NewClient(aws.Config{
		Region: "us-east-1", BaseEndpoint: &endpoint, HTTPClient: client,
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	if _, err := c.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("guard")}); err != nil {
		t.Fatal(err)
	}
}

type clientFunc func(*http.Request) (*http.Response, error)

func (f clientFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

type counted struct {
	net.Conn
	writes *atomic.Int32
}

func (c counted) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}
