package orgsandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"sfrelay/shared/decimal"
	"sfrelay/shared/salesforce"
)

// record is a row with its history: what a reader sees depends on what was committed.
type record struct {
	id       string
	object   *object
	versions []*state
}

// state is a row from its commit until the next one's.
type state struct {
	from    time.Time // when it was committed
	stamp   time.Time // SystemModstamp: when it was written, whole seconds
	values  map[string]any
	deleted bool // in the recycle bin
	erased  bool // gone for good
	master  string
}

// at is what is committed at a time; nil before the row was there and once it is erased.
func (r *record) at(t time.Time) *state {
	for _, v := range slices.Backward(r.versions) {
		if !v.from.After(t) {
			if v.erased {
				return nil
			}
			return v
		}
	}
	return nil
}

func (r *record) last() *state { return r.versions[len(r.versions)-1] }

// newID is an id of 18 characters, with the suffix that guards its case.
func (s *Org) newID(prefix string) string {
	id, err := salesforce.ID18(fmt.Sprintf("%s5f0001%06d", prefix, s.next()))
	if err != nil {
		panic(err) // prefixes are constants
	}
	return id
}

// find takes ids of 15 and of 18 characters.
func (s *Org) find(id string) *record {
	if long, err := salesforce.ID18(id); err == nil {
		return s.records[long]
	}
	return nil
}

// change is one write to one row.
type change struct {
	kind   string // of the change event: CREATE, UPDATE, DELETE, UNDELETE
	id     string
	values map[string]any
	erase  bool
	master string
}

// commit writes the changes of one object in one transaction. The rows are stamped now;
// they are seen, and their change events delivered, when the transaction ends, which is
// now but for the faults late-row and open-transaction.
func (s *Org) commit(o *object, origin string, changes ...change) error {
	now := s.now()
	until := s.ends(o, now)
	for _, c := range changes {
		if r := s.records[c.id]; r != nil && r.last().from.After(now) {
			return refuse(http.StatusBadRequest, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record or 1 records: %s", c.id)
		}
	}
	if until.After(now) {
		s.open = append(s.open, window{now.Truncate(time.Second), until})
	}
	key := s.next()
	for i, c := range changes {
		s.apply(o, c, now.Truncate(time.Second), until)
		s.emit(o, c, origin, until, key, i+1)
	}
	return nil
}

func (s *Org) apply(o *object, c change, stamp, until time.Time) {
	r := s.records[c.id]
	next := &state{from: until, stamp: stamp, values: map[string]any{}, deleted: c.kind == "DELETE", erased: c.erase, master: c.master}
	if r == nil {
		r = &record{id: c.id, object: o}
		s.records[c.id] = r
		s.order[o.name] = append(s.order[o.name], r)
		maps.Copy(next.values, map[string]any{"Id": c.id, "CreatedDate": stamp, "CreatedById": UserID})
	} else {
		maps.Copy(next.values, r.last().values)
		if stage, ok := c.values["StageName"]; ok && o.name == "Opportunity" && stage != next.values["StageName"] {
			next.values["LastStageChangeDate"] = stamp
		}
	}
	maps.Copy(next.values, c.values)
	maps.Copy(next.values, map[string]any{"LastModifiedDate": stamp, "LastModifiedById": UserID, "SystemModstamp": stamp, "IsDeleted": next.deleted})
	if c.master != "" {
		next.values["MasterRecordId"] = c.master
	}
	derive(o, next.values)
	r.versions = append(r.versions, next)
}

// derive computes the fields that Salesforce computes.
func derive(o *object, values map[string]any) {
	switch o.name {
	case "Contact":
		first, _ := values["FirstName"].(string)
		last, _ := values["LastName"].(string)
		values["Name"] = strings.TrimSpace(first + " " + last)
	case "Opportunity":
		stage, _ := values["StageName"].(string)
		values["IsWon"], values["IsClosed"] = stage == "Closed Won", strings.HasPrefix(stage, "Closed ")
	case "OpportunityLineItem":
		values["TotalPrice"] = total(values)
	}
}

// total is what a line comes to; nil without a price.
func total(values map[string]any) any {
	var n [3]decimal.Decimal
	for i, name := range []string{"Quantity", "UnitPrice", "Discount"} {
		number, _ := values[name].(json.Number)
		if n[i], _ = decimal.Parse(string(number)); number == "" && name == "UnitPrice" {
			return nil
		}
	}
	price, err := n[0].Mul(n[1])
	off, errOff := price.Mul(n[2])
	hundredth, errCut := off.Mul(decimal.Must("-0.01"))
	sum, errSum := price.Add(hundredth)
	if errors.Join(err, errOff, errCut, errSum) != nil {
		return nil
	}
	return json.Number(sum.Round(2).String())
}

// Insert makes a row and returns its id.
func (s *Org) Insert(object string, values map[string]any) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.create(object, "", values, "")
}

