// Package salesforce decodes what Salesforce's Event Relay sends to EventBridge:
// the envelope, platform events and Change Data Capture events in both JSON
// dialects, and the version that puts the changes of a record into commit order.
//
// It knows nothing of consumers. Every refusal is a *DecodeError that says what
// and where; none ever holds a field value.
package salesforce

import (
	"time"

	"sfrelay/shared/order"
)

// Kind is which of the two families an event belongs to.
type Kind string

// The two kinds.
const (
	CDC      Kind = "cdc"      // Change Data Capture: one AccountChangeEvent etc.
	Platform Kind = "platform" // a platform event: one My_Event__e
)

// ChangeType is ChangeEventHeader.changeType (Change Data Capture Developer
// Guide, "Change Event Header Fields"). Unknown values are kept as they are and
// need a fetch.
type ChangeType string

// The documented change types, and Published for platform events, which have none.
const (
	Create      ChangeType = "CREATE"
	Update      ChangeType = "UPDATE"
	Delete      ChangeType = "DELETE"
	Undelete    ChangeType = "UNDELETE"
	GapCreate   ChangeType = "GAP_CREATE"
	GapUpdate   ChangeType = "GAP_UPDATE"
	GapDelete   ChangeType = "GAP_DELETE"
	GapUndelete ChangeType = "GAP_UNDELETE"
	GapOverflow ChangeType = "GAP_OVERFLOW"
	Published   ChangeType = ""
)

// The values of Change.NeedsFetch, and those that only FetchReason gives.
const (
	FetchGap         = "gap"                 // GAP_*: Salesforce could not tell what changed
	FetchUnknownType = "unknown-change-type" // a change type that is not documented
	FetchNoChanged   = "no-changed-fields"   // an update that does not say what it changed
	FetchSequence    = "sequence-saturated"  // more than 65,535 changes in the transaction
	FetchNoCommit    = "no-commit-number"    // its place within its second is unknown
	FetchFieldAbsent = "named-field-absent"  // a field of changedFields without a value
	FetchTextDiff    = "text-diff"           // a long text came as a diff
	ResyncOverflow   = "overflow"            // Event.Resync: GAP_OVERFLOW
	ResyncWildcard   = "wildcard"            // Event.Resync: record ids such as 001*
)

// Event is one decoded envelope.
type Event struct {
	ID         string    // EventBridge's id; a relay that re-sends makes a new one
	Source     string    // aws.partner/salesforce.com/<org>/<channel>
	DetailType string    // API name of the event
	Org        string    // 18 characters, from Source
	Channel    string    // last part of Source
	Time       time.Time // envelope time, never used to order; zero when missing or unreadable
	ReplayName string    // set on an archive replay
	Kind       Kind

	CreatedDate time.Time // platform events: when it was published; zero for CDC

	// Probe: the event asks whether it arrives and says nothing. Its detail has the member
	// "probe": true and an empty payload, which Salesforce never sends; or it is a platform
	// event that the org published, whose event id begins with ProbePrefix.
	Probe   bool
	ProbeID string // event id of a probe that the org published

	// Changes holds one entry per record of a CDC event, or the one of a platform
	// event. Empty for a probe, for GAP_OVERFLOW and wildcard ids (see Resync).
	Changes []Change

	// Resync is not empty when the event names no records but a whole entity has
	// to be synchronised again (GAP_OVERFLOW, wildcard ids): the reason. Cause then is
	// what the header says, without a record; of a probe of the org it is the event.
	Resync string
	Cause  *Change
}

// Change is what an event says of one record.
type Change struct {
	*Said
	RecordID string // 18 characters; empty for platform events, whose consumers know the field

	// Version is complete for CDC. For platform events it is the zero Version:
	// see EventVersion, which needs to know the consumer's fields.
	Version order.Version
}

// Identity is the same for every copy of the change, whatever its EventBridge id.
func (c *Change) Identity() string { return c.identity + c.RecordID }

// Said is what an event says, the same of every record that it names. It is judged once,
// however many they are.
type Said struct {
	Kind   Kind
	Entity string     // "Account"; for a platform event its API name
	Type   ChangeType // Published for platform events

	IdentityFrom string // what Change.Identity was made from, e.g. "detail.id", "cdc", "envelope.id"
	Sequence     int64  // sequenceNumber as sent; 0 for platform events

	// Changed names the fields the change itself changed, compound fields by
	// component ("BillingAddress.Street"), as changedFields does. Nil unless
	// Type is Update.
	Changed []string

	Origin string // changeOrigin, e.g. "com/salesforce/api/rest/66.0;client=sfrelay"

	// NeedsFetch is why no consumer may apply the body but has to fetch the record:
	// one of the Fetch constants, empty when the body can be trusted. What concerns
	// single fields only stands in Missing and Diffs; FetchReason knows both.
	NeedsFetch string

	// Missing names what Changed names but the body lacks, Diffs the fields of which
	// it only has a diff: whoever reads one of them has to fetch the record.
	Missing []string
	Diffs   []string

	Fields Fields // the body, leaf by leaf

	identity     string    // without the record
	createdDate  time.Time // platform events
	latest       time.Time // no version may be later; zero: any may
	eventIDField string    // no part of the content
}
