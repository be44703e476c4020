package consumer

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"sfrelay/shared/guard"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/sink"
	"sfrelay/shared/telemetry"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// Surroundings are what a consumer runs in: made in main, faked in tests.
type Surroundings struct {
	Store guard.Store
	// Park sends one message to the failure queue.
	Park func(ctx context.Context, body []byte) error
	// Defer makes an SQS message visible again after d, so that a change that has to
	// wait does not wait for the whole visibility time-out. Nil: left to the queue.
	Defer func(ctx context.Context, queueARN, receiptHandle string, d time.Duration) error
	Log   *telemetry.Log

	Orgs       salesforce.OrgList // nil allows any
	ClientName string             // that our own writes to Salesforce carry; empty: none
	Rename     map[string]string  // default name of a change event's field -> this org's
	RestoredAt time.Time          // the guard table was restored to this point

	MaxAttempts int     // 0: 3 direct, 20 buffered
	Scale       float64 // of all times; 0: 1

	Now    func() time.Time                                      // nil: time.Now
	Sleep  func(done <-chan struct{}, d time.Duration) (ok bool) // nil: a timer
	Random func() [10]byte                                       // nil: uuid
}

// The platform's limits that decide what a consumer may be told (AWS Lambda
// Developer Guide, "Asynchronous invocation": retries after one and two minutes,
// three attempts in all).
const (
	directAttempts   = 3
	bufferedAttempts = 20
	directBusyWait   = 10 * time.Second
	bufferedBusyWait = 2 * time.Second
	longestLease     = 50 * time.Second // must have ended before Lambda's first retry
	fanOutAbove      = 50               // records of one event, direct mode
	fanOutChunk      = 25
	parallel         = 8 // subjects worked on at once
	longestPause     = time.Minute
	// mostReceives is how often a buffer may bring a message. The queue's own limit is
	// 1000 (template.yaml): what SQS moves away then has lost its consumer and reason.
	mostReceives = 990
)

// Adapter is a consumer ready to run. It is safe for concurrent invocations.
type Adapter[T any] struct {
	def     Consumer[T]
	around  Surroundings
	guard   *guard.Guard
	binding *binding
	sources map[string]Source // by detail-type
	alsoCDC bool
}

