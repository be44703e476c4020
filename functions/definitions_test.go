package functions_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sfrelay/functions"
	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/guard"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/salesforce"
)

// all are the definitions as data.
func all() []consumer.Description {
	var found []consumer.Description
	for _, def := range functions.All(functions.Ports{}) {
		found = append(found, def.Describe())
	}
	return found
}

// Every function's folder is named after its consumer.
func TestEveryConsumerHasItsFolder(t *testing.T) {
	entries, err := filepath.Glob("*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, e := range entries {
		folders = append(folders, filepath.Dir(e))
	}
	for _, wrong := range folderMistakes(all(), folders) {
		t.Error(wrong)
	}
}

func folderMistakes(defs []consumer.Description, folders []string) (wrong []string) {
	seen := map[string]bool{}
	for _, d := range defs {
		if seen[d.Name] {
			wrong = append(wrong, fmt.Sprintf("two consumers are named %q, so they would share their guard items: give one of them a name of its own", d.Name))
		}
		seen[d.Name] = true
		if !slices.Contains(folders, d.Name) {
			wrong = append(wrong, fmt.Sprintf("consumer %q has no functions/%s/main.go", d.Name, d.Name))
		}
	}
	for _, f := range folders {
		if !seen[f] && !slices.Contains(noConsumers, f) {
			wrong = append(wrong, fmt.Sprintf("functions/%s is no consumer of functions.All: add its definition there", f))
		}
	}
	return wrong
}

// noConsumers are functions that take no events.
var noConsumers = []string{"redrive", "relay-monitor"}

// names.json holds what is part of guard items: the consumers' names, and the codes of
// their fields with what they stand for. Items outlive deployments, so nothing in it is
// ever changed, only added.
func TestNamesAndCodesStay(t *testing.T) {
	b, err := os.ReadFile("names.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded map[string]map[string]string
	if err := json.Unmarshal(b, &recorded); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range nameMistakes(all(), recorded) {
		t.Error(wrong)
	}
}

func nameMistakes(defs []consumer.Description, recorded map[string]map[string]string) (wrong []string) {
	now := map[string]map[string]string{}
	for _, d := range defs {
		now[d.Name] = map[string]string{}
		for _, f := range d.Fields {
			if f.Code != "" {
				now[d.Name][f.Code] = f.Name
			}
		}
	}
	for name, codes := range recorded {
		have, ok := now[name]
		if !ok {
			wrong = append(wrong, fmt.Sprintf("consumer %q is gone or renamed: its guard items would be forgotten, and everything applied again", name))
			continue
		}
		for code, field := range codes {
			if have[code] != field {
				wrong = append(wrong, fmt.Sprintf("%s: code %q stood for %s and stands for %q: its versions would be forgotten", name, code, field, have[code]))
			}
		}
	}
	for name, codes := range now {
		for code, field := range codes {
			if recorded[name][code] == "" {
				wrong = append(wrong, fmt.Sprintf("%s: add %q: %q to names.json", name, code, field))
			}
		}
		if recorded[name] == nil {
			wrong = append(wrong, fmt.Sprintf("add %q to names.json", name))
		}
	}
	slices.Sort(wrong)
	return wrong
}

// A name in a tag or a source that no sample event has is mistyped, or nobody ever saw
// an event with it.
func TestEveryFieldOccursInASample(t *testing.T) {
	for _, wrong := range sampleMistakes(all(), samples(t)) {
		t.Error(wrong)
	}
}

// samples are the decoded events of events/ and of the cases, by detail-type.
func samples(t *testing.T) map[string][]*salesforce.Event {
	t.Helper()
	var files []string
	for _, pattern := range []string{"../events/[0-9]*.json", "testdata/cases/*.json"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatal("no sample events in ", pattern, err)
		}
		files = append(files, found...)
	}
	found := map[string][]*salesforce.Event{}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := salesforce.Decode(raw, salesforce.Options{}); err == nil {
			found[e.DetailType] = append(found[e.DetailType], e)
		}
	}
	return found
}

