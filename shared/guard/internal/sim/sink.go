package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/order"
	"sfrelay/shared/verdict"
)

// SinkKind is what a sink offers: the rows of the guarantee table.
type SinkKind string

// The rows.
const (
	UniqueKey     SinkKind = "unique key for ever"
	FencedKey     SinkKind = "fencing and key"
	FencedVersion SinkKind = "fencing and version compare"
	VersionOnly   SinkKind = "version compare"
	KeyWindow     SinkKind = "key with a window"
	LookupOnly    SinkKind = "look-up only"
	NothingPark   SinkKind = "nothing, park"
	NothingRepeat SinkKind = "nothing, repeat"
	LastWins      SinkKind = "nothing, states"
)

func (k SinkKind) contract() guard.Sink {
	return guard.Sink{
		Fenced:      k == FencedKey || k == FencedVersion,
		Versioned:   k == FencedVersion || k == VersionOnly,
		ParkInDoubt: k == NothingPark,
	}
}

type reqKind byte

const (
	create reqKind = 'c'
	lookup reqKind = 'l'
	put    reqKind = 'p'
	patch  reqKind = 'm'
	remove reqKind = 'd'
	fetch  reqKind = 'f' // of the record, from Salesforce
)

func (k reqKind) writes() bool { return k != lookup && k != fetch }

type request struct {
	kind     reqKind
	key      string
	epoch    int64
	version  order.Version
	values   map[string]string // "" is null
	deadline int64             // of a request that lands later; 0: never too late

	// Of a fetch.
	since, newest int // how many changes it has to show; the place of the newest that asks
	own           int // so little is taken although it is behind; 0: see shows
	shows         int // one more than it shows; 0: all
	behind, taken bool
	whole         bool // all that ask carry what they changed
}

func (r *request) String() string {
	name := map[reqKind]string{create: "create", lookup: "look", put: "PUT", patch: "PATCH", remove: "DELETE", fetch: "fetch"}[r.kind]
	if r.kind == put || r.kind == remove || r.kind == patch {
		name += fmt.Sprintf("@%d epoch %d", r.version[5], r.epoch-start)
	}
	return name
}

type answer struct {
	unsure, refused bool
	forGood         bool
	fenced          bool
	epoch           int64
	newer           order.Version
	found           bool
	deleted         bool
	values          map[string]string
	shows           int // of a fetch: one more than it shows
	behind, taken   bool
}

func (a answer) String() string {
	switch {
	case a.unsure:
		return "no answer"
	case a.forGood:
		return "refused for good"
	case a.refused:
		return "refused"
	case a.fenced:
		return "412 epoch"
	case !a.newer.IsZero():
		return "412 version"
	case a.found:
		return "found"
	default:
		return "ok"
	}
}

// sinkState is the system behind the consumer, with what it enforces and nothing more.
type sinkState struct {
	sc      *Scenario
	w       *world
	effects int // of actions
	keys    map[string]int64
	epoch   int64
	version order.Version
	values  map[string]string
	retired bool
	exists  bool
	asked   int
}

func newSink(sc *Scenario, w *world) *sinkState {
	return &sinkState{sc: sc, w: w, keys: map[string]int64{}, values: map[string]string{}}
}

// hold begins with the record as it is, written by the newest full state.
func (s *sinkState) hold() {
	s.values, s.retired = s.sc.truth()
	s.exists, s.epoch = true, start
	for _, c := range s.sc.Changes {
		if c.Kind != guard.Partial {
			s.version = order.Newest(s.version, c.version())
		}
	}
}

