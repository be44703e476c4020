package failurebucket_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"sfrelay/shared/failurebucket"
	"sfrelay/shared/failurebucket/buckettest"
	"sfrelay/shared/transport"
)

// bucket is the bucket "failures" of a strict S3.
func bucket(t *testing.T, s3 *buckettest.S3) *failurebucket.Bucket {
	t.Helper()
	s3.Bucket = "failures"
	server := httptest.NewServer(s3)
	t.Cleanup(server.Close)
	b, err := failurebucket.New(config(server.URL), "failures")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func config(endpoint string) aws.Config {
	cfg := aws.Config{Region: buckettest.Region, HTTPClient: http.DefaultClient, Credentials: credentials.NewStaticCredentialsProvider(buckettest.KeyID, buckettest.Secret, "")}
	if endpoint != "" {
		cfg.BaseEndpoint = &endpoint
	}
	return cfg
}

func store(t *testing.T, body []byte) transport.Stored {
	t.Helper()
	s, err := transport.Store("customer-erp", body)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatIsPutComesBack(t *testing.T) {
	s3 := &buckettest.S3{Prefix: "customer-erp/"}
	b := bucket(t, s3)
	for _, body := range [][]byte{[]byte("x"), bytes.Repeat([]byte("\x00\xffé"), 1<<20)} {
		s := store(t, body)
		for range 2 { // who puts it again changes nothing
			if err := b.Put(t.Context(), s, body); err != nil {
				t.Fatal(err)
			}
		}
		if got := s3.Objects()["customer-erp/"+s.SHA256]; !bytes.Equal(got, body) {
			t.Errorf("%d bytes lie there", len(got))
		}
		if got, err := b.Get(t.Context(), s); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes come back, %v", len(got), err)
		}
	}
	if n := len(s3.Objects()); n != 2 {
		t.Errorf("%d objects", n)
	}
}

// The keys of a role come with a session token, which S3 wants to be signed too.
func TestTheKeysOfARole(t *testing.T) {
	s3 := &buckettest.S3{Bucket: "failures"}
	token := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token = r.Header.Get("X-Amz-Security-Token")
		s3.ServeHTTP(w, r)
	}))
	defer server.Close()
	for _, c := range []struct{ secret, session, region, code string }{
		{buckettest.Secret, "test-session", buckettest.Region, ""},
		{"another", "test-session", buckettest.Region, "SignatureDoesNotMatch"}, // the server really looks
		{buckettest.Secret, "test-session", "us-east-1", "SignatureDoesNotMatch"},
	} {
		cfg := config(server.URL)
		cfg.Region, cfg.Credentials = c.region, credentials.NewStaticCredentialsProvider(buckettest.KeyID, c.secret, c.session)
		b, err := failurebucket.New(cfg, "failures")
		if err != nil {
			t.Fatal(err)
		}
		err = b.Put(t.Context(), store(t, []byte("x")), []byte("x"))
		e, _ := errors.AsType[*failurebucket.Error](err)
		if (err == nil) != (c.code == "") || e != nil && e.Code != c.code || token != c.session {
			t.Errorf("%+v: %v, token %q", c, err, token)
		}
	}
}

// Without credentials nothing is asked.
func TestWithoutKeys(t *testing.T) {
	cfg := config("")
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, errors.New("expired") })
	cfg.HTTPClient = answer(func(*http.Request) (*http.Response, error) {
		t.Error("S3 is asked")
		return nil, errors.New("no")
	})
	b, err := failurebucket.New(cfg, "failures")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t.Context(), store(t, []byte("x"))); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("%v", err)
	}
}

// S3 refuses a body of which the message says another digest.
func TestNoOtherBodyIsPut(t *testing.T) {
	s3 := &buckettest.S3{}
	if err := bucket(t, s3).Put(t.Context(), store(t, []byte("x")), []byte("y")); err == nil || len(s3.Objects()) != 0 {
		t.Errorf("%v, %v", err, s3.Objects())
	}
}

