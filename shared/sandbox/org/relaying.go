package orgsandbox

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"
)

// What the relays do with the events: each goes on from its own position, as long as its
// state is RUN and its source is associated with a bus. The rules about positions are those
// of Salesforce's documents; docs/reference/org-sandbox.md says where those are silent.

// retention is how long the org keeps events for its relays.
const retention = 72 * time.Hour

// mostAtOnce bounds what one relay delivers before the next one's turn.
const mostAtOnce = 10_000

// position is how far a relay has come: behind the event of that time and number.
type position struct {
	at time.Time
	n  int
}

func (p position) before(e Event) bool { return p.compare(position{e.at, e.n}) < 0 }

func (p position) compare(o position) int {
	return cmp.Or(p.at.Compare(o.at), cmp.Compare(p.n, o.n))
}

// Relay delivers what is due through the relays that run, in the order of the commits, and
// moves their LastRelayedEventTime. What deliver refuses, and all of that relay behind it, waits
// for the next call. It may be called by many at once; deliver is called by one.
func (s *Org) Relay(deliver func(Event) error) error {
	s.relaying.Lock()
	defer s.relaying.Unlock()
	var failed error
	for _, id := range s.relays() {
		events, end := s.due(id)
		for _, e := range events {
			if !s.runs(id) { // it was paused meanwhile
				end = position{}
				break
			}
			if err := deliver(e); err != nil {
				failed, end = errors.Join(failed, err), position{}
				break
			}
			s.passed(id, position{e.at, e.n}, &e)
		}
		s.passed(id, end, nil)
	}
	return failed
}

// relays are the ids of all configurations.
func (s *Org) relays() (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.order["EventRelayConfig"] {
		if r.at(s.now()) != nil {
			ids = append(ids, r.id)
		}
	}
	return ids
}

// due are the events for a relay, and where it stands when they are delivered: behind all
// that was committed until now.
func (s *Org) due(id string) ([]Event, position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting(id)
}

func (s *Org) waiting(id string) ([]Event, position) {
	r, f := s.records[id].at(s.now()), s.feedbackOf(id)
	if r == nil || f == nil || f.at(s.now()).values["Status"] != "RUNNING" {
		return nil, position{}
	}
	source, _ := f.at(s.now()).values["RemoteResource"].(string)
	now := position{s.now(), s.serial}
	if s.source(source).get("State") != "ACTIVE" {
		if !earliest(r) {
			return nil, now
		}
		return nil, position{} // they wait for a bus
	}
	members := s.members(r.values["EventChannel"])
	var events []Event
	for _, e := range s.events {
		if s.relay.positions[id].before(e) && !e.at.After(now.at) && e.at.After(now.at.Add(-retention)) && members[e.Name] {
			events = append(events, s.from(source, e))
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int { return position{a.at, a.n}.compare(position{b.at, b.n}) })
	if len(events) > mostAtOnce {
		return events[:mostAtOnce], position{}
	}
	return events, now
}

// earliest reports whether a relay sends what is kept when it has lost its position.
func earliest(r *state) bool {
	option, _ := r.values["RelayOption"].(string)
	return strings.Contains(option, "EARLIEST")
}

func (s *Org) feedbackOf(id string) *record {
	for _, f := range s.order["EventRelayFeedback"] {
		if v := f.at(s.now()); v != nil && v.values["EventRelayConfigId"] == id {
			return f
		}
	}
	return nil
}

// members are the events that a channel carries.
func (s *Org) members(channel any) map[string]bool {
	events := map[string]bool{}
	for _, m := range s.order["PlatformEventChannelMember"] {
		if v := m.at(s.now()); v != nil && v.values["EventChannel"] == channel {
			name, _ := v.values["SelectedEntity"].(string)
			events[name] = true
		}
	}
	return events
}

func (s *Org) runs(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.feedbackOf(id)
	return f != nil && f.at(s.now()).values["Status"] == "RUNNING"
}

// passed moves a relay's position on, never back, and says of which event.
func (s *Org) passed(id string, p position, of *Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, there := s.relay.positions[id]
	if !there || p.compare(at) <= 0 {
		return
	}
	s.relay.positions[id] = p
	if of != nil {
		s.says(s.feedbackOf(id), map[string]any{"LastRelayedEventTime": of.at.UTC().Truncate(time.Second)})
	}
}

// says writes into a row of feedback: the org does, so that no order of a fault is meant.
func (s *Org) says(f *record, values map[string]any) {
	s.apply(f.object, change{kind: "UPDATE", id: f.id, values: values}, s.now().Truncate(time.Second), s.now())
}

// stands sets the position of a relay whose state changes. STOP forgets it, and RUN after STOP
// begins with the next event; PAUSE keeps it for as long as events are kept.
func (s *Org) stands(id string, state any) {
	if s.relay.positions == nil {
		s.relay.positions = map[string]position{}
	}
	now := position{s.now(), s.serial}
	at, there := s.relay.positions[id]
	switch state {
	case "RUN":
		lost := there && !at.at.After(s.now().Add(-retention)) && !earliest(s.records[id].last())
		if !there || lost {
			s.relay.positions[id] = now
		}
	case "PAUSE":
		if events, end := s.waiting(id); there && len(events) == 0 && end != (position{}) {
			s.relay.positions[id] = end // it was idle, not behind
		}
	default:
		delete(s.relay.positions, id)
	}
}