// take carries a request out, now.
func (s *sinkState) take(r *request) answer {
	kind := s.sc.Sink
	if s.w.out {
		return answer{refused: true}
	}
	switch r.kind {
	case lookup:
		return answer{found: s.effects > 0}
	case fetch:
		shown := len(s.sc.Changes)
		if r.shows > 0 {
			shown = r.shows - 1
		}
		values, deleted := s.sc.after(shown)
		return answer{values: values, deleted: deleted, shows: shown + 1, behind: r.behind, taken: r.taken}
	}
	if kind == FencedKey || kind == FencedVersion {
		if r.epoch < s.epoch {
			return answer{fenced: true, epoch: s.epoch}
		}
	}
	if (kind == FencedVersion || kind == VersionOnly) && r.kind != patch && s.version.After(r.version) {
		s.epoch = max(s.epoch, r.epoch)
		return answer{newer: s.version}
	}
	s.asked++
	s.epoch = max(s.epoch, r.epoch)
	if r.kind == create {
		if kind == UniqueKey || kind == FencedKey || kind == KeyWindow {
			if at, ok := s.keys[r.key]; ok && (kind != KeyWindow || s.w.now-at < window.Milliseconds()) {
				return answer{found: true}
			}
			s.keys[r.key] = s.w.now
		}
		s.effects++
		return answer{}
	}
	s.exists = true
	switch r.kind {
	case put:
		s.values = map[string]string{}
		fallthrough
	case patch:
		s.retired = false
		for f, v := range r.values {
			s.values[f] = v
		}
	case remove:
		s.retired = true
	}
	if r.kind != patch && r.version.After(s.version) {
		s.version = r.version
	}
	return answer{}
}

// handle is the connector: what it does with an attempt at this kind of sink.
func (wk *Worker) handle(_ context.Context, a guard.Attempt) guard.Outcome {
	wk.began = true
	if wk.w.sc.Policy == guard.EachOnce {
		return wk.act(a)
	}
	r := &request{kind: patch, epoch: a.Epoch, version: a.Version, values: map[string]string{}}
	sc := wk.w.sc
	switch {
	case a.Resync:
		truth := wk.ask(&request{kind: fetch, since: wk.w.arrived})
		if truth.unsure || truth.refused {
			return outcomeOf(truth)
		}
		r.kind, r.values = put, truth.values
		if truth.deleted {
			r.kind = remove
		}
	case a.Deleted:
		r.kind = remove
	case sc.Policy == guard.NewestWins:
		r.kind = put
		r.values["state"] = sc.value(wk.msg.changes[a.Change], "state")
	default:
		if a.Whole {
			r.kind = put
		}
		for _, w := range a.Wins {
			r.values[w.Field] = wk.value(w.Change, w.Field)
		}
	}
	unfit := wk.takeOut(r, a)
	if len(unfit) > 0 && len(r.values) == 0 {
		return guard.Outcome{Effect: guard.NotApplied, Permanent: true, Class: unfit[0].Class}
	}
	out := outcomeOf(wk.ask(r))
	out.Unfit = unfit
	out.Deleted = r.kind == remove
	return out
}

// takeOut leaves out what does not fit: the rest goes as a patch.
func (wk *Worker) takeOut(r *request, a guard.Attempt) (unfit []guard.Unfit) {
	for _, w := range a.Wins {
		if wk.w.sc.Changes[wk.msg.changes[wk.at(w.Change)]].Unfit != w.Field || wk.msg.redrive {
			continue
		}
		delete(r.values, w.Field)
		r.kind = patch
		unfit = append(unfit, guard.Unfit{Field: w.Field, Class: verdict.Permanent("unfit")})
	}
	return unfit
}

// act creates something once, as far as the sink lets it.
func (wk *Worker) act(a guard.Attempt) guard.Outcome {
	sink := wk.w.sc.Sink
	expired := a.InDoubt && wk.now().Sub(a.DoubtSince) > window-4*time.Hour
	if a.InDoubt && (sink == LookupOnly || sink == KeyWindow && expired) {
		found := wk.ask(&request{kind: lookup})
		if found.unsure || found.refused {
			// A look-up has no effect of its own: this attempt certainly had none.
			return guard.Outcome{Effect: guard.NotApplied, Class: verdict.Unknown}
		}
		if found.found {
			return guard.Outcome{Effect: guard.Took}
		}
	}
	return outcomeOf(wk.ask(&request{kind: create, key: "subject", epoch: a.Epoch}))
}

func outcomeOf(a answer) guard.Outcome {
	switch {
	case a.unsure:
		return guard.Outcome{Effect: guard.Unsure, Class: verdict.Unknown}
	case a.forGood:
		return guard.Outcome{Effect: guard.NotApplied, Permanent: true, Class: verdict.Permanent("rejected")}
	case a.refused:
		return guard.Outcome{Effect: guard.NotApplied, Class: verdict.Throttled}
	case a.fenced:
		return guard.Outcome{Effect: guard.Fenced, Class: verdict.EpochConflict, Epoch: a.epoch}
	case !a.newer.IsZero():
		return guard.Outcome{Effect: guard.Superseded, Newer: a.newer}
	default:
		return guard.Outcome{Effect: guard.Took}
	}
}

