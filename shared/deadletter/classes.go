package deadletter

import (
	"slices"

	"sfrelay/shared/verdict"
)

// Way is what has to happen before a change of a class gets through.
type Way string

// The ways.
const (
	Transient Way = "transient" // time: the same change goes through later
	Waits     Way = "waits"     // something that another change, or a deployment, brings
	Person    Way = "person"    // somebody has to correct or to decide something
)

// ways are those of the classes that need no person. What is not here does, so a new class is
// redriven by nobody but a person.
var ways = map[verdict.Class]Way{
	verdict.Throttled:         Transient,
	verdict.Conflict:          Transient,
	verdict.SubjectBusy:       Transient,
	verdict.Unknown:           Transient,
	verdict.Unfinished:        Transient,
	verdict.Auth:              Transient,
	verdict.FanOut:            Transient,
	verdict.OrgLimit:          Transient,
	verdict.OrgDown:           Transient,
	verdict.DependencyMissing: Waits,
	verdict.NeedsFetch:        Waits,
	verdict.NeedsSnapshot:     Waits,
	verdict.RecordUnreadable:  Waits,
	verdict.OverwroteNewer:    Waits,

	// Lambda's own records. What was done before is a duplicate.
	"Sandbox.Timedout":    Transient,
	"Runtime.ExitError":   Transient,
	"Runtime.OutOfMemory": Transient,
	"EventAgeExceeded":    Transient,
	"RetriesExhausted":    Transient,

	// EventBridge's. A redrive calls the function itself, whatever kept EventBridge from it.
	"THROTTLING":                      Transient,
	"RESOURCE_LIMIT_EXCEEDED":         Transient,
	"CONNECTION_FAILURE":              Transient,
	"TIMEOUT":                         Transient,
	"INTERNAL_ERROR":                  Transient,
	"SDK_CLIENT_ERROR":                Transient,
	"ERROR_FROM_TARGET":               Transient,
	"UNKNOWN":                         Transient,
	"RESOURCE_ALREADY_EXISTS":         Transient,
	"RESOURCE_MODIFICATION_COLLISION": Transient,
	"NO_PERMISSIONS":                  Waits,
	"NO_RESOURCE":                     Waits,
	"FAILED_TO_ASSUME_ROLE":           Waits,
	"TRANSIENT_ASSUME_ROLE":           Waits,
}

// WayOf is the way of a class.
func WayOf(class verdict.Class) Way {
	if way, ok := ways[class]; ok {
		return way
	}
	return Person
}

// needsOrg are the classes that get through where the consumers read from Salesforce.
var needsOrg = map[verdict.Class]bool{
	verdict.NeedsFetch: true, verdict.NeedsSnapshot: true, verdict.RecordUnreadable: true, verdict.OverwroteNewer: true,
}

// Hopeless says why a redrive of the message will not help now, empty where it may. It is no
// refusal: another event may have done what this one could not.
func (qs *Queues) Hopeless(m Message) string {
	for _, e := range m.Events {
		if needsOrg[e.Class] && !qs.ReadsOrg {
			return "the record has to be read from Salesforce, and this stack is not set up for that; compare the record by hand"
		}
	}
	return ""
}

// Alone reports whether the message may be redriven although nobody decided on it: time or what
// it waited for may have helped.
func (qs *Queues) Alone(m Message) bool {
	return len(m.Events) > 0 && qs.Refusal(m) == "" && qs.Hopeless(m) == "" &&
		!slices.ContainsFunc(m.Events, func(e Event) bool { return WayOf(e.Class) == Person })
}
