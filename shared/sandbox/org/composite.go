package orgsandbox

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
)

// mostSubrequests is how many requests a composite may hold.
const mostSubrequests = 25

type subrequest struct {
	Method, URL, ReferenceID string
	HTTPHeaders              map[string]string
	Body                     json.RawMessage
}

var reference = regexp.MustCompile(`@\{`)

// composite carries out its requests one after the other, each as it would be alone; it
// counts as one call.
func (s *Org) composite(c *call) (*answer, error) {
	var asked struct {
		AllOrNone        bool
		CompositeRequest []subrequest
	}
	if err := c.json(&asked); err != nil {
		return nil, err
	}
	if len(asked.CompositeRequest) > mostSubrequests {
		return nil, refuse(http.StatusBadRequest, "LIMIT_EXCEEDED", "The number of subrequests exceeds the limit of %d", mostSubrequests)
	}
	answers := []pairs{}
	for _, r := range asked.CompositeRequest {
		if asked.AllOrNone && r.Method != http.MethodGet || reference.MatchString(r.URL) || reference.Match(r.Body) {
			return nil, refuse(http.StatusBadRequest, "FUNCTIONALITY_NOT_ENABLED", "this org carries out neither allOrNone with writes nor references between requests")
		}
		status, body := s.within(c, r)
		answers = append(answers, pairs{{"body", body}, {"httpHeaders", pairs{}}, {"httpStatusCode", status}, {"referenceId", r.ReferenceID}})
	}
	return ok(pairs{{"compositeResponse", answers}})
}

// within serves one request of a composite, by the composite's session.
func (s *Org) within(c *call, r subrequest) (int, any) {
	if !strings.HasPrefix(r.URL, "/services/data/") || strings.HasSuffix(strings.TrimRight(r.URL, "/"), "/composite") {
		return http.StatusNotFound, notFound()
	}
	inner, err := http.NewRequestWithContext(c.Context(), r.Method, strings.ReplaceAll(r.URL, " ", "%20"), bytes.NewReader(r.Body))
	if err != nil {
		return http.StatusNotFound, notFound()
	}
	inner.Host, inner.TLS, inner.Header = c.Host, c.TLS, c.Header.Clone()
	inner.Header.Del("Content-Encoding")
	w := &kept{header: http.Header{}, status: http.StatusOK}
	calls := s.calls
	s.mu.Unlock() // the request takes it
	s.ServeHTTP(w, inner)
	s.mu.Lock()
	s.calls = calls
	if w.body.Len() == 0 {
		return w.status, nil
	}
	return w.status, json.RawMessage(w.body.Bytes())
}

// kept is an answer that is part of another.
type kept struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (k *kept) Header() http.Header         { return k.header }
func (k *kept) WriteHeader(status int)      { k.status = status }
func (k *kept) Write(b []byte) (int, error) { return k.body.Write(b) }
