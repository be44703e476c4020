package consumer

import (
	"slices"

	"sfrelay/shared/order"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// outcomes are what became of the changes of one event for which the guard is not asked.
// Those that end alike stand together: their parked copies are one message.
type outcomes []alike

// alike are changes with one end. Of refusals only the class has to be the same: the
// causes may name what is different in each.
type alike struct {
	end     // of the first
	changes []*salesforce.Change
	few     []settled // the first of them
}

// settled is what the log says of one of them.
type settled struct {
	recordID, subject string
	version           order.Version
}

func (o *outcomes) add(ch *salesforce.Change, e end, s settled) {
	i := slices.IndexFunc(*o, func(a alike) bool {
		return a.verdict == e.verdict && a.class == e.class && a.missing == e.missing
	})
	if i < 0 {
		i = len(*o)
		*o = append(*o, alike{end: e})
	}
	a := &(*o)[i]
	if a.changes = append(a.changes, ch); len(a.changes) <= manyRecords {
		a.few = append(a.few, s)
	}
}

// conclude ends the changes of out: with a line for each, or one for all where they are
// many. Of many it does not ask whether they were done before: that would take a request
// for each, and more time than there is.
func (in *invocation) conclude(msg *transport.Message, event *salesforce.Event, out outcomes) {
	for _, a := range out {
		var works []*work
		for i, s := range a.few {
			w := in.work(msg, event, a.changes[i], s)
			if n := len(a.changes); n > manyRecords {
				w.several, w.line.Records = idsOf(a.changes), n
				works = append(works, w)
				break
			}
			if !a.missing || !in.withoutContent(w, a.class, a.err) {
				works = append(works, w)
			}
		}
		if a.verdict == verdict.Parked {
			in.parkTogether(works, a.class, a.err)
			continue
		}
		for _, w := range works {
			w.conclude(a.verdict, "", nil)
		}
	}
}

// parkTogether parks changes of one event in one message.
func (in *invocation) parkTogether(works []*work, class verdict.Class, cause error) {
	for i, w := range works {
		if i == 0 {
			records := w.records()
			for _, w := range works[1:] {
				records = append(records, w.records()...)
			}
			in.park(w, class, cause, records)
			continue
		}
		w.line.Verdict, w.line.Class, w.line.Error = works[0].line.Verdict, works[0].line.Class, works[0].line.Error
	}
}

func idsOf(changes []*salesforce.Change) []string {
	ids := make([]string, len(changes))
	for i, ch := range changes {
		ids[i] = ch.RecordID
	}
	return ids
}
