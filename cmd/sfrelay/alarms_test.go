package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

var (
	typed   = regexp.MustCompile(`Type: (sfrelay .*?--stack-name \$\{AWS::StackName\})`)
	typeRow = regexp.MustCompile(`(?m)^    \w+: \{.*\bType: ([^,}]+)[,}]`)
)

// What an alarm tells somebody to type at night is a command, with flags that it has.
func TestAlarmsSayWhatToType(t *testing.T) {
	b, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(string(b), "\n  Alarms:\n")
	rows, _, _ = strings.Cut(rows, "\n  Queries:\n")
	commandsOfRows := typeRow.FindAllStringSubmatch(rows, -1)
	var all []string
	descriptions := 0
	for line := range strings.Lines(string(b)) {
		if !strings.Contains(line, "AlarmDescription:") {
			continue
		}
		descriptions++
		found := typed.FindStringSubmatch(line)
		switch {
		case found == nil:
			t.Errorf("nothing to type in %s", line)
		case !strings.Contains(found[1], "${Type}"):
			all = append(all, found[1])
		default:
			for _, row := range commandsOfRows {
				all = append(all, strings.Replace(found[1], "${Type}", row[1], 1))
			}
		}
	}
	if descriptions < 20 || len(commandsOfRows) < 9 {
		t.Fatalf("%d descriptions and %d rows; has template.yaml another form?", descriptions, len(commandsOfRows))
	}
	for _, line := range all {
		words := strings.Fields(strings.Replace(line, "${AWS::StackName}", "sfrelay-test", 1))
		if err := knows(words[1:]); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	for _, line := range []string{"dlq lst --aws", "dlq list --queue failures --aws", "status --aws --stack sfrelay", "nothing"} {
		if knows(strings.Fields(line)) == nil {
			t.Errorf("sfrelay %s is taken for a command", line)
		}
	}
}

// knows is the error of the command line, without running anything.
func knows(args []string) error {
	k, err := kong.New(&commands{}, kong.Name("sfrelay"))
	if err != nil {
		return err
	}
	_, err = k.Parse(args)
	return err
}