// create writes a row with the id, or with a new one.
func (s *Org) create(name, id string, values map[string]any, origin string) (string, error) {
	o := s.objects[name]
	if o == nil || o.event {
		return "", notFound()
	}
	values, err := s.checked(o, values)
	if err != nil {
		return "", err
	}
	for _, f := range o.fields {
		if f.required && values[f.name] == nil {
			no := refuse(http.StatusBadRequest, "REQUIRED_FIELD_MISSING", "Required fields are missing: [%s]", f.name)
			no.fields = []string{f.name}
			return "", no
		}
	}
	if id == "" {
		id = s.newID(o.prefix)
	}
	return id, s.commit(o, origin, change{kind: "CREATE", id: id, values: values})
}

// checked are values by the names of the schema, if a client may write them.
func (s *Org) checked(o *object, values map[string]any) (map[string]any, error) {
	known := map[string]any{}
	for name, v := range values {
		if name == "attributes" {
			continue
		}
		f := o.field(name)
		if f == nil || s.hidden[o.name+"."+f.name] {
			return nil, refuse(http.StatusBadRequest, "INVALID_FIELD", "No such column '%s' on sobject of type %s", name, o.name)
		}
		if f.readOnly {
			no := refuse(http.StatusBadRequest, "INVALID_FIELD_FOR_INSERT_UPDATE", "Unable to create/update fields: %s. Please check the security settings of this field and verify that it is read/write for your profile or permission set.", f.name)
			no.fields = []string{f.name}
			return nil, no
		}
		switch n := v.(type) {
		case int:
			v = json.Number(fmt.Sprint(n))
		case float64:
			v = json.Number(fmt.Sprint(n))
		case string:
			if n == "" {
				v = nil // Salesforce has no empty texts
			}
		case nil, bool, json.Number:
		default:
			return nil, refuse(http.StatusBadRequest, "JSON_PARSER_ERROR", "Cannot deserialize instance of %s from the value of %s", f.kind, f.name)
		}
		known[f.name] = v
	}
	return known, nil
}

// Update writes some fields of rows of one object in one transaction.
func (s *Org) Update(values map[string]any, ids ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.modify("", values, ids...)
}

func (s *Org) modify(origin string, values map[string]any, ids ...string) error {
	var o *object
	var changes []change
	for _, id := range ids {
		r := s.find(id)
		if r == nil || r.last().erased {
			return notFound()
		}
		if r.last().deleted {
			return gone()
		}
		known, err := s.checked(r.object, values)
		if err != nil {
			return err
		}
		o = r.object
		changes = append(changes, change{kind: "UPDATE", id: r.id, values: differing(known, r.last().values)})
	}
	if o == nil {
		return nil
	}
	return s.commit(o, origin, changes...)
}

// differing are the values that are not there already.
func differing(values, now map[string]any) map[string]any {
	changed := map[string]any{}
	for k, v := range values {
		if now[k] != v {
			changed[k] = v
		}
	}
	return changed
}

// gone is what becomes of a write to a row in the recycle bin.
func gone() *refusal {
	no := refuse(http.StatusNotFound, "ENTITY_IS_DELETED", "entity is deleted")
	no.fields = []string{}
	return no
}

// Delete moves a row to the recycle bin.
func (s *Org) Delete(id string) error { return s.bin(id, change{kind: "DELETE"}) }

// HardDelete deletes a row so that queryAll does not find it either.
func (s *Org) HardDelete(id string) error { return s.bin(id, change{kind: "DELETE", erase: true}) }

// Undelete takes a row out of the recycle bin.
func (s *Org) Undelete(id string) error { return s.bin(id, change{kind: "UNDELETE"}) }

// Merge deletes the loser, which then names the winner as its master. The winner's other
// fields stay; its children are not moved.
func (s *Org) Merge(winner, loser string) error {
	if err := s.Update(nil, winner); err != nil {
		return err
	}
	return s.bin(loser, change{kind: "DELETE", master: winner})
}

func (s *Org) bin(id string, c change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.binned(id, "", c)
}

func (s *Org) binned(id, origin string, c change) error {
	r := s.find(id)
	if r == nil || r.last().erased {
		return notFound()
	}
	if r.last().deleted == (c.kind == "DELETE") && !c.erase {
		return gone()
	}
	c.id = r.id
	if c.kind == "UNDELETE" {
		c.values = map[string]any{"MasterRecordId": nil}
	}
	return s.commit(r.object, origin, c)
}
