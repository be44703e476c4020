package guard

import (
	"errors"
	"slices"

	"sfrelay/shared/order"
	"sfrelay/shared/verdict"
)

// solo is a group on its way one by one.
type solo struct {
	*run
	it    Item       // as the changes so far have left it
	total completion // of the changes so far
	stop  *Outcome   // what keeps the rest from being tried
	took  bool       // the sink took one, or has something newer
}

// oneByOne repeats a merged call that was refused for good, change by change under
// the same lease: only the guilty one is parked.
func (r *run) oneByOne() {
	s := solo{run: r, it: r.item, total: completion{key: r.key, token: r.token, expires: r.expires(r.now())}}
	s.it.Fields = make(map[string]order.Version, len(r.item.Fields))
	for code, v := range r.item.Fields {
		s.it.Fields[code] = v
	}
	for _, i := range r.sorted {
		s.one(i)
	}
	s.end()
}

// one takes change i through.
func (s *solo) one(i int) {
	results := s.report.Results
	if first := s.firstEqual(i); first != i {
		results[i] = results[first]
		if sent(results[i].Verdict) {
			results[i].Verdict = verdict.Duplicate
		}
		return
	}
	if s.stop != nil {
		results[i] = s.failed(s.stop)
		return
	}
	m, out := s.ask(i)
	switch {
	case out.Effect == Took || out.Effect == Superseded:
		s.got(i, m, out)
	case out.Effect == NotApplied && out.Permanent:
		s.parkOnce(i, out.Class, out.Err)
	default:
		if out.Effect == Fenced {
			out = Outcome{Effect: NotApplied, Class: verdict.Conflict, Err: errors.New("fenced off in the middle of a group")}
		}
		s.stop = &out
		results[i] = s.failed(s.stop)
	}
}

// got adds what the sink has of change i now, or had before.
func (s *solo) got(i int, m merge, out Outcome) {
	ch := &s.call.Changes[i]
	if out.Link != "" {
		s.total.link, s.item.Link = out.Link, out.Link
	}
	s.report.Results[i] = s.result(s.soloVerdict(ch, &s.it, &m, out), "", nil)
	s.report.Results[i].Lost = s.lost(i, s.report.Results[i].Verdict, m)
	if out.Effect == Superseded {
		m.full = order.Newest(m.full, s.covers(out.Newer))
	}
	switch rival := s.rivals(ch.Version, s.it.Full); {
	case out.Effect == Took && out.Park != "":
		s.parkAnyway(i, out.Park, out.Err)
	case out.Effect == Took && rival && !s.marks.has(instantOf(ch.Version)):
		if s.parkAnyway(i, sameInstant, errSameInstant); s.report.Results[i].Verdict != verdict.Failed {
			s.marks.add(instantOf(ch.Version))
		}
	case rival, s.rivals(ch.Version, m.full):
		if out.Effect == Superseded {
			s.parkRival(i)
		}
	case len(out.Unfit) > 0:
		s.layAside(&m, out.Unfit)
	}
	if res := &s.report.Results[i]; res.Verdict == verdict.Failed && len(out.Unfit) == 0 {
		s.stop = &Outcome{Effect: Unsure, Class: res.Class, Err: res.Err} // not recorded: the next delivery parks it
		return
	}
	s.total.add(&s.it, m)
}

// failed is the result of a change that what stopped the group keeps waiting.
func (s *solo) failed(stop *Outcome) Result {
	res, now := s.result(verdict.Failed, stop.Class, stop.Err), s.now()
	rel := s.releaseFor(*stop, now)
	res.NotBefore = again(*stop, &rel, now)
	return res
}

// ask hands change i to the handler, unless the item already has something newer.
func (s *solo) ask(i int) (merge, Outcome) {
	m, send := s.mergeOne(&s.it, i)
	if !send {
		return m, Outcome{Effect: Superseded}
	}
	a := m.attempt()
	if s.cfg.Policy == NewestWins {
		a.Change = i
	}
	out := s.try(a)
	s.took = s.took || out.Effect == Took || out.Effect == Superseded
	return m, out
}

// end records what got through, or gives the whole back.
func (s *solo) end() {
	if s.stop != nil && !s.took {
		s.giveBackRest(*s.stop)
		return
	}
	if s.stop != nil {
		rel := s.releaseFor(*s.stop, s.now())
		s.total.status, s.total.notBefore, s.total.class = rel.status, rel.notBefore, rel.class
		s.total.keepDoubt = s.stop.Effect == Unsure || s.inDoubt
	} else {
		s.total.keepDoubt = s.inDoubt && !s.took // refusals settle no older doubt
	}
	results := slices.Clone(s.report.Results)
	if s.record(&s.total) {
		s.report.Results = results
		s.resyncZombies()
		return
	}
	for i, res := range results { // what is parked or was stale before stays so
		if res.Verdict == verdict.Parked || res.Verdict == verdict.Stale || res.Verdict == verdict.Duplicate {
			s.report.Results[i] = res
		}
	}
}

// mergeOne is what change i makes of the item by itself, and whether the sink is asked.
func (r *run) mergeOne(it *Item, i int) (m merge, send bool) {
	if r.cfg.Policy == NewestWins {
		v := r.call.Changes[i].Version
		if !v.After(it.Full) {
			return merge{}, false
		}
		return merge{full: v, version: v}, true
	}
	m = mergeInto(it, r.cfg.Fields, r.call.Changes, []int{i})
	return m, len(m.wins) > 0 || m.deleted
}

// giveBackRest gives back a group of which nothing got through: the attempt counts, and what
// has been tried for long enough is parked.
func (r *run) giveBackRest(out Outcome) {
	rel := r.releaseFor(out, r.now())
	failed, parked := 0, 0
	for i := range r.report.Results {
		if r.report.Results[i].Verdict != verdict.Failed {
			continue
		}
		failed++
		if !r.givesUp(i, out) {
			continue
		}
		if r.parkOnce(i, out.Class, out.Err); r.report.Results[i].Verdict == verdict.Parked {
			parked++
		}
	}
	rel.reset = failed > 0 && parked == failed
	r.release(&rel)
}

func (r *run) soloVerdict(ch *Change, it *Item, m *merge, out Outcome) verdict.Verdict {
	want := len(ch.Fields)
	if ch.Kind == Full {
		want = len(r.cfg.Fields)
	}
	switch {
	case !ch.isNewTo(it, r.cfg.Policy):
		return ch.againstItem(it, r.cfg.Policy)
	case out.Effect == Superseded:
		return verdict.Stale
	case m.deleted || len(m.wins) == want:
		return verdict.Applied
	default:
		return verdict.PartlyStale
	}
}

// add moves both the completion and the item it is computed against.
func (c *completion) add(it *Item, m merge) {
	c.full, c.tombstone = order.Newest(c.full, m.full), order.Newest(c.tombstone, m.tombstone)
	c.seen = order.Newest(c.seen, m.seen)
	it.Full, it.Tombstone = order.Newest(it.Full, m.full), order.Newest(it.Tombstone, m.tombstone)
	for _, w := range m.wins {
		it.Fields[w.Field] = order.Newest(it.Fields[w.Field], w.Version)
		c.wins = slices.DeleteFunc(c.wins, func(x Win) bool { return x.Field == w.Field })
		c.wins = append(c.wins, w)
	}
}