// New checks a definition and names every mistake in it.
func New[T any](def Consumer[T], around Surroundings) (*Adapter[T], error) {
	if around.Now == nil {
		around.Now = time.Now
	}
	if around.Random == nil {
		around.Random = func() [10]byte { u := uuid.New(); return [10]byte(u[6:]) }
	}
	a := &Adapter[T]{def: def, around: around, sources: make(map[string]Source)}
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(def.Takes) == 0 {
		bad("Takes is empty: name the events it takes")
	}
	for _, s := range def.Takes {
		if s.Event == "" && s.Object == "" {
			bad("a source names neither a platform event nor an object")
			continue
		}
		if _, ok := a.sources[s.detailType()]; ok {
			bad("%s is taken twice", s.detailType())
		}
		if s.Event != "" && s.Object != "" && s.Record == "" {
			bad("%s speaks of a record of %s: name the field with its id", s.Event, s.Object)
		}
		a.sources[s.detailType()] = s
		a.alsoCDC = a.alsoCDC || s.Event == ""
	}
	for _, s := range def.Takes {
		if s.Event != "" && s.ModifiedAt == "" && a.alsoCDC {
			bad("%s has no ModifiedAt: without the record's own time it has no place among change events", s.Event)
		}
	}
	if def.PerEvent && (def.Policy != guard.EachOnce || def.Subject != nil) {
		bad("PerEvent is for EachOnce without a Subject: a state has no business being forgotten")
	}
	if def.Subject == nil && !def.PerEvent && def.Policy != guard.FieldMerge {
		bad("Subject is missing: the order of what matters to this consumer?")
	}
	if def.Policy == guard.NewestWins && a.alsoCDC {
		bad("NewestWins takes full states only, and change events are partial: use FieldMerge")
	}
	deletes := a.alsoCDC
	for _, s := range def.Takes {
		if s.Operation == "" {
			continue
		}
		deletes = true
		if def.Policy == guard.NewestWins {
			bad("%s may be a DELETE, and NewestWins has only states to send: use FieldMerge", s.Event)
		}
	}
	if deletes && def.Policy == guard.EachOnce && def.Triage == nil {
		bad("EachOnce without Triage would act on deletes too: look at Change.Deleted there")
	}
	if def.Apply == nil {
		bad("Apply is missing")
	}
	if around.Store == nil || around.Park == nil || around.Log == nil {
		bad("Store, Park and Log are needed")
	}
	b, err := bind(reflect.TypeFor[T](), def.Policy, def.Takes, around.Rename)
	if err != nil {
		errs = append(errs, err)
	}
	a.binding = b
	cfg := guard.Config{
		Consumer: def.Name, Policy: def.Policy,
		Sink: guard.Sink{
			Fenced: def.Sink.Fenced, Versioned: def.Sink.Versioned,
			ParkInDoubt: def.Policy == guard.EachOnce && !def.Sink.Settles() && !def.Sink.RepeatInDoubt,
		},
		Effect: def.Sink.Effect, Settle: def.Sink.Settle, Scale: around.Scale, RestoredAt: around.RestoredAt,
		Now: around.Now, Sleep: around.Sleep, Random: around.Random,
	}
	if def.Policy == guard.FieldMerge && b != nil {
		cfg.Fields = b.codes
	}
	if g, err := guard.New(around.Store, cfg); err != nil {
		errs = append(errs, err)
	} else {
		a.guard = g
		unscaled := cfg
		unscaled.Scale = 1
		if l := unscaled.Lease(); l > longestLease {
			bad("a lease of %v (effect %v + settle %v + margin) is longer than %v: Lambda's first retry would find it running", l, def.Sink.Effect, def.Sink.Settle, longestLease)
		}
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("consumer %q cannot be built:\n%w", def.Name, errors.Join(errs...))
	}
	return a, nil
}

// Name is the name of the consumer.
func (a *Adapter[T]) Name() string { return a.def.Name }

// Response is what Lambda wants to hear of an SQS batch (Developer Guide, "Reporting
// batch item failures").
type Response struct {
	BatchItemFailures []ItemFailure `json:"batchItemFailures"`
}

// ItemFailure names one message that has to come again.
type ItemFailure struct {
	ItemIdentifier string `json:"itemIdentifier"`
}

// RetryError asks the platform for another delivery. Class is the class of the first
// change that did not get through.
type RetryError struct {
	Class   verdict.Class
	EventID string
	Failed  int // changes
}

func (e *RetryError) Error() string {
	return fmt.Sprintf("%s: %d changes of event %s have to come again", e.Class, e.Failed, e.EventID)
}

// Handle takes one invocation's payload. Of an SQS batch it answers with the messages
// that have to come again; for everything else a *RetryError says so, and the response
// is nil. No change is dropped: it is applied, found done or stale, parked, or asked for again.
func (a *Adapter[T]) Handle(ctx context.Context, raw []byte) (*Response, error) {
	batch, err := transport.Open(raw)
	if err != nil {
		batch = transport.Batch{Messages: []transport.Message{{Form: transport.Event, Event: raw, Err: err}}}
	}
	in := &invocation[T]{Adapter: a, ctx: ctx, sqs: batch.SQS}
	for i := range batch.Messages {
		in.open(&batch.Messages[i])
	}
	in.process()
	in.giveUp()
	for _, w := range in.works {
		a.around.Log.Write(w.line)
	}
	if batch.SQS {
		return in.response(), nil
	}
	for _, w := range in.works {
		if !w.acknowledged() {
			e := &RetryError{Class: w.line.Class, EventID: w.line.EventID}
			for _, w := range in.works {
				if !w.acknowledged() {
					e.Failed++
				}
			}
			return nil, e
		}
	}
	return nil, nil
}

