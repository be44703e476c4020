package orgsandbox

import (
	"net/http"
	"regexp"
	"strings"

	"sfrelay/shared/salesforce"
)

// object is that of the request's path; names of objects have no case in REST either.
func (s *Org) object(c *call) (*object, error) {
	for _, o := range s.objects {
		if strings.EqualFold(o.name, c.PathValue("object")) && !s.hidden[o.name] {
			return o, nil
		}
	}
	if o := s.ownEvent(c.PathValue("object")); o != nil {
		return o, nil
	}
	return nil, notFound()
}

var ownEventForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*__e$`)

// ownEvent is a platform event of somebody's own consumer: the org has each, unless a fault
// hides it, with the field that every event has. What else it has only its own org knows.
func (s *Org) ownEvent(name string) *object {
	if s.hidden[name] || !ownEventForm.MatchString(name) {
		return nil
	}
	if s.objects[name] == nil {
		s.objects[name] = platformEvent(name, text(36, "Event_Id__c"))
	}
	return s.objects[name]
}

// origin is the changeOrigin of what this call writes.
func (c *call) origin() string {
	client := ""
	for part := range strings.SplitSeq(c.Header.Get("Sforce-Call-Options"), ",") {
		if name, value, ok := strings.Cut(strings.TrimSpace(part), "="); ok && name == "client" {
			client = value
		}
	}
	return "com/salesforce/api/rest/" + strings.TrimPrefix(c.version, "v") + ";client=" + client
}

// insert makes a row, or publishes a platform event.
func (s *Org) insert(c *call) (*answer, error) {
	o, err := s.object(c)
	if err != nil {
		return nil, err
	}
	var values map[string]any
	if err := c.json(&values); err != nil {
		return nil, err
	}
	if o.event {
		values, err := s.checked(o, values)
		if err != nil {
			return nil, err
		}
		uuid := s.publish(o, values)
		enqueued := pairs{{"statusCode", "OPERATION_ENQUEUED"}, {"message", uuid}, {"fields", []string{}}}
		return &answer{status: http.StatusCreated, body: pairs{{"id", s.newID(o.prefix)}, {"success", true}, {"errors", []pairs{enqueued}}}}, nil
	}
	if o.setup {
		return nil, refuse(http.StatusBadRequest, "INVALID_TYPE_FOR_OPERATION", "entity type %s does not support create", o.name)
	}
	id, err := s.create(o.name, "", values, c.origin())
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusCreated, body: pairs{{"id", id}, {"success", true}, {"errors", []any{}}}}, nil
}

// one finds the row of the path and what is committed of it.
func (s *Org) one(c *call) (*object, *record, *state, error) {
	o, err := s.object(c)
	if err != nil {
		return nil, nil, nil, err
	}
	id, err := salesforce.ID18(c.PathValue("id"))
	if err != nil {
		return nil, nil, nil, refuse(http.StatusNotFound, "NOT_FOUND", "Provided external ID field does not exist or is not accessible: %s", c.PathValue("id"))
	}
	r := s.records[id]
	if r == nil || r.object != o || r.at(s.now()) == nil {
		return nil, nil, nil, notFound()
	}
	v := r.at(s.now())
	if v.deleted {
		return nil, nil, nil, gone()
	}
	return o, r, v, nil
}

func (s *Org) retrieve(c *call) (*answer, error) {
	o, r, _, err := s.one(c)
	if err != nil {
		return nil, err
	}
	read := &reader{org: s, version: c.version, now: s.now()}
	fields := read.everything(o)
	if named := c.URL.Query().Get("fields"); named != "" {
		if fields, err = s.named(o, strings.Split(named, ",")); err != nil {
			return nil, err
		}
		fields = withID(fields)
	}
	row, err := read.row(o, r, fields)
	if err != nil {
		return nil, err
	}
	return ok(row)
}

// named are columns by the names of fields, each of which has to be visible.
func (s *Org) named(o *object, names []string) (fields []selected, err error) {
	for _, n := range names {
		f := o.field(strings.TrimSpace(n))
		if f == nil || s.hidden[o.name+"."+f.name] {
			return nil, refuse(http.StatusBadRequest, "INVALID_FIELD", "No such column '%s' on sobject of type %s", n, o.name)
		}
		fields = append(fields, selected{path: []token{{text: f.name}}})
	}
	return fields, nil
}

func withID(fields []selected) []selected {
	for _, f := range fields {
		if f.path[0].text == "Id" {
			return fields
		}
	}
	return append(fields, selected{path: []token{{text: "Id"}}})
}

func (s *Org) update(c *call) (*answer, error) {
	_, r, _, err := s.one(c)
	if err != nil {
		return nil, err
	}
	var values map[string]any
	if err := c.json(&values); err != nil {
		return nil, err
	}
	if r.object.setup {
		return nil, refuse(http.StatusBadRequest, "INVALID_TYPE_FOR_OPERATION", "entity type %s does not support update", r.object.name)
	}
	if err := s.modify(c.origin(), values, r.id); err != nil {
		return nil, err
	}
	return noContent()
}

func (s *Org) remove(c *call) (*answer, error) {
	_, r, _, err := s.one(c)
	if err != nil {
		return nil, err
	}
	if r.object.setup {
		return nil, refuse(http.StatusBadRequest, "INVALID_TYPE_FOR_OPERATION", "entity type %s does not support delete", r.object.name)
	}
	if err := s.binned(r.id, c.origin(), change{kind: "DELETE"}); err != nil {
		return nil, err
	}
	return noContent()
}

// mostRetrieved is how many rows one collection call may ask for.
const mostRetrieved = 2000

// collection gives many rows of one object in the order of their ids, with null for each
// that is missing, deleted or not to be seen: the three look alike.
func (s *Org) collection(c *call) (*answer, error) {
	o, err := s.object(c)
	if err != nil || o.event {
		return nil, notFound()
	}
	var asked struct{ IDs, Fields []string }
	if c.Method == http.MethodGet {
		q := c.URL.Query()
		asked.IDs, asked.Fields = strings.Split(q.Get("ids"), ","), strings.Split(q.Get("fields"), ",")
	} else if err := c.json(&asked); err != nil {
		return nil, err
	}
	if len(asked.IDs) > mostRetrieved {
		return nil, refuse(http.StatusBadRequest, "EXCEEDED_ID_LIMIT", "record limit reached. cannot submit more than %d records in this request", mostRetrieved)
	}
	fields, err := s.named(o, asked.Fields)
	if err != nil {
		return nil, err
	}
	read := &reader{org: s, version: c.version, now: s.now()}
	rows := []any{}
	for _, id := range asked.IDs {
		r := s.find(id)
		if r == nil || r.object != o || r.at(read.now) == nil || r.at(read.now).deleted || s.takes(nullRecord, o.name, r.id) {
			rows = append(rows, nil)
			continue
		}
		row, err := read.row(o, r, withID(fields))
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return ok(rows)
}
