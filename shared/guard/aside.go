package guard

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sfrelay/shared/order"
	"sfrelay/shared/verdict"
)

// What lies in the failure queue is noted on the item, so that a change that a neighbour
// in its event brings again and again lies there once. A note blocks no attempt.

// mostMarks is how many changes an item notes as parked, the newest ones.
const mostMarks = 4

// marks are the notes of an item, all of one width: versions, or where there are none
// the hashes of contents.
type marks struct {
	text  string
	width int
	moved bool // since it was read
}

func (m *marks) has(mark string) bool {
	for rest := m.text; mark != "" && len(rest) >= m.width; rest = rest[m.width:] {
		if rest[:m.width] == mark {
			return true
		}
	}
	return false
}

func (m *marks) add(mark string) {
	if mark == "" || m.has(mark) {
		return
	}
	text := mark + m.text
	m.text, m.moved = text[:min(len(text), mostMarks*m.width)], true
}

// toWrite is what a write sets the attribute to; empty: it stays.
func (m *marks) toWrite() string {
	if !m.moved {
		return ""
	}
	return m.text
}

func (r *run) readMarks(it *Item) {
	r.marks = marks{text: it.Parked, width: len(order.Version{})}
	if r.cfg.Policy == EachOnce {
		r.marks.width = len(Change{}.Hash)
	}
}

// mark tells change i from the others of its subject; empty: nothing does.
func (r *run) mark(i int) string {
	ch := &r.call.Changes[i]
	switch {
	case ch.Kind == Resync:
		return ""
	case r.cfg.Policy != EachOnce:
		return string(ch.Version[:])
	case ch.Hash == [8]byte{}:
		return ""
	default:
		return string(ch.Hash[:])
	}
}

// parkOnce is park for what was refused. A change that lies in the queue already gets
// its verdict and no second message; a redrive has taken it out of the queue.
func (r *run) parkOnce(i int, class verdict.Class, cause error) {
	r.parkMarked(i, r.mark(i), class, cause, false)
}

func (r *run) parkMarked(i int, mark string, class verdict.Class, cause error, decided bool) {
	if !r.call.Redrive && r.marks.has(mark) {
		r.report.Results[i] = r.result(verdict.Parked, class, fmt.Errorf("%w (its message lies in the failure queue already)", orClass(cause, class)))
		return
	}
	r.putAside(i, class, cause, decided)
	if r.report.Results[i].Verdict == verdict.Parked {
		r.marks.add(mark)
	}
}

func orClass(err error, class verdict.Class) error {
	if err == nil {
		return errors.New(string(class))
	}
	return err
}

// decide keeps the result of change i as it is, whatever becomes of its group.
func (r *run) decide(i int) {
	if r.decided == nil {
		r.decided = make([]bool, len(r.call.Changes))
	}
	r.decided[i] = true
}

func (r *run) isDecided(i int) bool { return r.decided != nil && r.decided[i] }

var (
	sameInstant    = verdict.Permanent("same-instant")
	errSameInstant = errors.New("two states of one instant; which is newer cannot be told: publish the right one again, and give the event a field that says the sequence")
)

// instantOf is the mark of an instant. No version has it: a tie is a hash.
func instantOf(v order.Version) string {
	clear(v[16:])
	return string(v[:])
}

// rivals reports whether two states are of one instant and differ.
func (r *run) rivals(v, w order.Version) bool {
	return r.cfg.Policy == NewestWins && v != w && instantOf(v) == instantOf(w)
}

// parkRival leaves one message about the instant of change i.
func (r *run) parkRival(i int) {
	r.parkMarked(i, instantOf(r.call.Changes[i].Version), sameInstant, errSameInstant, true)
}

// losers parks the states of a group that the winner's tie has beaten, and nothing else.
func (r *run) losers(winner order.Version) {
	if r.cfg.Policy != NewestWins {
		return
	}
	for _, i := range r.sorted {
		if r.firstEqual(i) == i && r.rivals(r.call.Changes[i].Version, winner) {
			r.parkRival(i)
			r.decide(i)
		}
	}
}

// aside parks, before it is recorded, what somebody has to look at although the sink
// took it: afterwards the next delivery is a duplicate, and a queue that was down would
// have it forgotten. It reports false when the item was given back instead.
func (r *run) aside(out *Outcome) bool {
	i := r.firstEqual(r.sorted[len(r.sorted)-1])
	if v := r.call.Changes[i].Version; out.Park == "" && r.rivals(v, r.item.Full) && !r.marks.has(instantOf(v)) {
		out.Park, out.Err = sameInstant, errSameInstant
		defer r.marks.add(instantOf(v))
	}
	if out.Park == "" {
		return true
	}
	if r.parkDecided(i, out.Park, out.Err); r.report.Results[i].Verdict == verdict.Parked {
		return true
	}
	r.giveBack(Outcome{Effect: Unsure, Class: out.Park, Err: r.report.Results[i].Err})
	return false
}

// Unfit is a field that a handler certainly did not send, because it does not fit the
// sink. The other fields took effect.
type Unfit struct {
	Field string // code
	Class verdict.Class
	Err   error
}

// layAside takes the fields that did not fit out of a merge, and parks the changes that
// carry them: each with the class of its first one and a text that names all. What was
// sent is written down field by field; no full state was.
func (r *run) layAside(m *merge, unfit []Unfit) {
	kept := make([]Win, 0, len(m.wins))
	of := make(map[int][]Unfit)
	for _, w := range m.wins {
		if k := slices.IndexFunc(unfit, func(u Unfit) bool { return u.Field == w.Field }); k >= 0 {
			of[w.Change] = append(of[w.Change], unfit[k])
		} else {
			kept = append(kept, w)
		}
	}
	if len(of) == 0 {
		return
	}
	for _, i := range r.sorted {
		if fields := of[i]; fields != nil {
			r.parkOnce(i, fields[0].Class, unfitError(fields))
			r.decide(i)
		}
	}
	m.seen, m.full, m.tombstone, m.wins, m.whole = m.full, order.Version{}, order.Version{}, kept, false
}

func unfitError(fields []Unfit) error {
	text := make([]string, len(fields))
	for k, u := range fields {
		text[k] = orClass(u.Err, u.Class).Error()
	}
	return errors.New("the sink has the other fields of this change; these do not fit: " + strings.Join(text, "; "))
}

// fitted is what an outcome with fields that do not fit comes to: where none of the
// winners fits, nothing was sent.
func fitted(out Outcome, wins []Win) Outcome {
	sent := slices.ContainsFunc(wins, func(w Win) bool {
		return !slices.ContainsFunc(out.Unfit, func(u Unfit) bool { return u.Field == w.Field })
	})
	if sent || len(wins) == 0 {
		return out
	}
	text := make([]string, len(out.Unfit))
	for k, u := range out.Unfit {
		text[k] = orClass(u.Err, u.Class).Error()
	}
	return Outcome{Effect: NotApplied, Permanent: true, Class: out.Unfit[0].Class, Err: errors.New(strings.Join(text, "; "))}
}
