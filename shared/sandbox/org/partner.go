package orgsandbox

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// EventBridge's side of the relays, as far as it concerns their sources: the few calls that
// no emulator knows. A source is there once a relay leads to this account and region; it is
// PENDING for seven days, ACTIVE while a bus of its name is associated with it, and PENDING
// again when that bus is deleted (EventBridge User Guide, "Receiving events from a SaaS
// partner"; API Reference, CreateEventBus, DescribeEventSource).

// pendingFor is how long a source waits to be associated.
const pendingFor = 7 * 24 * time.Hour

// Region and Account are those that the org's relays may lead to here, unless the options
// name others.
const (
	Region  = "eu-west-2"
	Account = "123456789012"
)

// arn is that of something in the account's EventBridge.
func (s *Org) arn(what string) string {
	return "arn:aws:events:" + s.options.Region + ":" + s.options.Account + ":" + what
}

// partner is a source and its bus.
type partner struct {
	since time.Time // that it is pending
	bus   bool
	off   bool // deactivated
	rules []rule
}

type rule struct{ Name, State, EventPattern string }

type awsRefusal struct{ code, message string }

// awsEvents answers the JSON protocol of EventBridge.
func (s *Org) awsEvents(w http.ResponseWriter, r *http.Request) {
	var in struct{ Name, NamePrefix, EventSourceName, EventBusName, State, EventPattern string }
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	var body any
	var no *awsRefusal
	switch operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AWSEvents."); {
	case err != nil:
		no = &awsRefusal{"SerializationException", "the request is no JSON"}
	case operation == "ListEventSources":
		list := []pairs{}
		for _, name := range s.sources() {
			if strings.HasPrefix(name, in.NamePrefix) {
				list = append(list, s.source(name))
			}
		}
		body = pairs{{"EventSources", list}}
	case operation == "DescribeEventSource":
		if body = s.source(in.Name); body.(pairs) == nil {
			no = &awsRefusal{"ResourceNotFoundException", "Event source " + in.Name + " does not exist."}
		}
	case operation == "ActivateEventSource" || operation == "DeactivateEventSource":
		body, no = pairs{}, s.activate(in.Name, operation == "ActivateEventSource")
	case operation == "CreateEventBus":
		body, no = s.createBus(in.Name, in.EventSourceName)
	case operation == "DeleteEventBus":
		if p := s.partners[in.Name]; p != nil && p.bus {
			p.bus, p.off, p.since = false, false, s.now()
		}
		body = pairs{}
	case operation == "EnableRule":
		body, no = s.onBus(operation, in.EventBusName, rule{Name: in.Name})
	case operation == "ListRules" || operation == "DescribeEventBus" || operation == "PutRule":
		body, no = s.onBus(operation, in.EventBusName, rule{in.Name, in.State, in.EventPattern})
	default:
		no = &awsRefusal{"UnknownOperationException", operation}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if no != nil {
		w.WriteHeader(http.StatusBadRequest)
		body = pairs{{"__type", no.code}, {"message", no.message}}
	}
	_ = json.NewEncoder(w).Encode(body)
}

