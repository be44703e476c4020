package template_test

import (
	"encoding/json"
	"maps"
	"testing"
)

// replacing are the properties of what holds something with whose change CloudFormation makes
// another one (CloudFormation Template Reference, "Update requires: Replacement").
var replacing = map[string][]string{
	"AWS::DynamoDB::Table": {"TableName", "KeySchema", "LocalSecondaryIndexes", "ImportSourceSpecification"},
	"AWS::SQS::Queue":      {"QueueName", "FifoQueue"},
	"AWS::S3::Bucket":      {"BucketName"},
}

// lostBy says what of an earlier template an update to a later one would delete or replace.
func lostBy(earlier, later Template) (lost []string) {
	for _, id := range keys(earlier.Resources) {
		was, is := earlier.Resources[id], later.Resources[id]
		properties, holds := replacing[was.Type]
		switch {
		case !holds:
			continue
		case is.Type != was.Type:
			lost = append(lost, id+" is gone")
		case is.Condition != was.Condition && is.Condition != "MakesTable" && is.Condition != "MakesBucket":
			lost = append(lost, id+" is gone where "+is.Condition+" does not hold")
		}
		for _, p := range properties {
			if text(was.Properties[p]) != text(is.Properties[p]) {
				lost = append(lost, id+" is replaced: "+p+" is another")
			}
		}
	}
	for name := range later.Parameters {
		if _, had := earlier.Parameters[name]; !had && at(later.Parameters[name], "Default") == nil {
			lost = append(lost, "a stack of the earlier template has no value for "+name)
		}
	}
	for name := range earlier.Parameters {
		if later.Parameters[name] == nil {
			lost = append(lost, "a deployment that names "+name+" is refused")
		}
	}
	return lost
}

// A stack of the first version is updated in place. make e2e plays it on the local stack.
func TestTheFirstVersionCanBeUpdated(t *testing.T) {
	now := load(t)
	b, err := translate("functions/testdata/template-first.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var first Template
	if err := json.Unmarshal(b, &first); err != nil {
		t.Fatal(err)
	}
	if n := len(first.of("AWS::SQS::Queue")) + len(first.of("AWS::DynamoDB::Table")); n != 7 {
		t.Fatalf("the first template has %d queues and tables", n)
	}
	for _, lost := range lostBy(first, now) {
		t.Error(lost)
	}
	for name, change := range map[string]func(*Template){
		"FailureQueue is gone":                                   func(m *Template) { delete(m.Resources, "FailureQueue") },
		"GuardTable is replaced: KeySchema is another":           func(m *Template) { m.Resources["GuardTable"].Properties["KeySchema"] = "x" },
		"DeliveryQueue is replaced: QueueName is another":        func(m *Template) { m.Resources["DeliveryQueue"].Properties["QueueName"] = "x" },
		"a deployment that names MaxAttempts is refused":         func(m *Template) { delete(m.Parameters, "MaxAttempts") },
		"a stack of the earlier template has no value for Stage": func(m *Template) { delete(m.Parameters["Stage"].(map[string]any), "Default") },
		"InventoryErpBuffer is gone where Buffered does not hold": func(m *Template) {
			r := m.Resources["InventoryErpBuffer"]
			r.Condition = "Buffered"
			m.Resources["InventoryErpBuffer"] = r
		},
	} {
		broken := load(t)
		broken.Resources = maps.Clone(broken.Resources)
		change(&broken)
		if lost := lostBy(first, broken); len(lost) != 1 || lost[0] != name {
			t.Errorf("%v, want %q", lost, name)
		}
	}
}
