package functions_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/salesforce/api"
)

// historyOrg is a small org: accounts that are saved in transactions. All that will ever
// happen in it is made up before it begins; what it answers depends on the time.
type historyOrg struct {
	r     *rand.Rand
	clock func() time.Time

	currencies, picklists bool // has several currencies; has country picklists
	rows                  map[string]*historyRow
	ids                   []string
	events                []historyEvent
	commits               uint64

	// Until these moments it does not answer, its requests of the day are used up, and the
	// user may not read a field, or a record.
	down, limited, unseen, hidden span
	field, record                 string

	mu                sync.Mutex
	statements, fates int
}

type span struct{ from, to time.Time }

func (s span) has(t time.Time) bool { return !t.Before(s.from) && t.Before(s.to) }

// historyRow is one account: its states in the order of the commits.
type historyRow struct {
	states []rowState
	locked time.Time // by a transaction that is open
}

type rowState struct {
	visible        time.Time // the commit, or up to three seconds after it
	fields         map[string]string
	deleted, gone  bool // gone: not in the recycle bin either
	master         string
	modified, stmp time.Time
}

func (x *historyRow) last() rowState { return x.states[len(x.states)-1] }

// historyEvent is one event on its way from the org.
type historyEvent struct {
	at  time.Time // EventBridge took it
	raw []byte
	ids []string
}

// historyFields are what both consumers read, by the path in change events: the name in
// REST, and that of the platform event's field.
var historyFields = []struct{ path, rest, event string }{
	{"Name", "Name", "Name__c"},
	{"Phone", "Phone", "Phone__c"},
	{"Website", "Website", "Website__c"},
	{"Email__c", "Email__c", "Email__c"},
	{"CurrencyIsoCode", "CurrencyIsoCode", "Currency__c"},
	{"BillingAddress.City", "BillingCity", "Billing_City__c"},
	{"BillingAddress.CountryCode", "BillingCountryCode", "Billing_Country__c"},
	{"BillingAddress.Country", "BillingCountry", "Billing_Country__c"},
}

// newHistoryOrg makes up some transactions from the moment on.
func newHistoryOrg(seed uint64, begin time.Time, clock func() time.Time) (o *historyOrg, ends time.Time) {
	o = &historyOrg{r: rand.New(rand.NewPCG(seed, 17)), clock: clock, rows: map[string]*historyRow{}, commits: 1745500706683617281}
	o.currencies, o.picklists = o.chance(70), o.chance(50)
	for i := range 2 + o.r.IntN(2) {
		o.addRow(fmt.Sprintf("0015f00007%05dAAA", i), begin.Add(-time.Hour*time.Duration(1+o.r.IntN(1000))))
	}
	at := begin
	for range 4 + o.r.IntN(8) {
		switch o.r.IntN(10) {
		case 0, 1: // in the same second, mostly
			at = at.Add(time.Duration(o.r.IntN(300)) * time.Millisecond)
		case 2:
			at = at.Add(time.Duration(1+o.r.IntN(9)) * time.Minute)
		default:
			at = at.Add(time.Duration(500+o.r.IntN(20_000)) * time.Millisecond)
		}
		o.transaction(at)
	}
	ends = at.Add(10 * time.Minute)
	trouble := func(percent int) (s span) {
		if o.chance(percent) {
			s.from = begin.Add(time.Duration(o.r.Int64N(int64(ends.Sub(begin)))))
			s.to = s.from.Add(time.Duration(1+o.r.IntN(40)) * time.Minute)
		}
		return s
	}
	o.down, o.limited, o.unseen, o.hidden = trouble(25), trouble(15), trouble(30), trouble(15)
	o.field = []string{"Name", "Phone", "Website", "Email__c", "BillingAddress"}[o.r.IntN(5)]
	o.record = o.ids[o.r.IntN(len(o.ids))]
	return o, ends
}

func (o *historyOrg) chance(percent int) bool { return o.r.IntN(100) < percent }

// addRow is an account that was saved before anybody listened.
func (o *historyOrg) addRow(id string, at time.Time) {
	o.ids = append(o.ids, id)
	o.rows[id] = &historyRow{states: []rowState{{visible: at, fields: o.values(true), modified: at.Truncate(time.Second), stmp: at.Truncate(time.Second)}}}
}