// invocation is the state of one Handle.
type invocation[T any] struct {
	*Adapter[T]
	ctx   context.Context
	sqs   bool
	works []*work[T]
}

// work is one change on its way, or a message that held none.
type work[T any] struct {
	msg       *transport.Message
	event     *salesforce.Event
	change    guard.Change
	subject   string
	recordID  string
	content   T
	line      telemetry.Line
	notBefore time.Time
	ready     bool // for the guard; else the verdict is already in line
}

func (w *work[T]) acknowledged() bool { return w.line.Verdict.Acknowledged() }

func (in *invocation[T]) add(w *work[T]) *work[T] {
	w.line.Consumer = in.def.Name
	w.line.Form = string(w.msg.Form)
	w.line.At = in.around.Now()
	if w.line.Lag == 0 {
		w.line.Lag = -1
	}
	in.works = append(in.works, w)
	return w
}

// open decodes one message into its changes.
func (in *invocation[T]) open(msg *transport.Message) {
	if msg.Consumer != "" && msg.Consumer != in.def.Name {
		w := in.add(&work[T]{msg: msg})
		in.fail(w, verdict.Failed, verdict.Permanent("foreign-consumer"),
			fmt.Errorf("the message was parked by consumer %q: send it there", msg.Consumer))
		return
	}
	if msg.Err != nil {
		w := in.add(&work[T]{msg: msg})
		in.park(w, permanentOf(msg.Err), msg.Err, nil)
		return
	}
	event, err := salesforce.Decode(msg.Event, salesforce.Options{Orgs: in.around.Orgs})
	if err != nil {
		w := in.add(&work[T]{msg: msg})
		if e, ok := errors.AsType[*salesforce.DecodeError](err); ok { // as far as it could be read
			w.line.EventID, w.line.DetailType = e.EventID, e.DetailType
		}
		in.park(w, permanentOf(err), err, nil)
		return
	}
	source, ok := in.sources[event.DetailType]
	if !ok || event.Resync != "" {
		w := in.add(&work[T]{msg: msg, event: event})
		w.describe(nil)
		if ok {
			in.park(w, verdict.NeedsFetch, fmt.Errorf("%s: the whole object has to be synchronised again", event.Resync), nil)
		} else {
			in.park(w, verdict.Permanent("unknown-event"), errors.New("this consumer does not take events of that name: mend the rule's pattern"), nil)
		}
		return
	}
	changes := make([]*salesforce.Change, 0, len(event.Changes))
	strange := slices.Clone(msg.Records)
	for i := range event.Changes {
		ch := &event.Changes[i]
		if msg.Records == nil || slices.Contains(msg.Records, ch.RecordID) {
			changes = append(changes, ch)
			strange = slices.DeleteFunc(strange, func(id string) bool { return id == ch.RecordID })
		}
	}
	if msg.Records != nil && (len(strange) > 0 || len(changes) == 0) {
		w := in.add(&work[T]{msg: msg, event: event})
		w.describe(nil)
		in.park(w, verdict.Permanent("unknown-record"), errors.New("the message is about records that are not in its event: mend its list of records"), strange)
	}
	if !in.sqs && len(changes) > fanOutAbove {
		in.fanOut(msg, event, changes)
		return
	}
	for _, ch := range changes {
		w := in.add(&work[T]{msg: msg, event: event})
		w.describe(ch)
		if msg.Class == verdict.OverwroteNewer {
			// The message stands for what its change may have overwritten. To take the change
			// again would answer "duplicate" and lose that.
			in.park(w, verdict.OverwroteNewer, errors.New("the record has to be read from Salesforce and sent again"), w.records())
			continue
		}
		in.sortOut(w, ch, source)
	}
}

