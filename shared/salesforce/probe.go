package salesforce

import "strings"

// ProbePrefix begins the event id of a probe that the org itself publishes. An org can set
// nothing but fields, and every event has that one.
const ProbePrefix = "sfrelay-probe-"

// Values of a probe in fields that an event definition requires: none says anything.
const (
	probeText = "-"
	probeDate = "1970-01-01"
)

// ProbeValue is what a probe has in a required field, by the field's type as describe names
// it.
func ProbeValue(kind string) any {
	switch kind {
	case "boolean":
		return false
	case "double", "int", "currency", "percent":
		return 0
	case "date":
		return probeDate
	case "datetime":
		return probeDate + "T00:00:00.000Z"
	}
	return probeText
}

// saysNothing is nil if no field but the event's id has another value than a probe's: what
// has content is no probe, whatever it calls itself, and must not be lost.
func (f Fields) saysNothing(idField string) error {
	for _, l := range f.leaves {
		switch name := f.path(l); name {
		case idField, "CreatedDate", "CreatedById", "EventUuid":
		default:
			if !isProbeValue(f.value(l).Raw()) {
				return refuse("full-probe", payloadPointer+"/"+name, "the event's id begins with "+ProbePrefix+", and this field has content: a probe has none; publish the event with an id of its own if the content counts")
			}
		}
	}
	return nil
}

func isProbeValue(raw string) bool {
	switch raw {
	case "null", "false", `"` + probeText + `"`:
		return true
	}
	n, err := numberField(raw)
	return err == nil && n == 0 || strings.HasPrefix(raw, `"`+probeDate)
}
