package consumer_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

type parent struct {
	ParentID string `cdc:"ParentId" ref:"Account"`
}

// anything is an Action that wants to know of every change, and says what it was told.
func anything(s *consumertest.Sink, said *[]string) consumer.Action[parent] {
	return consumer.Action[parent]{
		Name: "accounts", Object: "Account", Changes: true, Any: true, Once: consumer.PerEvent(), To: s,
		When: func(consumer.Change[parent]) consumer.Decision { return consumer.Act },
		Do: func(_ context.Context, ref sink.Ref, c consumer.Change[parent]) (sink.Receipt, error) {
			phone, knows := c.Value("Phone")
			_, whole := c.Value("Description")
			text := "null"
			if phone != nil {
				text = *phone
			}
			*said = append(*said, fmt.Sprintf("%s %s partial=%t parent=%s phone=%s,%t description=%t version=%d", c.Type, c.Names(), c.Partial, c.Content.ParentID, text, knows, whole, len(c.Version)))
			return s.Do(ref, ref.Subject, nil)
		},
	}
}

// An Action with Any acts on a change of any field, and on changes of which the event does
// not say all: what it does not say is no reason to wait for the record.
func TestAnyChangeOfAnyField(t *testing.T) {
	var said []string
	k := consumertest.New(t, anything(consumertest.NewSink(sink.Contract{UniqueKey: true}), &said))
	k.Send(
		change("UPDATE", 1, id(account), `["LastModifiedDate"]`, `"LastModifiedDate":"2026-11-22T11:59:01.000Z"`),
		change("UPDATE", 2, id(account), `["Phone"]`, `"Phone":"1","Fax":"enriched"`),
		change("UPDATE", 3, id(account), `["ParentId","Phone"]`, `"Phone":null`),
		change("UPDATE", 4, id(account), `["Description"]`, `"Description":"--- \n+++ 0f343b0931126a20f133d67c2b018a3b\n@@ -1 +1 @@\n-a\n+b\n"`),
		change("GAP_UPDATE", 5, id(account), `[]`, ``),
		change("CREATE", 6, id(account), `[]`, `"ParentId":"`+other+`","Phone":12345678.0,"Fax":null`),
		change("DELETE", 7, id(account), `[]`, ``),
	)
	k.Want(verdict.Ignored, verdict.Applied, verdict.Applied, verdict.Applied, verdict.Applied, verdict.Applied, verdict.Applied)
	want := []string{
		"UPDATE [Phone] partial=false parent= phone=1,true description=false version=40",
		"UPDATE [ParentId Phone] partial=true parent= phone=null,true description=false version=40",
		"UPDATE [Description] partial=true parent= phone=null,false description=false version=40",
		"GAP_UPDATE [] partial=true parent= phone=null,false description=false version=40",
		"CREATE [ParentId Phone] partial=false parent=" + other + " phone=12345678,true description=false version=40",
		"DELETE [] partial=false parent= phone=null,false description=false version=40",
	}
	if got := strings.Join(said, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("told\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// Any is about change events alone.
func TestAnyNeedsChanges(t *testing.T) {
	a := anything(consumertest.NewSink(sink.Contract{UniqueKey: true}), new([]string))
	a.Changes, a.Events = false, []consumer.PlatformEvent{{Name: "Account_Sync__e", Record: "Record_Id__c"}}
	_, err := consumer.New(a, consumer.Env{})
	if err == nil || !strings.Contains(err.Error(), "Any is about change events") {
		t.Errorf("%v", err)
	}
}
