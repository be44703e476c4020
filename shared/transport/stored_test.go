package transport_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sfrelay/shared/transport"
)

// storedFor is the message about a body, made by hand.
func storedFor(consumer, body string) string {
	sum := sha256.Sum256([]byte(body))
	digest := hex.EncodeToString(sum[:])
	return fmt.Sprintf(`{"stored":1,"key":"%s/%s","length":%d,"sha256":"%s"}`, consumer, digest, len(body), digest)
}

// holding is a bucket with one body for whoever asks.
func holding(body string) transport.Fetch {
	return func(transport.Stored) ([]byte, error) { return []byte(body), nil }
}

// openStored opens a message of a queue.
func openStored(raw string, fetch transport.Fetch) []transport.Message {
	return transport.OpenSQSWith(transport.SQSMessage{ID: "m1", Body: raw, Attributes: map[string]string{
		"SentTimestamp": "1795348805000", "ApproximateReceiveCount": "3",
	}}, fetch)
}

// The form of messages that lie in queues already is read for ever. The digest of the
// fixture is that of sha256sum.
func TestStoredMessagesOfTodayAreRead(t *testing.T) {
	text, err := os.ReadFile("testdata/stored-1.json")
	if err != nil {
		t.Fatal(err)
	}
	object, err := os.ReadFile("testdata/parked-1.json")
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	m := openStored(string(text), func(s transport.Stored) ([]byte, error) {
		if asked++; s.Key() != "customer-erp/"+s.SHA256 || s.Consumer != "customer-erp" || s.Length != len(object) {
			t.Errorf("asks for %+v", s)
		}
		return object, nil
	})
	if len(m) != 1 || m[0].Err != nil || m[0].Unfetched || m[0].Form != transport.ParkedMessage || m[0].Consumer != "customer-erp" || m[0].Class != "throttled" ||
		m[0].ID != "m1" || m[0].ReceiveCount != 3 || asked != 1 {
		t.Fatalf("%+v, asked %d times", m, asked)
	}
	s, err := transport.Store("customer-erp", object)
	if err != nil || string(s.Encode()) != strings.TrimSpace(string(text)) {
		t.Errorf("written as\n%s, %v", s.Encode(), err)
	}
}

