package orgsandbox

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"sfrelay/shared/salesforce"
)

// relay is the metadata of Event Relay by the id of its row, and what its relays do.
type relay struct {
	metadata  map[string]map[string]any
	positions map[string]position // of those that did not stop
	channels  int                 // that were ever made
}

// relayFields are the members of the metadata of each type that clients may set; the
// first two types can be queried by the names with a capital.
var relayFields = map[string][]string{
	"PlatformEventChannel":       {"ChannelType", "EventType", "Label"},
	"PlatformEventChannelMember": {"EventChannel", "SelectedEntity", "FilterExpression", "EnrichedFields"},
	"EventRelayConfig":           {"DestinationResourceName", "EventChannel", "Label", "RelayOption", "State", "UsageType"},
	"NamedCredential":            {"Endpoint", "Label", "PrincipalType", "Protocol", "GenerateAuthorizationHeader", "NamedCredentialType", "CalloutStatus"},
}

var relayPrefix = map[string]string{"PlatformEventChannel": "0YL", "PlatformEventChannelMember": "0v8", "EventRelayConfig": "7k2", "NamedCredential": "0XA"}

// fixed are the members that no PATCH changes.
var fixed = map[string][]string{
	"PlatformEventChannel":       {"ChannelType", "EventType"},
	"PlatformEventChannelMember": {"EventChannel", "SelectedEntity"},
	"EventRelayConfig":           {"EventChannel", "DestinationResourceName"},
}

// needed are the members that a POST and a PATCH have to say.
var needed = map[string][]string{
	"PlatformEventChannel":       {"ChannelType", "Label"},
	"PlatformEventChannelMember": {"EventChannel", "SelectedEntity"},
	"EventRelayConfig":           {"DestinationResourceName", "EventChannel", "Label"},
	"NamedCredential":            {"Label"},
}

type metadata struct {
	FullName string
	Metadata map[string]any
}

func (s *Org) toolingQuery(c *call) (*answer, error) {
	a, err := s.answerQuery(c, "/tooling")
	if err != nil {
		return nil, err
	}
	// The Tooling API says more of a result than the REST API does.
	page, rows := a.body.(pairs), 0
	if page.get("columnMetadata") != nil {
		return a, nil
	}
	if r, ok := page.get("records").([]pairs); ok {
		rows = len(r)
	}
	entity := ""
	if st, err := parse(c.URL.Query().Get("q")); err == nil {
		entity = s.visible(st.from.text).name
	}
	a.body = append(pairs{{"size", rows}}, append(page[:len(page)-1:len(page)-1], pair{"queryLocator", nil}, pair{"entityTypeName", entity}, page[len(page)-1])...)
	return a, nil
}

// capital is the name of a row's field for a member of the metadata.
func capital(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

func (s *Org) relayObject(c *call) (*object, error) {
	o := s.objects[c.PathValue("type")]
	if o == nil || relayFields[o.name] == nil {
		return nil, notFound()
	}
	return o, nil
}

func (s *Org) toolingCreate(c *call) (*answer, error) {
	o, err := s.relayObject(c)
	if err != nil {
		return nil, err
	}
	var m metadata
	if err := c.json(&m); err != nil {
		return nil, err
	}
	if m.FullName == "" {
		return nil, refuse(http.StatusBadRequest, "REQUIRED_FIELD_MISSING", "Required fields are missing: [FullName]")
	}
	name := strings.TrimSuffix(m.FullName, "__chn")
	if strings.Contains(name, "__") {
		return nil, refuse(http.StatusBadRequest, "FIELD_INTEGRITY_EXCEPTION", "%s", noNamespace(strings.SplitN(name, "__", 2)[0]))
	}
	for _, r := range s.order[o.name] {
		if v := r.at(s.now()); v != nil && v.values["DeveloperName"] == name {
			return nil, refuse(http.StatusBadRequest, "DUPLICATE_DEVELOPER_NAME", "The developer name you provided has already been used.")
		}
	}
	values, err := s.relayValues(o, m)
	if err != nil {
		return nil, err
	}
	if err := s.fitsRelay(o, values); err != nil {
		return nil, err
	}
	values["DeveloperName"], values["MasterLabel"] = name, m.Metadata["label"]
	if o.name == "EventRelayConfig" && values["State"] == nil {
		values["State"], m.Metadata["state"] = "STOP", "STOP"
	}
	id := s.newID(o.prefix)
	if o.name == "PlatformEventChannel" {
		id = s.channelID()
	}
	if err := s.commit(o, "", change{kind: "CREATE", id: id, values: values}); err != nil {
		return nil, err
	}
	s.keep(id, m.Metadata)
	if o.name == "EventRelayConfig" {
		s.feedback(id, values)
		s.stands(id, values["State"])
	}
	return &answer{status: http.StatusCreated, body: pairs{{"id", id}, {"success", true}, {"errors", []any{}}, {"warnings", []any{}}, {"infos", []any{}}}}, nil
}

// channelID is the next one. They are counted for themselves: the names of sources, and so of
// buses, are the same in every org that is set up in one order.
func (s *Org) channelID() string {
	s.relay.channels++
	id, err := salesforce.ID18(fmt.Sprintf("%s%012d", relayPrefix["PlatformEventChannel"], s.relay.channels))
	if err != nil {
		panic(err) // the prefix is a constant
	}
	return id
}

func (s *Org) keep(id string, m map[string]any) {
	if s.relay.metadata == nil {
		s.relay.metadata = map[string]map[string]any{}
	}
	s.relay.metadata[id] = m
}

// relayValues are the members of metadata as fields of the row.
func (s *Org) relayValues(o *object, m metadata) (map[string]any, error) {
	values := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(m.Metadata)) {
		if !slices.Contains(relayFields[o.name], capital(name)) {
			return nil, refuse(http.StatusBadRequest, "INVALID_FIELD", "No such column '%s' on sobject of type %s", name, o.name)
		}
		values[capital(name)] = m.Metadata[name]
		if list, is := m.Metadata[name].([]any); is {
			values[capital(name)] = fmt.Sprint(list)
		}
	}
	for _, name := range needed[o.name] {
		if values[name] == nil {
			return nil, refuse(http.StatusBadRequest, "REQUIRED_FIELD_MISSING", "Required fields are missing: [%s]", name)
		}
	}
	return values, nil
}

