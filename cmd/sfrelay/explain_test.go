package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func TestExplainWritesOneObjectAnEvent(t *testing.T) {
	good, err := os.ReadFile("../../events/04-account-update-phone.json")
	if err != nil {
		t.Fatal(err)
	}
	quoted, _ := json.Marshal(string(good))
	batch := `{"Records":[{"messageId":"a","body":` + string(quoted) + `},{"messageId":"b","body":"{"}]}`
	s, out, _ := testScreen()
	err = explainAll(s, []byte(batch), nil, true)
	if err == nil || !strings.HasPrefix(err.Error(), "invalid-json") {
		t.Errorf("error %v, want that of the broken event", err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], `{"ok":true,"org":"00D5f000005KcCnEAK"`) || !strings.HasPrefix(lines[1], `{"ok":false,"class":"permanent","error":"invalid-json","message":"`) {
		t.Errorf("%s", out.String())
	}
	out.Reset()
	if err := explainAll(s, good, nil, false); err != nil || !strings.HasPrefix(out.String(), "event             AccountChangeEvent") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
