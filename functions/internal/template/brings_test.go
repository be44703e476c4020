package template_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sfrelay/functions"
)

// A rule that brings other events than its consumer takes loses them: EventBridge drops
// what no rule matches, and no queue has it.
func TestRulesBringWhatConsumersTake(t *testing.T) {
	rules := detailTypes(load(t))
	for _, wrong := range ruleMistakes(rules) {
		t.Error(wrong)
	}
	rules["InventoryErp"] = []string{"Inventory_Updates__e"}
	const want = "inventory-erp takes [Inventory_Update__e], and the rules of InventoryErp in template.yaml bring [Inventory_Updates__e]"
	if told := ruleMistakes(rules); len(told) != 1 || !strings.Contains(told[0], want) {
		t.Errorf("of a mistyped detail-type an author is told %q", told)
	}
}

// ruleMistakes compares the definitions with the detail-types of the rules, by the
// logical id of the function.
func ruleMistakes(rules map[string][]string) (wrong []string) {
	known := map[string]bool{}
	for _, def := range functions.All(functions.Ports{}) {
		d := def.Describe()
		id := logicalID(d.Name)
		known[id] = true
		var takes []string
		for _, s := range d.Sources {
			takes = append(takes, s.DetailType)
		}
		slices.Sort(takes)
		if !slices.Equal(takes, rules[id]) {
			wrong = append(wrong, fmt.Sprintf("%s takes %v, and the rules of %s in template.yaml bring %v: what no rule brings is lost", d.Name, takes, id, rules[id]))
		}
	}
	for id := range rules {
		if !known[id] {
			wrong = append(wrong, fmt.Sprintf("template.yaml has rules for %s, which is no consumer of functions.All", id))
		}
	}
	return wrong
}

// logicalID is that of a consumer's function in template.yaml: customer-billing is
// CustomerBilling.
func logicalID(name string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(name, "-") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}
