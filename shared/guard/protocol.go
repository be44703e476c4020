package guard

import (
	"slices"
	"time"

	"sfrelay/shared/order"
	"sfrelay/shared/verdict"
)

// The protocol: which writes a guard makes, and how it reads a refused one. All of
// it is pure; docs/reference/guard.md has the reasons.

// maxClaimFields is how many fields a claim may compare. DynamoDB takes 300
// operators and 4 KB an expression (Developer Guide, "Service quotas"); a field
// costs four operators, the OR between them included, and about 40 bytes: with the
// rest of the condition 71 fit. Beyond it the claim goes without the field term and
// the winners are decided from the returned item alone.
const maxClaimFields = 70

// times are the durations of a protocol; the waits are already scaled.
type times struct {
	effect, settle, margin time.Duration
}

func (t times) lease() time.Duration { return t.effect + t.settle + t.margin }

// claim is one attempt to become the one who may act on a subject.
type claim struct {
	policy  Policy
	key     string
	token   Token
	now     int64 // ms
	until   int64 // ms
	doubt   Token // what to remember as the doubt of this attempt
	changes []Change
	redrive bool
	expires int64 // seconds; 0: kept for ever
}

func (c *claim) write() Write {
	owner := tokenValue(c.token)
	doubt := owner
	if c.doubt != c.token {
		doubt = tokenValue(c.doubt)
	}
	w := Write{
		Name: Claim, Key: c.key,
		If: c.condition(),
		Set: []Assign{
			put(attrStatus, number(int64(Running))),
			put(attrOwner, owner),
			put(attrUntil, number(c.until)),
			{Attr: attrEpoch, Op: AddTo, Value: number(c.now), Delta: 1},
			{Attr: attrAttempts, Op: AddTo, Value: number(0), Delta: 1},
			putAbsent(attrDoubt, doubt),
		},
		ReturnOld: true,
	}
	if c.redrive {
		w.Set[4] = put(attrAttempts, number(1))
	}
	if c.expires > 0 {
		w.Set = append(w.Set, put(attrExpires, number(c.expires)))
	}
	return w
}

// condition is "nobody is at it, and something that the changes carry is newer
// than what the sink has".
func (c *claim) condition() Cond {
	over := is(attrUntil, AtMost, number(c.now))
	// A certain refusal protects nothing. Items of the first version have the sink's
	// Retry-After in their "u".
	free := is(attrStatus, Equal, number(int64(Retry)))
	if c.policy == EachOnce {
		return anyOf(Cond{Test: NoItem}, all(is(attrStatus, Differs, number(int64(Done))), anyOf(over, free)))
	}
	terms := append(make([]Cond, 0, 4), anyOf(absent(attrUntil), over, free))
	if c.changes[0].Kind == Resync {
		return all(terms...)
	}
	highest := newestOf(c.changes)
	top := version(highest)
	older := func(attr string, v Value) Cond { return anyOf(absent(attr), is(attr, Less, v)) }
	if c.policy == NewestWins {
		return all(append(terms, older(attrFull, top))...)
	}
	terms = append(terms, older(attrTombstone, top), older(attrFull, top))
	carried, partial := carriedFields(c.changes)
	if partial && len(carried) <= maxClaimFields {
		fields := make([]Cond, 0, 2*len(carried))
		for _, f := range carried {
			attr, v := fieldPrefix+f.code, top
			if f.version != highest {
				v = version(f.version)
			}
			fields = append(fields, absent(attr), is(attr, Less, v))
		}
		terms = append(terms, anyOf(fields...))
	}
	return all(terms...)
}

type carriedField struct {
	code    string
	version order.Version
}

// carriedFields are the fields that a group of partial changes carries, each at
// its highest version; partial is false when one of the changes is more than a
// partial one and the field term must not narrow the claim.
func carriedFields(changes []Change) (fields []carriedField, partial bool) {
	for i := range changes {
		ch := &changes[i]
		if ch.Kind != Partial {
			return nil, false
		}
		fields = slices.Grow(fields, len(ch.Fields))
	next:
		for _, code := range ch.Fields {
			for j := range fields {
				if fields[j].code == code {
					fields[j].version = order.Newest(fields[j].version, ch.Version)
					continue next
				}
			}
			fields = append(fields, carriedField{code, ch.Version})
		}
	}
	return fields, true
}

func newestOf(changes []Change) order.Version {
	var v order.Version
	for i := range changes {
		v = order.Newest(v, changes[i].Version)
	}
	return v
}

// refusal is what a refused claim means.
type refusal int

const (
	mine      refusal = iota // my own write, which the SDK sent twice: go on
	decided                  // done, or nothing in it would win: see againstItem for each change
	held                     // somebody is at it, or a request may still land, until Item.Until
	reclaimed                // it would pass now: the item changed between write and answer
)

// read reads the item that refused the claim, in the order that matters: recorded
// versions never fall, so "nothing would win" is safe to say while somebody runs.
func (c *claim) read(it *Item) refusal {
	switch {
	case it.Owner == c.token:
		return mine
	case c.policy == EachOnce && it.Status == Done:
		return decided
	case c.changes[0].Kind != Resync && c.policy != EachOnce && !c.wins(it):
		return decided
	case it.Until > c.now && it.Status != Retry:
		return held
	default:
		return reclaimed
	}
}

