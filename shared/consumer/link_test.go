package consumer_test

import (
	"context"
	"strings"
	"testing"

	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/guard"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// The sink's own id is foreign text. What cannot be shown is not kept, and what was
// applied stays applied.
func TestAnIDThatCannotBeShownIsNotKept(t *testing.T) {
	create := change("CREATE", 1, id(account), "[]", `"Name":"Example Ltd"`)
	for link, kept := range map[string]string{
		"cus_1": "cus_1", "": "", "cus\x1b]0;x\a": "", "a\nb": "", "a\u202eb": "", strings.Repeat("x", 256): "",
	} {
		store := &memory.Store{}
		def := accounts(consumertest.NewSink(sink.Contract{Fenced: true}))
		calls := 0
		def.Put = func(context.Context, sink.Ref, string, Account) (sink.Receipt, error) {
			calls++
			return sink.Receipt{Link: link, Outcome: sink.Created}, nil
		}
		k := consumertest.New(t, def, consumertest.In(func(e *consumer.Env) { e.Store = store }))
		k.Send(create, create)
		r, err := store.Read(t.Context(), guard.Key("accounts", "00D5f000005KcCnEAK", "Account/"+account))
		if got := guard.ReadItem(r).Link; err != nil || got != kept || calls != 1 {
			t.Errorf("id %q: kept is %q, %v, after %d calls; want %q after one", link, got, err, calls, kept)
		}
		p := k.Parked()
		if link == kept {
			if len(p) != 0 {
				t.Errorf("id %q: parked %+v", link, p)
			}
			continue
		}
		if len(p) != 1 || p[0].Class != verdict.Permanent("contract-broken") || strings.Contains(p[0].Error, link) {
			t.Errorf("id %q: parked %+v", link, p)
		}
	}
}
