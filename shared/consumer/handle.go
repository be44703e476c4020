package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sfrelay/shared/guard"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/telemetry"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// Response is what Lambda wants to hear of an SQS batch (Developer Guide, "Reporting
// batch item failures").
type Response struct {
	BatchItemFailures []ItemFailure `json:"batchItemFailures"`

	// Verdicts is the answer to a redrive: what became of each change.
	Verdicts []Answer `json:"verdicts,omitzero"`
}

// ItemFailure names one message that has to come again.
type ItemFailure struct {
	ItemIdentifier string `json:"itemIdentifier"`
}

// RetryError asks the platform for another delivery. Class, Subject and Cause are those
// of the first change that did not get through: Lambda writes them into the failure
// queue, when its own retries are used up.
type RetryError struct {
	Class   verdict.Class
	EventID string
	Failed  int    // changes
	Subject string // empty where it could not be told
	Cause   string
}

func (e *RetryError) Error() string {
	s := fmt.Sprintf("%s: %d changes of event %s have to come again", e.Class, e.Failed, e.EventID)
	if e.Subject != "" {
		s += ", first " + e.Subject
	}
	if e.Cause != "" {
		s += ": " + e.Cause
	}
	return s
}

// Handle implements Handler.
func (a *adapter) Handle(ctx context.Context, raw []byte) (*Response, error) {
	in := &invocation{adapter: a, ctx: ctx}
	batch := in.opened(raw)
	in.sqs, in.order = batch.SQS, batch.Redrive
	in.all(batch.Messages)
	if in.order != nil {
		return in.answer(), nil
	}
	in.putOff()
	if batch.SQS {
		return in.response(), nil
	}
	return nil, in.retry()
}

// retry is the error of a direct invocation; nil where every change got through.
func (in *invocation) retry() error {
	var e *RetryError
	for _, w := range in.works {
		if w.acknowledged() {
			continue
		}
		if e == nil {
			e = &RetryError{Class: w.line.Class, EventID: w.line.EventID, Subject: w.line.Subject, Cause: w.line.Error}
		}
		e.Failed += max(w.line.Records, 1)
	}
	if e == nil {
		return nil
	}
	return e
}

// invocation is the state of one Handle.
type invocation struct {
	*adapter
	ctx   context.Context // that of Handle: an invocation ends with it and is never kept
	sqs   bool
	order *transport.Redrive // nil: it is none
	works []*work

	together *together
}

// work is one change on its way, changes of one event that end alike, or a message that
// held none.
type work struct {
	msg       *transport.Message
	event     *salesforce.Event
	change    guard.Change
	subject   string
	recordID  string
	several   []string // it stands for these records, all with one end
	seen      change
	line      telemetry.Line
	notBefore time.Time
	ready     bool // for the guard; else the verdict is already in line
	asked     bool // the guard's table was, so that a failure is not one of time alone
	held      bool // by the breaker
	limited   bool // the sink, which takes others, refused it as one too many
	putOff    bool // it lies in the lane
	over      bool // its line is written

	// Of what has to be read from the org.
	ch      *salesforce.Change
	needs   error // why; nil: nothing has to be read any more
	saysAll bool  // the change names all that it changed, with its value
	thin    bool  // a platform event that holds ids and times only
	failed  bool  // the org was asked in vain
	end     end   // why the change is parked
}

func (w *work) acknowledged() bool { return w.putOff || w.line.Verdict.Acknowledged() }

func (in *invocation) add(w *work) *work {
	w.line.Consumer = in.def.name
	w.line.Form = string(w.msg.Form)
	w.line.At = in.env.Now()
	if w.line.Lag == 0 {
		w.line.Lag = -1
	}
	in.works = append(in.works, w)
	return w
}

// open decodes one message into its changes. What needs no guard is concluded. It costs
// one message at most, whatever it is.
func (in *invocation) open(msg *transport.Message) (works []*work) {
	from := len(in.works)
	defer func() {
		if p := recover(); p != nil {
			in.works = in.works[:from]
			w := in.add(&work{msg: msg})
			err := panicked(p)
			in.park(w, permanentOf(err), err, nil)
			works = in.works[from:]
		}
	}()
	in.decode(msg)
	return in.works[from:]
}

