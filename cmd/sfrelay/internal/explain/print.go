package explain

import (
	"fmt"
	"strings"
	"time"

	"sfrelay/cmd/sfrelay/internal/terminal"
)

// forms are the transports in words.
var forms = map[string]string{
	"event":      "as EventBridge delivers it",
	"replay":     "replayed from an archive",
	"sqs-batch":  "in a batch of SQS records",
	"on-failure": "in Lambda's record of a failed invocation",
	"rule-dlq":   "in a message that EventBridge could not deliver",
	"parked":     "in a message that a consumer parked",
}

// fetches are the reasons for a fetch in words.
var fetches = map[string]string{
	"gap":                 "Salesforce could not tell what changed",
	"unknown-change-type": "this version does not know what a change of this type does",
	"no-changed-fields":   "the update does not say what it changed",
	"named-field-absent":  "a field that changed has no value here; consumers that do not read it apply the rest",
	"text-diff":           "a long text came as a diff; consumers that do not read it apply the rest",
	"sequence-saturated":  "the transaction has more changes than a version can count",
	"no-commit-number":    "its place within its second is unknown",
	"thin":                "the event only says that the record changed",
	"overflow":            "too many changes at once: the whole object has to be synchronised",
	"wildcard":            "the change concerns every record: the whole object has to be synchronised",
}

// Print writes an explanation for people.
func (e *Explanation) Print(p *terminal.Printer) {
	var rows [][]terminal.Cell
	line := func(name, format string, args ...any) {
		rows = append(rows, terminal.Row(name, fmt.Sprintf(format, args...)))
	}

	line("event", "%s, %s", e.DetailType, forms[e.Transport])
	line("org", "%s", e.Org)
	line("channel", "%s", e.event.Channel)
	line("EventBridge", "id %s, time %s", or(e.event.ID, "missing"), moment(e.event.Time))
	if e.event.ReplayName != "" {
		line("replay", "%s", e.event.ReplayName)
	}
	if len(takers(e.DetailType)) > 0 {
		line("rule", "detail-type %s on the bus %s", e.DetailType, e.Source)
	} else {
		line("rule", "none of this collection takes %s", e.DetailType)
	}
	if e.Probe {
		line("probe", "it asks whether it arrives: %s answer with the verdict probe, and do nothing", strings.Join(names(takers(e.DetailType)), ", "))
	}
	for i, c := range e.Changes {
		line("", "")
		line("change", "%s%s", or(c.ChangeType, "published"), count(i, len(e.Changes)))
		line("subject", "%s", or(c.Subject, "unknown: no consumer of this collection names it"))
		line("identity", "%s, from %s", c.Identity, c.IdentityFrom)
		line("version", "%s", c.Version)
		line("", "%s, commit %d, sequence %d", moment(time.UnixMilli(c.VersionParts.TimeMS)), uint64(c.VersionParts.CommitNumber), c.VersionParts.Sequence)
		if len(c.Changed) > 0 {
			line("changed", "%s", strings.Join(c.Changed, ", "))
		}
		if len(c.Nulls) > 0 {
			line("emptied", "%s", strings.Join(c.Nulls, ", "))
		}
		if c.NeedsFetch != "" {
			line("fetch", "%s: %s", c.NeedsFetch, fetches[c.NeedsFetch])
		}
		if len(c.Readings) == 0 {
			line("consumers", "%s", or(strings.Join(c.Consumers, ", "), "none"))
		}
		for _, r := range c.Readings {
			switch {
			case r.Class != "":
				line(r.Consumer, "%s it as %s: %s", r.Does, r.Class, r.Reason)
			case r.Reason != "":
				line(r.Consumer, "%s it: %s", r.Does, r.Reason)
			default:
				line(r.Consumer, "%s it", r.Does)
			}
		}
	}
	p.Table(0, rows...)
}

func or(s, without string) string {
	if s == "" {
		return without
	}
	return s
}

func count(i, of int) string {
	if of < 2 {
		return ""
	}
	return fmt.Sprintf(" (record %d of %d)", i+1, of)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "missing or unreadable"
	}
	return t.UTC().Format("2006-01-02T15:04:05.999Z07:00")
}
