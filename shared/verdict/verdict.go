// Package verdict has the words for what became of a change at a consumer: a verdict,
// and where it did not get through, the class that says why. Logs, metrics, parked
// messages and items hold these words, and people search for them: they never change.
package verdict

// Verdict is what became of a change.
type Verdict string

// The verdicts. Busy and Failed are not acknowledged.
const (
	Applied     Verdict = "applied"
	Duplicate   Verdict = "duplicate"
	Stale       Verdict = "stale"
	PartlyStale Verdict = "partly-stale" // some of its fields won
	Ignored     Verdict = "ignored"      // touches nothing that this consumer reads
	Echo        Verdict = "echo"         // our own write
	Probe       Verdict = "probe"        // it asked whether it arrives; nothing was looked up, nothing done
	Busy        Verdict = "busy"
	Failed      Verdict = "failed"
	Parked      Verdict = "parked"
	Zombie      Verdict = "zombie" // answered after its lease at a sink that cannot tell: to be synchronised again
)

// Acknowledged reports whether a change needs no further delivery.
func (v Verdict) Acknowledged() bool { return v != Busy && v != Failed }

// Class says why something was not applied. The list is closed (docs/reference/guard.md).
type Class string

// The classes. A permanent error is Permanent(name).
const (
	Throttled         Class = "throttled"
	Conflict          Class = "conflict"
	SubjectBusy       Class = "busy" // of the verdict Busy
	DependencyMissing Class = "dependency-missing"
	Auth              Class = "auth"
	Unknown           Class = "unknown"
	Unfinished        Class = "unfinished"
	NeedsSnapshot     Class = "needs-snapshot"
	NeedsFetch        Class = "needs-fetch"
	RecordUnreadable  Class = "record-unreadable"
	TooOld            Class = "too-old"
	EpochConflict     Class = "epoch-conflict"
	DuplicateRemote   Class = "duplicate-remote"
	OverwroteNewer    Class = "overwrote-newer"
	InDoubt           Class = "in-doubt"
	ChangedAfterDone  Class = "changed-after-done"
	FanOut            Class = "fan-out"
	OrgLimit          Class = "org-limit" // the org's API requests of the day are used up, or nearly
	OrgDown           Class = "org-down"  // the org does not answer
)

const permanentPrefix = "permanent/"

// Permanent is the class of an error that no retry can solve, e.g. Permanent("invalid-currency").
func Permanent(name string) Class { return Class(permanentPrefix + name) }

// IsPermanent reports whether no retry can solve the error.
func (c Class) IsPermanent() bool {
	return len(c) > len(permanentPrefix) && c[:len(permanentPrefix)] == permanentPrefix
}

// Name is what tells a permanent class from the others, e.g. "invalid-currency"; every
// other class is its own name.
func (c Class) Name() string {
	if c.IsPermanent() {
		return string(c[len(permanentPrefix):])
	}
	return string(c)
}
