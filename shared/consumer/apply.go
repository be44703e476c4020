package consumer

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// process takes those works that are ready through the guard: subjects side by side, the
// changes of one subject together.
func (in *invocation) process(works []*work) {
	for range mostRounds {
		in.guarded(works)
		in.ask(works)
		if !slices.ContainsFunc(works, func(w *work) bool { return w.ready && !w.over }) {
			return
		}
	}
	in.guarded(works)
	for _, w := range works {
		if !w.over { // nothing is lost of which nobody has said what became of it
			w.conclude(verdict.Failed, verdict.NeedsFetch, w.needs)
			w.asked = true
			in.finish(w)
		}
	}
}

// mostRounds: as the event tells it, with what was read, and once more after the claim.
const mostRounds = 2

// guarded takes those works through the guard that are ready, and ends those that need
// nothing more.
func (in *invocation) guarded(works []*work) {
	groups := make(map[string][]*work)
	var keys []string
	for i, w := range works {
		switch {
		case w.over || w.needs != nil:
			continue
		case !w.ready:
			in.finish(w)
			continue
		}
		key := w.event.Org + "#" + w.subject
		if in.def.policy != guard.EachOnce && w.msg.Redrive {
			key += "#redrive" // it lies in no queue any more, others do: one call says the same of all
		}
		if w.change.Kind == guard.Resync { // it stands alone
			key += fmt.Sprintf("#%d", i)
		}
		if _, ok := groups[key]; !ok {
			keys = append(keys, key)
		}
		groups[key] = append(groups[key], w)
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, parallel)
	in.together = &together{in: in, slots: slots, left: len(keys)}
	for i, key := range keys {
		slots <- struct{}{}
		if why := in.awaitTurn(in.beforeClosing()); why != nil {
			<-slots
			in.leave(groups, keys[i:], why)
			break
		}
		in.together.begin()
		run := func() {
			defer func() { <-slots }()
			defer in.together.end()
			in.subject(groups[key])
		}
		if i == len(keys)-1 { // most often the only one: a new goroutine has to grow its stack first
			run()
		} else {
			wg.Go(run)
		}
	}
	wg.Wait()
}

// subject takes the works of one subject through the guard: together where the newest wins.
func (in *invocation) subject(works []*work) {
	if in.def.policy != guard.EachOnce {
		in.do(works)
		return
	}
	for i := range works {
		in.do(works[i : i+1])
	}
}

// do takes the changes of one subject through the guard.
func (in *invocation) do(group []*work) {
	first := group[0]
	subject := first.event.Org + "#" + first.subject
	pass := in.admit(group, subject)
	if pass == withheld {
		return
	}
	defer in.breaker.over(pass)
	call := guard.Call{
		Org: first.event.Org, Subject: first.subject, Redrive: first.msg.Redrive, Unattended: in.unattended(),
		EventSubject: in.def.perEvent, Published: first.published(),
		WholeFirst: in.asks(), BusyWait: busyWait, Changes: make([]guard.Change, len(group)),
		GiveUp: func(change int, class verdict.Class, _ int64) bool {
			return in.giveUp(group[change], class)
		},
		Park: func(ctx context.Context, p guard.Parking) error {
			w := group[p.Change]
			if w.event.Kind == salesforce.CDC && len(w.event.Changes) > 1 {
				return in.together.park(w, p)
			}
			return in.send(ctx, w, p, w.records())
		},
	}
	for i, w := range group {
		call.Changes[i] = w.change
	}
	var inSink time.Duration
	var limited bool
	began := in.env.Now()
	report := in.guard.Do(in.beforeClosing(), call, func(ctx context.Context, at guard.Attempt) (out guard.Outcome) {
		began := in.env.Now()
		out.Class = verdict.Unknown // that of a panic
		asked := true
		defer func() {
			inSink += in.env.Now().Sub(began)
			if asked {
				in.breaker.heard(subject, pass, out, in.env.Now())
			}
		}()
		send := func() guard.Outcome { return in.carryOut(ctx, group, at) }
		if at.Resync {
			var refused guard.Outcome
			if send, refused = in.reread(ctx, group[0], at); send == nil {
				asked = false
				return refused
			}
		}
		out, limited = in.inTurn(ctx, send)
		asked = !limited || pass == probe // one too many is no answer
		return out
	})
	first.line.GuardRequests += report.Requests
	first.line.Guard += max(in.env.Now().Sub(began)-inSink, 0)
	first.line.EpochRaised = report.EpochRaised
	for i, w := range group {
		w.limited = limited
		in.reported(w, report.Results[i], inSink, report.Requests > 0)
	}
}

// reported ends a work as the guard says, or readies it for what it needs first.
func (in *invocation) reported(w *work, r guard.Result, inSink time.Duration, asked bool) {
	switch {
	case r.Unseen:
		w.ready, w.needs = false, r.Err
		return
	case r.Settled && w.thin && w.change.Kind != guard.Resync:
		// It holds nothing that could tell it from another save of the same second.
		w.change.Kind = guard.Resync
		return
	}
	w.conclude(r.Verdict, r.Class, r.Err)
	w.line.Attempt, w.line.Epoch, w.line.InDoubt, w.line.Changed = r.Attempt, r.Epoch, r.InDoubt, r.Changed
	w.line.Sink, w.notBefore, w.asked = inSink, r.NotBefore, asked
	w.line.Stale = in.binding.namesOf(r.Lost, w.event.Kind)
	if r.Verdict == verdict.Applied || r.Verdict == verdict.PartlyStale {
		in.health.took(w.subject, in.env.Now())
	}
	in.finish(w)
}

func (in *invocation) attempt(group []*work, at guard.Attempt) attempt {
	w := group[at.Change]
	a := attempt{
		whole: at.Whole, change: w.seen,
		ref: sink.Ref{
			Consumer: in.def.name, Org: w.event.Org, Subject: w.subject,
			Epoch: at.Epoch, Link: at.Link, InDoubt: at.InDoubt, DoubtSince: at.DoubtSince,
		},
	}
	if in.def.policy != guard.EachOnce {
		a.ref.Version = at.Version.String()
	}
	if in.def.policy == guard.FieldMerge {
		winners := in.binding.fresh()
		in.binding.pick(winners, at.Wins, func(change int) reflect.Value { return group[change].seen.Content })
		a.change.Content, a.change.Deleted = winners, at.Deleted
	}
	return a
}