var states = []any{nil, "RUN", "STOP", "PAUSE"}

// fitsRelay refuses what leads nowhere, and a second relay of one channel.
func (s *Org) fitsRelay(o *object, values map[string]any) error {
	if o.name != "EventRelayConfig" && o.name != "PlatformEventChannelMember" {
		return nil
	}
	channel, _ := values["EventChannel"].(string)
	if s.byName("PlatformEventChannel", strings.TrimSuffix(channel, "__chn")) == nil {
		return refuse(http.StatusBadRequest, "INVALID_CROSS_REFERENCE_KEY", "The event channel %s does not exist", channel)
	}
	if o.name != "EventRelayConfig" {
		return nil
	}
	if !slices.Contains(states, values["State"]) {
		return refuse(http.StatusBadRequest, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "State: bad value for restricted picklist field: %v", values["State"])
	}
	credential, _ := values["DestinationResourceName"].(string)
	if name, is := strings.CutPrefix(credential, "callout:"); !is || s.byName("NamedCredential", name) == nil {
		return refuse(http.StatusBadRequest, "FIELD_INTEGRITY_EXCEPTION", "The named credential %s does not exist", credential)
	}
	for _, r := range s.order[o.name] {
		if v := r.at(s.now()); v != nil && v.values["EventChannel"] == channel {
			return refuse(http.StatusBadRequest, "FIELD_INTEGRITY_EXCEPTION", "The event channel %s is used by another event relay", channel)
		}
	}
	return nil
}

func (s *Org) byName(object, name string) *record {
	for _, r := range s.order[object] {
		if v := r.at(s.now()); v != nil && v.values["DeveloperName"] == name {
			return r
		}
	}
	return nil
}

// feedback is the row in which Salesforce says how a relay does.
func (s *Org) feedback(id string, values map[string]any) {
	channel, _ := values["EventChannel"].(string)
	of := s.byName("PlatformEventChannel", strings.TrimSuffix(channel, "__chn"))
	s.mustCommit("EventRelayFeedback", s.newID("1ER"), map[string]any{
		"EventRelayConfigId": id, "EventRelayNumber": fmt.Sprintf("ER-%04d", len(s.order["EventRelayFeedback"])+1), "Status": statusOf(values["State"]),
		"RemoteResource": s.sourceOf(of.id)})
	s.leads(s.sourceOf(of.id), values)
}

func (s *Org) mustCommit(object, id string, values map[string]any) {
	if err := s.commit(s.objects[object], "", change{kind: "CREATE", id: id, values: values}); err != nil {
		panic(err) // a new row has no lock
	}
}

// statusOf is the status that follows a state at once here; at Salesforce it takes minutes.
func statusOf(state any) string {
	switch state {
	case "RUN":
		return "RUNNING"
	case "PAUSE":
		return "PAUSED"
	}
	return "STOPPED"
}

