package salesforce

import (
	"math"
	"time"

	"sfrelay/shared/order"
)

// future is how far a version may lie after the moment at which EventBridge took the
// event, and after our own clock. A later one would win against every real change for
// ever.
const future = 5 * time.Minute

// latest is the latest time that a version may have: neither the event's own time, which
// is its sender's word, nor our clock may be far behind it. Zero times say nothing.
func latest(event, now time.Time) time.Time {
	switch {
	case event.IsZero() && now.IsZero():
		return time.Time{}
	case event.IsZero() || !now.IsZero() && now.Before(event):
		return now.Add(future)
	default:
		return event.Add(future)
	}
}

// VersionFields names what orders the platform events of a subject.
type VersionFields struct {
	ModifiedAt string // payload field with the record's modification time; empty: none
	Sequence   string // payload field with a number that grows within a second; empty: none
	AlsoCDC    bool   // change events of the same subject come too: within a second they win
}

// maxEventSequence leaves 65,535 to change events without a commit number.
const maxEventSequence = math.MaxUint16 - 1

// EventVersion is the version of a platform event: the record's modification time
// cut to the second (without one: CreatedDate cut to the second) · 0 where change
// events of the subject come too, else CreatedDate in ms · the sequence field,
// without one the ms from the first part to CreatedDate, both at most 65,534 · tie.
//
// Change events carry their commit time in whole seconds, and so do records; that
// is why milliseconds never decide between the two.
func (c *Change) EventVersion(f VersionFields) (order.Version, error) {
	if c.Kind != Platform {
		return order.Version{}, refuse("not-a-platform-event", "", "a change event brings its own version")
	}
	created, hasCreated := c.createdDate, !c.createdDate.IsZero()
	modified, recordTime, where := created, false, payloadPointer+"/CreatedDate"
	if f.ModifiedAt != "" {
		if v, saying := c.Says(f.ModifiedAt); saying != SaysNothing && (saying == SaysMore || !v.Null()) {
			t, err := v.DateTime()
			where = payloadPointer + "/" + f.ModifiedAt
			if err != nil {
				return order.Version{}, at(where, err)
			}
			modified, recordTime = t, true
		}
	}
	if modified.IsZero() {
		return order.Version{}, refuse("missing-time", payloadPointer, "neither the record's modification time nor CreatedDate is there: publish one of them")
	}
	if f.AlsoCDC && !recordTime {
		return order.Version{}, refuse("missing-time", payloadPointer, "without the record's modification time the event cannot be ordered among change events: publish it")
	}
	ms := modified.Unix() * 1000
	if err := checkTime(ms, c.latest, where); err != nil {
		return order.Version{}, err
	}

	var commit uint64
	var sequence int64
	if hasCreated {
		if err := checkTime(created.UnixMilli(), c.latest, payloadPointer+"/CreatedDate"); err != nil {
			return order.Version{}, err
		}
		if !f.AlsoCDC {
			commit = uint64(max(0, created.UnixMilli()))
		}
		sequence = min(max(0, created.UnixMilli()-ms), maxEventSequence)
	}
	if f.Sequence != "" {
		if v, saying := c.Says(f.Sequence); saying != SaysNothing && (saying == SaysMore || !v.Null()) {
			n, err := numberField(v.Raw())
			if err == nil && n < 0 {
				err = refuse("invalid-number", "", "the number is negative")
			}
			if err != nil {
				return order.Version{}, at(payloadPointer+"/"+f.Sequence, err)
			}
			sequence = min(n, maxEventSequence)
		}
	}
	return order.New(order.Parts{TimeMS: ms, CommitNumber: commit, Sequence: uint16(sequence)}, c.tie()), nil
}

// firstYear is when Salesforce began: no record and no commit is older. A time before it
// is one in seconds, or of a clock that was never set, and would lose against every
// change that came before.
const firstYear = 1999

// TooOld reports whether no change in Salesforce can have happened at t.
func TooOld(t time.Time) bool { return t.UTC().Year() < firstYear }

// checkTime refuses what cannot stand in the first part of a version. A zero latest
// allows any time.
func checkTime(ms int64, latest time.Time, where string) error {
	switch {
	case ms < 0:
		return refuse("negative-time", where, "the time lies before 1970")
	case TooOld(time.UnixMilli(ms)):
		return refuse("time-out-of-range", where, "the time lies before 1999: write milliseconds since 1970, not seconds, or ISO 8601")
	case ms > order.MaxTimeMS:
		return refuse("time-out-of-range", where, "the time does not fit into 48 bits of milliseconds")
	case !latest.IsZero() && ms > latest.UnixMilli():
		return refuse("version-in-future", where, "the time is more than 5 minutes after the event's own time, or after now: it would win against every later change; correct the clock or the field, then publish again")
	}
	return nil
}