// --- the specification: what the sink has to end with. It knows the changes and
// their order, and nothing of items, claims or attempts.

// value is what a change says of a field.
func (sc *Scenario) value(change int, field string) string {
	c := sc.Changes[change]
	if null, named := c.Fields[field]; named && null {
		return ""
	}
	return fmt.Sprintf("%s of %d.%d", field, c.Version, c.Tie)
}

// truth is the record after all changes in commit order: the sequential specification.
// A create or undelete sets every field, an update those it names, a delete ends the
// record. Fields that no change since the last delete named are not part of it.
func (sc *Scenario) truth() (values map[string]string, deleted bool) {
	return sc.after(len(sc.Changes))
}

// after is the record after so many changes.
func (sc *Scenario) after(shown int) (values map[string]string, deleted bool) {
	values = sc.initial()
	for _, i := range sc.inOrder()[:shown] {
		c := sc.Changes[i]
		switch {
		case sc.Policy == guard.NewestWins:
			values["state"] = sc.value(i, "state")
		case c.Kind == guard.Delete:
			values, deleted = map[string]string{}, true
		case c.Kind == guard.Full:
			deleted = false
			for _, f := range sc.Fields {
				values[f] = sc.value(i, f)
			}
		default:
			deleted = false
			for _, f := range sc.Fields {
				if _, ok := c.Fields[f]; ok {
					values[f] = sc.value(i, f)
				}
			}
		}
	}
	return values, deleted
}

// sameInstant is the class of a message that says that nobody can tell which of two
// states is newer.
var sameInstant = verdict.Permanent("same-instant")

// rivals reports whether nobody can tell which state is the newest one.
func (sc *Scenario) rivals() bool {
	var newest, twice byte
	for _, c := range sc.Changes {
		switch {
		case c.Version > newest:
			newest, twice = c.Version, 0
		case c.Version == newest:
			twice = newest
		}
	}
	return sc.Policy == guard.NewestWins && twice > 0
}

// finish compares the end of a history with the specification.
func (w *world) finish() {
	w.nothingLost()
	s := w.sink
	if w.sc.Policy == guard.EachOnce {
		w.checkEffects(true)
		return
	}
	told := false
	for _, p := range w.parked {
		if p.class == sameInstant {
			told = true
			continue
		}
		w.violate("change %d still lies in the queue as %s after redriving", p.change, p.class)
	}
	if w.sc.rivals() && !told {
		w.violate("which of two states is the newest cannot be told, and no message says so")
	}
	values, deleted := w.sc.truth()
	if deleted != s.retired && (s.exists || !deleted) {
		w.violate("the record is deleted=%v in Salesforce and retired=%v at the sink", deleted, s.retired)
	}
	if deleted {
		return
	}
	for f, v := range values {
		if s.values[f] != v {
			w.violate("the sink ends with %s=%q, Salesforce with %q", f, s.values[f], v)
		}
	}
}

// checkEffects is the row of the guarantee table for actions.
func (w *world) checkEffects(end bool) {
	n := w.sink.effects
	most, least := 1, 1
	switch w.sc.Sink {
	case NothingPark:
		if len(w.parked) > 0 {
			least = 0
		}
	case NothingRepeat:
		if !w.sc.Strict {
			most = n
		}
	}
	for _, p := range w.parked {
		if p.class != verdict.ChangedAfterDone && w.sc.Sink != NothingPark {
			w.violate("still parked as %s after redriving", p.class)
		}
	}
	if n > most {
		w.violate("%d effects", n)
	}
	if end && n < least {
		w.violate("no effect at all")
	}
}

func (s *sinkState) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %d %x %v %v ", s.effects, s.epoch-s.w.base(), s.version, s.retired, s.exists)
	keys := make([]string, 0, len(s.values))
	for k := range s.values {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		fmt.Fprintf(&b, "%s=%s;", k, s.values[k])
	}
	for _, at := range s.keys {
		if !s.sc.DayPasses {
			at = 0 // its window cannot end
		}
		fmt.Fprintf(&b, "key %d;", at)
	}
	return b.String()
}
