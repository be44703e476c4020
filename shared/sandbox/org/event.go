package orgsandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Event is what a relay delivers, in the form of events/.
type Event struct {
	at     time.Time
	n      int // tells events of one moment apart, and their order
	detail pairs

	Name   string          `json:"name"` // of the event, e.g. AccountChangeEvent
	Source string          `json:"source"`
	JSON   json.RawMessage `json:"event"`
}

// Channels of the two relays of the list of events: there needs no relay to be.
const (
	changeChannel   = "0YL000000000002GAA"
	platformChannel = "0YL000000000001GAA"
)

// sourceOf is the name of the partner event source of a channel.
func (s *Org) sourceOf(channel string) string {
	return "aws.partner/salesforce.com/" + s.options.OrgID + "/" + channel
}

// Forms of a time: that of events, and that of REST.
const (
	eventTime = "2006-01-02T15:04:05.000Z"
	restTime  = "2006-01-02T15:04:05.000+0000"
)

// Events are those committed so far, in the order of their commits, from the given one on,
// each as one of two relays that miss nothing would deliver it. Relay is what real ones do.
func (s *Org) Events(after int) []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, due := s.now(), []Event{}
	for _, e := range s.events {
		if !e.at.After(now) {
			due = append(due, e)
		}
	}
	slices.SortStableFunc(due, func(a, b Event) int { return a.at.Compare(b.at) })
	return due[min(max(after, 0), len(due)):]
}

// emit makes the change event of a write. Setup objects have none.
func (s *Org) emit(o *object, c change, origin string, at time.Time, transaction, sequence int) {
	if o.setup {
		return
	}
	n := s.next()
	header := pairs{
		{"entityName", o.name}, {"recordIds", []string{c.id}}, {"changeType", c.kind}, {"changeOrigin", origin},
		{"transactionKey", fmt.Sprintf("0000be70-a756-e601-9202-%012d", transaction)}, {"sequenceNumber", sequence},
		{"commitTimestamp", at.UnixMilli()}, {"commitNumber", at.UnixMilli()*1_000_000 + int64(n)}, {"commitUser", UserID},
	}
	values := map[string]any{}
	switch c.kind {
	case "CREATE", "UNDELETE":
		for k, v := range s.records[c.id].last().values {
			if v != nil && k != "Id" && k != "IsDeleted" && k != "SystemModstamp" {
				values[k] = v
			}
		}
	case "UPDATE":
		maps.Copy(values, c.values)
		for _, derived := range []string{"IsWon", "IsClosed"} {
			if _, moved := c.values["StageName"]; moved && o.field(derived) != nil {
				values[derived] = s.records[c.id].last().values[derived]
			}
		}
		values["LastModifiedDate"] = s.records[c.id].last().stamp
	}
	for name := range values {
		if s.hidden[o.name+"."+name] {
			delete(values, name)
		}
	}
	if c.kind == "UPDATE" {
		header = append(header, pair{"changedFields", changed(o, values)})
	}
	payload := append(pairs{{"ChangeEventHeader", header}}, body(o, values)...)
	s.record(o.name+"ChangeEvent", changeChannel, at, n, pairs{{"payload", payload}})
}

// changed are the names of changed fields; parts of an address by its name.
func changed(o *object, values map[string]any) []string {
	names := []string{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if f := o.field(name); f.compound != "" {
			name = f.compound + "." + part(f)
		}
		names = append(names, name)
	}
	return names
}

func part(f *field) string {
	return strings.TrimPrefix(f.name, strings.TrimSuffix(f.compound, "Address"))
}

// body are the fields of an event in the order of the schema; an address is an object.
func body(o *object, values map[string]any) pairs {
	members := pairs{}
	for _, f := range o.fields {
		if f.kind == "address" {
			var parts pairs
			for _, p := range o.fields {
				if v, there := values[p.name]; there && p.compound == f.name {
					parts = append(parts, pair{part(p), v})
				}
			}
			if parts != nil {
				members = append(members, pair{f.name, parts})
			}
			continue
		}
		if v, there := values[f.name]; there && f.compound == "" {
			members = append(members, pair{f.name, shown(v, eventTime)})
		}
	}
	return members
}

// shown is a value as JSON has it; times in the given form.
func shown(v any, form string) any {
	if t, ok := v.(time.Time); ok {
		return t.Format(form)
	}
	return v
}

// publish makes a platform event and returns its id in the answer and its EventUuid.
func (s *Org) publish(o *object, values map[string]any) string {
	n, at := s.next(), s.now()
	uuid := fmt.Sprintf("d0000000-0000-4000-8000-%012d", n)
	payload := pairs{{"CreatedDate", at.Format(eventTime)}, {"CreatedById", UserID}}
	for _, f := range o.fields[4:] {
		payload = append(payload, pair{f.name, shown(values[f.name], eventTime)})
	}
	s.record(o.name, platformChannel, at, n, pairs{{"schemaId", "UIovjRagY-xEDIJ1Ehzafg"}, {"id", uuid}, {"payload", payload}})
	return uuid
}

// record keeps an event for the list and for the relays.
func (s *Org) record(name, channel string, at time.Time, n int, detail pairs) {
	s.events = append(s.events, s.from(s.sourceOf(channel), Event{at: at, n: n, Name: name, detail: detail}))
}

// from is an event as it comes from a source.
func (s *Org) from(source string, e Event) Event {
	text, err := json.Marshal(pairs{
		{"version", "0"}, {"id", fmt.Sprintf("c0000000-0000-4000-8000-%012d", e.n)}, {"detail-type", e.Name}, {"source", source}, {"account", s.options.Account},
		{"time", e.at.Format("2006-01-02T15:04:05Z")}, {"region", s.options.Region}, {"resources", []string{}}, {"detail", e.detail},
	})
	if err != nil {
		panic(err) // values came from JSON
	}
	e.Source, e.JSON = source, text
	return e
}
