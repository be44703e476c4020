package deadletter

import (
	"encoding/json"
	"fmt"
	"strings"

	"sfrelay/shared/verdict"
)

// Refusal says why a message cannot be redriven, empty when it can. A function takes a
// bundle whole: it is refused if any member is.
func (qs *Queues) Refusal(m Message) string {
	if m.Unfetched != "" { // its class is not known, which may be one that forbids it
		return "the event cannot be read: " + m.Unfetched
	}
	for _, e := range m.Events {
		if e.Consumer != m.Consumer {
			return fmt.Sprintf("the message bundles events of different consumers, %q and %q, and no function may take it whole; see it with: sfrelay dlq show ID", m.Consumer, e.Consumer)
		}
		if reason := qs.refusalOf(e.Class); reason != "" {
			return reason
		}
	}
	if m.Consumer == "" {
		if m.Target != "" {
			return "this stack has no consumer with the target " + m.Target
		}
		return "the message does not name its consumer; see it with: sfrelay dlq show ID"
	}
	if _, ok := qs.byName(m.Consumer); !ok {
		return fmt.Sprintf("this stack has no consumer %q; deploy it, or choose another stack with --stack-name", m.Consumer)
	}
	if reason := qs.foreignSender(m); reason != "" {
		return reason
	}
	if !json.Valid([]byte(m.Body)) {
		return "the message is not JSON, so no function can be invoked with it; see it with: sfrelay dlq show ID"
	}
	return ""
}

// foreignSender says why the message cannot come from the consumer that it names, empty
// where it can. Lambda's record of a failed event is sent with the function's role too. What
// SQS moved out of the consumer's own buffer that buffer's policy has let in.
func (qs *Queues) foreignSender(m Message) string {
	if qs.TrustSender || m.Queue.FromRules || m.MovedFrom == m.Consumer {
		return ""
	}
	const anyway = "; if you know where it comes from, redrive it with --trust-sender"
	c, _ := qs.byName(m.Consumer)
	if c.RoleID == "" {
		return fmt.Sprintf("foreign-sender: the stack does not say which role %s has; deploy this version with make deploy%s", m.Consumer, anyway)
	}
	if role, _, isSession := strings.Cut(m.Sender, ":"); !isSession || role != c.RoleID {
		return fmt.Sprintf("foreign-sender: it was sent by %q, and not by the role of %s%s", m.Sender, m.Consumer, anyway)
	}
	return ""
}

// refusalOf says why no event of the class can be redriven, empty when it can.
func (qs *Queues) refusalOf(class verdict.Class) string {
	switch class {
	case verdict.ChangedAfterDone:
		return "the action was done once with other content and must not be done twice; compare both, then delete the message"
	case verdict.OverwroteNewer:
		if !qs.ReadsOrg {
			return "a redrive cannot repair the record: it has to be read from Salesforce, and this stack is not set up for that; compare both systems"
		}
	case verdict.Permanent("same-instant"):
		return "nobody can tell which of two states is newer; publish the right one again, then delete the message"
	case verdict.InDoubt:
		if !qs.Resolved {
			return "the action may have been done and the sink cannot be asked; look there, say it with sfrelay record SUBJECT --resolve absent|done, then redrive it with --message ID or --class in-doubt"
		}
	}
	if class == verdict.TooOld && !qs.TooOld {
		return "the event is older than the guard remembers; look at the sink: if it was not applied, redrive it with --message ID or --class too-old"
	}
	return ""
}