func (s *Org) relayRow(c *call) (*object, *record, error) {
	o, err := s.relayObject(c)
	if err != nil {
		return nil, nil, err
	}
	r := s.find(c.PathValue("id"))
	if r == nil || r.object != o || r.at(s.now()) == nil {
		return nil, nil, refuse(http.StatusNotFound, "NOT_FOUND", "Provided external ID field does not exist or is not accessible: %s", c.PathValue("id"))
	}
	return o, r, nil
}

func (s *Org) toolingGet(c *call) (*answer, error) {
	o, r, err := s.relayRow(c)
	if err != nil {
		return nil, err
	}
	v := r.at(s.now())
	name, _ := v.values["DeveloperName"].(string)
	if o.name == "PlatformEventChannel" {
		name += "__chn"
	}
	read := &reader{org: s, version: c.version, path: "/tooling", now: s.now()}
	row, err := read.row(o, r, read.everything(o))
	if err != nil {
		return nil, err
	}
	return ok(append(row, pair{"FullName", name}, pair{"Metadata", s.relay.metadata[r.id]}))
}

// toolingPatch replaces the metadata whole, as Salesforce does: what is not said is unset,
// and some members never change. A state alone is taken for a relay.
func (s *Org) toolingPatch(c *call) (*answer, error) {
	o, r, err := s.relayRow(c)
	if err != nil {
		return nil, err
	}
	var m metadata
	if err := c.json(&m); err != nil {
		return nil, err
	}
	if state, said := m.Metadata["state"]; said && len(m.Metadata) == 1 && o.name == "EventRelayConfig" {
		m.Metadata = maps.Clone(s.relay.metadata[r.id])
		m.Metadata["state"] = state
	}
	values, err := s.relayValues(o, m)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(states, values["State"]) {
		return nil, refuse(http.StatusBadRequest, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "State: bad value for restricted picklist field: %v", values["State"])
	}
	now := r.at(s.now()).values
	for _, name := range fixed[o.name] {
		if values[name] != now[name] {
			return nil, refuse(http.StatusBadRequest, "FIELD_INTEGRITY_EXCEPTION", "%s can't be changed", name)
		}
	}
	for _, name := range relayFields[o.name] {
		if _, said := values[name]; !said {
			values[name] = nil
		}
	}
	if err := s.commit(o, "", change{kind: "UPDATE", id: r.id, values: values}); err != nil {
		return nil, err
	}
	s.keep(r.id, m.Metadata)
	if f := s.feedbackOf(r.id); f != nil {
		s.stands(r.id, values["State"])
		said := map[string]any{"Status": statusOf(values["State"])}
		if said["Status"] == "STOPPED" {
			maps.Copy(said, map[string]any{"ErrorCode": nil, "ErrorIdentifier": nil, "ErrorMessage": nil, "ErrorTime": nil})
		}
		s.says(f, said)
	}
	return noContent()
}

func (s *Org) toolingDelete(c *call) (*answer, error) {
	o, r, err := s.relayRow(c)
	if err != nil {
		return nil, err
	}
	name := r.at(s.now()).values["DeveloperName"]
	for _, other := range slices.Concat(s.order["EventRelayConfig"], s.order["PlatformEventChannelMember"]) {
		v := other.at(s.now())
		if v == nil {
			continue
		}
		if o.name == "PlatformEventChannel" && v.values["EventChannel"] == fmt.Sprint(name, "__chn") || o.name == "NamedCredential" && v.values["DestinationResourceName"] == fmt.Sprint("callout:", name) {
			return nil, refuse(http.StatusBadRequest, "DELETE_FAILED", "Your attempt to delete %v could not be completed because it is associated with %s", name, other.object.name)
		}
	}
	if o.name == "EventRelayConfig" {
		if f := s.feedbackOf(r.id); f != nil {
			if err := s.commit(f.object, "", change{kind: "DELETE", id: f.id, erase: true}); err != nil {
				return nil, err
			}
		}
		delete(s.relay.positions, r.id)
	}
	if err := s.commit(o, "", change{kind: "DELETE", id: r.id, erase: true}); err != nil {
		return nil, err
	}
	return noContent()
}

// Relayed moves the LastRelayedEventTime of the running relays to a time.
func (s *Org) Relayed(at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.order["EventRelayFeedback"] {
		if v := f.at(s.now()); v != nil && v.values["Status"] == "RUNNING" {
			if err := s.commit(f.object, "", change{kind: "UPDATE", id: f.id, values: map[string]any{"LastRelayedEventTime": at.UTC().Truncate(time.Second)}}); err != nil {
				return err
			}
		}
	}
	return nil
}