// sortOut is prepare; a panic in the consumer's own code costs it this change only.
func (in *invocation[T]) sortOut(w *work[T], ch *salesforce.Change, source Source) {
	defer func() {
		if p := recover(); p != nil {
			w.ready = false
			// Type only: a panic's text can hold field values.
			in.park(w, verdict.Permanent("consumer-panicked"), fmt.Errorf("the consumer panicked with a %T before it acted: mend it, then redrive", p), w.records())
		}
	}()
	in.prepare(w, ch, source)
}

// fanOut hands an event of many records back in small portions, because one direct
// invocation has only so much time.
func (in *invocation[T]) fanOut(msg *transport.Message, event *salesforce.Event, changes []*salesforce.Change) {
	for chunk := range slices.Chunk(changes, fanOutChunk) {
		ids := make([]string, len(chunk))
		for i, ch := range chunk {
			ids[i] = ch.RecordID
		}
		w := in.add(&work[T]{msg: msg, event: event})
		w.describe(chunk[0])
		w.line.Records = len(chunk)
		in.park(w, verdict.FanOut, fmt.Errorf("%d records are more than one invocation takes; redrive each portion", len(changes)), ids)
	}
}

func (w *work[T]) describe(ch *salesforce.Change) {
	w.line.EventID, w.line.DetailType = w.event.ID, w.event.DetailType
	if ch == nil {
		return
	}
	w.line.EventKey, w.line.IdentityFrom = ch.Identity, ch.IdentityFrom
	if ch.RecordID != "" {
		w.recordID = ch.RecordID
		w.line.Subject = ch.Entity + "/" + ch.RecordID
	}
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

func (in *invocation[T]) fail(w *work[T], v verdict.Verdict, class verdict.Class, err error) {
	w.line.Verdict, w.line.Class = v, class
	if err != nil {
		w.line.Error = err.Error()
	}
}

// park puts the message, or the given records of it, aside before any claim.
func (in *invocation[T]) park(w *work[T], class verdict.Class, cause error, records []string) {
	now := in.around.Now()
	err := in.send(in.ctx, w, guard.Parking{Class: class, Err: cause, FirstAt: now, LastAt: now}, records)
	if err != nil {
		in.fail(w, verdict.Failed, class, errors.Join(cause, err))
		return
	}
	in.fail(w, verdict.Parked, class, cause)
}

func (in *invocation[T]) send(ctx context.Context, w *work[T], p guard.Parking, records []string) error {
	m := transport.Parked{
		Event: w.msg.Event, Records: records, Consumer: in.def.Name, Class: p.Class,
		Attempts: int(p.Attempts) + w.msg.Attempts, FirstAt: p.FirstAt, LastAt: p.LastAt,
	}
	if records == nil {
		m.Records = w.msg.Records
	}
	if p.Err != nil {
		m.Error = p.Err.Error()
	}
	if !w.msg.FirstAt.IsZero() {
		m.FirstAt = w.msg.FirstAt
	}
	if err := in.around.Park(ctx, m.Encode()); err != nil {
		return fmt.Errorf("the failure queue did not take the message: %w", err)
	}
	return nil
}

// prepare decides what needs no guard, and readies the rest for it.
func (in *invocation[T]) prepare(w *work[T], ch *salesforce.Change, source Source) {
	paths := in.binding.paths(ch.Kind)
	if c := in.around.ClientName; c != "" && ch.EchoOf(c, in.def.WriteBack, paths) {
		in.fail(w, verdict.Echo, "", nil)
		return
	}
	if len(paths) > 0 && !ch.Touches(paths) {
		in.fail(w, verdict.Ignored, "", nil)
		return
	}
	c := Change[T]{Org: w.event.Org, CDC: ch.Kind == salesforce.CDC, Changed: changedIn(ch)}
	reason := ch.FetchReason(paths)
	if ch.Kind == salesforce.Platform {
		if err := in.readEvent(w, ch, source, &c, &reason); err != nil {
			in.park(w, permanentOf(err), err, nil)
			return
		}
	} else {
		w.change.Version = ch.Version
		c.Deleted = ch.Type == salesforce.Delete || ch.Type == salesforce.GapDelete
	}
	// The decoder holds versions against the event's own time. Where that is missing, our
	// clock has to do: a version in the future would win for ever.
	if w.event.Time.IsZero() && w.change.Version.Time().After(w.line.At.Add(5*time.Minute)) {
		in.park(w, verdict.Permanent("version-in-future"), errors.New("the change is dated after now, and the event has no time to hold it against"), w.records())
		return
	}
	c.RecordID = w.recordID
	w.line.RecordVersion = w.change.Version.String()
	w.line.Lag = w.line.At.Sub(w.change.Version.Time())

	if reason == "" && !c.Deleted {
		if err := in.readContent(w, ch); err != nil {
			in.park(w, permanentOf(err), err, w.records())
			return
		}
		if in.def.Policy == guard.FieldMerge && len(w.change.Fields) == 0 {
			reason = "no field of it is carried" // something was saved, and the event does not say what
		}
	}
	c.Content = w.content
	w.subject = source.Object + "/" + w.recordID
	switch {
	case in.def.PerEvent:
		w.subject = "event/" + ch.Identity
	case in.def.Subject != nil:
		w.subject = in.def.Subject(c)
	}
	w.line.Subject = w.subject
	class, cause := verdict.NeedsFetch, fmt.Errorf("%s: the record has to be read from Salesforce", reason)
	if reason == "" {
		triage := Process
		if in.def.Triage != nil {
			triage = in.def.Triage(c)
		}
		switch triage {
		case Ignore:
			in.fail(w, verdict.Ignored, "", nil)
			return
		case NeedsSnapshot:
			class, cause = verdict.NeedsSnapshot, errors.New("the change says that it happened, but not all that is needed to act on it")
		default:
			w.change.Kind = in.kindOf(w, c, ch)
			w.ready = true
			return
		}
	}
	// A change without content never claims: the item must stay free for another
	// source of the same fact.
	if in.def.Policy == guard.EachOnce {
		done, err := in.guard.Done(in.ctx, w.event.Org, w.subject)
		w.line.GuardRequests++
		switch {
		case err != nil:
			in.fail(w, verdict.Failed, verdict.Unfinished, err)
			return
		case done:
			in.fail(w, verdict.Duplicate, "", nil)
			return
		}
	}
	in.park(w, class, cause, w.records())
}

// published is when Salesforce published the event: the record's own time never counts, a
// backfill of old records is not old.
func (w *work[T]) published() time.Time {
	if w.event.CreatedDate.IsZero() {
		return w.event.Time
	}
	return w.event.CreatedDate
}

// records is the part of the message that a parked copy of the change speaks of.
func (w *work[T]) records() []string {
	if w.event.Kind == salesforce.CDC && w.recordID != "" {
		return []string{w.recordID}
	}
	return nil
}

func changedIn(ch *salesforce.Change) func(string) bool {
	return func(field string) bool {
		if ch.Type == salesforce.Update {
			return names(ch.Changed, field)
		}
		v, ok := ch.Fields.Lookup(field)
		return ok && !v.Enriched() && !v.Null()
	}
}

// readEvent reads what the adapter itself needs of a platform event.
func (in *invocation[T]) readEvent(w *work[T], ch *salesforce.Change, source Source, c *Change[T], reason *string) error {
	text := func(field string) (string, error) {
		if field == "" {
			return "", nil
		}
		v, ok := ch.Fields.Lookup(field)
		if !ok || v.Null() {
			return "", nil
		}
		return v.Text()
	}
	if source.Record != "" {
		id, err := text(source.Record)
		if err == nil && id == "" {
			return &fieldError{name: "missing-field", field: source.Record}
		}
		if err == nil {
			w.recordID, err = salesforce.ID18(id)
		}
		if err != nil {
			return &fieldError{name: "invalid-record-id", field: source.Record, err: errors.New("is not a record id of 15 or 18 characters")}
		}
		w.line.Subject = source.Object + "/" + w.recordID
	}
	if ch.IdentityFrom == "detail.payload.Event_Id__c" {
		if _, err := uuid.Parse(ch.Identity); err != nil {
			return &fieldError{name: "invalid-event-id", field: "Event_Id__c", err: errors.New("is not a UUID")}
		}
	}
	op, err := text(source.Operation)
	switch {
	case err != nil:
		return &fieldError{name: "invalid-field", field: source.Operation, err: err}
	case op == "DELETE":
		c.Deleted = true
	case op != "" && op != "UPSERT":
		return &fieldError{name: "unknown-operation", field: source.Operation, err: errors.New("is neither UPSERT nor DELETE")}
	}
	if style, _ := text(source.Style); style == "THIN" && !c.Deleted {
		*reason = "thin"
	}
	v, err := ch.EventVersion(salesforce.VersionFields{ModifiedAt: source.ModifiedAt, Sequence: source.Sequence, AlsoCDC: in.alsoCDC})
	if err != nil {
		return err
	}
	w.change.Version = v
	return nil
}

// readContent maps the body, and says how much of the subject it describes.
func (in *invocation[T]) readContent(w *work[T], ch *salesforce.Change) error {
	whole := ch.Kind == salesforce.CDC && ch.Type != salesforce.Update
	if in.def.Policy != guard.FieldMerge && ch.Kind == salesforce.Platform {
		whole = true
	}
	carried, err := in.binding.read(reflect.ValueOf(&w.content).Elem(), ch, whole)
	if err != nil {
		return err
	}
	w.change.Fields = carried
	return nil
}

func (in *invocation[T]) kindOf(w *work[T], c Change[T], ch *salesforce.Change) guard.ChangeKind {
	if in.def.Policy != guard.FieldMerge {
		if in.def.Policy == guard.EachOnce {
			w.change.Hash = contentHash(c.Content)
		}
		return guard.Full
	}
	if c.Deleted {
		return guard.Delete
	}
	if len(w.change.Fields) == len(in.binding.codes) && (ch.Kind == salesforce.Platform || ch.Type != salesforce.Update) {
		w.change.Fields = nil
		return guard.Full
	}
	return guard.Partial
}

// process takes what is ready through the guard: subjects side by side, the changes of
// one subject together.
func (in *invocation[T]) process() {
	groups := make(map[string][]*work[T])
	var keys []string
	for _, w := range in.works {
		if !w.ready {
			continue
		}
		key := w.event.Org + "#" + w.subject
		if in.def.Policy != guard.EachOnce && w.msg.Redrive {
			key += "#redrive" // attempts of a redrive count anew, others do not
		}
		if _, ok := groups[key]; !ok {
			keys = append(keys, key)
		}
		groups[key] = append(groups[key], w)
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for _, key := range keys {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if in.def.Policy != guard.EachOnce {
				in.do(groups[key])
				return
			}
			for _, w := range groups[key] {
				in.do([]*work[T]{w})
			}
		})
	}
	wg.Wait()
}