func (in *invocation) decode(msg *transport.Message) {
	if in.foreign(msg) {
		w := in.add(&work{msg: msg})
		w.conclude(verdict.Failed, verdict.Permanent("foreign-consumer"),
			fmt.Errorf("the message is one of consumer %q: send it there", msg.Consumer))
		return
	}
	if msg.Err != nil {
		w := in.add(&work{msg: msg})
		if _, final := errors.AsType[*transport.Error](msg.Err); !final {
			in.unfetched(w)
			return
		}
		in.park(w, permanentOf(msg.Err), hinted(msg.Err, msg.Event), nil)
		return
	}
	event, err := salesforce.Decode(msg.Event, salesforce.Options{Orgs: in.env.Orgs, Now: in.env.Now()})
	if err != nil {
		w := in.add(&work{msg: msg})
		if e, ok := errors.AsType[*salesforce.DecodeError](err); ok { // as far as it could be read
			w.line.EventID, w.line.DetailType = e.EventID, e.DetailType
		}
		in.park(w, permanentOf(err), hinted(err, msg.Event), nil)
		return
	}
	source, ok := in.bySources[event.DetailType]
	if ok && event.Resync != "" && in.asks() {
		in.overflowed(msg, event, source)
		return
	}
	if !ok || event.Probe || event.Resync != "" {
		w := in.add(&work{msg: msg, event: event})
		w.describe(nil)
		if ok && event.Probe {
			w.describe(event.Cause)
			w.line.Subject = event.ProbeID // the org knows its probe by it
			w.conclude(verdict.Probe, "", nil)
		} else if ok {
			in.park(w, verdict.NeedsFetch, fmt.Errorf("%s: the whole object has to be synchronised again", event.Resync), nil)
		} else {
			in.park(w, verdict.Permanent("unknown-event"), errors.New("this consumer does not take events of that name; correct the detail-type of its rule"), nil)
		}
		return
	}
	changes := in.chosen(msg, event)
	if msg.ReceiveCount > 1 && !msg.Redrive {
		changes = in.finished.without(msg.ID, event, changes)
	}
	switch {
	case in.repairs(msg):
		in.repair(msg, event, changes, source)
	case len(changes) == 0, in.sifted(msg, event, changes): // what concerns nobody here costs nothing, however many records it has
	case in.late(msg, event):
		in.toTheLane(msg, event, changes)
	default:
		in.prepare(msg, event, changes, source)
	}
}

// foreign reports whether another consumer wrote the message.
func (in *invocation) foreign(msg *transport.Message) bool {
	return msg.Consumer != "" && msg.Consumer != in.def.name
}

// sifted concludes the changes of an event that need no preparing, and says so.
func (in *invocation) sifted(msg *transport.Message, event *salesforce.Event, changes []*salesforce.Change) bool {
	said, client := changes[0].Said, in.env.ClientName
	var e end
	var out outcomes
	switch {
	case msg.Class == verdict.OverwroteNewer:
		// The message stands for what its change may have overwritten. To take the change
		// again would answer "duplicate" and lose that.
		e.park(verdict.OverwroteNewer, errors.New("the record has to be read from Salesforce and sent again"))
	case client != "" && said.EchoOf(client, in.def.write, in.binding.paths(said.Kind)):
		e.verdict = verdict.Echo
	case in.binding.ignores(said):
		e.verdict = verdict.Ignored
	default:
		return false
	}
	for _, ch := range changes {
		out.add(ch, e, settled{})
	}
	in.conclude(msg, event, out)
	return true
}

