package transport

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"sfrelay/shared/jsonobject"
)

const (
	// storedVersion is the form of a Stored that is written; every earlier one is read.
	storedVersion = 1
	// MaxStored bounds a body in the failure bucket: an event of the largest size that SQS and
	// EventBridge bring, quoted, and a message around it.
	MaxStored = maxUnpacked
)

// Stored is the message about a body that fits no message of SQS. The body lies in the
// failure bucket, as it is and under a key that its consumer and its content make: who puts
// it there once more changes nothing. The message never names the bucket.
type Stored struct {
	Consumer string // whose message it is
	Length   int    // of the body
	SHA256   string // of the body, in hex
}

var errNotHere = errors.New("the event lies in the failure bucket, which is not read here; see it with: sfrelay dlq show ID")

// Fetch gets the body of a Stored. An *Error is final; of any other error the message says
// that it could not be opened now.
type Fetch func(Stored) ([]byte, error)

// Store is the Stored of a body. A body that no reader would take is an error.
func Store(consumer string, body []byte) (Stored, error) {
	sum := sha256.Sum256(body)
	s := Stored{Consumer: consumer, Length: len(body), SHA256: hex.EncodeToString(sum[:])}
	if err := s.refuse(); err != nil {
		return Stored{}, &Error{"invalid-stored", err.Where, err.What}
	}
	return s, nil
}

// Key is the object's.
func (s Stored) Key() string { return s.Consumer + "/" + s.SHA256 }

// Encode is the message's body. The keys never change: messages outlive deployments.
func (s Stored) Encode() []byte {
	b := strconv.AppendInt([]byte(`{"stored":`), storedVersion, 10)
	b = append(append(append(b, `,"key":"`...), s.Key()...), `","length":`...)
	b = strconv.AppendInt(b, int64(s.Length), 10)
	return append(append(append(b, `,"sha256":"`...), s.SHA256...), `"}`...)
}

// refuse says what no Stored has. Nothing else becomes a part of a URL.
func (s Stored) refuse() *jsonobject.Error {
	const most = 64 // bytes of a consumer's name
	switch {
	case s.Consumer == "" || len(s.Consumer) > most || strings.Trim(s.Consumer, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return &jsonobject.Error{Where: "/key", What: "want the name of a consumer, a slash and the sha256"}
	case len(s.SHA256) != 2*sha256.Size || strings.Trim(s.SHA256, "0123456789abcdef") != "":
		return &jsonobject.Error{Where: "/sha256", What: "want 64 digits of lower-case hex"}
	case s.Length < 1 || s.Length > MaxStored:
		return &jsonobject.Error{Where: "/length", What: "want 1 to " + strconv.Itoa(MaxStored) + " bytes"}
	}
	return nil
}

// decodeStored reads what Encode wrote.
func decodeStored(raw []byte) (s Stored, err error) {
	version, key := 0, ""
	err = jsonobject.Members(raw, func(name string, v jsontext.Value) (err error) {
		switch name {
		case "stored":
			version, err = jsonobject.Int(v)
		case "key":
			key, err = jsonobject.Text(v)
		case "length":
			s.Length, err = jsonobject.Int(v)
		case "sha256":
			s.SHA256, err = jsonobject.Text(v)
		}
		return err
	})
	s.Consumer, _, _ = strings.Cut(key, "/")
	refused := s.refuse()
	switch {
	case err != nil:
	case version < 1 || version > storedVersion:
		err = &jsonobject.Error{Where: "/stored", What: "want a version that this release knows"}
	case refused != nil:
		err = refused
	case key != s.Key():
		err = &jsonobject.Error{Where: "/key", What: "want the name of a consumer, a slash and the sha256"}
	}
	return s, err
}

// check says what a fetched body is not.
func (s Stored) check(body []byte) error {
	sum := sha256.Sum256(body)
	var what string
	switch {
	case len(body) != s.Length:
		what = "the object has another length than its message says"
	case hex.EncodeToString(sum[:]) != s.SHA256:
		what = "the object has another content than its message says"
	case shape(body) != parkedShape && shape(body) != laneShape:
		what = "the object holds no message of a consumer"
	default:
		return nil
	}
	return &Error{"invalid-stored", "/key", what}
}

// stored opens the body that a Stored names. Where it cannot be had, or names another
// consumer than its key, the message stays what it is.
func (o *opener) stored(raw []byte, depth int) []Message {
	if o.unpacked {
		return o.broken(raw, "invalid-stored", "", "it lies in a message that was packed or stored itself")
	}
	s, err := decodeStored(raw)
	if err != nil {
		return o.broken(raw, "invalid-stored", place(err), "this is no message about an object of the failure bucket, or one of a later release")
	}
	var body []byte
	if o.fetch == nil {
		err = errNotHere
	} else if body, err = o.fetch(s); err == nil {
		err = s.check(body)
	}
	if err != nil {
		return o.one(Message{Form: Event, Event: raw, Err: err, Consumer: s.Consumer, Unfetched: true})
	}
	o.unpacked = true
	defer func() { o.unpacked = false }()
	messages := o.open(body, depth+1)
	for _, m := range messages {
		if m.Consumer != s.Consumer {
			err := &Error{"invalid-stored", "/key", "the object is a message of another consumer than its key says"}
			return []Message{{Form: Event, Event: raw, Err: err, Consumer: s.Consumer, Unfetched: true}}
		}
	}
	return messages
}