// do takes the changes of one subject through the guard.
func (in *invocation[T]) do(group []*work[T]) {
	first := group[0]
	call := guard.Call{
		Org: first.event.Org, Subject: first.subject, Redrive: first.msg.Redrive,
		EventSubject: in.def.PerEvent, Published: first.published(),
		MaxAttempts: in.around.MaxAttempts, BusyWait: directBusyWait,
		Changes: make([]guard.Change, len(group)),
		Park: func(ctx context.Context, p guard.Parking) error {
			return in.send(ctx, group[p.Change], p, group[p.Change].records())
		},
	}
	if in.sqs {
		call.BusyWait = bufferedBusyWait
	}
	if call.MaxAttempts == 0 {
		call.MaxAttempts = directAttempts
		if in.sqs {
			call.MaxAttempts = bufferedAttempts
		}
	}
	for i, w := range group {
		call.Changes[i] = w.change
	}
	var inSink time.Duration
	report := in.guard.Do(in.ctx, call, func(ctx context.Context, at guard.Attempt) guard.Outcome {
		began := in.around.Now()
		receipt, err := in.def.Apply(ctx, in.attempt(group, at))
		inSink += in.around.Now().Sub(began)
		return outcome(receipt, err)
	})
	for i, w := range group {
		r := report.Results[i]
		in.fail(w, r.Verdict, r.Class, r.Err)
		w.line.Attempt, w.line.Epoch, w.line.InDoubt, w.line.Changed = r.Attempt, r.Epoch, r.InDoubt, r.Changed
		w.line.Sink, w.notBefore = inSink, r.NotBefore
		if i == 0 {
			w.line.GuardRequests, w.line.EpochRaised = report.Requests, report.EpochRaised
		}
	}
}