// has reports whether the org has a field at all.
func (o *historyOrg) has(rest string) bool {
	return (rest != "CurrencyIsoCode" || o.currencies) && (rest != "BillingCountryCode" || o.picklists)
}

// values are values of some fields, or of all.
func (o *historyOrg) values(all bool) map[string]string {
	m := map[string]string{}
	for _, f := range historyFields {
		if all && o.has(f.rest) && (f.path == "Name" || o.chance(70)) || !all && o.has(f.rest) && o.chance(25) {
			m[f.rest] = fmt.Sprintf("%s-%d", f.rest, o.r.IntN(1000))
			if f.path != "Name" && o.chance(15) {
				m[f.rest] = ""
			}
		}
	}
	if code, ok := m["BillingCountryCode"]; ok { // they go together
		m["BillingCountry"] = code
		if code != "" {
			m["BillingCountryCode"], m["BillingCountry"] = []string{"CH", "DE", "US"}[o.r.IntN(3)], "some country"
		}
	} else if o.picklists {
		delete(m, "BillingCountry")
	}
	if len(m) == 0 {
		m["Phone"] = fmt.Sprint(o.r.IntN(1000))
	}
	return m
}

// transaction saves some records at a moment and commits at once or six minutes later.
func (o *historyOrg) transaction(saved time.Time) {
	committed := saved.Add(time.Duration(o.r.IntN(900)) * time.Millisecond)
	if o.chance(10) {
		committed = saved.Add(6 * time.Minute)
	}
	o.commits += 1000
	if o.chance(10) {
		id := fmt.Sprintf("0015f00007%05dAAA", len(o.ids))
		o.ids, o.rows[id] = append(o.ids, id), &historyRow{}
		o.save(id, "CREATE", o.values(true), saved, committed, 1, "")
		return
	}
	var free []string
	for _, id := range o.ids {
		if !saved.Before(o.rows[id].locked) && !o.rows[id].last().gone {
			free = append(free, id)
		}
	}
	if len(free) == 0 {
		return
	}
	id := free[o.r.IntN(len(free))]
	if o.rows[id].last().deleted {
		switch {
		case o.chance(60):
			o.save(id, "UNDELETE", nil, saved, committed, 1, "")
		case o.chance(30): // out of the recycle bin, of which no event tells
			s := o.rows[id].last()
			s.gone, s.visible = true, later(s.visible, committed)
			o.rows[id].states = append(o.rows[id].states, s)
		}
		return
	}
	switch {
	case o.chance(12):
		o.save(id, "DELETE", nil, saved, committed, 1, "")
	case o.chance(10) && len(free) > 1: // merged into another one
		winner := free[o.r.IntN(len(free))]
		if winner == id || o.rows[winner].last().deleted {
			return
		}
		o.save(id, "DELETE", nil, saved, committed, 1, winner)
		o.save(winner, "UPDATE", o.values(false), saved, committed, 2, "")
	default:
		o.save(id, "UPDATE", o.values(false), saved, committed, 1, "")
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// save changes one record, and publishes what tells of it.
func (o *historyOrg) save(id, kind string, values map[string]string, saved, committed time.Time, sequence int, master string) {
	row := o.rows[id]
	s := rowState{fields: map[string]string{}}
	if len(row.states) > 0 {
		s = row.last()
	}
	visible := committed
	if o.chance(30) {
		visible = committed.Add(time.Duration(o.r.IntN(3000)) * time.Millisecond)
	}
	s.visible = later(s.visible, visible)
	s.fields, s.deleted, s.master = maps.Clone(s.fields), kind == "DELETE", master
	maps.Copy(s.fields, values)
	silent := kind == "UPDATE" && o.chance(3) // neither stamp moves
	if !silent {
		s.modified, s.stmp = saved.Truncate(time.Second), saved.Truncate(time.Second)
	}
	row.states, row.locked = append(row.states, s), committed
	ev := changeEvent{id: id, kind: kind, values: values, state: s, saved: saved, committed: committed, commit: o.commits, sequence: sequence, stamped: !silent}
	o.publish(committed, ev.encode(o), id)
	if kind != "DELETE" && o.chance(25) {
		o.publish(committed, o.platform(ev), id)
	}
}

// publish: the relay takes a second, seldom minutes.
func (o *historyOrg) publish(committed time.Time, event func(taken time.Time) []byte, id string) {
	taken := committed.Add(time.Duration(200+o.r.IntN(1500)) * time.Millisecond)
	if o.chance(5) {
		taken = taken.Add(time.Duration(o.r.IntN(20)) * time.Minute)
	}
	o.events = append(o.events, historyEvent{at: taken, raw: event(taken), ids: []string{id}})
}

type changeEvent struct {
	id, kind         string
	values           map[string]string // by REST name
	state            rowState
	saved, committed time.Time
	commit           uint64
	sequence         int
	stamped          bool
}

const aDiff = "--- \n+++ \n@@ -1 +1 @@\n-a\n+b"

// encode is the change event, in one of the forms in which it may leave something out.
func (c changeEvent) encode(o *historyOrg) func(time.Time) []byte {
	payload, header := map[string]any{}, map[string]any{
		"entityName": "Account", "recordIds": []string{c.id}, "changeType": c.kind, "changeOrigin": "", "changedFields": []string{},
		"transactionKey": fmt.Sprintf("0001ade9-3f74-0b99-dbc4-%012d", c.commit%1_000_000_000_000), "sequenceNumber": c.sequence,
		"commitTimestamp": c.committed.Truncate(time.Second).UnixMilli(), "commitNumber": c.commit, "commitUser": "0055f000005mc66AAA",
	}
	put := func(path string, v any) { putPath(payload, path, v) }
	modified := c.state.modified.Format("2006-01-02T15:04:05.000Z")
	switch gap := o.chance(12); {
	case gap:
		header["changeType"] = "GAP_" + c.kind
		if o.chance(50) {
			delete(header, "commitNumber")
		}
	case c.kind == "CREATE" || c.kind == "UNDELETE":
		for _, f := range historyFields {
			if v := c.state.fields[f.rest]; v != "" {
				put(f.path, v)
			}
		}
		put("LastModifiedDate", modified)
	case c.kind == "UPDATE":
		c.update(o, put, header)
		if c.stamped && o.chance(90) {
			put("LastModifiedDate", modified)
			if names := header["changedFields"].([]string); len(names) > 0 {
				header["changedFields"] = append(names, "LastModifiedDate")
			}
		}
	}
	payload["ChangeEventHeader"] = header
	return func(taken time.Time) []byte { return historyEnvelope("AccountChangeEvent", taken, payload) }
}

// update writes what changed.
func (c changeEvent) update(o *historyOrg, put func(string, any), header map[string]any) {
	var changed []string
	form := o.r.IntN(20)
	for i, f := range historyFields {
		v, ok := c.values[f.rest]
		if !ok {
			continue
		}
		changed = append(changed, f.path)
		switch {
		case form == 0 && i < 4: // named and absent
		case form == 1 && i < 4 && v != "":
			put(f.path, aDiff)
		case form == 2 && f.rest == "BillingCity": // the address as a whole
			changed[len(changed)-1] = "BillingAddress"
		case v == "":
			put(f.path, nil)
		default:
			put(f.path, v)
		}
	}
	if form != 3 { // else without names
		header["changedFields"] = changed
	}
}

// platform is the event that a flow publishes in the same transaction.
func (o *historyOrg) platform(c changeEvent) func(time.Time) []byte {
	payload := map[string]any{
		"Record_Id__c": c.id, "Operation__c": "UPSERT", "CreatedDate": c.saved.Format("2006-01-02T15:04:05.000Z"),
		"Record_Modified_At__c": c.state.modified.Format("2006-01-02T15:04:05.000Z"),
	}
	if o.chance(40) {
		payload["Payload_Style__c"] = "THIN"
	} else {
		for _, f := range historyFields {
			if f.rest == "BillingCountry" && o.picklists || f.rest == "BillingCountryCode" && !o.picklists {
				continue
			}
			if v := c.state.fields[f.rest]; v != "" {
				payload[f.event] = v
			} else {
				payload[f.event] = nil
			}
		}
	}
	return func(taken time.Time) []byte { return historyEnvelope("Cloud_Customer_Sync__e", taken, payload) }
}

func putPath(payload map[string]any, path string, v any) {
	for i := range len(path) {
		if path[i] == '.' {
			parts, _ := payload[path[:i]].(map[string]any)
			if parts == nil {
				parts = map[string]any{}
				payload[path[:i]] = parts
			}
			parts[path[i+1:]] = v
			return
		}
	}
	payload[path] = v
}

func historyEnvelope(name string, taken time.Time, payload map[string]any) []byte {
	b, err := json.Marshal(map[string]any{
		"version": "0", "id": fmt.Sprintf("7c9e6679-7425-40de-944b-%012x", taken.UnixNano()&0xffffffffffff), "detail-type": name,
		"source": "aws.partner/salesforce.com/" + consumertest.Org + "/0YL5f000000CabWGAS", "account": "123456789012", "region": "eu-west-1",
		"resources": []string{}, "time": taken.Format(time.RFC3339), "detail": map[string]any{"payload": payload},
	})
	if err != nil {
		panic(err)
	}
	return b
}

// --- what it answers

func (o *historyOrg) refuse(what string, fields []string) error {
	now := o.clock()
	switch {
	case o.down.has(now):
		return &api.Error{What: what, Status: http.StatusServiceUnavailable, Code: "SERVER_UNAVAILABLE"}
	case o.limited.has(now):
		return &api.Error{What: what, Status: http.StatusForbidden, Code: "REQUEST_LIMIT_EXCEEDED", Used: 15000, Most: 15000}
	}
	for _, f := range fields {
		if !o.has(f) || f == "BillingStateCode" && !o.picklists || f == "ShippingStateCode" && !o.picklists || f == "ShippingCountryCode" && !o.picklists ||
			o.unseen.has(now) && (f == o.field || o.field == "BillingAddress" && strings.HasPrefix(f, "Billing")) { // its rights are those of its parts
			return &api.Error{What: what, Status: http.StatusBadRequest, Code: "INVALID_FIELD", Field: f}
		}
	}
	return nil
}

// shows is the record as it can be read now.
func (o *historyOrg) shows(id string) (s rowState, ok bool) {
	now := o.clock()
	if id == o.record && o.hidden.has(now) {
		return s, false
	}
	for _, state := range o.rows[id].states {
		if !state.visible.After(now) {
			s, ok = state, true
		}
	}
	return s, ok && !s.gone
}

// Query implements consumer.Org.
func (o *historyOrg) Query(_ context.Context, s api.Select, each func(*api.Record) error) error {
	o.mu.Lock()
	o.statements++
	o.mu.Unlock()
	if err := o.refuse("query "+s.Object, s.Fields); err != nil {
		return err
	}
	for _, id := range s.IDs {
		row, ok := o.shows(id)
		if !ok || row.deleted {
			continue
		}
		rec := &api.Record{Fields: map[string]jsontext.Value{"Id": quoted(id)}}
		for _, f := range s.Fields {
			switch v := row.fields[f]; {
			case f == "LastModifiedDate":
				rec.Fields[f] = quoted(row.modified.Format("2006-01-02T15:04:05.000+0000"))
			case f == "SystemModstamp":
				rec.Fields[f] = quoted(row.stmp.Format("2006-01-02T15:04:05.000+0000"))
			case v == "":
				rec.Fields[f] = jsontext.Value("null")
			default:
				rec.Fields[f] = quoted(v)
			}
		}
		if err := each(rec); err != nil {
			return err
		}
	}
	return nil
}

func quoted(s string) jsontext.Value {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return b
}

// Fates implements consumer.Org.
func (o *historyOrg) Fates(_ context.Context, object string, ids []string) (map[string]api.Fate, error) {
	o.mu.Lock()
	o.fates++
	o.mu.Unlock()
	if err := o.refuse("fates of "+object, nil); err != nil {
		return nil, err
	}
	fates := map[string]api.Fate{}
	for _, id := range ids {
		if row, ok := o.shows(id); ok {
			fates[id] = api.Fate{Deleted: row.deleted, Master: row.master, Stamp: row.stmp}
		}
	}
	return fates, nil
}

// Changed implements consumer.Org.
func (o *historyOrg) Changed(context.Context, string, time.Time, time.Time) ([]string, time.Time, error) {
	return slices.Clone(o.ids), o.clock(), nil
}
