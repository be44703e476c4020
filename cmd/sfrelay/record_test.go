package main

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"sfrelay/functions"
	"sfrelay/shared/deadletter"
	"sfrelay/shared/guard"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/order"
	"sfrelay/shared/salesforce"
)

func logged(line string) map[string]any {
	return map[string]any{"eventId": line, "timestamp": time.Now().UnixMilli(), "message": line, "logStreamName": "s"}
}

// The story of a record joins the item and the log by the version.
func TestRecordTellsWhichEventSetWhat(t *testing.T) {
	a := newAccount(t)
	a.lines = []any{
		logged(`{"time":"2026-11-22T12:00:01Z","consumer":"inventory-erp","verdict":"applied","subject":"stock/SKU-100@BER","recordVersion":"` + stockVersion + `","eventId":"event-1","detailType":"Inventory_Update__e","org":"00D5f000005KcCnEAK"}`),
		logged(`{"time":"2026-11-22T12:05:00Z","consumer":"inventory-erp","verdict":"parked","class":"permanent/unprocessable","error":"422","subject":"stock/SKU-100@BER","recordVersion":"01a2031fbb99183943a50911bc8100012f878633","eventId":"event-2","org":"00D5f000005KcCnEAK","redrive":"ada"}`),
		logged(`{"time":"2026-11-22T12:06:00Z","consumer":"inventory-erp","verdict":"applied","subject":"stock/SKU-9@BER","recordVersion":"` + stockVersion + `","eventId":"event-3"}`),
		logged("START RequestId: x"),
	}
	code, out, said := called(t, nobody, "record", "stock/SKU-100@BER", "--aws")
	for _, want := range []string{
		"inventory-erp\n", "org 00D5f000005KcCnEAK", "unknown", "since 2026-11-22T11:59:00Z", "stock-1", "set by event event-1",
		"parked as permanent/unprocessable since 2026-11-22T12:05:00Z: 422", "redriven by ada",
		"sfrelay dlq list --all --consumer inventory-erp --record stock/SKU-100@BER --aws",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if code != done || strings.Contains(out, "event-3") || len(a.changed()) > 0 || len(a.patterns) != 1 || a.patterns[0] != `{ ($.subject = "stock/SKU-100@BER") }` {
		t.Errorf("code %d, %v, %v, %s%s", code, a.changed(), a.patterns, out, said)
	}
	code, out, _ = called(t, nobody, "record", "stock/SKU-100@BER", "--aws", "--json")
	var j recordJSON
	if err := json.Unmarshal([]byte(out), &j); err != nil || code != done || j.Item != "inventory-erp#00D5f000005KcCnEAK#stock/SKU-100@BER" || j.State != "unknown" ||
		j.DoubtSince == nil || j.Full != stockVersion || len(j.Lines) != 2 {
		t.Errorf("code %d, %v, %+v", code, err, j)
	}
}

func TestSubjectsOfARecord(t *testing.T) {
	for _, def := range functions.All(functions.Ports{}) {
		d := def.Describe()
		for given, want := range map[string]string{
			"Account/0015f00002J9YYE":                map[string]string{"customer-billing": "Account/0015f00002J9YYEAA3", "customer-erp": "Account/0015f00002J9YYEAA3"}[d.Name],
			"Opportunity/0065f00000AbCdEAAV":         map[string]string{"opportunity-billing": "Opportunity/0065f00000AbCdEAAV/invoice"}[d.Name],
			"Opportunity/0065f00000AbCdEAAV/invoice": map[string]string{"opportunity-billing": "Opportunity/0065f00000AbCdEAAV/invoice"}[d.Name],
			"stock/SKU-1@BER":                        map[string]string{"inventory-erp": "stock/SKU-1@BER"}[d.Name],
			"event/x":                                map[string]string{"contact-notify": "event/x", "inventory-erp": "event/x"}[d.Name],
		} {
			if got := subjectAt(d, given); got != want {
				t.Errorf("%s at %s: %q, want %q", given, d.Name, got, want)
			}
		}
	}
}

// Each change of an item says what it does, is written down, and is a condition's.
func TestRecordRepairs(t *testing.T) {
	for _, c := range []struct {
		args         []string
		says, writes string
	}{
		{[]string{"--resolve", "absent"}, "took no effect", "UpdateItem"},
		{[]string{"--link", "stock-2"}, "its link is stock-2 instead of stock-1", "stock-2"},
		{[]string{"--link", "none"}, "its link is – instead of stock-1", "REMOVE"},
		{[]string{"--version", "2026-11-22T11:00:00Z"}, "1 version go back to 2026-11-22T11:00:00Z", "UpdateItem"},
		{[]string{"--forget"}, "it is deleted", "DeleteItem"},
	} {
		a := newAccount(t)
		code, out, said := called(t, "y\n", append([]string{"record", "--aws", "stock/SKU-100@BER", "--reason", "looked at it"}, c.args...)...)
		if code != done || !strings.Contains(said, c.says) || len(a.writes) != 1 || !strings.Contains(a.writes[0], "ConditionExpression") {
			t.Errorf("%v: code %d, %s%s, %v", c.args, code, out, said, a.writes)
			continue
		}
		if lines := audited(t, a); len(lines) != 1 || lines[0].Action != "record "+strings.TrimPrefix(c.args[0], "--") || lines[0].Reason != "looked at it" || lines[0].Before == nil {
			t.Errorf("%v: %+v", c.args, lines)
		}
		a = newAccount(t)
		a.busy = true
		code, _, said = called(t, "y\n", append([]string{"record", "--aws", "stock/SKU-100@BER", "--reason", "x"}, c.args...)...)
		if lines := audited(t, a); code != notDone || !strings.Contains(said, "somebody works on it") || len(lines) != 2 || !strings.HasSuffix(lines[1].Action, ", refused") {
			t.Errorf("%v, while somebody works: code %d, %s, %+v", c.args, code, said, lines)
		}
	}
}

func TestWhatRecordRefuses(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--forget"}, wrongUse, "--forget needs --reason"},
		{[]string{"--forget", "--link", "x", "--reason", "x"}, wrongUse, "one at a time"},
		{[]string{"--reason", "x"}, wrongUse, "--reason is for"},
		{[]string{"--resolve", "done", "--reason", "x"}, notDone, "keeps a state"},
		{[]string{"--version", "2099-01-01", "--reason", "x"}, notDone, "no past time"},
		{[]string{"--link", "a\x01b", "--reason", "x"}, wrongUse, "not an id"},
		{[]string{"--consumer", "customer-erp"}, wrongUse, "no consumer of this stack has a subject"},
	} {
		a := newAccount(t)
		code, out, said := called(t, "y\n", append([]string{"record", "--aws", "stock/SKU-100@BER"}, c.args...)...)
		if code != c.code || !strings.Contains(said, c.says) || len(a.changed()) > 0 {
			t.Errorf("%v: code %d, %s%s, %v", c.args, code, out, said, a.changed())
		}
	}
}

