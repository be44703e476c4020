package orgsandbox

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// The versions of the API that the org serves.
const (
	oldestVersion = 31
	newestVersion = 67
)

// maxBody is the largest body of a request: a deployment of metadata.
const maxBody = 64 << 20

// call is one request, read.
type call struct {
	*http.Request
	body    []byte
	version string // of the API, e.g. v66.0; empty outside of it
}

// answer is what the org sends.
type answer struct {
	status int
	body   any // nil: none; []byte: as it is; else JSON
	header map[string]string
}

// refusal is an error in Salesforce's form.
type refusal struct {
	status  int
	code    string
	message string
	fields  []string
}

func (e *refusal) Error() string { return e.code + ": " + e.message }

func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

func notFound() *refusal {
	return refuse(http.StatusNotFound, "NOT_FOUND", "The requested resource does not exist")
}

func ok(body any) (*answer, error) { return &answer{status: http.StatusOK, body: body}, nil }

func noContent() (*answer, error) { return &answer{status: http.StatusNoContent}, nil }

// MarshalJSON is the list of one error that REST answers with.
func (e *refusal) MarshalJSON() ([]byte, error) {
	one := pairs{{"message", e.message}, {"errorCode", e.code}}
	if e.fields != nil {
		one = append(one, pair{"fields", e.fields})
	}
	return json.Marshal([]pairs{one})
}

// pairs is a JSON object whose members keep their order, as in Salesforce's answers.
type pairs []pair

type pair struct {
	name  string
	value any
}

// MarshalJSON writes the members in order.
func (p pairs) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(append(append(name, ':'), value...))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func (p pairs) get(name string) any {
	for _, m := range p {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

type handler func(*call) (*answer, error)

// routes are all that the org serves. Paths come without a final slash.
func (s *Org) routes() {
	s.mux = http.NewServeMux()
	open := func(pattern string, h handler) { s.mux.Handle(pattern, s.serve(h, false)) }
	api := func(pattern string, h handler) {
		method, path, _ := strings.Cut(pattern, " ")
		s.mux.Handle(method+" /services/data/{version}"+path, s.serve(h, true))
	}
	open("/", func(*call) (*answer, error) { return nil, notFound() })
	open("POST /services/oauth2/token", s.token)
	s.mux.Handle("GET /services/oauth2/userinfo", s.serve(s.userinfo, true))
	s.mux.Handle("GET /id/{org}/{user}", s.serve(s.identity, true))
	open("GET /services/data", s.versions)
	s.mux.HandleFunc("POST /aws", s.awsEvents)
	open("POST /services/Soap/u/{soap...}", s.soapLogin)
	open("POST /services/Soap/m/{soap...}", s.soapMetadata)

	api("GET ", s.resources)
	api("GET /limits", s.limits)
	api("GET /query", s.query)
	api("GET /queryAll", s.query)
	api("GET /query/{locator}", s.queryMore)
	api("GET /queryAll/{locator}", s.queryMore)
	api("GET /sobjects", s.globalDescribe)
	api("GET /sobjects/{object}", s.describeShort)
	api("POST /sobjects/{object}", s.insert)
	api("GET /sobjects/{object}/describe", s.describe)
	api("GET /sobjects/{object}/updated", s.updated)
	api("GET /sobjects/{object}/deleted", s.deleted)
	api("GET /sobjects/{object}/{id}", s.retrieve)
	api("PATCH /sobjects/{object}/{id}", s.update)
	api("DELETE /sobjects/{object}/{id}", s.remove)
	api("GET /composite/sobjects/{object}", s.collection)
	api("POST /composite/sobjects/{object}", s.collection)
	api("POST /composite", s.composite)
	api("POST /jobs/query", s.jobCreate)
	api("GET /jobs/query/{id}", s.jobState)
	api("GET /jobs/query/{id}/results", s.jobResults)
	api("GET /tooling/query", s.toolingQuery)
	api("GET /tooling/query/{locator}", s.queryMore)
	api("POST /tooling/sobjects/{type}", s.toolingCreate)
	api("GET /tooling/sobjects/{type}/{id}", s.toolingGet)
	api("PATCH /tooling/sobjects/{type}/{id}", s.toolingPatch)
	api("DELETE /tooling/sobjects/{type}/{id}", s.toolingDelete)
	api("POST /metadata/deployRequest", s.deployREST)
	api("GET /metadata/deployRequest/{id}", s.deployState)
	s.controls()
}

// ServeHTTP serves the API, with or without a slash in the end of a path.
func (s *Org) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimRight(r.URL.Path, "/")
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	r.URL.Path, r.URL.RawPath = path, ""
	if path == "" {
		r.URL.Path = "/"
	}
	s.mux.ServeHTTP(w, r)
}

var versionForm = regexp.MustCompile(`^v([0-9]{2})\.0$`)

// serve reads the request, asks for a session where one is needed, and writes what h says.
func (s *Org) serve(h handler, session bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{Request: r, version: r.PathValue("version")}
		a, err := s.ask(c, h, session, w)
		if err != nil {
			var no *refusal
			if !errors.As(err, &no) {
				no = refuse(http.StatusInternalServerError, "UNKNOWN_EXCEPTION", "%v", err)
			}
			a = &answer{status: no.status, body: no}
		}
		s.log(Request{Method: r.Method, Path: r.URL.RequestURI(), Status: a.status})
		write(w, a)
	})
}

