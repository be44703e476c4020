package transport_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/transport"
)

// TestParkedMessagesOfTodayAreRead holds the form of messages that lie in queues already.
func TestParkedMessagesOfTodayAreRead(t *testing.T) {
	text, err := os.ReadFile("testdata/parked-1.json")
	if err != nil {
		t.Fatal(err)
	}
	p, err := transport.DecodeParked(text)
	if err != nil {
		t.Fatal(err)
	}
	if p.Consumer != "customer-erp" || p.Class != "throttled" || p.Error != "throttled: the ERP asks to wait" || p.Attempts != 3 ||
		len(p.Records) != 1 || p.Records[0] != "0015f00002J9YYEAA3" || !strings.HasPrefix(string(p.Event), `{"version":"0","id":"b6b4a3f2`) || !strings.HasSuffix(string(p.Event), `"detail":{"payload":{}}}`) ||
		!p.FirstAt.Equal(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)) || !p.LastAt.Equal(time.Date(2026, 11, 22, 12, 3, 0, 500_000_000, time.UTC)) {
		t.Fatalf("%d bytes of event, %+v", len(p.Event), p)
	}
}
