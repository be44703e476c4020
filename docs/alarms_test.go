package docs_test

import (
	"os"
	"regexp"
	"testing"
)

// Each alarm of the template has a row that says what to do, and one that says how to try it.
func TestAlarmsAreDocumented(t *testing.T) {
	ids, err := os.ReadFile("../functions/testdata/logical-ids.txt")
	if err != nil {
		t.Fatal(err)
	}
	alarms := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^AWS::CloudWatch::Alarm (\w+)$`).FindAllStringSubmatch(string(ids), -1) {
		alarms[m[1]] = true
	}
	if len(alarms) < 20 {
		t.Fatalf("%d alarms; has the list another form?", len(alarms))
	}
	for _, page := range []string{"operate.md", "try-on-aws.md"} {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		rows := map[string]bool{}
		for _, row := range regexp.MustCompile("(?m)^\\| ((?:`\\w+Alarm`(?:, )?)+) \\|").FindAllStringSubmatch(string(b), -1) {
			for _, m := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[1], -1) {
				rows[m[1]] = true
			}
		}
		for alarm := range alarms {
			if !rows[alarm] {
				t.Errorf("%s has no row in %s", alarm, page)
			}
		}
		for alarm := range rows {
			if !alarms[alarm] {
				t.Errorf("%s has a row for %s, which the template does not have", page, alarm)
			}
		}
	}
}