// Whatever lies there, no more is read than one byte beyond what the message says.
func TestALargerObjectIsNotReadWhole(t *testing.T) {
	s3 := &buckettest.S3{}
	b := bucket(t, s3)
	s := store(t, []byte("x"))
	s3.Put(s.Key(), make([]byte, 8<<20))
	if got, err := b.Get(t.Context(), s); err != nil || len(got) != 2 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestWhatIsGoneIsGone(t *testing.T) {
	s3 := &buckettest.S3{}
	_, err := bucket(t, s3).Get(t.Context(), store(t, []byte("x")))
	e, ok := errors.AsType[*transport.Error](err)
	if !ok || e.Name != "object-gone" || !strings.Contains(err.Error(), "find the change in the logs of customer-erp, save its record in Salesforce again, then delete this message") || len(s3.Asked()) != 1 {
		t.Errorf("%v, asked %v", err, s3.Asked())
	}
}

// What may pass by itself is tried three times, the rest once, and none of it is an object
// that is gone.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		fault buckettest.Fault
		asks  int
	}{
		{buckettest.Fault{Status: 500, Code: "InternalError"}, 3},
		{buckettest.Fault{Status: 503, Code: "SlowDown"}, 3},
		{buckettest.Fault{Status: 429, Code: ""}, 3},
		{buckettest.Fault{Status: 400, Code: "RequestTimeout"}, 3},
		{buckettest.Fault{Status: 400, Code: "ExpiredToken"}, 1},
		{buckettest.Fault{Status: 403, Code: "AccessDenied"}, 1},
		{buckettest.Fault{Status: 404, Code: "NoSuchBucket"}, 1},
		{buckettest.Fault{Status: 301, Code: "PermanentRedirect"}, 1},
	} {
		t.Run(strconv.Itoa(c.fault.Status)+c.fault.Code, func(t *testing.T) {
			t.Parallel() // it waits between its tries
			s3 := &buckettest.S3{}
			b := bucket(t, s3)
			for what, ask := range map[string]func() error{
				"put": func() error { return b.Put(t.Context(), store(t, []byte("x")), []byte("x")) },
				"get": func() error { _, err := b.Get(t.Context(), store(t, []byte("x"))); return err },
			} {
				before := len(s3.Asked())
				s3.Fail(slices.Repeat([]buckettest.Fault{c.fault}, c.asks)...)
				err := ask()
				e, ok := errors.AsType[*failurebucket.Error](err)
				if !ok || e.Status != c.fault.Status || e.Code != c.fault.Code || !strings.HasPrefix(e.Key, "customer-erp/") || len(s3.Asked())-before != c.asks {
					t.Errorf("%s: %v, %d requests", what, err, len(s3.Asked())-before)
				}
				if c.fault.Status == 403 && !strings.Contains(err.Error(), "30 days") {
					t.Errorf("%v", err)
				}
			}
			s3.Fail(c.fault)
			if err := b.Put(t.Context(), store(t, []byte("x")), []byte("x")); (err == nil) != (c.asks > 1) {
				t.Errorf("once: %v", err)
			}
		})
	}
}

type answer func(*http.Request) (*http.Response, error)

func (a answer) Do(r *http.Request) (*http.Response, error) { return a(r) }

// No code of an error is more than letters, and no answer is read without end.
func TestAHostileAnswer(t *testing.T) {
	cfg := config("")
	for _, body := range []string{"<Code>a\x1b[31m</Code>", "<Code>" + strings.Repeat("a", 65) + "</Code>", "<Code>a", "", "<Code></Code>"} {
		cfg.HTTPClient = answer(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 418, Body: io.NopCloser(io.MultiReader(strings.NewReader(body), endless{}))}, nil
		})
		b, err := failurebucket.New(cfg, "failures")
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.Get(t.Context(), store(t, []byte("x")))
		if e, ok := errors.AsType[*failurebucket.Error](err); !ok || e.Code != "" {
			t.Errorf("%q: %v", body, err)
		}
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// A caller that ends is obeyed, and a request has a time-out of its own.
func TestTimeIsBounded(t *testing.T) {
	cfg := config("")
	asked := 0
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cfg.HTTPClient = answer(func(r *http.Request) (*http.Response, error) {
		asked++
		if _, limited := r.Context().Deadline(); !limited {
			t.Error("the request has no time-out")
		}
		cancel()
		return nil, errors.New("no answer")
	})
	b, err := failurebucket.New(cfg, "failures")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Put(ctx, store(t, []byte("x")), []byte("x")); err == nil || asked != 1 {
		t.Errorf("%v after %d requests", err, asked)
	}
}

// The address is that of the bucket in its region (Amazon S3 User Guide, "Virtual hosting
// of general purpose buckets"), or a path at another endpoint.
func TestAddresses(t *testing.T) {
	digest := store(t, []byte("x")).SHA256
	for _, c := range []struct{ region, endpoint, name, want string }{
		{"eu-west-1", "", "failures", "https://failures.s3.eu-west-1.amazonaws.com/customer-erp/" + digest},
		{"cn-north-1", "", "failures", "https://failures.s3.cn-north-1.amazonaws.com.cn/customer-erp/" + digest},
		{"eu-west-1", "http://127.0.0.1:4566/", "failures", "http://127.0.0.1:4566/failures/customer-erp/" + digest},
		{"eu-west-1", "http://localhost:4566", "failures", "http://localhost:4566/failures/customer-erp/" + digest},
		{"eu-west-1", "http://[::1]:4566", "failures", "http://[::1]:4566/failures/customer-erp/" + digest},
		{"eu-west-1", "https://s3.example", "failures", "https://s3.example/failures/customer-erp/" + digest},
		{"eu-west-1", "http://s3.example", "failures", ""},
		{"eu-west-1", "http://127.0.0.1.example", "failures", ""},
		{"eu-west-1", "ftp://127.0.0.1", "failures", ""},
		{"eu-west-1", "://", "failures", ""},
		{"eu-west-1", "", "fa", ""},
		{"eu-west-1", "", strings.Repeat("a", 64), ""},
		{"eu-west-1", "", "Failures", ""},
		{"eu-west-1", "", "failures/../other", ""},
		{"eu-west-1", "", "evil.example#", ""},
		{"eu-west-1", "", "", ""},
	} {
		cfg := config(c.endpoint)
		cfg.Region = c.region
		got := ""
		cfg.HTTPClient = answer(func(r *http.Request) (*http.Response, error) {
			got = r.URL.String()
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("x"))}, nil
		})
		b, err := failurebucket.New(cfg, c.name)
		if (err == nil) != (c.want != "") {
			t.Errorf("%q at %q: %v", c.name, c.endpoint, err)
		}
		if err != nil {
			continue
		}
		if _, err := b.Get(t.Context(), store(t, []byte("x"))); err != nil || got != c.want {
			t.Errorf("%s, %v; want %s", got, err, c.want)
		}
	}
}
