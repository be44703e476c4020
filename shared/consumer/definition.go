package consumer

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"sfrelay/shared/guard"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/sink"
)

// definition is what the three kinds have in common: the form in which the adapter
// works with them. What they read is known by its type only: the adapter is compiled once,
// not for every consumer.
type definition struct {
	shape
	reads reflect.Type
	keyOf func(change) Key // where keyed
	when  func(change) Decision
	apply func(context.Context, attempt) (sink.Receipt, error)
}

// change is a Change on its way through the adapter: its Content holds what the definition
// reads, made by binding.fresh.
type change = Change[reflect.Value]

// content is what the definition reads.
func content[T any](c change) T { return *c.Content.Addr().Interface().(*T) }

// typed is the change as the consumer's own code sees it.
func typed[T any](c change) Change[T] {
	return Change[T]{
		Org: c.Org, RecordID: c.RecordID, Content: content[T](c), Deleted: c.Deleted, CDC: c.CDC, At: c.At, Changed: c.Changed,
		Type: c.Type, Version: c.Version, Partial: c.Partial, Fetched: c.Fetched, Names: c.Names, Value: c.Value,
	}
}

// shape is the part of a definition that does not depend on what it reads.
type shape struct {
	name     string
	policy   guard.Policy
	object   string
	changes  bool
	events   []PlatformEvent
	port     sink.Port
	inDoubt  Doubt
	action   string // per record
	perEvent bool
	keyed    bool
	write    []string // WriteBack
	extra    []string
	any      bool    // of change events: whatever field, and not only whole ones
	wrong    []error // mistakes that only its kind can name
}

func (s *shape) bad(format string, args ...any) {
	s.wrong = append(s.wrong, fmt.Errorf(format, args...))
}

// attempt is one permission to act on the sink. It ends with the context.
type attempt struct {
	ref    sink.Ref
	change change // of a Record: exactly the fields to write are present
	whole  bool   // Record: every field, all of one version: a full state
}

func (s State[T]) definition() definition {
	d := definition{reads: reflect.TypeFor[T](), shape: shape{name: s.Name, policy: guard.NewestWins, events: s.Events, port: s.To, keyed: true}}
	if s.Key == nil {
		d.bad(`Key is missing: name the thing whose states have an order, e.g. consumer.KeyOf("stock", u.SKU, u.Warehouse)`)
	}
	if s.Put == nil {
		d.bad("Put is missing: it writes one state to the sink")
	}
	for _, e := range s.Events {
		if e.Operation != "" {
			d.bad("%s may be a DELETE (Operation), and a State has only states to put: use a Record", e.Name)
		}
		if e.Record != "" {
			d.bad("%s names a record (Record), and a State is ordered by its Key: use a Record, or read the id as a field of the key", e.Name)
		}
	}
	d.keyOf = func(c change) Key { return s.Key(content[T](c)) }
	d.apply = func(ctx context.Context, a attempt) (sink.Receipt, error) {
		return s.Put(ctx, a.ref, content[T](a.change))
	}
	return d
}

func (r Record[T]) definition() definition {
	d := definition{reads: reflect.TypeFor[T](), shape: shape{
		name: r.Name, policy: guard.FieldMerge, object: r.Object, changes: r.Changes, events: r.Events, port: r.To, write: r.WriteBack, extra: r.Extra,
	}}
	if r.Object == "" {
		d.bad(`Object is missing: name the object whose records it keeps, e.g. "Account"`)
	}
	if r.Patch == nil {
		d.bad("Patch is missing: it writes the fields that won")
	}
	if r.Delete == nil {
		d.bad("Delete is missing: say what becomes of the record at the sink when it is gone in Salesforce")
	}
	d.apply = func(ctx context.Context, a attempt) (sink.Receipt, error) {
		switch c := a.change; {
		case c.Deleted:
			return r.Delete(ctx, a.ref, c.RecordID)
		case a.whole && r.Put != nil:
			return r.Put(ctx, a.ref, c.RecordID, content[T](c))
		default:
			return r.Patch(ctx, a.ref, c.RecordID, content[T](c))
		}
	}
	return d
}

func (a Action[T]) definition() definition {
	d := definition{reads: reflect.TypeFor[T](), shape: shape{
		name: a.Name, policy: guard.EachOnce, object: a.Object, changes: a.Changes, events: a.Events, port: a.To, write: a.WriteBack,
		inDoubt: a.InDoubt, any: a.Any, action: a.Once.action, perEvent: a.Once.event, keyed: a.Once.key != nil,
	}}
	if (d.action != "" && d.perEvent) || (!d.keyed && !d.perEvent && d.action == "") {
		d.bad("Once is missing: choose consumer.PerRecord, consumer.PerKey or consumer.PerEvent")
	}
	if d.action != "" && a.Object == "" {
		d.bad("Once is PerRecord, and Object is missing: name the object whose records it acts on")
	}
	if d.keyed {
		key, ok := a.Once.key.(func(T) Key)
		if !ok || key == nil {
			d.bad("Once is PerKey of a %T: it must take what the Action reads and not be nil", a.Once.key)
		}
		d.keyOf = func(c change) Key { return key(content[T](c)) }
	}
	if a.Any && !a.Changes {
		d.bad("Any is about change events, and it takes none: set Changes, or leave Any out")
	}
	if a.When == nil && d.deletes() {
		d.bad("When is missing: without it the Action would act on deletes too; look at Change.Deleted there")
	}
	if a.Do == nil {
		d.bad("Do is missing: it acts once on the sink")
	}
	if a.To != nil {
		switch settles := a.To.Contract().Settles(); {
		case !settles && a.InDoubt != ParkInDoubt && a.InDoubt != RepeatInDoubt:
			d.bad("InDoubt is missing: the sink cannot tell whether it took an attempt; choose consumer.ParkInDoubt (at most once) or consumer.RepeatInDoubt (at least once)")
		case settles && a.InDoubt != 0:
			d.bad("InDoubt has no effect: the sink's contract settles a doubt; leave it out")
		}
	}
	if a.When != nil {
		d.when = func(c change) Decision { return a.When(typed[T](c)) }
	}
	d.apply = func(ctx context.Context, at attempt) (sink.Receipt, error) {
		return a.Do(ctx, at.ref, typed[T](at.change))
	}
	return d
}

