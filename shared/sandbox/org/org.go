// Package orgsandbox is a Salesforce org with a memory, for tests and the local stack:
// tokens, records, queries, changed ids, bulk queries, platform events and the objects
// of Event Relay, as the REST, Tooling and Bulk 2.0 APIs serve them. It emits the
// change events of its own writes, so that every committed change can be counted on
// both ends.
//
// It was made from documents, recorded answers and what real clients ask for, never by
// asking an org; docs/reference/org-sandbox.md says what it does and does not do. What
// it does not know it refuses as Salesforce would.
//
// Beside Salesforce's API there are /_sandbox/state (GET), /_sandbox/credentials (GET),
// /_sandbox/session (POST), /_sandbox/events (GET), /_sandbox/faults (GET, POST, DELETE) and /_sandbox/reset (POST).
package orgsandbox

import (
	"cmp"
	"net/http"
	"sync"
	"time"
)

// The org, unless the options name another, and the user that every client logs in as.
const (
	OrgID  = "00D5f000005KcCnEAK"
	UserID = "0055f0000100001AAA"
)

// Options of an org; the zero value works.
type Options struct {
	// OrgID is the 18-character id of the org; empty is the constant OrgID.
	OrgID string
	// Region and Account are those that EventBridge's side plays; empty are the constants.
	Region, Account string
	// Now is the org's only clock; nil is time.Now.
	Now func() time.Time
	// Empty leaves the customers and deals of events/ out.
	Empty bool
}

// Org is an http.Handler, safe for concurrent use.
type Org struct {
	options Options
	mux     *http.ServeMux
	keys    credentials

	relaying sync.Mutex // of Relay; never taken while mu is held

	mu       sync.Mutex
	objects  map[string]*object
	records  map[string]*record // by 18-character id
	order    map[string][]*record
	serial   int // of ids, transactions, events
	open     []window
	events   []Event
	relay    relay
	partners map[string]*partner // of EventBridge, by the name of the source
	sessions map[string]bool
	locators map[string]*cursor
	jobs     map[string]*job
	deploys  map[string][]component
	faults   []*Fault
	hidden   map[string]bool // Object.Field without permission
	calls    int             // of the API since the start of the day
	requests []Request
}

// Request is one line of the org's log.
type Request struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Status int    `json:"status"`
}

// window is a transaction that is not committed yet.
type window struct{ from, until time.Time }

// Logs and lists start again beyond these lengths.
const (
	maxRequests = 100_000
	maxCursors  = 10_000
)

// dailyCalls is what a Developer Edition may ask in 24 hours.
const dailyCalls = 15_000

// New is an org with the customers and deals of events/.
func New(o Options) *Org {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.OrgID, o.Region, o.Account = cmp.Or(o.OrgID, OrgID), cmp.Or(o.Region, Region), cmp.Or(o.Account, Account)
	s := &Org{options: o}
	s.routes()
	s.Reset()
	return s
}

// Reset makes the org as it was at the start: records, events, faults, sessions, log.
// The credentials stay.
func (s *Org) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects, s.records, s.order = schema(), map[string]*record{}, map[string][]*record{}
	s.serial, s.open, s.events, s.relay, s.partners = 0, nil, nil, relay{}, map[string]*partner{}
	s.sessions, s.locators, s.jobs, s.deploys = map[string]bool{}, map[string]*cursor{}, map[string]*job{}, map[string][]component{}
	s.faults, s.hidden, s.calls, s.requests = nil, map[string]bool{}, 0, nil
	s.seed()
}

// now is the time of the org, in its own precision: whole seconds, as its stamps are.
func (s *Org) now() time.Time { return s.options.Now().UTC() }

// next is a number that the org has not used.
func (s *Org) next() int { s.serial++; return s.serial }

// State is what tests and people look at.
type State struct {
	Records  map[string]int `json:"records"` // rows by object that are not deleted
	Events   int            `json:"events"`  // that were delivered
	Calls    int            `json:"apiUsage"`
	Requests []Request      `json:"requests"`
}

// State counts what the org holds now.
func (s *Org) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := State{Records: map[string]int{}, Calls: s.calls, Requests: append([]Request{}, s.requests...)}
	now := s.now()
	for name, rows := range s.order {
		for _, r := range rows {
			if v := r.at(now); v != nil && !v.deleted {
				st.Records[name]++
			}
		}
	}
	for _, e := range s.events {
		if !e.at.After(now) {
			st.Events++
		}
	}
	return st
}