// wins reports whether anything that the changes carry is newer than the item.
func (c *claim) wins(it *Item) bool {
	for i := range c.changes {
		if c.changes[i].isNewTo(it, c.policy) {
			return true
		}
	}
	return false
}

func (ch *Change) isNewTo(it *Item, p Policy) bool {
	if !ch.Version.After(it.Full) {
		return false
	}
	if p == NewestWins {
		return true
	}
	if !ch.Version.After(it.Tombstone) {
		return false
	}
	if ch.Kind != Partial {
		return true
	}
	for _, code := range ch.Fields {
		if ch.Version.After(it.Fields[code]) {
			return true
		}
	}
	return false
}

// againstItem is the verdict of a change that has nothing new for the item.
func (ch *Change) againstItem(it *Item, p Policy) verdict.Verdict {
	switch {
	case p == EachOnce:
		return verdict.Duplicate
	case ch.Kind == Delete && p == FieldMerge:
		if ch.Version == it.Tombstone {
			return verdict.Duplicate
		}
	case ch.Version == it.Full:
		return verdict.Duplicate
	case ch.Kind == Partial:
		for _, code := range ch.Fields {
			if it.field(code) != ch.Version {
				return verdict.Stale
			}
		}
		return verdict.Duplicate
	}
	return verdict.Stale
}

// Win is one field of a merge that is newer than what the sink has.
type Win struct {
	Field   string // code
	Change  int    // index of the change, in the order handed to Do, that carries the value
	Version order.Version
}

// merge is what a group of changes, in version order, makes of an item.
type merge struct {
	wins      []Win
	deleted   bool          // send the delete
	full      order.Version // new d, zero: stays
	tombstone order.Version // new z, zero: stays
	seen      order.Version // new q, zero: stays
	whole     bool          // every field read wins, all at one version: a full state
	version   order.Version // the highest one sent
}

// mergeInto folds changes, sorted by version, into the item: each field keeps the
// version of the change it came from.
func mergeInto(it *Item, read []string, changes []Change, sorted []int) merge {
	var m merge
	for _, i := range sorted {
		m.fold(it, read, &changes[i], i)
	}
	if len(m.wins) > 0 {
		m.deleted = false
	}
	m.whole = len(m.wins) == len(read) && len(read) > 0
	for _, w := range m.wins {
		m.version = order.Newest(m.version, w.Version)
		m.whole = m.whole && w.Version == m.wins[0].Version
	}
	if m.deleted {
		m.version = m.tombstone
	}
	return m
}

// unseen reports whether fields of a partial change would win of a record that was never seen
// whole since it was deleted: what they leave out nobody knows. A state of which a field did
// not fit counts, and so does what was read, however old it is.
func (m *merge) unseen(it *Item, changes []Change) bool {
	return !order.Newest(it.Full, it.Seen, m.full).After(order.Newest(it.Tombstone, m.tombstone)) &&
		slices.ContainsFunc(m.wins, func(w Win) bool { return changes[w.Change].Kind == Partial })
}

// fold adds change i, which is not older than what was folded before.
func (m *merge) fold(it *Item, read []string, ch *Change, i int) {
	v := ch.Version
	if !v.After(order.Newest(it.Full, m.full)) || !v.After(order.Newest(it.Tombstone, m.tombstone)) {
		return
	}
	switch ch.Kind {
	case Delete:
		newestField := order.Version{}
		for _, f := range it.Fields {
			newestField = order.Newest(newestField, f)
		}
		m.deleted = v.After(newestField)
		m.tombstone = v
		m.wins = m.wins[:0] // sorted: each is older than this delete
	case Full:
		if !ch.Base.IsZero() {
			m.foldFields(it, ch.Fields, v, i)
			v = ch.Base
		}
		m.foldFields(it, read, v, i)
		if v.After(order.Newest(it.Full, it.Tombstone, m.full, m.tombstone)) {
			m.full = v
		}
	default:
		m.foldFields(it, ch.Fields, v, i)
	}
}

// foldFields lets change i win every field of which nothing newer is known.
func (m *merge) foldFields(it *Item, codes []string, v order.Version, i int) {
	m.wins = slices.Grow(m.wins, len(codes))
	for _, code := range codes {
		newest := order.Newest(it.field(code), m.full, m.tombstone)
		won := slices.IndexFunc(m.wins, func(w Win) bool { return w.Field == code })
		if won >= 0 {
			newest = order.Newest(newest, m.wins[won].Version)
		}
		switch {
		case !v.After(newest):
		case won >= 0:
			m.wins[won].Change, m.wins[won].Version = i, v
		default:
			m.wins = append(m.wins, Win{code, i, v})
		}
	}
}

var removeDoubt = []string{attrDoubt} // a Write is never changed

