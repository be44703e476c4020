// Package buckettest is an S3 with one bucket, for tests. It takes what is signed as S3
// wants it, and nothing else.
package buckettest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// The keys and the region of a request that is let in.
const (
	KeyID  = "test-id"
	Secret = "test-key"
	Region = "eu-west-1"
)

// S3 is a server that knows one bucket, in the path of a request.
type S3 struct {
	Bucket string
	Prefix string // of the keys that the caller may put and get, e.g. "customer-erp/"

	mu      sync.Mutex
	objects map[string][]byte
	asked   []string
	faults  []Fault
}

// Fault is the answer to one request, before anything happens.
type Fault struct {
	Status int
	Code   string
}

// Fail answers the next requests with faults, one each.
func (s *S3) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Objects are what lies in the bucket, by key.
func (s *S3) Objects() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string][]byte{}
	for key, body := range s.objects {
		all[key] = slices.Clone(body)
	}
	return all
}

// Put makes an object be what nobody has put there; nil deletes it.
func (s *S3) Put(key string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects == nil {
		s.objects = map[string][]byte{}
	}
	if s.objects[key] = body; body == nil {
		delete(s.objects, key)
	}
}

// Asked are the requests so far, as "PUT key".
func (s *S3) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// ServeHTTP implements http.Handler.
func (s *S3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	key, ok := strings.CutPrefix(r.URL.EscapedPath(), "/"+s.Bucket+"/")
	s.mu.Lock()
	s.asked = append(s.asked, r.Method+" "+key)
	var fault *Fault
	if len(s.faults) > 0 {
		fault, s.faults = &s.faults[0], s.faults[1:]
	}
	object, exists := s.objects[key]
	s.mu.Unlock()
	switch why := unsigned(r, body); {
	case fault != nil:
		refuse(w, fault.Status, fault.Code, "a fault")
	case why != "":
		refuse(w, http.StatusForbidden, "SignatureDoesNotMatch", why)
	case !ok || r.URL.RawQuery != "":
		refuse(w, http.StatusNotFound, "NoSuchBucket", r.URL.Path)
	case !strings.HasPrefix(key, s.Prefix):
		refuse(w, http.StatusForbidden, "AccessDenied", "the role may not")
	case r.Method == http.MethodPut:
		s.Put(key, body)
	case r.Method == http.MethodGet && exists:
		_, _ = w.Write(object)
	case r.Method == http.MethodGet:
		refuse(w, http.StatusNotFound, "NoSuchKey", key)
	default:
		refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowed", r.Method)
	}
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
}

// unsigned says what is wrong with the signature of a request (Amazon S3 API Reference,
// "Signature Calculations for the Authorization Header: Transferring Payload in a Single
// Chunk"). It is written after that page, and shares nothing with the AWS SDK.
func unsigned(r *http.Request, body []byte) string {
	date := r.Header.Get("X-Amz-Date")
	if len(date) != len("20130524T000000Z") {
		return "X-Amz-Date is missing"
	}
	digest := sha256.Sum256(body)
	if r.Header.Get("X-Amz-Content-Sha256") != hex.EncodeToString(digest[:]) {
		return "X-Amz-Content-Sha256 is not that of the body"
	}
	scope := date[:8] + "/" + Region + "/s3/aws4_request"
	head := "AWS4-HMAC-SHA256 Credential=" + KeyID + "/" + scope + ", SignedHeaders="
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), head)
	if !ok {
		return "Authorization does not begin with " + head
	}
	names, signature, _ := strings.Cut(rest, ", Signature=")
	signed := strings.Split(names, ";")
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") && !slices.Contains(signed, lower) {
			return name + " is not signed"
		}
	}
	if !slices.Contains(signed, "host") || !slices.IsSorted(signed) {
		return "the signed headers lack the host, or are not sorted"
	}
	canonical := r.Method + "\n" + r.URL.EscapedPath() + "\n" + r.URL.RawQuery + "\n"
	for _, name := range signed {
		value := strings.TrimSpace(r.Header.Get(name))
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		canonical += name + ":" + value + "\n"
	}
	canonical += "\n" + names + "\n" + r.Header.Get("X-Amz-Content-Sha256")
	hashed := sha256.Sum256([]byte(canonical))
	text := "AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + hex.EncodeToString(hashed[:])
	key := []byte("AWS4" + Secret)
	for _, part := range []string{date[:8], Region, "s3", "aws4_request"} {
		key = mac(key, part)
	}
	if signature != hex.EncodeToString(mac(key, text)) {
		return "the signature is another one"
	}
	return ""
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