func (in *invocation[T]) attempt(group []*work[T], at guard.Attempt) Attempt[T] {
	w := group[at.Change]
	a := Attempt[T]{
		RecordID: w.recordID, Whole: at.Whole, Deleted: at.Deleted,
		Ref: sink.Ref{
			Consumer: in.def.Name, Org: w.event.Org, Subject: w.subject,
			Epoch: at.Epoch, Link: at.Link, InDoubt: at.InDoubt, DoubtSince: at.DoubtSince,
		},
	}
	if in.def.Policy != guard.EachOnce {
		a.Ref.Version = at.Version.String()
	}
	if in.def.Policy != guard.FieldMerge {
		a.Content = w.content
		return a
	}
	in.binding.pick(reflect.ValueOf(&a.Content).Elem(), at.Wins, func(change int) reflect.Value {
		return reflect.ValueOf(group[change].content)
	})
	return a
}

// giveUp parks what a buffer has brought so often that the queue would soon move it
// away itself.
func (in *invocation[T]) giveUp() {
	for _, w := range in.works {
		foreign := w.msg.Consumer != "" && w.msg.Consumer != in.def.Name
		if !in.sqs || w.msg.ReceiveCount < mostReceives || w.acknowledged() || foreign {
			continue
		}
		var records []string
		if w.event != nil {
			records = w.records()
		}
		cause := fmt.Errorf("delivered %d times in vain", w.msg.ReceiveCount)
		if w.line.Error != "" {
			cause = fmt.Errorf("%w, the last time: %s", cause, w.line.Error)
		}
		in.park(w, w.line.Class, cause, records)
	}
}