func (s *Org) ask(c *call, h handler, session bool, w http.ResponseWriter) (*answer, error) {
	if err := c.read(w); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !session {
		return h(c)
	}
	if a, err := s.interrupted(c); a != nil || err != nil {
		return a, err
	}
	if err := s.admit(c); err != nil {
		return nil, err
	}
	s.calls++
	w.Header().Set("Sforce-Limit-Info", fmt.Sprintf("api-usage=%d/%d", s.calls, dailyCalls))
	return h(c)
}

// admit lets in who has a session and asks for a version that is served.
func (s *Org) admit(c *call) error {
	scheme, token, _ := strings.Cut(c.Header.Get("Authorization"), " ")
	if (scheme != "Bearer" && scheme != "OAuth") || !s.sessions[token] {
		return refuse(http.StatusUnauthorized, "INVALID_SESSION_ID", "Session expired or invalid")
	}
	if c.version == "" {
		return nil
	}
	m := versionForm.FindStringSubmatch(c.version)
	if m == nil {
		return notFound()
	}
	if n, err := strconv.Atoi(m[1]); err != nil || n < oldestVersion || n > newestVersion {
		return notFound()
	}
	return nil
}

// read takes the body, packed or not.
func (c *call) read(w http.ResponseWriter) error {
	var body io.Reader = http.MaxBytesReader(w, c.Body, maxBody)
	if c.Header.Get("Content-Encoding") == "gzip" {
		packed, err := gzip.NewReader(body)
		if err != nil {
			return refuse(http.StatusBadRequest, "JSON_PARSER_ERROR", "the body is not gzip")
		}
		body = io.LimitReader(packed, maxBody)
	}
	var err error
	if c.body, err = io.ReadAll(body); err != nil {
		return refuse(http.StatusRequestEntityTooLarge, "REQUEST_TOO_LARGE", "the body has more than %d bytes", maxBody)
	}
	return nil
}

// json reads the body; numbers keep their digits.
func (c *call) json(into any) error {
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return refuse(http.StatusBadRequest, "JSON_PARSER_ERROR", "%v", err)
	}
	return nil
}

func write(w http.ResponseWriter, a *answer) {
	for k, v := range a.header {
		w.Header().Set(k, v)
	}
	var body []byte
	switch b := a.body.(type) {
	case nil:
		w.WriteHeader(a.status)
		return
	case []byte:
		body = b
	default:
		var err error
		if body, err = json.Marshal(b); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(body) // the caller may be gone: that is its business
}

func (s *Org) log(r Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) >= maxRequests {
		s.requests = nil
	}
	s.requests = append(s.requests, r)
}

// base is the address that the client used.
func (c *call) base() string {
	scheme := "http"
	if c.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + c.Host
}
