package consumer

import (
	"reflect"
	"testing"
	"time"

	"sfrelay/shared/salesforce"
)

// A consumer sees all of a change, and what it does to the content reaches nobody else.
func TestAChangeIsSeenWhole(t *testing.T) {
	type reads struct{ Name string }
	b := &binding{reads: reflect.TypeFor[reads]()}
	c := change{
		Org: "org", RecordID: "id", Content: b.fresh(), Deleted: true, CDC: true, At: time.Unix(1, 0), Changed: func(string) bool { return true },
		Type: salesforce.Create, Version: "version", Partial: true, Fetched: true, Names: func() []string { return nil },
		Value: func(string) (*string, bool) { return nil, false },
	}
	c.Content.Field(0).SetString("name")
	seen := typed[reads](c)
	for i := range reflect.TypeFor[change]().NumField() {
		name := reflect.TypeFor[change]().Field(i).Name
		if reflect.ValueOf(c).Field(i).IsZero() || reflect.ValueOf(seen).FieldByName(name).IsZero() {
			t.Errorf("%s is lost", name)
		}
	}
	seen.Content.Name = "another"
	if again := content[reads](c).Name; again != "name" || !reflect.ValueOf(b.fresh().Interface()).IsZero() {
		t.Errorf("the content is %q", again)
	}
}
