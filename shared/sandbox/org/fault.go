package orgsandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The faults by name. The last three are done at once; the others wait for their case.
const (
	lateRow         = "late-row"         // the next write is seen 3 s after its stamp
	openTransaction = "open-transaction" // the next write is committed 6 minutes after its stamp
	sessionExpired  = "session-expired"  // all sessions end
	requestLimit    = "request-limit"    // 403: the calls of the day are used up
	htmlUnavailable = "html-unavailable" // 503, in HTML
	nullRecord      = "null-record"      // null for a row in a collection
	hiddenField     = "hidden-field"     // the permission for a field is gone, until the fault is cleared
	hiddenObject    = "hidden-object"    // the object is not there, or not to be seen, until the fault is cleared
	shortPageFault  = "short-page"       // pages of 1,000, until the fault is cleared
	expiredLocator  = "expired-locator"  // the next page is not there any more
	tooManyIDs      = "too-many-ids"     // 600,001 ids changed in the hour before now
	hardDelete      = "hard-delete"      // a row is deleted for good
	merge           = "merge"            // a row is merged into another
)

var faultNames = []string{lateRow, openTransaction, sessionExpired, requestLimit, htmlUnavailable, nullRecord, hiddenField, hiddenObject, shortPageFault, expiredLocator, tooManyIDs, hardDelete, merge}

// Fault is one order.
type Fault struct {
	Name   string `json:"name"`
	Object string `json:"object,omitempty"` // empty: any
	Field  string `json:"field,omitempty"`  // of hidden-field
	ID     string `json:"id,omitempty"`     // empty: any; needed by hard-delete and merge
	Into   string `json:"into,omitempty"`   // of merge: the row that stays
	Times  int    `json:"times,omitempty"`  // how often it happens; 0: once, -1: always

	since time.Time
}

// Break orders faults.
func (s *Org) Break(faults ...Fault) error {
	for _, f := range faults {
		if err := s.breakOnce(f); err != nil {
			return err
		}
	}
	return nil
}

func (s *Org) breakOnce(f Fault) error {
	switch f.Name {
	case hardDelete:
		return s.HardDelete(f.ID)
	case merge:
		return s.Merge(f.Into, f.ID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(faultNames, f.Name) {
		return fmt.Errorf("unknown fault %q: use one of %q", f.Name, faultNames)
	}
	if f.Times == 0 {
		f.Times = 1
	}
	f.since = s.now()
	switch f.Name {
	case sessionExpired:
		s.sessions = map[string]bool{}
		return nil
	case hiddenField:
		o := s.objects[f.Object]
		if o == nil || o.field(f.Field) == nil {
			return fmt.Errorf("fault %s: there is no field %q of %q; say object and field", f.Name, f.Field, f.Object)
		}
		s.hidden[f.Object+"."+f.Field] = true
	case hiddenObject:
		if s.objects[f.Object] == nil && s.ownEvent(f.Object) == nil {
			return fmt.Errorf("fault %s: there is no object %q", f.Name, f.Object)
		}
		s.hidden[f.Object] = true
	}
	s.faults = append(s.faults, &f)
	return nil
}

// Mend clears all faults.
func (s *Org) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.hidden = nil, map[string]bool{}
}

// Faults are those still ordered.
func (s *Org) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Fault{}
	for _, f := range s.faults {
		list = append(list, *f)
	}
	return list
}

func (s *Org) meets(name, object, id string) bool {
	return s.index(name, object, id) >= 0
}

func (s *Org) index(name, object, id string) int {
	return slices.IndexFunc(s.faults, func(f *Fault) bool {
		return f.Name == name && (f.Object == "" || object == "" || f.Object == object) && (f.ID == "" || strings.HasPrefix(id, f.ID))
	})
}

// takes reports whether a fault is met, and uses it up.
func (s *Org) takes(name, object, id string) bool {
	i := s.index(name, object, id)
	if i < 0 {
		return false
	}
	if f := s.faults[i]; f.Times > 0 {
		if f.Times--; f.Times == 0 {
			s.faults = slices.Delete(s.faults, i, i+1)
		}
	}
	return true
}

// ends is when a transaction that begins now is committed.
func (s *Org) ends(o *object, now time.Time) time.Time {
	switch {
	case s.takes(openTransaction, o.name, ""):
		return now.Add(6 * time.Minute)
	case s.takes(lateRow, o.name, ""):
		return now.Add(3 * time.Second)
	}
	return now
}

// interrupted answers in place of the API.
func (s *Org) interrupted(*call) (*answer, error) {
	switch {
	case s.takes(requestLimit, "", ""):
		return nil, refuse(http.StatusForbidden, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
	case s.takes(htmlUnavailable, "", ""):
		return &answer{status: http.StatusServiceUnavailable, header: map[string]string{"Content-Type": "text/html; charset=UTF-8"},
			body: []byte("<html><head><title>Service unavailable</title></head><body>We are down for maintenance.</body></html>\n")}, nil
	}
	return nil, nil
}