// An item that cannot be read has one way out.
func TestAnUnreadableItemCanBeForgotten(t *testing.T) {
	a := newAccount(t)
	a.items["inventory-erp#00D5f000005KcCnEAK#stock/SKU-100@BER"]["n"] = map[string]string{"N": "99999999999999999999"}
	if code, out, said := called(t, nobody, "record", "--aws", "stock/SKU-100@BER"); code != done || !strings.Contains(out, "not readable") {
		t.Errorf("code %d, %s%s", code, out, said)
	}
	if code, _, said := called(t, "y\n", "record", "--aws", "stock/SKU-100@BER", "--link", "x", "--reason", "x"); code != notDone || !strings.Contains(said, "only --forget helps") {
		t.Errorf("code %d, %s", code, said)
	}
	if code, _, said := called(t, "y\n", "record", "--aws", "stock/SKU-100@BER", "--forget", "--reason", "x"); code != done || len(a.writes) != 1 {
		t.Errorf("code %d, %s", code, said)
	}
}

// What one record is at several consumers is changed at one.
func TestOneItemIsChanged(t *testing.T) {
	there := guard.Item{Exists: true}
	h := func(name string, it guard.Item) holding {
		all := holding{Item: it, Org: "o"}
		all.Name = name
		return all
	}
	c := &recordCommand{}
	if _, err := c.only([]holding{h("a", there), h("b", there)}); err == nil || !strings.Contains(err.Error(), "--consumer") {
		t.Error(err)
	}
	if got, err := c.only([]holding{h("a", guard.Item{}), h("b", there)}); err != nil || got.Name != "b" {
		t.Error(got, err)
	}
	if _, err := c.only([]holding{h("a", guard.Item{})}); !errors.Is(err, guard.ErrNoItem) {
		t.Error(err)
	}
	if v, err := order.Parse(stockVersion); err != nil || v.Time().Format(time.RFC3339) != "2026-11-22T11:59:01Z" {
		t.Error(v.Time(), err)
	}
}

// What a message carries and its consumer has not set is named: it would be lost with the message.
func TestShowSaysWhatIsNotSetYet(t *testing.T) {
	event, err := os.ReadFile("../../events/01-account-create.json")
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := salesforce.Decode(event, salesforce.Options{})
	if err != nil {
		t.Fatal(err)
	}
	id := decoded.Changes[0].RecordID
	m := deadletter.Message{Events: []deadletter.Event{{Consumer: "customer-erp", JSON: event, Subjects: []string{"Account/" + id}}}}
	store := &memory.Store{}
	missing := notYet(t.Context(), store, m)
	if len(missing) != 1 || !strings.HasPrefix(missing[0], "Account/"+id+": ") || !strings.Contains(missing[0], " Phone") || !strings.Contains(missing[0], "BillingAddress.City") {
		t.Errorf("%q", missing)
	}
	v := decoded.Changes[0].Version
	if _, ok, err := store.Write(t.Context(), guard.Write{
		Key: guard.Key("customer-erp", decoded.Org, "Account/"+id), Set: []guard.Assign{{Attr: ".p", Value: guard.Value{Kind: guard.Binary, Str: string(v[:])}}},
	}); !ok || err != nil {
		t.Fatal(err)
	}
	if missing := notYet(t.Context(), store, m); len(missing) != 1 || strings.Contains(missing[0], " Phone") {
		t.Errorf("%q", missing)
	}
}
