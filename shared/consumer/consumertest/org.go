package consumertest

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"sfrelay/shared/consumer"
	"sfrelay/shared/salesforce/api"
)

// Records is an org that a consumer can ask: In(records.Asked). It answers with what was
// Put, and refuses the fields that are Hidden as Salesforce does. A field that no record was
// given is null.
type Records struct {
	mu      sync.Mutex
	records map[string]map[string]any
	fates   map[string]api.Fate
	changed []string
	covered time.Time
	err     error
	hidden  []string

	asked []string // the ids of each statement
}

// Asked puts the org into a consumer's Env.
func (r *Records) Asked(e *consumer.Env) { e.Org = r }

// Put makes or changes a record: fields by REST name, last saved the given second after
// Start. Children are a list of fields under the name of their relationship.
func (r *Records) Put(id string, second int, fields map[string]any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.records == nil {
		r.records, r.fates = map[string]map[string]any{}, map[string]api.Fate{}
	}
	all := map[string]any{"LastModifiedDate": At(second), "SystemModstamp": At(second)}
	maps.Copy(all, fields)
	r.records[id] = all
	delete(r.fates, id)
}

// Gone takes a record away: deleted, merged into the master, or with neither as if it had
// never been.
func (r *Records) Gone(id string, deleted bool, master string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.records, id)
	delete(r.fates, id)
	if deleted || master != "" {
		if r.fates == nil {
			r.fates = map[string]api.Fate{}
		}
		r.fates[id] = api.Fate{Deleted: true, Master: master}
	}
}

// GoneAt is a deletion whose second is known.
func (r *Records) GoneAt(id string, second int) {
	r.Gone(id, true, "")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fates[id] = api.Fate{Deleted: true, Stamp: Start.Add(time.Duration(second) * time.Second)}
}

// Hide takes the right to read fields away; none gives it back.
func (r *Records) Hide(fields ...string) { r.mu.Lock(); r.hidden = fields; r.mu.Unlock() }

// Fail makes every question end with the error; nil: it answers again.
func (r *Records) Fail(err error) { r.mu.Lock(); r.err = err; r.mu.Unlock() }

// List is what Changed says.
func (r *Records) List(covered time.Time, ids ...string) {
	r.mu.Lock()
	r.changed, r.covered = ids, covered
	r.mu.Unlock()
}

// Statements are the questions since the last call, each with its ids joined by commas.
func (r *Records) Statements() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked := r.asked
	r.asked = nil
	return asked
}

// Query implements consumer.Org.
func (r *Records) Query(_ context.Context, s api.Select, each func(*api.Record) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, strings.Join(s.IDs, ","))
	if r.err != nil {
		return r.err
	}
	for _, f := range s.Fields {
		if slices.Contains(r.hidden, f) {
			return &api.Error{What: "query " + s.Object, Status: 400, Code: "INVALID_FIELD", Field: f}
		}
	}
	for _, id := range s.IDs {
		fields := r.records[id]
		if fields == nil {
			continue
		}
		rec := &api.Record{Fields: map[string]jsontext.Value{"Id": value(id)}, Children: map[string][]*api.Record{}}
		for _, f := range s.Fields {
			rec.Fields[f] = value(fields[f])
		}
		for _, c := range s.Children {
			children, _ := fields[c.Object].([]map[string]any)
			for _, of := range children {
				child := &api.Record{Fields: map[string]jsontext.Value{}}
				for _, f := range c.Fields {
					child.Fields[f] = value(of[f])
				}
				rec.Children[c.Object] = append(rec.Children[c.Object], child)
			}
		}
		if err := each(rec); err != nil {
			return err
		}
	}
	return nil
}

func value(v any) jsontext.Value {
	b, err := json.Marshal(v)
	if err != nil {
		panic("consumertest: a field is no JSON: " + err.Error())
	}
	return b
}

// Fates implements consumer.Org.
func (r *Records) Fates(_ context.Context, _ string, ids []string) (map[string]api.Fate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, "fates "+strings.Join(ids, ","))
	fates := map[string]api.Fate{}
	for _, id := range ids {
		if f, ok := r.fates[id]; ok {
			fates[id] = f
		}
	}
	return fates, r.err
}

// Changed implements consumer.Org.
func (r *Records) Changed(context.Context, string, time.Time, time.Time) (ids []string, covered time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, "changed")
	return r.changed, r.covered, r.err
}
