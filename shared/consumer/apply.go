package consumer

import (
	"context"
	"reflect"
	"sync"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// process takes those works that are ready through the guard: subjects side by side, the
// changes of one subject together.
func (in *invocation[T]) process(works []*work[T]) {
	groups := make(map[string][]*work[T])
	var keys []string
	for _, w := range works {
		if !w.ready {
			in.finish(w)
			continue
		}
		key := w.event.Org + "#" + w.subject
		if in.def.policy != guard.EachOnce && w.msg.Redrive {
			key += "#redrive" // it lies in no queue any more, others do: one call says the same of all
		}
		if _, ok := groups[key]; !ok {
			keys = append(keys, key)
		}
		groups[key] = append(groups[key], w)
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, parallel)
	in.together = &together[T]{in: in, slots: slots, left: len(keys), waiting: map[parkKey]*parked[T]{}}
	for _, key := range keys {
		slots <- struct{}{}
		in.together.begin()
		wg.Go(func() {
			defer func() { <-slots }()
			defer in.together.end()
			if in.def.policy != guard.EachOnce {
				in.do(groups[key])
				return
			}
			for _, w := range groups[key] {
				in.do([]*work[T]{w})
			}
		})
	}
	wg.Wait()
}

// do takes the changes of one subject through the guard.
func (in *invocation[T]) do(group []*work[T]) {
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
		BusyWait: busyWait, Changes: make([]guard.Change, len(group)),
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
	report := in.guard.Do(in.beforeClosing(), call, func(ctx context.Context, at guard.Attempt) (out guard.Outcome) {
		began := in.env.Now()
		out.Class = verdict.Unknown // that of a panic
		defer func() { in.breaker.heard(subject, pass, out, in.env.Now()) }()
		out = in.carryOut(ctx, group, at)
		inSink += in.env.Now().Sub(began)
		return out
	})
	for i, w := range group {
		r := report.Results[i]
		w.conclude(r.Verdict, r.Class, r.Err)
		w.line.Attempt, w.line.Epoch, w.line.InDoubt, w.line.Changed = r.Attempt, r.Epoch, r.InDoubt, r.Changed
		w.line.Sink, w.notBefore, w.asked = inSink, r.NotBefore, report.Requests > 0
		if r.Verdict == verdict.Applied || r.Verdict == verdict.PartlyStale {
			in.health.took(w.subject, in.env.Now())
		}
		if i == 0 {
			w.line.GuardRequests, w.line.EpochRaised = report.Requests, report.EpochRaised
		}
		in.finish(w)
	}
}

func (in *invocation[T]) attempt(group []*work[T], at guard.Attempt) attempt[T] {
	w := group[at.Change]
	a := attempt[T]{
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
		var winners T
		in.binding.pick(reflect.ValueOf(&winners).Elem(), at.Wins, func(change int) reflect.Value {
			return reflect.ValueOf(group[change].seen.Content)
		})
		a.change.Content, a.change.Deleted = winners, at.Deleted
	}
	return a
}
