package api

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"sfrelay/shared/jsonobject"
	"sfrelay/shared/salesforce"
)

const (
	mostIDs    = 2000  // of a retrieve (REST API Developer Guide, "Get Multiple Records with Fewer Round-Trips")
	idsInQuery = 300   // they stand in the address, which may have 16,384 bytes
	mostPages  = 10000 // an org that never says done is broken
)

// Record is what the org says of a record.
type Record struct {
	Fields   map[string]jsontext.Value // by REST name, as sent
	Children map[string][]*Record      // by relationship, all pages
}

// Value is the JSON of a field, of a parent's as "Account.Name". Fields of a parent that does
// not exist are null. ok is false where the org said nothing: that is not null.
func (r *Record) Value(field string) (v jsontext.Value, ok bool) {
	fields := r.Fields
	for {
		if v, ok = fields[field]; ok {
			return v, true
		}
		parent, rest, _ := strings.Cut(field, ".")
		if v, ok = fields[parent]; !ok || v.Kind() != '{' {
			return v, ok && v.Kind() == 'n'
		}
		fields, _ = object(v)
		field = rest
	}
}

func (r *Record) text(field string) string {
	s, _ := jsonobject.Text(r.Fields[field])
	return s
}

// Select is one statement: records with their children, read at one moment.
type Select struct {
	Object   string
	Fields   []string // API names; Id is always read
	Children []Select // Object is the relationship; Fields only
	IDs      []string // of 15 or 18 characters; empty: nothing is asked
	All      bool     // every record, whatever IDs are
	Deleted  bool     // those in the recycle bin too
}

func (s Select) soql(where string) string {
	list := strings.Join(withID(s.Fields), ",")
	for _, c := range s.Children {
		list += ",(" + Select{Object: c.Object, Fields: c.Fields}.soql("") + ")"
	}
	return "SELECT " + list + " FROM " + s.Object + where
}

func withID(fields []string) []string {
	if slices.Contains(fields, "Id") {
		return fields
	}
	return append([]string{"Id"}, fields...)
}

