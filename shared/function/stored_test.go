package function

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sfrelay/shared/consumer"
	"sfrelay/shared/failurebucket/buckettest"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/sink"
	"sfrelay/shared/transport"
)

// note is what the made-up Note__e says.
type note struct {
	ID   string `event:"Id__c,required"`
	Text string `event:"Text__c"`
}

type wall struct{}

func (wall) Contract() sink.Contract { return sink.Contract{Fenced: true} }

func notes(put func(note)) consumer.Definition {
	return consumer.State[note]{
		Name: "notes", Events: []consumer.PlatformEvent{{Name: "Note__e"}}, To: wall{},
		Key: func(n note) consumer.Key { return consumer.KeyOf("note", n.ID) },
		Put: func(_ context.Context, _ sink.Ref, n note) (sink.Receipt, error) { put(n); return sink.Receipt{}, nil },
	}
}

// largest is an event of 1,048,576 bytes, the most that EventBridge and SQS bring, which
// does not shrink.
func largest(t *testing.T) (event []byte, text string) {
	t.Helper()
	const size = 1 << 20
	head := `{"version":"0","id":"b6b4a3f2-0c1e-7a5d-9a51-4c1f0f7f2b4d","detail-type":"Note__e","source":"aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS",` +
		`"time":"2026-11-22T12:00:00Z","detail":{"payload":{"CreatedDate":"2026-11-22T11:59:59Z","Id__c":"1","Text__c":"`
	const end = `"}}}`
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, size)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	text = base64.StdEncoding.EncodeToString(noise)[:size-len(head)-len(end)]
	event = []byte(head + text + end)
	if len(event) != 1_048_576 || !json.Valid(event) {
		t.Fatalf("%d bytes", len(event))
	}
	return event, text
}

// twoClouds answers for SQS and DynamoDB, and for S3 below the bucket's path.
func twoClouds(t *testing.T, s3 *buckettest.S3) (*cloud, *httptest.Server) {
	t.Helper()
	c := &cloud{}
	s3.Bucket = "failures"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/failures/") {
			s3.ServeHTTP(w, r)
			return
		}
		c.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return c, server
}

// An event of the largest size that is refused, and does not shrink, is parked in the
// failure bucket, and a redrive takes it when the cause is gone.
func TestTheLargestEventIsParkedAndRedriven(t *testing.T) {
	event, text := largest(t)
	s3 := &buckettest.S3{Prefix: "notes/"}
	c, server := twoClouds(t, s3)
	_, h, err := start(t.Context(), env(t, server.URL, "SALESFORCE_ORGS=00D000000000001"), func(*Function) consumer.Definition {
		return notes(func(note) { t.Error("an event of a foreign org was taken") })
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Handle(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	message, _ := c.asked[0].body["MessageBody"].(string)
	var s struct {
		Stored, Length int
		Key, SHA256    string
	}
	if err := json.Unmarshal([]byte(message), &s); err != nil || len(c.asked) != 1 || c.asked[0].body["QueueUrl"] != server.URL+"/failure" || len(message) > 300 {
		t.Fatalf("%v, %d requests, %d bytes to %v", err, len(c.asked), len(message), c.asked[0].body["QueueUrl"])
	}
	object := s3.Objects()[s.Key]
	if len(s3.Objects()) != 1 || s.Stored != 1 || s.Key != "notes/"+s.SHA256 || s.Length != len(object) || len(object) <= transport.MaxBody || !bytes.Contains(object, event) ||
		!bytes.Contains(object, []byte(`"class":"permanent/foreign-org"`)) {
		t.Fatalf("%+v, %d bytes", s, len(object))
	}

	// Redriven while the cause is there, it is parked again, and stays what it is.
	if _, err := h.Handle(t.Context(), []byte(message)); err != nil || len(c.asked) != 2 || len(s3.Objects()) != 2 {
		t.Fatalf("%v, %d requests, %d objects", err, len(c.asked), len(s3.Objects()))
	}
	again, _ := c.asked[1].body["MessageBody"].(string)

	// The org is allowed now.
	for what, redriven := range map[string]string{"as it was parked": message, "as it was parked again": again} {
		var taken []note
		f, err := prepare(t.Context(), env(t, server.URL))
		if err != nil || f.Err() != nil {
			t.Fatal(err, f.Err())
		}
		f.store = &memory.Store{}
		h, err := consumer.New(notes(func(n note) { taken = append(taken, n) }), f.consumerEnv())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Handle(t.Context(), []byte(redriven)); err != nil || len(taken) != 1 || taken[0].Text != text || len(c.asked) != 2 {
			t.Errorf("%s: %v, taken %d times, %d requests", what, err, len(taken), len(c.asked))
		}
	}
}

// Where S3 fails, nothing is put into a queue, and the delivery fails: the event comes again.
func TestWithoutTheBucketNothingIsLost(t *testing.T) {
	event, _ := largest(t)
	s3 := &buckettest.S3{}
	c, server := twoClouds(t, s3)
	f, h, err := start(t.Context(), env(t, server.URL, "SALESFORCE_ORGS=00D000000000001", "BUFFER_QUEUE_URL="+server.URL+"/buffer"),
		func(*Function) consumer.Definition { return notes(func(note) {}) })
	if err != nil {
		t.Fatal(err)
	}
	// Its own role may not put anything there.
	s3.Prefix = "others/"
	if _, err := h.Handle(t.Context(), event); err == nil || !strings.Contains(err.Error(), "AccessDenied") || len(c.asked) != 0 {
		t.Errorf("direct: %v, %d requests", err, len(c.asked))
	}
	body, _ := json.Marshal(string(event))
	batch := fmt.Sprintf(`{"Records":[{"messageId":"m1","receiptHandle":"r1","eventSource":"aws:sqs","body":%s}]}`, body)
	resp, err := h.Handle(t.Context(), []byte(batch))
	if err != nil || len(resp.BatchItemFailures) != 1 || resp.BatchItemFailures[0].ItemIdentifier != "m1" {
		t.Errorf("out of the buffer: %v, %+v", err, resp)
	}
	for _, a := range c.asked {
		if a.target == "AmazonSQS.SendMessage" {
			t.Errorf("sent to %v", a.body["QueueUrl"])
		}
	}
	c.asked = nil
	waiting := transport.Waiting{Event: event, Consumer: "notes", Class: "throttled"}
	if err := f.consumerEnv().Lane(t.Context(), [][]byte{waiting.EncodeAround(event)}, 0); err == nil || len(c.asked) != 0 {
		t.Errorf("the lane: %v, %d requests", err, len(c.asked))
	}
	s3.Prefix = "notes/"
	if err := f.consumerEnv().Lane(t.Context(), [][]byte{waiting.EncodeAround(event)}, 0); err != nil || len(c.asked) != 1 || len(s3.Objects()) != 1 {
		t.Errorf("the lane: %v, %d requests, %d objects", err, len(c.asked), len(s3.Objects()))
	}
}

// What no reader would take is not written.
func TestMoreThanAReaderTakesIsNotParked(t *testing.T) {
	s3 := &buckettest.S3{}
	c, server := twoClouds(t, s3)
	f, _, err := start(t.Context(), env(t, server.URL), func(*Function) consumer.Definition { return notes(func(note) {}) })
	if err != nil {
		t.Fatal(err)
	}
	if err := f.consumerEnv().Park(t.Context(), make([]byte, 4<<20+1)); err == nil || !strings.Contains(err.Error(), "4194305 bytes") || len(c.asked)+len(s3.Asked()) != 0 {
		t.Errorf("%v, %d requests", err, len(c.asked)+len(s3.Asked()))
	}
}
