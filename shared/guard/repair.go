package guard

import (
	"errors"
	"fmt"
	"math"
	"time"

	"sfrelay/shared/order"
	"sfrelay/shared/verdict"
)

// What a person may do to an item, and no worker does. Each of these writes is refused while
// somebody works on the item, and where it has changed since it was read.

// The writes of a person.
const (
	ResolveAbsent WriteName = "resolve absent"
	ResolveDone   WriteName = "resolve done"
	Relink        WriteName = "link"
	Revert        WriteName = "version"
	Forget        WriteName = "forget"
)

// ErrNoItem is of a subject that the guard does not know.
var ErrNoItem = errors.New("the guard has no item for it")

// idle holds where nobody works on the item, and it is there as it was read.
func idle(it *Item, now time.Time) Cond {
	return all(
		is(attrEpoch, Equal, number(it.Epoch)),
		anyOf(is(attrStatus, Differs, number(int64(Running))), is(attrUntil, AtMost, number(now.UnixMilli()))),
	)
}

// Resolve settles a doubt as somebody says who has looked at the sink: the request took effect,
// which ends an action for ever, or it did not.
func Resolve(key string, it Item, policy Policy, done bool, now time.Time) (Write, error) {
	switch {
	case !it.Exists:
		return Write{}, ErrNoItem
	case it.Status == Done:
		return Write{}, errors.New("the action is done; there is nothing to resolve")
	case done && policy != EachOnce:
		return Write{}, fmt.Errorf("%v keeps a state: it is never done; correct the sink by the next change, or say --resolve absent", policy)
	case !done && !it.InDoubt:
		return Write{}, errors.New("there is no doubt to resolve")
	}
	w := Write{
		Name: ResolveAbsent, Key: key, If: idle(&it, now), ReturnOld: true,
		Set: []Assign{put(attrStatus, number(int64(Retry))), put(attrUntil, number(0)), put(attrAttempts, number(0))}, Remove: []string{attrDoubt},
	}
	if done {
		w.Name, w.Set[0] = ResolveDone, put(attrStatus, number(int64(Done)))
		w.Remove = append(w.Remove, attrHash) // what exactly was done nobody knows
	}
	return w, nil
}

// SetLink says which of the sink's own objects the subject is; empty: none, so that the next
// change makes or finds one.
func SetLink(key string, it Item, link string, now time.Time) (Write, error) {
	if !it.Exists {
		return Write{}, ErrNoItem
	}
	w := Write{Name: Relink, Key: key, If: idle(&it, now), ReturnOld: true, Set: []Assign{put(attrUntil, number(0))}, Remove: []string{attrHash}}
	if link == "" {
		w.Remove = append(w.Remove, attrLink)
	} else {
		w.Set = append(w.Set, put(attrLink, text(link)))
	}
	return w, nil
}

// Lower takes versions that are later than to back to it: one that a broken clock has written
// would win for ever. It says which, by the names of the attributes.
func Lower(key string, it Item, to order.Version, now time.Time) (Write, []string, error) {
	switch {
	case !it.Exists:
		return Write{}, nil, ErrNoItem
	case to.IsZero() || to.Time().After(now):
		return Write{}, nil, errors.New("the version is of no past time")
	}
	w := Write{Name: Revert, Key: key, If: idle(&it, now), ReturnOld: true, Set: []Assign{put(attrUntil, number(0))}, Remove: []string{attrHash}}
	var lowered []string
	lower := func(attr string, at order.Version) {
		if at.After(to) {
			w.If.Terms = append(w.If.Terms, is(attr, Equal, version(at)))
			w.Set = append(w.Set, put(attr, version(to)))
			lowered = append(lowered, attr)
		}
	}
	lower(attrFull, it.Full)
	lower(attrTombstone, it.Tombstone)
	lower(attrSeen, it.Seen)
	for code, at := range it.Fields {
		lower(fieldPrefix+code, at)
	}
	if len(lowered) == 0 {
		return Write{}, nil, errors.New("the item has no later version")
	}
	return w, lowered, nil
}

// MayForget is the condition under which an item may be deleted: nobody works on it. It asks
// for nothing else: an item that cannot be read has to go, too.
func MayForget(now time.Time) Cond {
	return anyOf(is(attrStatus, Differs, number(int64(Running))), is(attrUntil, AtMost, number(now.UnixMilli())))
}

// Busy says until when somebody works on the item, or may still; zero: nobody does.
func (it *Item) Busy(now time.Time) time.Time {
	if (it.Status == Running || it.Status == StatusUnknown) && it.Until > now.UnixMilli() {
		return time.UnixMilli(it.Until).UTC()
	}
	return time.Time{}
}

// DoubtSince is when the oldest attempt claimed that nobody knows the end of; zero: there is
// none, or its time is not known.
func (it *Item) DoubtSince() time.Time {
	ms := it.Doubt.millis()
	if !it.InDoubt || ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// LastClaim is when somebody worked on the item last.
func (it *Item) LastClaim() time.Time {
	ms := it.Owner.millis()
	if ms == 0 || ms == math.MaxInt64 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Field is the version that a field is at: its own, or that of a full state or a delete after it.
func (it *Item) Field(code string) order.Version { return it.field(code) }

// Blocks says in words why a change of the subject may not get through now; empty: nothing does.
func (it *Item) Blocks(now time.Time) string {
	switch busy := it.Busy(now); {
	case it.Status == Running && !busy.IsZero():
		return "somebody works on it, until " + busy.Format(time.RFC3339)
	case !busy.IsZero():
		return "a request may still be on its way, until " + busy.Format(time.RFC3339)
	case it.Status == Done:
		return "it is done, for ever"
	case it.Class == verdict.InDoubt:
		return "somebody has to say whether it was done"
	}
	return ""
}
