package transport

import (
	"cmp"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"sfrelay/shared/jsonobject"
	"sfrelay/shared/verdict"
)

// failure is what Lambda's on-failure record says (Lambda Developer Guide, "Capturing
// records of Lambda asynchronous invocations").
type failure struct {
	timestamp, function, condition string
	request                        string // id
	invokes                        int
	payload, response              jsontext.Value
	message, kind                  string // of the response
}

func (f *failure) read(raw []byte) error {
	err := jsonobject.Members(raw, func(name string, v jsontext.Value) (err error) {
		switch name {
		case "timestamp":
			f.timestamp, err = jsonobject.Text(v)
		case "requestContext":
			return jsonobject.Members(v, f.context)
		case "requestPayload":
			f.payload = v
		case "responsePayload":
			f.response = v
		}
		return err
	})
	if f.response.Kind() == '{' { // absent when the event grew too old; anything when the function misbehaved
		_ = jsonobject.Members(f.response, func(name string, v jsontext.Value) (err error) {
			switch name {
			case "errorMessage":
				f.message, err = jsonobject.Text(v)
			case "errorType":
				f.kind, err = jsonobject.Text(v)
			}
			return err
		})
	}
	return err
}

func (f *failure) context(name string, v jsontext.Value) (err error) {
	switch name {
	case "functionArn":
		f.function, err = jsonobject.Text(v)
	case "requestId":
		f.request, err = jsonobject.Text(v)
	case "condition":
		f.condition, err = jsonobject.Text(v)
	case "approximateInvokeCount":
		f.invokes, err = jsonobject.Int(v)
	}
	return err
}

func (o *opener) onFailure(raw []byte, depth int) []Message {
	var f failure
	if err := f.read(raw); err != nil {
		return o.broken(raw, "invalid-on-failure", place(err), "this is no record of a failed invocation")
	}
	var messages []Message
	if f.payload == nil {
		messages = o.broken(raw, "payload-dropped", "/requestPayload",
			"Lambda left the event out of its record, because it is too large: request "+f.request+" of "+f.function+"; find its lines in the logs, and save the record in Salesforce again")
	} else {
		messages = o.open(f.payload, depth+1)
	}
	for i := range messages {
		m := &messages[i]
		m.Form, m.Redrive, m.Target = OnFailure, true, f.function
		m.Class, m.Reason, m.Attempts = verdict.Class(cmp.Or(f.kind, f.condition)), f.message, clampAttempts(f.invokes)
		m.ID, m.ReceiptHandle, m.ReceiveCount = "", "", 0 // those of a batch long gone
		m.SentAt, m.ReceivedAt = time.Time{}, time.Time{}
		if at, err := time.Parse(time.RFC3339, f.timestamp); err == nil {
			m.LastAt = plausible(at)
		}
	}
	return messages
}