// completion is what an attempt writes when it is over for good.
type completion struct {
	key       string
	token     Token
	status    Status // Idle, Done; Retry or StatusUnknown where only part of a group got through
	notBefore int64  // ms; 0 unless status is Retry or StatusUnknown
	full      order.Version
	tombstone order.Version
	seen      order.Version
	wins      []Win
	hash      string
	parts     string
	link      string
	parked    string        // empty: stays
	class     verdict.Class // of what stopped the rest of a group
	keepDoubt bool
	expires   int64
}

func (c *completion) write() Write {
	w := Write{
		Name: Complete, Key: c.key,
		If: is(attrOwner, Equal, tokenValue(c.token)),
		Set: append(make([]Assign, 0, 8+len(c.wins)),
			put(attrStatus, number(int64(c.status))),
			put(attrUntil, number(c.notBefore)),
			put(attrAttempts, number(0)),
		),
	}
	if !c.full.IsZero() {
		w.Set = append(w.Set, put(attrFull, version(c.full)))
	}
	if !c.tombstone.IsZero() {
		w.Set = append(w.Set, put(attrTombstone, version(c.tombstone)))
	}
	var last order.Version
	var value Value
	for _, f := range c.wins {
		if f.Version.After(c.full) { // a field at the full state's version is covered by it
			if f.Version != last { // most often they share one
				last, value = f.Version, version(f.Version)
			}
			w.Set = append(w.Set, put(fieldPrefix+f.Field, value))
		}
	}
	if c.class != "" {
		w.Set = append(w.Set, put(attrClass, text(string(c.class))))
	}
	if !c.seen.IsZero() {
		w.Set = append(w.Set, put(attrSeen, version(c.seen)))
	}
	if c.hash != "" {
		w.Set = append(w.Set, put(attrHash, Value{Kind: Binary, Str: c.hash}), put(attrLayout, number(layout)))
	}
	if c.parts != "" {
		w.Set = append(w.Set, put(attrParts, Value{Kind: Binary, Str: c.parts}))
	}
	if c.parked != "" {
		w.Set = append(w.Set, put(attrParked, Value{Kind: Binary, Str: c.parked}))
	}
	if c.link != "" {
		w.Set = append(w.Set, put(attrLink, text(c.link)))
	}
	if c.expires > 0 {
		w.Set = append(w.Set, put(attrExpires, number(c.expires)))
	}
	if !c.keepDoubt {
		w.Remove = removeDoubt
	}
	return w
}

// landed reports whether everything a refused completion would have written is
// there all the same: it was written, and somebody claimed before the answer.
func (c *completion) landed(it *Item) bool {
	if c.status == Done {
		return it.Status == Done && it.Owner == c.token
	}
	if c.full.After(it.Full) || c.tombstone.After(it.Tombstone) {
		return false
	}
	for _, f := range c.wins {
		if f.Version.After(it.field(f.Field)) {
			return false
		}
	}
	return true
}

// release gives an item back without completing it.
type release struct {
	key       string
	token     Token
	status    Status // Retry or StatusUnknown
	notBefore int64  // ms
	class     verdict.Class
	uncounted bool // this attempt does not count
	reset     bool // parked: the next one starts counting anew
	noEffect  bool // the doubt is this attempt's own and certainly had no effect
	parked    string
}

func (r *release) write() Write {
	w := Write{
		Name: GiveBack, Key: r.key,
		If: all(
			is(attrOwner, Equal, tokenValue(r.token)),
			is(attrStatus, Equal, number(int64(Running))),
		),
		Set: append(make([]Assign, 0, 4),
			put(attrStatus, number(int64(r.status))),
			put(attrUntil, number(r.notBefore)),
			put(attrClass, text(string(r.class))),
		),
	}
	switch {
	case r.reset:
		w.Set = append(w.Set, put(attrAttempts, number(0)))
	case r.uncounted:
		w.Set = append(w.Set, Assign{Attr: attrAttempts, Op: Add, Delta: -1})
	}
	if r.parked != "" {
		w.Set = append(w.Set, put(attrParked, Value{Kind: Binary, Str: r.parked}))
	}
	if r.noEffect {
		w.Remove = removeDoubt
	}
	return w
}

// note writes down what lies in the failure queue where nothing was claimed. Whoever
// holds the item may forget it again, which costs a second message.
func note(key string, before, after string) Write {
	unchanged := absent(attrParked)
	if before != "" {
		unchanged = is(attrParked, Equal, Value{Kind: Binary, Str: before})
	}
	return Write{Name: Note, Key: key, If: unchanged, Set: []Assign{put(attrParked, Value{Kind: Binary, Str: after})}}
}

// lift raises the epoch of an item above what the sink has seen, and gives it back.
func lift(key string, token Token, now, epoch int64, noEffect bool) Write {
	w := Write{
		Name: Lift, Key: key,
		If: all(
			is(attrOwner, Equal, tokenValue(token)),
			is(attrStatus, Equal, number(int64(Running))),
			is(attrEpoch, Less, number(epoch)),
		),
		Set: []Assign{
			put(attrStatus, number(int64(Retry))),
			put(attrUntil, number(now)),
			put(attrEpoch, number(epoch)),
		},
	}
	if noEffect {
		w.Remove = removeDoubt
	}
	return w
}