// chosen are the changes of the event that the message is about. Records that are not in
// the event are parked.
func (in *invocation) chosen(msg *transport.Message, event *salesforce.Event) []*salesforce.Change {
	changes, strange := pick(event, msg.Records)
	if msg.Records != nil && (len(strange) > 0 || len(changes) == 0) {
		w := in.add(&work{msg: msg, event: event})
		w.describe(nil)
		in.park(w, verdict.Permanent("unknown-record"), errors.New("the message names records that are not in its event; correct its list of records"), strange)
	}
	return changes
}

// pick is the changes of the records, of all where records is nil, and those records that
// the event does not name.
func pick(event *salesforce.Event, records []string) (changes []*salesforce.Change, strange []string) {
	changes = make([]*salesforce.Change, 0, len(event.Changes))
	named := make(map[string]bool, len(records))
	for _, id := range records {
		named[id] = false
	}
	for i := range event.Changes {
		ch := &event.Changes[i]
		if records == nil {
			changes = append(changes, ch)
		} else if _, ok := named[ch.RecordID]; ok {
			changes, named[ch.RecordID] = append(changes, ch), true
		}
	}
	for _, id := range records {
		if !named[id] {
			strange = append(strange, id)
		}
	}
	return changes, strange
}

func (w *work) describe(ch *salesforce.Change) {
	w.line.EventID, w.line.DetailType = w.event.ID, w.event.DetailType
	if ch == nil {
		return
	}
	w.line.EventKey, w.line.IdentityFrom = ch.Identity(), ch.IdentityFrom
	if ch.RecordID != "" {
		w.recordID = ch.RecordID
		w.line.Subject = ch.Entity + "/" + ch.RecordID
	}
}

// hinted adds to a refusal what some hop has made of the event, where that can be told.
func hinted(err error, raw []byte) error {
	if hint := transport.Wrapping(raw); hint != "" {
		return fmt.Errorf("%w; %s", err, hint)
	}
	return err
}

// permanentOf is the class of a refusal by the decoder or the transport.
func permanentOf(err error) verdict.Class {
	if e, ok := errors.AsType[*salesforce.DecodeError](err); ok {
		return verdict.Permanent(e.Name)
	}
	if e, ok := errors.AsType[*transport.Error](err); ok {
		return verdict.Permanent(e.Name)
	}
	if e, ok := errors.AsType[*fieldError](err); ok {
		return verdict.Permanent(e.name)
	}
	return verdict.Permanent("invalid-event")
}

// conclude notes what became of the change.
func (w *work) conclude(v verdict.Verdict, class verdict.Class, err error) {
	w.line.Verdict, w.line.Class = v, class
	if err != nil {
		w.line.Error = err.Error()
	}
}

// park puts the message, or the given records of it, aside before any claim.
func (in *invocation) park(w *work, class verdict.Class, cause error, records []string) {
	now := in.env.Now()
	err := in.send(in.ctx, w, guard.Parking{Class: class, Err: cause, FirstAt: now, LastAt: now}, records)
	switch {
	case errors.Is(err, guard.ErrStays):
		w.conclude(verdict.Failed, class, cause)
	case err != nil:
		w.conclude(verdict.Failed, class, errors.Join(cause, err))
	default:
		w.conclude(verdict.Parked, class, cause)
	}
}

func (in *invocation) send(ctx context.Context, w *work, p guard.Parking, records []string) error {
	if in.order != nil && !p.Decided {
		return guard.ErrStays
	}
	m := transport.Parked{
		Event: w.msg.Event, Records: records, Consumer: in.def.name, Class: p.Class,
		Attempts: transport.Attempts(p.Attempts, int64(w.msg.Attempts)), FirstAt: p.FirstAt, LastAt: p.LastAt,
	}
	if records == nil {
		m.Records = w.msg.Records
	}
	if p.Err != nil {
		m.Error = p.Err.Error()
	}
	if first := w.msg.FirstAt; !first.IsZero() && first.Before(p.FirstAt) { // it is the sender's word
		m.FirstAt = first
	}
	if err := in.env.Park(ctx, m.Encode()); err != nil {
		return fmt.Errorf("the failure queue did not take the message: %w", err)
	}
	return nil
}