// deletes reports whether a change may be the deletion of its record.
func (s *shape) deletes() bool {
	return s.changes || slices.ContainsFunc(s.events, func(e PlatformEvent) bool { return e.Operation != "" })
}

func (s *shape) contract() sink.Contract {
	if s.port == nil {
		return sink.Contract{}
	}
	return s.port.Contract()
}

func (s *shape) sources() []Source {
	var all []Source
	for _, e := range s.events {
		all = append(all, Source{DetailType: e.Name, Kind: salesforce.Platform, Event: e})
	}
	if s.changes {
		all = append(all, Source{DetailType: salesforce.ChangeEventName(s.object), Kind: salesforce.CDC})
	}
	return all
}

func (s *shape) source(detailType string) (Source, bool) {
	all := s.sources()
	i := slices.IndexFunc(all, func(s Source) bool { return s.DetailType == detailType })
	if i < 0 {
		return Source{}, false
	}
	return all[i], true
}

// key names the thing whose order matters.
func (d *definition) key(ch *salesforce.Change, c change) Key {
	switch {
	case d.perEvent:
		return Key{text: "event/" + ch.Identity(), whole: ch.Identity() != ""}
	case d.keyed:
		return d.keyOf(c)
	case d.action != "":
		k := RecordKey(d.object, c.RecordID)
		k.text += "/" + d.action
		return k
	default:
		return RecordKey(d.object, c.RecordID)
	}
}

// mistakes names what cannot be right, whatever the Env is.
func (s *shape) mistakes() []error {
	s.wrong = slices.Clip(s.wrong)
	if !isName(s.name) {
		s.bad("Name %q: use lower-case letters, digits and single hyphens, as in its folder", s.name)
	}
	if s.name == reservedName {
		s.bad("Name %q is taken: announced pauses of the relays lie under it in the guard's table", s.name)
	}
	if len(s.events) == 0 && !s.changes {
		s.bad("it takes nothing: name platform events in Events, or set Changes")
	}
	if s.changes && s.object == "" {
		s.bad("Changes is set, and Object is missing: of which object?")
	}
	seen := make(map[string]bool)
	for _, e := range s.events {
		if !isEventName(e.Name) {
			s.bad("%q is not the API name of a platform event, e.g. Inventory_Update__e", e.Name)
		}
		if seen[e.Name] {
			s.bad("%s is taken twice", e.Name)
		}
		seen[e.Name] = true
		if s.object != "" && e.Record == "" {
			s.bad("%s speaks of a record of %s: name the field with its id (Record)", e.Name, s.object)
		}
		if s.object == "" && e.Record != "" {
			s.bad("%s names a record (Record), and Object is missing: of which object?", e.Name)
		}
		if e.ModifiedAt == "" && s.changes {
			s.bad("%s has no ModifiedAt: without the record's own time it has no place among change events", e.Name)
		}
		for _, f := range []struct{ name, path string }{
			{"ModifiedAt", e.ModifiedAt}, {"Sequence", e.Sequence}, {"Record", e.Record}, {"Operation", e.Operation}, {"Style", e.Style}, {"Fields", e.Fields},
		} {
			if f.path != "" && !isPath(f.path) {
				s.bad("%s: %s %q is not the API name of a field", e.Name, f.name, f.path)
			}
		}
	}
	if s.port == nil {
		s.bad("To is missing: the port whose contract decides what an attempt in doubt may do")
	}
	return s.wrong
}

// reservedName begins the keys of announced pauses, which no consumer writes.
const reservedName = "relay"

// isName reports whether the text can name a consumer, its folder and, in capitals, a
// resource of a template.
func isName(s string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z'
		if !letter && (i == 0 || (r < '0' || r > '9') && r != '-') || r == '-' && (i == len(s)-1 || s[i+1] == '-') {
			return false
		}
	}
	return s != ""
}

func isEventName(s string) bool { return isPath(s) && len(s) > 3 && s[len(s)-3:] == "__e" }

// isPath reports whether the text is the API name of a field, of a component of a
// compound field (BillingAddress.Street), or of an event.
func isPath(s string) bool {
	start := true
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		switch {
		case start && !letter:
			return false
		case c == '.':
			start = true
			continue
		case !letter && (c < '0' || c > '9') && c != '_':
			return false
		}
		start = false
	}
	return !start
}

var errKey = &fieldError{name: "missing-field", field: "of the key", err: errors.New(`is empty: tag every field that Key uses with ",required"`)}
