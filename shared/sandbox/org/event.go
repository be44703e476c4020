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
	at   time.Time
	Name string          `json:"name"` // of the event, e.g. AccountChangeEvent
	JSON json.RawMessage `json:"event"`
}

// Sources of the two relays, and the account that the envelope names.
const (
	changeSource   = "aws.partner/salesforce.com/" + OrgID + "/0YL000000000002GAA"
	platformSource = "aws.partner/salesforce.com/" + OrgID + "/0YL000000000001GAA"
	eventAccount   = "123456789012"
	eventRegion    = "eu-west-2"
)

// Forms of a time: that of events, and that of REST.
const (
	eventTime = "2006-01-02T15:04:05.000Z"
	restTime  = "2006-01-02T15:04:05.000+0000"
)

// Events are those delivered so far, in the order of their commits, from the given one on.
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
	s.deliver(o.name+"ChangeEvent", changeSource, at, n, pairs{{"payload", payload}})
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
	s.deliver(o.name, platformSource, at, n, pairs{{"schemaId", "UIovjRagY-xEDIJ1Ehzafg"}, {"id", uuid}, {"payload", payload}})
	return uuid
}

func (s *Org) deliver(name, source string, at time.Time, n int, detail pairs) {
	text, err := json.Marshal(pairs{
		{"version", "0"}, {"id", fmt.Sprintf("c0000000-0000-4000-8000-%012d", n)}, {"detail-type", name}, {"source", source}, {"account", eventAccount},
		{"time", at.Format("2006-01-02T15:04:05Z")}, {"region", eventRegion}, {"resources", []string{}}, {"detail", detail},
	})
	if err != nil {
		panic(err) // values came from JSON
	}
	s.events = append(s.events, Event{at: at, Name: name, JSON: text})
}
