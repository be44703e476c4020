package consumer

import (
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// A message that is redriven lies in its queue while its consumer works, and whoever redrives
// it deletes it or leaves it there. So nothing of it is put into the lane or parked: the
// consumer answers what became of each change. What alone is parked is what the change, being
// decided, would not say a second time.

// Answer is what became of one change of a message that was redriven.
type Answer struct {
	EventKey string          `json:"eventKey,omitempty"`
	Subject  string          `json:"subject,omitempty"`
	Records  int             `json:"records,omitempty"` // more than 0 where it is about several
	Verdict  verdict.Verdict `json:"verdict"`
	Class    verdict.Class   `json:"class,omitempty"`
	Error    string          `json:"error,omitempty"`
}

// mostAnswers bounds what an answer holds. Those that did not get through come first.
const mostAnswers = 1000

// longestError is how much of an error an answer repeats: Lambda takes 6 MB of all of them.
const longestError = 1000

func (in *invocation) answer() *Response {
	r := &Response{BatchItemFailures: []ItemFailure{}, Verdicts: []Answer{}}
	for _, failed := range []bool{true, false} {
		for _, w := range in.works {
			if w.acknowledged() == failed || len(r.Verdicts) == mostAnswers {
				continue
			}
			if w.putOff { // it names no records, and those that it stands for lie in the buffer now
				r.Verdicts = append(r.Verdicts, Answer{EventKey: w.line.EventKey, Verdict: verdict.Ignored, Error: "its records are read out of the consumer's buffer"})
				continue
			}
			r.Verdicts = append(r.Verdicts, Answer{
				EventKey: w.line.EventKey, Subject: w.line.Subject, Records: w.line.Records,
				Verdict: w.line.Verdict, Class: w.line.Class, Error: w.line.Error[:min(len(w.line.Error), longestError)],
			})
		}
	}
	return r
}

// unattended reports whether nobody decided on the redrive.
func (in *invocation) unattended() bool {
	return in.order != nil && in.order.By == transport.ByFunction
}
