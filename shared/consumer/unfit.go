package consumer

import (
	"context"
	"errors"
	"fmt"

	"sfrelay/shared/guard"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// carryOut hands an attempt to the consumer's own code. Fields that do not fit the sink
// are taken out, and the others go as a patch, in the same attempt: one bad field holds
// back itself and nothing else.
func (in *invocation) carryOut(ctx context.Context, group []*work, at guard.Attempt) guard.Outcome {
	return in.applied(ctx, at, func(at guard.Attempt) attempt { return in.attempt(group, at) })
}

// applied hands an attempt over, and what is left of it where not all fits.
func (in *invocation) applied(ctx context.Context, at guard.Attempt, attempt func(guard.Attempt) attempt) guard.Outcome {
	receipt, err := in.def.apply(ctx, attempt(at))
	unfit, ok := in.takenOut(err, at.Wins)
	if !ok {
		return outcome(receipt, err)
	}
	rest := at
	rest.Whole, rest.Wins = false, without(at.Wins, unfit)
	if len(rest.Wins) == 0 {
		return outcome(sink.Receipt{}, err) // certainly not applied
	}
	receipt, err = in.def.apply(ctx, attempt(rest))
	out := outcome(receipt, err)
	out.Unfit = unfit
	return out
}

// takenOut are the fields that the connector says do not fit. It reports false where
// they cannot be left out: no field-wise consumer, or a name that is none of its fields.
func (in *invocation) takenOut(err error, wins []guard.Win) ([]guard.Unfit, bool) {
	e, ok := errors.AsType[*sink.UnfitError](err)
	if !ok || in.def.policy != guard.FieldMerge || len(e.Fields) == 0 {
		return nil, false
	}
	unfit := make([]guard.Unfit, 0, len(e.Fields))
	for _, f := range e.Fields {
		code := in.binding.codeOf(f.Field)
		if len(without(wins, []guard.Unfit{{Field: code}})) == len(wins) {
			return nil, false // it was not handed over: the connector speaks of something else
		}
		unfit = append(unfit, guard.Unfit{Field: code, Class: verdict.Permanent(f.Name), Err: fmt.Errorf("%s: %s", f.Field, f.Reason)})
	}
	return unfit, true
}

// codeOf is the guard code of a field of T, empty where there is none.
func (b *binding) codeOf(name string) string {
	for i := range b.fields {
		if b.fields[i].name == name {
			return b.fields[i].code
		}
	}
	return ""
}

func without(wins []guard.Win, unfit []guard.Unfit) []guard.Win {
	var rest []guard.Win
next:
	for _, w := range wins {
		for _, u := range unfit {
			if u.Field == w.Field {
				continue next
			}
		}
		rest = append(rest, w)
	}
	return rest
}
