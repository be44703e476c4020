package api

import (
	"cmp"
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
		fields, _ = jsonobject.Map(v)
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

// SOQL is the statement, where behind it. It refuses whatever is no API name: a statement
// holds nothing else.
func (s Select) SOQL(where string) (string, error) {
	list := strings.Join(withID(s.Fields), ",")
	for _, c := range s.Children {
		child, err := Select{Object: c.Object, Fields: c.Fields}.SOQL("")
		if err != nil {
			return "", err
		}
		list += ",(" + child + ")"
	}
	if !IsName(s.Object) || slices.ContainsFunc(s.Fields, func(path string) bool { return !IsName(strings.Split(path, ".")...) }) {
		return "", &Error{What: "query", Code: InvalidRequest, Err: errors.New("an object, relationship or field is no API name")}
	}
	return "SELECT " + list + " FROM " + s.Object + where, nil
}

func withID(fields []string) []string {
	if slices.Contains(fields, "Id") {
		return fields
	}
	return append([]string{"Id"}, fields...)
}

// IsName reports whether all are API names.
func IsName(names ...string) bool {
	return !slices.ContainsFunc(names, func(n string) bool {
		return n == "" || len(n) > 255 || strings.Trim(n, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") != ""
	})
}

// distinct is the ids, each once and with 18 characters.
func (s Select) distinct() (ids []string, err error) {
	for _, id := range s.IDs {
		if id, err = salesforce.ID18(id); err != nil {
			return nil, &Error{What: "query " + s.Object, Code: InvalidRequest, Err: err}
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// Retrieve is records by id, of 18 characters. One that is not there is deleted, merged, or
// hidden from the integration user. Fields of parents cannot be asked for.
func (c *Client) Retrieve(ctx context.Context, object string, ids, fields []string) (map[string]*Record, error) {
	s := Select{Object: object, Fields: withID(fields), IDs: ids}
	ids, err := s.distinct()
	if _, bad := s.SOQL(""); bad != nil || err != nil {
		return nil, cmp.Or(bad, err)
	}
	r := Request{What: "retrieve " + object, Path: "composite/sobjects/" + object, Fields: s.Fields}
	found := make(map[string]*Record, len(ids))
	for some := range slices.Chunk(ids, mostIDs) {
		r.Body = `{"ids":["` + strings.Join(some, `","`) + `"],"fields":["` + strings.Join(r.Fields, `","`) + `"]}`
		text, err := c.Text(ctx, r)
		if err != nil {
			return nil, err
		}
		all, err := jsonobject.List(text)
		if err != nil || len(all) != len(some) { // a short answer must not look like deleted records
			return nil, r.Unreadable("it is no array of as many records as ids")
		}
		for i, v := range all {
			if v.Kind() == 'n' {
				continue
			}
			rec, err := c.record(ctx, r, v, s)
			if err != nil {
				return nil, err
			}
			if rec.text("Id") != some[i] {
				return nil, r.Unreadable("the records are not in the order of the ids")
			}
			found[some[i]] = rec
		}
	}
	return found, nil
}

// Query hands over the records of a statement, all pages. An error of each ends it.
func (c *Client) Query(ctx context.Context, s Select, each func(*Record) error) error {
	ids, err := s.distinct()
	if _, bad := s.SOQL(""); bad != nil || err != nil {
		return cmp.Or(bad, err)
	}
	r := Request{What: "query " + s.Object, Path: map[bool]string{false: "query", true: "queryAll"}[s.Deleted], Fields: slices.Clone(s.Fields)}
	for _, child := range s.Children {
		r.Fields = append(r.Fields, child.Fields...)
	}
	wheres := []string{""}
	if !s.All {
		wheres = nil
		for some := range slices.Chunk(ids, idsInQuery) {
			wheres = append(wheres, " WHERE Id IN ('"+strings.Join(some, "','")+"')")
		}
	}
	for _, where := range wheres {
		soql, _ := s.SOQL(where) // was made before
		r.Query = url.Values{"q": {soql}}
		if err := c.pages(ctx, r, nil, s, each); err != nil {
			return err
		}
	}
	return nil
}

// pages hands over the records of a page, which is asked for where text has none, and of
// those behind it.
func (c *Client) pages(ctx context.Context, r Request, text []byte, s Select, each func(*Record) error) (err error) {
	for range mostPages {
		if text == nil {
			if text, err = c.Text(ctx, r); err != nil {
				return err
			}
		}
		page, err := jsonobject.Map(text)
		next, _ := jsonobject.Text(page["nextRecordsUrl"])
		done := string(page["done"]) == "true"
		if err != nil || page["records"].Kind() != '[' || done != (next == "") {
			return r.Unreadable("it is no page of records, the last one or with a next one")
		}
		all, _ := jsonobject.List(page["records"]) // was read already
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
		if r, err = c.follow(r, next); err != nil {
			return err
		}
		text = nil
	}
	return r.Unreadable("the pages have no end")
}

// record reads one record. Every field has to be there: a missing one would be taken for null.
func (c *Client) record(ctx context.Context, r Request, text []byte, s Select) (*Record, error) {
	fields, err := jsonobject.Map(text)
	if err != nil {
		return nil, r.Unreadable("a record is no object")
	}
	rec := &Record{Fields: fields, Children: map[string][]*Record{}}
	for _, f := range s.Fields {
		if _, ok := rec.Value(f); !ok {
			return nil, &Error{What: r.What, Code: codeMissing, Field: f}
		}
	}
	for _, child := range s.Children {
		v, ok := fields[child.Object]
		delete(fields, child.Object)
		if !ok {
			return nil, &Error{What: r.What, Code: codeMissing, Field: child.Object}
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
	Master  string    // the record that it was merged into; empty: none
	Stamp   time.Time // SystemModstamp: a deletion moves it
}

// Fates says of records what the org still knows of them, for the 15 days that the recycle
// bin keeps them. One that is not there is gone for good, or hidden.
func (c *Client) Fates(ctx context.Context, object string, ids []string) (map[string]Fate, error) {
	s := Select{Object: object, Fields: []string{"IsDeleted", "SystemModstamp"}, IDs: ids, Deleted: true}
	switch object {
	case "Account", "Case", "Contact", "Lead": // only these can be merged
		s.Fields = append(s.Fields, "MasterRecordId")
	}
	fates := map[string]Fate{}
	err := c.Query(ctx, s, func(rec *Record) error {
		stamp, err := salesforce.ValueOf(rec.Fields["SystemModstamp"]).DateTime()
		fates[rec.text("Id")] = Fate{string(rec.Fields["IsDeleted"]) == "true", rec.text("MasterRecordId"), stamp}
		return err
	})
	return fates, err
}