// response names the messages that have to come again, and when.
func (in *invocation[T]) response() *Response {
	r := &Response{BatchItemFailures: []ItemFailure{}}
	seen := make(map[string]bool)
	for _, w := range in.works {
		if w.acknowledged() || seen[w.msg.ID] {
			continue
		}
		seen[w.msg.ID] = true
		r.BatchItemFailures = append(r.BatchItemFailures, ItemFailure{w.msg.ID})
		if in.around.Defer == nil || w.msg.ReceiptHandle == "" || w.notBefore.IsZero() {
			continue
		}
		// Best effort: without it the message comes again after the queue's own time-out.
		_ = in.around.Defer(in.ctx, w.msg.Queue, w.msg.ReceiptHandle, in.pause(w))
	}
	return r
}

// pause is how long a message stays away. After a failure: to the end of its own wait,
// and twice as long with every try, up to a minute: a sink that is down for ten minutes
// does not use up all attempts in its first minute. A busy subject is asked again after
// a second or two, later with every try, and not after its lease.
func (in *invocation[T]) pause(w *work[T]) time.Duration {
	left := max(w.notBefore.Sub(in.around.Now()), 0) + time.Second
	tries := max(w.msg.ReceiveCount, 1)
	if w.line.Verdict != verdict.Busy {
		more := min(time.Second<<min(tries-1, 16), longestPause)
		if in.around.Scale > 0 {
			more = time.Duration(float64(more) * in.around.Scale)
		}
		return left + more
	}
	r := in.around.Random()
	step := time.Second + time.Duration(r[9])*2*time.Second/255
	return min(left, step*time.Duration(tries))
}