// check is the ids, each once and with 18 characters. It refuses whatever is no API name and
// no id: a statement holds nothing else.
func (s Select) check() (ids []string, err error) {
	if strings.Contains(s.Object, ".") || slices.ContainsFunc(append([]string{s.Object}, s.Fields...), func(n string) bool { return !isPath(n) }) {
		return nil, &Error{What: "query", Code: codeInvalid, Err: errors.New("an object, relationship or field is no API name")}
	}
	for _, c := range s.Children {
		if _, err := c.check(); err != nil {
			return nil, err
		}
	}
	for _, id := range s.IDs {
		if id, err = salesforce.ID18(id); err != nil {
			return nil, &Error{What: "query " + s.Object, Code: codeInvalid, Err: err}
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// isPath takes API names, joined by dots.
func isPath(path string) bool {
	for name := range strings.SplitSeq(path, ".") {
		if name == "" || len(name) > 255 || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			return false
		}
	}
	return true
}

// Retrieve is records by id, of 18 characters. One that is not there is deleted, merged, or
// hidden from the integration user. Fields of parents cannot be asked for.
func (c *Client) Retrieve(ctx context.Context, object string, ids, fields []string) (map[string]*Record, error) {
	ids, err := Select{Object: object, Fields: fields, IDs: ids}.check()
	if err != nil {
		return nil, err
	}
	r := request{what: "retrieve " + object, path: "composite/sobjects/" + object, fields: withID(fields)}
	found := make(map[string]*Record, len(ids))
	for len(ids) > 0 {
		some := ids[:min(mostIDs, len(ids))]
		ids = ids[len(some):]
		r.body = `{"ids":["` + strings.Join(some, `","`) + `"],"fields":["` + strings.Join(r.fields, `","`) + `"]}`
		text, err := c.text(ctx, r)
		if err != nil {
			return nil, err
		}
		all, err := array(text)
		if err != nil || len(all) != len(some) { // a short answer must not look like deleted records
			return nil, r.unreadable("it is no array of as many records as ids")
		}
		for i, v := range all {
			if v.Kind() == 'n' {
				continue
			}
			rec, err := c.record(ctx, r, v, Select{Fields: r.fields})
			if err != nil {
				return nil, err
			}
			if rec.text("Id") != some[i] {
				return nil, r.unreadable("the records are not in the order of the ids")
			}
			found[some[i]] = rec
		}
	}
	return found, nil
}

// Query hands over the records of a statement, all pages. An error of each ends it.
func (c *Client) Query(ctx context.Context, s Select, each func(*Record) error) error {
	ids, err := s.check()
	if err != nil {
		return err
	}
	r := request{what: "query " + s.Object, path: "query"}
	if s.Deleted {
		r.path = "queryAll"
	}
	r.fields = slices.Clone(s.Fields)
	for _, child := range s.Children {
		r.fields = append(r.fields, child.Fields...)
	}
	for all := s.All; all || len(ids) > 0; all = false {
		where := ""
		if !s.All {
			some := ids[:min(idsInQuery, len(ids))]
			ids = ids[len(some):]
			where = " WHERE Id IN ('" + strings.Join(some, "','") + "')"
		} else {
			ids = nil
		}
		r.query = url.Values{"q": {s.soql(where)}}
		text, err := c.text(ctx, r)
		if err == nil {
			err = c.pages(ctx, r, text, s, each)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pages hands over the records of a page and of those behind it.
func (c *Client) pages(ctx context.Context, r request, text []byte, s Select, each func(*Record) error) error {
	for range mostPages {
		page, err := object(text)
		next, _ := jsonobject.Text(page["nextRecordsUrl"])
		done := string(page["done"]) == "true"
		if err != nil || page["records"].Kind() != '[' || done != (next == "") {
			return r.unreadable("it is no page of records, the last one or with a next one")
		}
		all, _ := array(page["records"]) // was read already
		for _, v := range all {
			rec, err := c.record(ctx, r, v, s)
			if err == nil {
				err = each(rec)
			}
			if err != nil {
				return err
			}
		}
		if done {
			return nil
		}
		if r, err = c.follow(r, next); err == nil {
			text, err = c.text(ctx, r)
		}
		if err != nil {
			return err
		}
	}
	return r.unreadable("the pages have no end")
}

// record reads one record. Every field has to be there: a missing one would be taken for null.
func (c *Client) record(ctx context.Context, r request, text []byte, s Select) (*Record, error) {
	fields, err := object(text)
	if err != nil {
		return nil, r.unreadable("a record is no object")
	}
	rec := &Record{Fields: fields, Children: map[string][]*Record{}}
	for _, f := range s.Fields {
		if _, ok := rec.Value(f); !ok {
			return nil, &Error{What: r.what, Code: codeMissing, Field: f}
		}
	}
	for _, child := range s.Children {
		v, ok := fields[child.Object]
		delete(fields, child.Object)
		if !ok {
			return nil, &Error{What: r.what, Code: codeMissing, Field: child.Object}
		}
		if v.Kind() == 'n' { // there are none
			continue
		}
		err := c.pages(ctx, r, v, child, func(of *Record) error {
			rec.Children[child.Object] = append(rec.Children[child.Object], of)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return rec, nil
}

// Fate is what became of a record that Retrieve does not find.
type Fate struct {
	Deleted bool
	Master  string // the record that it was merged into; empty: none
}

// Fates says of records what the org still knows of them, for the 15 days that the recycle
// bin keeps them. One that is not there is gone for good, or hidden.
func (c *Client) Fates(ctx context.Context, object string, ids []string) (map[string]Fate, error) {
	s := Select{Object: object, Fields: []string{"IsDeleted"}, IDs: ids, Deleted: true}
	switch object {
	case "Account", "Case", "Contact", "Lead": // only these can be merged
		s.Fields = append(s.Fields, "MasterRecordId")
	}
	fates := map[string]Fate{}
	err := c.Query(ctx, s, func(rec *Record) error {
		fates[rec.text("Id")] = Fate{string(rec.Fields["IsDeleted"]) == "true", rec.text("MasterRecordId")}
		return nil
	})
	return fates, err
}

// Window is what changed between two times.
type Window struct {
	IDs     []string
	Covered time.Time // until here the answer is complete: where the next window begins
}

// Updated is the ids of records that were made or changed. The org cuts the seconds, and goes
// back 30 days.
func (c *Client) Updated(ctx context.Context, object string, start, end time.Time) (Window, error) {
	return c.window(ctx, object, "updated", start, end)
}

// Deleted is Updated for records that were deleted.
func (c *Client) Deleted(ctx context.Context, object string, start, end time.Time) (Window, error) {
	return c.window(ctx, object, "deleted", start, end)
}

func (c *Client) window(ctx context.Context, name, which string, start, end time.Time) (w Window, err error) {
	const layout = "2006-01-02T15:04:00+00:00"
	r := request{what: which + " " + name, path: "sobjects/" + name + "/" + which + "/",
		query: url.Values{"start": {start.UTC().Format(layout)}, "end": {end.UTC().Format(layout)}}}
	if !isPath(name) || r.query.Get("start") >= r.query.Get("end") {
		return w, &Error{What: which, Code: codeInvalid, Err: errors.New("want an object, and an end in a later minute than the start")}
	}
	text, err := c.text(ctx, r)
	if err != nil {
		return w, err
	}
	answer, _ := object(text) // what is read shows below
	list, listed := answer["ids"]
	if which == "deleted" {
		list, listed = answer["deletedRecords"]
	}
	all, err := array(list)
	for _, v := range all {
		if which == "deleted" {
			fields, _ := object(v)
			v = fields["id"]
		}
		id, _ := jsonobject.Text(v)
		id, bad := salesforce.ID18(id)
		w.IDs, err = append(w.IDs, id), errors.Join(err, bad)
	}
	covered, _ := jsonobject.Text(answer["latestDateCovered"])
	var bad error
	if w.Covered, bad = time.Parse("2006-01-02T15:04:05Z0700", covered); !listed || errors.Join(err, bad) != nil {
		return Window{}, r.unreadable("it lacks ids or latestDateCovered")
	}
	return w, nil
}
