package transport

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"sfrelay/shared/jsonobject"
)

// ByFunction is who has ordered a redrive where nobody did: the function that does it on a
// schedule. What needs somebody's decision needs it then, too.
const ByFunction = "redrive-function"

// Redrive says that what it stands around lies in a queue, stays there until the answer, and
// is handed to its consumer once more. So the consumer puts it nowhere else: it answers what
// became of each change.
type Redrive struct {
	By string // who has ordered it: an ARN, or ByFunction
	At time.Time
}

// Around is the payload around the body of a message, whatever that is.
func (r Redrive) Around(body []byte) []byte {
	quoted := Quote(body)
	b := make([]byte, 0, len(quoted)+len(r.By)+96)
	b = appendText(append(b, `{"redrive":{"by":`...), r.By)
	b = appendTime(append(b, `,"at":`...), r.At)
	b = append(append(b, `},"message":`...), quoted...)
	return append(b, '}')
}

// decodeRedrive reads what Around wrote.
func decodeRedrive(raw []byte) (r Redrive, body []byte, err error) {
	var message jsontext.Value
	err = jsonobject.Members(raw, func(name string, v jsontext.Value) (err error) {
		switch name {
		case "message":
			message = v
		case "redrive":
			return jsonobject.Members(v, func(name string, v jsontext.Value) (err error) {
				switch name {
				case "by":
					r.By, err = jsonobject.Text(v)
				case "at":
					r.At, err = readTime(v)
				}
				return err
			})
		}
		return err
	})
	if err == nil {
		body, err = unquoteEvent(message)
	}
	if err != nil {
		return Redrive{}, nil, &Error{"invalid-redrive", place(err), "this is no message that sfrelay redrives"}
	}
	return r, body, nil
}

// redriven opens what Around wrote. Who sent it is told apart only where it is outermost: only
// there the answer reaches whoever redrives.
func (o *opener) redriven(raw []byte, depth int) (r *Redrive, messages []Message) {
	order, body, err := decodeRedrive(raw)
	if err != nil {
		return nil, o.one(Message{Form: Event, Event: raw, Err: err})
	}
	messages = o.open(body, depth+1)
	for i := range messages {
		messages[i].Redrive = true
	}
	return &order, messages
}
