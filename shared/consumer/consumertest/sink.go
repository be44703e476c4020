package consumertest

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// Sink is a system that keeps to its contract strictly: it refuses an older epoch
// where it is Fenced, an older full state where it is Versioned, and acts once for a
// key where the contract lets it know the key again. Embed it in a type that has the
// methods of the port, so that the port's Contract is the sink's:
//
//	type shelf struct{ *consumertest.Sink }
//
//	func (s shelf) Set(_ context.Context, ref sink.Ref, l erp.Level) (sink.Receipt, error) {
//		return s.Put(ref, l.SKU+"@"+l.Warehouse, l)
//	}
//
// It is safe for concurrent use.
type Sink struct {
	contract sink.Contract

	mu     sync.Mutex
	things map[string]*thing
	took   []Request
	faults []fault
	asked  int
	wrong  []error
}

// thing is what the sink holds under a key.
type thing struct {
	subject string
	epoch   int64
	version string // of the last full state or delete
	gone    bool
	fields  map[string]string
	acts    int
}

// Request is one request that took effect.
type Request struct {
	Method string // PUT, PATCH, DELETE, DO
	Key    string // at the sink
	Ref    sink.Ref
	Body   any // as the consumer's code handed it over; nil for DELETE
}

type fault struct {
	err   error
	after bool // the sink took it before the fault
}

// NewSink is an empty sink.
func NewSink(c sink.Contract) *Sink { return &Sink{contract: c, things: make(map[string]*thing)} }

// Contract implements sink.Port.
func (s *Sink) Contract() sink.Contract { return s.contract }

// fake is how a Kit finds the sink behind a port.
func (s *Sink) fake() *Sink { return s }

// Put writes a full state: what it does not name is cleared.
func (s *Sink) Put(ref sink.Ref, key string, state any) (sink.Receipt, error) {
	return s.take(Request{"PUT", key, ref, state}, func(t *thing) { t.gone, t.fields = false, flatten(state) })
}

// Patch writes the fields of some that are present, and leaves the others alone.
func (s *Sink) Patch(ref sink.Ref, key string, some any) (sink.Receipt, error) {
	return s.take(Request{"PATCH", key, ref, some}, func(t *thing) {
		t.gone = false
		maps.Copy(t.fields, flatten(some))
	})
}

// Delete retires what there is.
func (s *Sink) Delete(ref sink.Ref, key string) (sink.Receipt, error) {
	return s.take(Request{"DELETE", key, ref, nil}, func(t *thing) { t.gone, t.fields = true, map[string]string{} })
}

// Do acts. Where the contract lets the sink know the key again it acts once.
func (s *Sink) Do(ref sink.Ref, key string, action any) (sink.Receipt, error) {
	return s.take(Request{"DO", key, ref, action}, func(t *thing) {
		knows := s.contract.UniqueKey || s.contract.Lookup || s.contract.KeyWindow > 0
		if t.acts == 0 || !knows {
			t.acts++
			t.fields = flatten(action)
		}
	})
}

// Refuse makes the sink refuse the next request: certainly without effect.
func (s *Sink) Refuse(class verdict.Class) *Sink {
	return s.fault(fault{err: sink.NotYet(class, "made up by the test")})
}

// LoseAnswer lets the sink take the next request, and loses its answer.
func (s *Sink) LoseAnswer() *Sink {
	return s.fault(fault{after: true, err: sink.InDoubt(errors.New("the answer got lost"))})
}

// LoseRequest makes the next request end without an answer and without effect.
func (s *Sink) LoseRequest() *Sink {
	return s.fault(fault{err: sink.InDoubt(errors.New("the request got lost"))})
}

func (s *Sink) fault(f fault) *Sink {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
	return s
}

// Took are the requests that took effect, in order.
func (s *Sink) Took() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.took)
}

// State is what the sink holds: a line for each key, with its fields in order.
func (s *Sink) State() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(s.things)) {
		t := s.things[key]
		fmt.Fprintf(&b, "%s:", key)
		if t.gone {
			b.WriteString(" gone")
		}
		for _, name := range slices.Sorted(maps.Keys(t.fields)) {
			fmt.Fprintf(&b, " %s=%s", name, t.fields[name])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// reset forgets everything.
func (s *Sink) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.things, s.took, s.faults, s.asked, s.wrong = make(map[string]*thing), nil, nil, 0, nil
}

// take is every request: first what no consumer may do, then what the sink refuses by
// its contract, then the effect.
func (s *Sink) take(r Request, effect func(*thing)) (sink.Receipt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if err := s.misuse(r); err != nil {
		s.wrong = append(s.wrong, err)
		return sink.Receipt{}, sink.Refuse("misuse", "%w", err)
	}
	var f *fault
	if len(s.faults) > 0 {
		f, s.faults = &s.faults[0], s.faults[1:]
		if !f.after {
			return sink.Receipt{}, f.err
		}
	}
	t := s.things[r.Key]
	if t == nil {
		t = &thing{subject: r.Ref.Subject, fields: map[string]string{}}
		s.things[r.Key] = t
	}
	if s.contract.Fenced && r.Ref.Epoch < t.epoch {
		return sink.Receipt{}, &sink.FencedError{Epoch: t.epoch}
	}
	full := r.Method == "PUT" || r.Method == "DELETE"
	t.epoch = max(t.epoch, r.Ref.Epoch)
	if s.contract.Versioned && full && r.Ref.Version < t.version {
		return sink.Receipt{}, &sink.RefusedVersionError{Version: t.version}
	}
	if full {
		t.version = r.Ref.Version
	}
	effect(t)
	s.took = append(s.took, r)
	if f != nil {
		return sink.Receipt{}, f.err
	}
	return sink.Receipt{Link: "link-" + r.Key}, nil
}

// misuse is what cannot be right, whatever the sink is.
func (s *Sink) misuse(r Request) error {
	switch {
	case r.Ref.Consumer == "" || r.Ref.Org == "" || r.Ref.Subject == "":
		return errors.New("a request without consumer, org and subject: hand on the ref as it came")
	case r.Key == "":
		return errors.New("a request without a key of the sink")
	case r.Method != "DO" && r.Ref.Version == "":
		return errors.New("a state without a version: an Action uses Do")
	}
	for key, t := range s.things {
		if same := t.subject == r.Ref.Subject; same != (key == r.Key) {
			return fmt.Errorf("the keys %q and %q of the sink and the subjects %q and %q do not go together: one thing at the sink has one key, and one key one thing",
				key, r.Key, t.subject, r.Ref.Subject)
		}
	}
	return nil
}

// flatten is a state as texts by path. Fields that are not present are left out, those
// that are cleared are null.
func flatten(state any) map[string]string {
	all := make(map[string]string)
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		if f, ok := reflect.TypeAssert[sink.Field[string]](v); ok {
			switch {
			case f.Null:
				all[prefix] = "null"
			case f.Present:
				all[prefix] = fmt.Sprintf("%q", f.Value)
			}
			return
		}
		if _, ok := v.Interface().(fmt.Stringer); ok || v.Kind() != reflect.Struct {
			all[prefix] = fmt.Sprint(v.Interface())
			return
		}
		for i := range v.NumField() {
			if sf := v.Type().Field(i); sf.IsExported() {
				walk(strings.TrimPrefix(prefix+"."+sf.Name, "."), v.Field(i))
			}
		}
	}
	if v := reflect.ValueOf(state); v.IsValid() {
		walk("", v)
	}
	return all
}