func TestStored(t *testing.T) {
	p := transport.Parked{Event: []byte(event), Consumer: "c", Class: "permanent/x", Records: []string{"0015f00002J9YYEAA3"}}
	w := transport.Waiting{Event: []byte(event), Consumer: "c", Class: "throttled", FirstAt: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	for what, c := range map[string]struct {
		body []byte
		form transport.Form
	}{"parked": {p.Encode(), transport.ParkedMessage}, "waiting": {w.EncodeAround(transport.Quote(w.Event)), transport.Lane}} {
		raw := storedFor("c", string(c.body))
		m := openStored(raw, holding(string(c.body)))
		if len(m) != 1 || m[0].Err != nil || m[0].Form != c.form || string(m[0].Event) != event || m[0].Consumer != "c" || m[0].Redrive != (c.form == transport.ParkedMessage) {
			t.Errorf("%s: %+v", what, m)
		}
		for around, whole := range map[string]string{"redriven": raw, "in a queue": batch(record("m1", raw, "")), "failed": onFailure(raw)} {
			b, err := transport.OpenWith([]byte(whole), holding(string(c.body)))
			if err != nil || len(b.Messages) != 1 || b.Messages[0].Err != nil || string(b.Messages[0].Event) != event {
				t.Errorf("%s, %s: %v, %+v", what, around, err, b)
			}
		}
	}
}

// What is not exactly what its message says is refused for good, and asked for only where
// the message is one.
func TestBadStored(t *testing.T) {
	good := parked(event) // of customer-erp
	raw := storedFor("customer-erp", good)
	digest := raw[strings.Index(raw, "/")+1:][:64]
	other := strings.Replace(good, `"attempts":2`, `"attempts":3`, 1)
	for what, c := range map[string]struct{ raw, object string }{
		"another content of the same length": {raw, other},
		"longer":                             {raw, good + " "},
		"shorter":                            {raw, good[:len(good)-1]},
		"empty":                              {raw, ""},
		"of another consumer than its key":   {storedFor("customer-billing", good), good},
		"packed":                             {storedFor("customer-erp", packed([]byte(good))), packed([]byte(good))},
		"stored":                             {storedFor("customer-erp", raw), raw},
		"an event without a consumer":        {storedFor("customer-erp", event), event},
	} {
		m := openStored(c.raw, holding(c.object))
		e, ok := errors.AsType[*transport.Error](m[0].Err)
		if len(m) != 1 || !ok || e.Name != "invalid-stored" || string(m[0].Event) != c.raw || !m[0].Unfetched || strings.HasPrefix(c.raw, raw) && m[0].Consumer != "customer-erp" {
			t.Errorf("%s: %+v", what, m)
		}
	}
	never := func(s transport.Stored) ([]byte, error) {
		t.Errorf("asks for %q", s.Key())
		return nil, errors.New("no")
	}
	for what, raw := range map[string]string{
		"of a later release":     strings.Replace(raw, `"stored":1`, `"stored":2`, 1),
		"of no release":          strings.Replace(raw, `"stored":1`, `"stored":0`, 1),
		"without a length":       strings.Replace(raw, `"length"`, `"lenght"`, 1),
		"of no bytes":            fmt.Sprintf(`{"stored":1,"key":"c/%s","length":0,"sha256":"%s"}`, digest, digest),
		"of more than 4 MiB":     fmt.Sprintf(`{"stored":1,"key":"c/%s","length":4194305,"sha256":"%s"}`, digest, digest),
		"a key of its own":       strings.Replace(raw, "customer-erp/", "customer-erp/x", 1),
		"a deeper key":           strings.Replace(raw, "customer-erp/", "customer-erp/customer-erp/", 1),
		"a key that climbs":      strings.Replace(raw, "customer-erp/", "../", 1),
		"a key without consumer": strings.Replace(raw, "customer-erp/", "/", 1),
		"a key with a blank":     strings.Replace(raw, "customer-erp/", "customer erp/", 1),
		"a key in capitals":      strings.Replace(raw, "customer-erp/", "Customer-erp/", 1),
		"a key with a query":     strings.Replace(raw, "customer-erp/", "customer-erp?x/", 1),
		"a key of another place": strings.Replace(raw, digest, strings.Repeat("0", 64), 1),
		"a digest in capitals":   strings.ReplaceAll(raw, digest, strings.ToUpper(digest)),
		"a short digest":         strings.ReplaceAll(raw, digest, digest[:63]),
		"a digest that is none":  strings.ReplaceAll(raw, digest, strings.Repeat("g", 64)),
		"a key that is no text":  `{"stored":1,"key":1,"length":1,"sha256":"a"}`,
	} {
		m := openStored(raw, never)
		e, ok := errors.AsType[*transport.Error](m[0].Err)
		if len(m) != 1 || !ok || e.Name != "invalid-stored" || string(m[0].Event) != raw {
			t.Errorf("%s: %+v", what, m)
		}
	}
}

// Nothing that was unpacked or fetched makes anybody unpack or fetch more.
func TestStoredAndPackedAreTheOutermost(t *testing.T) {
	asked := 0
	inner := transport.Parked{Event: []byte(event), Consumer: "c"}
	object := transport.Parked{Event: []byte(storedFor("c", string(inner.Encode()))), Consumer: "c"}
	fetch := func(s transport.Stored) ([]byte, error) {
		asked++
		return object.Encode(), nil
	}
	for what, c := range map[string]struct {
		raw   string
		asks  int
		error string
	}{
		"stored in stored": {storedFor("c", string(object.Encode())), 1, "invalid-stored"},
		"stored in packed": {packed(object.Encode()), 0, "invalid-stored"},
		"packed in packed": {packed((transport.Parked{Event: []byte(packed([]byte(event))), Consumer: "c"}).Encode()), 0, "invalid-packed"},
	} {
		asked = 0
		m := openStored(c.raw, fetch)
		if len(m) != 1 || m[0].Err == nil || !strings.HasPrefix(m[0].Err.Error(), c.error) || asked != c.asks {
			t.Errorf("%s: %+v, asked %d times", what, m, asked)
		}
	}
}

// One after the other is none in the other.
func TestStoredMessagesOfABatch(t *testing.T) {
	inner := transport.Parked{Event: []byte(event), Consumer: "c"}
	stored := storedFor("c", string(inner.Encode()))
	raw := batch(record("m1", packed([]byte(event)), ""), record("m2", stored, ""), record("m3", packed([]byte(event)), ""), record("m4", stored, ""))
	b, err := transport.OpenWith([]byte(raw), holding(string(inner.Encode())))
	if err != nil || len(b.Messages) != 4 {
		t.Fatalf("%v, %+v", err, b)
	}
	for _, m := range b.Messages {
		if m.Err != nil || string(m.Event) != event {
			t.Errorf("%+v", m)
		}
	}
	// Nor are the members of one message, of which each has an opener of its own at the outermost only.
	list := `{"Messages":[{"MessageId":"m1","Body":` + quoted(stored) + `},{"MessageId":"m2","Body":` + quoted(stored) + `}]}`
	for what, raw := range map[string]string{"read": list, "failed": onFailure(raw)} {
		b, err := transport.OpenWith([]byte(raw), holding(string(inner.Encode())))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range b.Messages {
			if m.Err != nil || string(m.Event) != event {
				t.Errorf("%s: %+v", what, m)
			}
		}
	}
}

func quoted(s string) string { b, _ := json.Marshal(s); return string(b) }

// What cannot be fetched now is no error of the message, and it says whose it is.
func TestWhatCannotBeFetchedNow(t *testing.T) {
	raw := storedFor("customer-erp", parked(event))
	down := errors.New("S3 is down")
	m := openStored(raw, func(transport.Stored) ([]byte, error) { return nil, down })
	if len(m) != 1 || !errors.Is(m[0].Err, down) || m[0].Consumer != "customer-erp" || !m[0].Unfetched || string(m[0].Event) != raw || m[0].ID != "m1" {
		t.Errorf("%+v", m)
	}
	if _, final := errors.AsType[*transport.Error](m[0].Err); final {
		t.Error("it counts as final")
	}
	b, err := transport.Open([]byte(raw))
	if err != nil || len(b.Messages) != 1 || !strings.Contains(fmt.Sprint(b.Messages[0].Err), "dlq show") {
		t.Errorf("without a bucket: %v, %+v", err, b)
	}
}

// A message that was parked although its body could not be had stays about the records
// that the body names.
func TestAParkedMessageAboutAStoredOneKeepsItsRecords(t *testing.T) {
	inner := transport.Parked{Event: []byte(event), Consumer: "c", Class: "throttled", Records: []string{"0015f00002J9YYEAA3"}}
	raw := storedFor("c", string(inner.Encode()))
	m := openStored(string((transport.Parked{Event: []byte(raw), Consumer: "c", Class: "unfinished"}).Encode()), holding(string(inner.Encode())))
	if len(m) != 1 || m[0].Err != nil || !slices.Equal(m[0].Records, inner.Records) || m[0].Class != "unfinished" {
		t.Errorf("%+v", m)
	}
}

func TestWhatIsNeverStored(t *testing.T) {
	for what, c := range map[string]struct {
		consumer string
		length   int
	}{"nothing": {"c", 0}, "more than 4 MiB": {"c", 4<<20 + 1}, "of nobody": {"", 1}, "of a consumer with a slash": {"c/d", 1}} {
		if _, err := transport.Store(c.consumer, make([]byte, c.length)); err == nil {
			t.Error(what)
		}
	}
	if _, err := transport.Store("c", make([]byte, 4<<20)); err != nil {
		t.Error(err)
	}
}