// sources are the names of those that are there.
func (s *Org) sources() (names []string) {
	for name := range s.partners {
		if s.source(name) != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// source is one, nil if it is not there.
func (s *Org) source(name string) pairs {
	p := s.partners[name]
	if p == nil {
		return nil
	}
	about := pairs{{"Arn", "arn:aws:events:" + s.options.Region + "::event-source/" + name}, {"Name", name}, {"CreatedBy", "aws.partner/salesforce.com"}, {"CreationTime", p.since.Unix()}}
	relayed := s.relayOf(name)
	ends := p.since.Add(pendingFor)
	switch {
	case p.bus && relayed && !p.off:
		return append(about, pair{"State", "ACTIVE"})
	case p.bus && !relayed:
		return append(about, pair{"State", "DELETED"})
	case !relayed || !s.now().Before(ends):
		return nil
	}
	return append(about, pair{"State", "PENDING"}, pair{"ExpirationTime", ends.Unix()})
}

// relayOf reports whether a relay has the source.
func (s *Org) relayOf(source string) bool {
	return slices.ContainsFunc(s.order["EventRelayFeedback"], func(r *record) bool {
		v := r.at(s.now())
		return v != nil && !v.deleted && v.values["RemoteResource"] == source
	})
}

// activate switches the way from a source to its bus on or off. A source that is off is pending,
// also as far as its end is concerned.
func (s *Org) activate(name string, on bool) *awsRefusal {
	p, about := s.partners[name], s.source(name)
	want := map[bool]string{true: "PENDING", false: "ACTIVE"}[on]
	switch {
	case about == nil:
		return &awsRefusal{"ResourceNotFoundException", "Event source " + name + " does not exist."}
	case about.get("State") != want || !p.bus:
		return &awsRefusal{"InvalidStateException", "Event source " + name + " is not in state " + want + "."}
	}
	p.off, p.since = !on, s.now()
	return nil
}

func (s *Org) createBus(name, source string) (any, *awsRefusal) {
	switch p := s.partners[name]; {
	case name != source:
		return nil, &awsRefusal{"ValidationException", "The name of a partner event bus must match the name of its event source."}
	case p != nil && p.bus:
		return nil, &awsRefusal{"ResourceAlreadyExistsException", "Event bus " + name + " already exists."}
	case s.source(name) == nil:
		return nil, &awsRefusal{"ResourceNotFoundException", "Event source " + source + " does not exist."}
	default:
		p.bus = true
		return pairs{{"EventBusArn", s.arn("event-bus/" + name)}}, nil
	}
}

func (s *Org) onBus(operation, name string, r rule) (any, *awsRefusal) {
	p := s.partners[name]
	if operation == "DescribeEventBus" {
		name = r.Name
		p = s.partners[name]
	}
	if p == nil || !p.bus {
		return nil, &awsRefusal{"ResourceNotFoundException", "Event bus " + name + " does not exist."}
	}
	switch operation {
	case "DescribeEventBus":
		return pairs{{"Name", name}, {"Arn", s.arn("event-bus/" + name)}}, nil
	case "EnableRule":
		i := slices.IndexFunc(p.rules, func(other rule) bool { return other.Name == r.Name })
		if i < 0 {
			return nil, &awsRefusal{"ResourceNotFoundException", "Rule " + r.Name + " does not exist on EventBus " + name + "."}
		}
		p.rules[i].State = "ENABLED"
		return pairs{}, nil
	case "PutRule":
		p.rules = append(slices.DeleteFunc(p.rules, func(other rule) bool { return other.Name == r.Name }), r)
		return pairs{{"RuleArn", s.arn("rule/" + name + "/" + r.Name)}}, nil
	}
	rules := []rule{}
	return pairs{{"Rules", append(rules, p.rules...)}}, nil
}

// leads makes the source of a new relay whose credential leads here.
func (s *Org) leads(source string, values map[string]any) {
	name, _ := values["DestinationResourceName"].(string)
	if c := s.byName("NamedCredential", strings.TrimPrefix(name, "callout:")); c != nil && c.at(s.now()).values["Endpoint"] == "arn:aws:"+strings.ToUpper(s.options.Region)+":"+s.options.Account {
		s.partners[source] = &partner{since: s.now()}
	}
}

// RelaySays sets what Salesforce says of a relay, by the relay's name: ErrorCode, Status,
// LastRelayedEventTime and so on.
func (s *Org) RelaySays(relay string, values map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.order["EventRelayFeedback"] {
		if v := f.at(s.now()); v != nil && s.byName("EventRelayConfig", relay) != nil && v.values["EventRelayConfigId"] == s.byName("EventRelayConfig", relay).id {
			if err := s.commit(f.object, "", change{kind: "UPDATE", id: f.id, values: values}); err != nil {
				panic(err) // the row has no lock
			}
		}
	}
}

// RelayState is the state that a relay is asked to have, by the relay's name.
func (s *Org) RelayState(relay string) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.byName("EventRelayConfig", relay); r != nil {
		return r.at(s.now()).values["State"]
	}
	return nil
}
