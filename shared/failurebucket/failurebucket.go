// Package failurebucket puts what is too large for a message of SQS into an S3 bucket, and
// gets it back.
//
// It asks S3 over net/http with the signer of the AWS SDK: the SDK's own client of S3 weighs
// 250 KB in every function, for two requests.
package failurebucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"sfrelay/shared/transport"
)

const (
	// longest bounds one Put or Get with all its tries, also where its caller does not.
	longest = 5 * time.Second
	tries   = 3
	pause   = 100 * time.Millisecond // before the second try, twice as long before the third
)

// Bucket is the failure bucket of a stack. It is safe for concurrent use.
type Bucket struct {
	url    string // without the key
	region string
	client aws.HTTPClient
	keys   aws.CredentialsProvider
	signer *v4.Signer
}

// Error is an answer of S3 that is no success.
type Error struct {
	Key    string
	Status int
	Code   string // of S3, e.g. AccessDenied; empty: it gave none
}

func (e *Error) Error() string {
	s := strings.TrimSpace(fmt.Sprint(e.Status, " ", e.Code))
	s = fmt.Sprintf("S3 answers %s for %s of the failure bucket", s, e.Key)
	if e.Status == http.StatusForbidden {
		s += "; it lacks s3:GetObject or s3:PutObject, or the object is gone after its 30 days, which S3 tells only who has s3:ListBucket"
	}
	return s
}

// New is the bucket of that name in the region of cfg. An endpoint of cfg, which may be
// plain http on loopback only, is asked with the bucket in the path.
func New(cfg aws.Config, name string) (*Bucket, error) {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-"
	if len(name) < 3 || len(name) > 63 || strings.Trim(name, letters) != "" {
		return nil, errors.New("want the name of a bucket: 3 to 63 lower-case letters, digits and hyphens")
	}
	b := &Bucket{region: cfg.Region, client: cfg.HTTPClient, keys: cfg.Credentials, signer: v4.NewSigner(func(o *v4.SignerOptions) {
		o.DisableURIPathEscaping = true // as S3 wants it
	})}
	endpoint := aws.ToString(cfg.BaseEndpoint)
	if endpoint == "" {
		suffix := "amazonaws.com"
		if strings.HasPrefix(cfg.Region, "cn-") {
			suffix += ".cn"
		}
		b.url = "https://" + name + ".s3." + cfg.Region + "." + suffix + "/"
		return b, nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, errors.New("the endpoint of AWS is neither https nor on loopback")
	}
	b.url = strings.TrimRight(endpoint, "/") + "/" + name + "/"
	return b, nil
}

func loopback(host string) bool { return host == "localhost" || net.ParseIP(host).IsLoopback() }

// Put writes the body of s. Who puts it again changes nothing.
func (b *Bucket) Put(ctx context.Context, s transport.Stored, body []byte) error {
	_, err := b.ask(ctx, http.MethodPut, s, body)
	return err
}

// Get reads the body of s, as long as s says at most. Of an object that is gone it says so
// with a *transport.Error.
func (b *Bucket) Get(ctx context.Context, s transport.Stored) ([]byte, error) {
	body, err := b.ask(ctx, http.MethodGet, s, nil)
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusNotFound && e.Code == "NoSuchKey" {
		return nil, &transport.Error{Name: "object-gone", Where: "/key",
			What: "the failure bucket no longer holds " + s.Key() + ": S3 deletes what lies there after 30 days; find the change in the logs of " + s.Consumer + ", save its record in Salesforce again, then delete this message"}
	}
	return body, err
}

// ask tries again what may pass by itself.
func (b *Bucket) ask(ctx context.Context, method string, s transport.Stored, body []byte) (answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	for try := range tries {
		if try > 0 {
			timer := time.NewTimer(pause << (try - 1))
			select {
			case <-ctx.Done():
				timer.Stop()
				return nil, err
			case <-timer.C:
			}
		}
		if answer, err = b.try(ctx, method, s, body); err == nil || !passes(err) || ctx.Err() != nil {
			break
		}
	}
	return answer, err
}

// passes reports whether the error may pass by itself: no answer, or one of S3's own
// failures (Amazon S3 API Reference, "Error responses").
func passes(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return !ok || e.Status >= 500 || e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout || e.Code == "RequestTimeout"
}

func (b *Bucket) try(ctx context.Context, method string, s transport.Stored, body []byte) ([]byte, error) {
	digest := noBody
	req, err := http.NewRequestWithContext(ctx, method, b.url+s.Key(), nil)
	if err == nil && method == http.MethodPut {
		digest = s.SHA256
		req, err = http.NewRequestWithContext(ctx, method, b.url+s.Key(), bytes.NewReader(body))
	}
	if err != nil {
		return nil, err
	}
	keys, err := b.keys.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("the credentials for the failure bucket: %w", err)
	}
	req.Header.Set("X-Amz-Content-Sha256", digest) // S3 refuses another body
	if err := b.signer.SignHTTP(ctx, keys, req, digest, "s3", b.region, time.Now()); err != nil {
		return nil, err
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the failure bucket: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &Error{s.Key(), resp.StatusCode, code(resp.Body)}
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, int64(s.Length)+1)) // one more: it is too long
	if err != nil {
		return nil, fmt.Errorf("the failure bucket: %w", err)
	}
	return answer, nil
}

// noBody is the SHA-256 of nothing.
const noBody = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// code is what S3's XML says of an error. It is letters only, whatever was answered.
func code(r io.Reader) string {
	const most = 4 << 10
	text, _ := io.ReadAll(io.LimitReader(r, most)) // what is there
	_, rest, _ := strings.Cut(string(text), "<Code>")
	found, _, ok := strings.Cut(rest, "</Code>")
	if !ok || len(found) > 64 || strings.Trim(found, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return ""
	}
	return found
}
