package transport_test

import (
	"testing"
	"time"

	"sfrelay/shared/transport"
)

func TestEncodeKeepsTheEventByteByByte(t *testing.T) {
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	p := transport.Parked{
		Event: []byte("{ \"detail-type\" : \"A\\u0042\",\n\"n\":1.50}"), Records: []string{"001000000000001AAA"},
		Consumer: "customer-erp", Class: "permanent/x", Error: "no", Attempts: 2, FirstAt: at, LastAt: at.Add(time.Second),
	}
	want := "{\"event\":{ \"detail-type\" : \"A\\u0042\",\n\"n\":1.50}" +
		`,"records":["001000000000001AAA"],"consumer":"customer-erp","class":"permanent/x","error":"no","attempts":2,"firstAt":"2026-11-22T08:00:00Z","lastAt":"2026-11-22T08:00:01Z"}`
	if got := string(p.Encode()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	b, err := transport.Open(p.Encode())
	if err != nil || len(b.Messages) != 1 || string(b.Messages[0].Event) != string(p.Event) {
		t.Errorf("%v %+v", err, b)
	}
}
