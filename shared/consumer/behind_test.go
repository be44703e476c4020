package consumer_test

import (
	"context"
	"testing"

	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/salesforce/api"
	"sfrelay/shared/verdict"
)

// back is an org in which a record comes back once it was shown as deleted.
type back struct{ *consumertest.Records }

func (b back) Fates(ctx context.Context, object string, ids []string) (map[string]api.Fate, error) {
	fates, err := b.Records.Fates(ctx, object, ids)
	b.Put(account, 20, alpha("20"))
	return fates, err
}

// A record that is still shown as deleted although it came back is read again: only what was
// deleted in a later second than that of the change was deleted after it.
func TestADeletionThatIsShownForTooLong(t *testing.T) {
	for _, c := range []struct{ kind, changed, body string }{
		{"GAP_UNDELETE", "[]", ""}, {"GAP_UPDATE", "[]", ""}, {"UPDATE", `["Phone"]`, `"Phone":"20"`},
	} {
		e := change(c.kind, 20, id(account), c.changed, c.body)
		org := back{&consumertest.Records{}}
		org.GoneAt(account, 20)
		s := fenced()
		k := consumertest.New(t, accounts(s), consumertest.In(func(env *consumer.Env) { env.Org = org }))
		k.Send(e)
		if got := s.Took(); len(got) != 1 || got[0].Method != "PUT" || got[0].Body != wholeAlpha("20") {
			t.Errorf("%s: the sink took %+v", c.kind, got)
		}
		k.Want(verdict.Failed, verdict.Applied)

		deleted, s, records := asking(t)
		records.GoneAt(account, 21)
		deleted.Send(e)
		deleted.Want(verdict.Applied)
		if got := s.Took(); len(got) != 1 || got[0].Method != "DELETE" {
			t.Errorf("%s, then deleted: the sink took %+v", c.kind, got)
		}
	}
}

// A deletion that could not be told from a lost permission is one when it is redriven, also
// where the record has left the recycle bin. What came back since is not deleted by it.
func TestARedrivenDeletionOfWhatIsGoneForGood(t *testing.T) {
	k, s, org := asking(t)
	org.Put(account, 1, alpha("1"))
	k.Send(change("GAP_CREATE", 1, id(account), "[]", ""))
	org.Hide("Phone")
	gone := change("GAP_DELETE", 5, id(account), "[]", "")
	k.Send(gone)
	org.Hide()
	org.Gone(account, false, "")
	if k.Redrive(); len(k.Parked()) != 0 || len(s.Took()) != 2 || s.Took()[1].Method != "DELETE" {
		t.Errorf("parked %+v, the sink took %+v", k.Parked(), s.Took())
	}

	k, s, org = asking(t)
	org.Hide("Phone")
	k.Send(gone)
	k.Send(change("UNDELETE", 6, id(account), "[]", `"Name":"Alpha"`))
	org.Hide()
	if k.Redrive(); len(k.Parked()) != 1 || len(s.Took()) != 1 || s.Took()[0].Method != "PUT" {
		t.Errorf("parked %+v, the sink took %+v", k.Parked(), s.Took())
	}
}