func sampleMistakes(defs []consumer.Description, samples map[string][]*salesforce.Event) (wrong []string) {
	for _, d := range defs {
		for _, s := range d.Sources {
			if len(samples[s.DetailType]) == 0 {
				wrong = append(wrong, fmt.Sprintf("%s takes %s, and no file of events/ is one: add a real event", d.Name, s.DetailType))
				continue
			}
			for _, path := range d.Paths(s) {
				if !slices.ContainsFunc(samples[s.DetailType], func(e *salesforce.Event) bool {
					return slices.ContainsFunc(e.Changes, func(c salesforce.Change) bool { _, ok := c.Fields.Lookup(path); return ok })
				}) {
					wrong = append(wrong, fmt.Sprintf("%s reads %s of %s, and no such event in events/ has it: correct the name, or add it to an event", d.Name, path, s.DetailType))
				}
			}
		}
	}
	return wrong
}

// recorder is a guard table that remembers the keys it was asked for.
type recorder struct {
	memory.Store
	keys []string
}

func (r *recorder) Write(ctx context.Context, w guard.Write) (guard.Record, bool, error) {
	r.keys = append(r.keys, w.Key)
	return r.Store.Write(ctx, w)
}

// The keys of guard items, written by hand: an item that is not found again bills twice.
func TestKeysStayByteForByte(t *testing.T) {
	for _, tc := range []struct {
		def   consumer.Definition
		event []byte
		key   string
	}{
		{functions.CustomerBilling(newRegister()), phone(1, "1"), "customer-billing#00D5f000005KcCnEAK#Account/0015f00002J9YYEAA3"},
		{functions.CustomerERP(newLedger()), customerSync(1, "Example Ltd", "1"), "customer-erp#00D5f000005KcCnEAK#Account/0015f00002J9YYEAA3"},
		{functions.InventoryERP(newShelf()), onHand(1, "SKU-100", "BER", 1), "inventory-erp#00D5f000005KcCnEAK#stock/SKU-100@BER"},
		{functions.InventoryERP(newShelf()), onHand(1, "10 mm/2@x#ü%", "A+B", 1), "inventory-erp#00D5f000005KcCnEAK#stock/10+mm%2F2%40x%23%C3%BC%25@A%2BB"},
		{bill(newBook(), known), won("01", "59.97", oneLine), "opportunity-billing#00D5f000005KcCnEAK#Opportunity/0065f00000ABCDEAA5/invoice"},
	} {
		table := &recorder{}
		consumertest.New(t, tc.def, consumertest.In(func(s *consumer.Env) { s.Store = table })).Send(tc.event)
		if len(table.keys) == 0 || table.keys[0] != tc.key {
			t.Errorf("keys %q, want %q", table.keys, tc.key)
		}
	}
}

// What explain, the tests and the documents are told.
func TestADefinitionSaysWhatItIs(t *testing.T) {
	said := map[string]string{}
	for _, d := range all() {
		said[d.Name] = fmt.Sprintf("%v %s", d.Policy, d.Subject)
		for _, s := range d.Sources {
			said[d.Name] += fmt.Sprintf(" %s(%s)", s.DetailType, s.Kind)
		}
		said[d.Name] += fmt.Sprintf(" %d fields", len(d.Fields))
	}
	for name, want := range map[string]string{
		"customer-billing":    "FieldMerge Account/<id> Cloud_Customer_Sync__e(platform) AccountChangeEvent(cdc) 18 fields",
		"customer-erp":        "FieldMerge Account/<id> Cloud_Customer_Sync__e(platform) AccountChangeEvent(cdc) 18 fields",
		"inventory-erp":       "NewestWins <key> Inventory_Update__e(platform) 4 fields",
		"opportunity-billing": "EachOnce Opportunity/<id>/invoice Opportunity_Won__e(platform) OpportunityChangeEvent(cdc) 11 fields",
	} {
		if said[name] != want {
			t.Errorf("%s says %q, want %q", name, said[name], want)
		}
	}
}
