package orgsandbox

import (
	"encoding/xml"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// What a deployment may not hold. Only what concerns the relays is judged; the rest passes
// unread. docs/reference/org-sandbox.md lists it.

// failure is what is wrong with one file.
type failure struct {
	component
	problem string
}

// mixed are members of metadata that the judgement reads, of any type.
type mixed struct {
	Channel string   `xml:"eventChannel"`
	Entity  string   `xml:"selectedEntity"`
	Kind    string   `xml:"channelType"`
	State   string   `xml:"state"`
	Types   []string `xml:"types>name"` // of package.xml
}

// relayStates are those of EventRelayConfig in Salesforce's own types.
var relayStates = []string{"", "RUN", "STOP", "PAUSE", "DELETE"}

// mistakes names what is wrong with a deployment: files that cannot be read, then the others in
// their order.
func (s *Org) mistakes(all []component) (wrong []failure) {
	channels, events := s.channelsAndEvents()
	read := make([]mixed, len(all))
	for i, m := range all {
		if m.kind == "ApexClass" || m.kind == "ApexTrigger" {
			continue
		}
		if err := xml.Unmarshal(m.text, &read[i]); err != nil {
			wrong = append(wrong, failure{m, "Error parsing file: " + err.Error()})
			continue
		}
		switch m.kind {
		case "PlatformEventChannel":
			channels[m.name] = read[i].Kind
		case "CustomObject":
			events[m.name], events[changeEvent(m.name)] = true, true
		}
	}
	for i, m := range all {
		for _, problem := range problems(m, read[i], channels, events) {
			wrong = append(wrong, failure{m, problem})
		}
	}
	return wrong
}

// channelsAndEvents are those of the org: types of channels by name, and what a member can
// select.
func (s *Org) channelsAndEvents() (map[string]string, map[string]bool) {
	channels, events := map[string]string{}, map[string]bool{}
	for _, r := range s.order["PlatformEventChannel"] {
		if v := r.at(s.now()); v != nil {
			kind, _ := v.values["ChannelType"].(string)
			channels[fmt.Sprint(v.values["DeveloperName"], "__chn")] = kind
		}
	}
	for name, o := range s.objects {
		switch {
		case o.event:
			events[name] = true
		case !o.setup:
			events[changeEvent(name)] = true
		}
	}
	return channels, events
}

// changeEvent is the name of an object's change event.
func changeEvent(object string) string {
	if name, custom := strings.CutSuffix(object, "__c"); custom {
		return name + "__ChangeEvent"
	}
	return object + "ChangeEvent"
}

func problems(m component, v mixed, channels map[string]string, events map[string]bool) (wrong []string) {
	switch m.kind {
	case "":
		if m.name != "package.xml" {
			return []string{"Unknown folder: " + path.Base(path.Dir(m.file))}
		}
		for _, name := range v.Types {
			if name != "CustomField" && !slices.Contains(slices.Collect(maps.Values(kinds)), name) {
				wrong = append(wrong, fmt.Sprintf("Unknown type name '%s' specified in package.xml", name))
			}
		}
	case "EventRelayConfig":
		if !slices.Contains(relayStates, v.State) {
			wrong = append(wrong, fmt.Sprintf("'%s' is not a valid value for the enum 'EventRelayConfigState'", v.State))
		}
	case "PlatformEventChannelMember":
		if namespace, _, found := strings.Cut(m.name, "__"); found {
			wrong = append(wrong, noNamespace(namespace))
		}
		kind, there := channels[v.Channel]
		if !there {
			wrong = append(wrong, "The event channel "+v.Channel+" does not exist")
		}
		if !events[v.Entity] {
			wrong = append(wrong, "The selected entity "+v.Entity+" does not exist")
		} else if there && kind != kindOf(v.Entity) {
			wrong = append(wrong, fmt.Sprintf("The selected entity %s can't be a member of the channel %s of the type %s", v.Entity, v.Channel, kind))
		}
	}
	return wrong
}

// kindOf is the type of the channels that an event may be a member of: a channel has platform
// events or change events.
func kindOf(event string) string {
	if strings.HasSuffix(event, "ChangeEvent") {
		return "data"
	}
	return "event"
}

func noNamespace(namespace string) string {
	return fmt.Sprintf("Cannot create a component with namespace: %s. Components can be created only with the organization's own namespace", namespace)
}
