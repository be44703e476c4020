package functions_test

import (
	"context"
	"reflect"
	"slices"
	"testing"
	"time"

	"sfrelay/functions"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/notify"
	"sfrelay/shared/sink"
)

const contact = "0035f000002abcDAAQ"

// mailbox is a receiver that counts what it is told; it promises nothing.
type mailbox struct{ *consumertest.Sink }

func newMailbox() mailbox { return mailbox{consumertest.NewSink(sink.Contract{})} }

func (m mailbox) Tell(_ context.Context, ref sink.Ref, n notify.Notification) (sink.Receipt, error) {
	return m.Do(ref, ref.Org+" "+ref.Subject, n)
}

// told are the notifications in the order in which they came.
func (m mailbox) told(t *testing.T, want int) (all []notify.Notification) {
	t.Helper()
	for _, r := range m.Took() {
		n, ok := r.Body.(notify.Notification)
		if !ok {
			t.Fatalf("told %+v", r)
		}
		all = append(all, n)
	}
	if len(all) != want {
		t.Fatalf("told %d times, want %d: %+v", len(all), want, all)
	}
	return all
}

func contactChange(kind string, second int, changed []string, fields map[string]any) []byte {
	return consumertest.Change{Object: "Contact", Kind: kind, IDs: []string{contact}, Second: second, Changed: changed, Fields: fields}.Event()
}

// story is the life of a contact, and of another one.
func story() [][]byte {
	return [][]byte{
		contactChange("CREATE", 1, nil, map[string]any{"LastName": "Doe", "AccountId": account, "Email": nil}),
		contactChange("UPDATE", 2, []string{"Phone", "LastModifiedDate"}, map[string]any{"Phone": "1", "LastModifiedDate": "2026-11-22T11:59:02.000Z"}),
		contactChange("GAP_UPDATE", 3, nil, nil),
		contactChange("DELETE", 4, nil, nil),
		contactChange("UNDELETE", 5, nil, map[string]any{"LastName": "Doe"}),
		consumertest.Create("Contact", "0035f000002abcEAAQ", 1, map[string]any{"LastName": "Roe"}),
	}
}

// Every change is told once with what happened, in which order, and the names of what was
// changed; no value is told that nobody asked for.
func TestEveryChangeOfAContactIsTold(t *testing.T) {
	m := newMailbox()
	kit := consumertest.New(t, functions.ContactNotify(m, nil))
	kit.Duplicate(2).Send(story()[1]).Send(story()[0]).Send(story()[2:]...) // the update before the creation
	kit.Want("applied", "duplicate", "applied", "applied", "applied", "applied", "applied")
	told := m.told(t, 6)
	for i, want := range []notify.Notification{
		{Kind: notify.Updated, Fields: []string{"LastModifiedDate", "Phone"}},
		{Kind: notify.Created, Fields: []string{"AccountId", "LastName"}, AccountID: account},
		{Kind: notify.Updated, Partial: true, Fields: []string{}},
		{Kind: notify.Deleted, Fields: []string{}},
		{Kind: notify.Undeleted, Fields: []string{"LastName"}},
	} {
		got := told[i]
		second := []int{2, 1, 3, 4, 5}[i]
		if at := consumertest.Start.Add(time.Duration(second) * time.Second); !got.At.Equal(at) || len(got.Version) != 40 {
			t.Errorf("%s: at %v, version %q", got.Kind, got.At, got.Version)
		}
		want.Object, want.RecordID, want.At, want.Version = "Contact", contact, got.At, got.Version
		if !reflect.DeepEqual(got, want) {
			t.Errorf("told %+v, want %+v", got, want)
		}
	}
	// The versions tell the order in which they were committed.
	versions := []string{told[1].Version, told[0].Version, told[2].Version, told[3].Version, told[4].Version}
	if !slices.IsSorted(versions) || len(slices.Compact(versions)) != 5 {
		t.Errorf("versions in the order of the commits: %q", versions)
	}
}

// What names system fields only says nothing; what cannot be told is no reason not to tell
// of the rest.
func TestWhatIsToldOfAContact(t *testing.T) {
	m := newMailbox()
	kit := consumertest.New(t, functions.ContactNotify(m, []string{"Email", "MailingAddress.City", "Birthdate", "Score__c"}))
	kit.Send(
		contactChange("UPDATE", 1, []string{"LastModifiedDate", "LastModifiedById"}, map[string]any{"LastModifiedDate": "2026-11-22T11:59:01.000Z"}),
		contactChange("UPDATE", 2, []string{"AccountId", "Email", "MailingAddress.City", "Phone", "Score__c"},
			map[string]any{"Email": nil, "MailingAddress.City": "York", "Phone": "1", "Score__c": 12345678.0}),
	)
	kit.Want("ignored", "applied")
	told := m.told(t, 1)[0]
	city, score := "York", "12345678"
	if want := map[string]*string{"Email": nil, "MailingAddress.City": &city, "Score__c": &score}; !reflect.DeepEqual(told.Values, want) {
		t.Errorf("values %v", told.Values)
	}
	if !told.Partial || told.AccountID != "" {
		t.Errorf("%+v: AccountId was changed, and the event does not say to what", told)
	}
}

// In doubt the receiver is told again, under the same id.
func TestInDoubtAContactIsToldAgain(t *testing.T) {
	m := newMailbox()
	kit := consumertest.New(t, functions.ContactNotify(m, nil))
	kit.LoseAnswer().Send(story()[0])
	kit.Want("failed", "applied")
	took := m.Took()
	if len(took) != 2 || took[0].Ref.ActionKey("tell", 0) != took[1].Ref.ActionKey("tell", 0) {
		t.Fatalf("told %+v", took)
	}
	// Another event of the same contact has another one.
	kit.Send(story()[1])
	if took = m.Took(); took[2].Ref.ActionKey("tell", 0) == took[0].Ref.ActionKey("tell", 0) {
		t.Error("two events have one id")
	}
}
