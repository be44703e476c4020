// Package sweep asks an org which of its records changed, and for all of them: what one has
// to know to repair what events did not bring.
package sweep

import (
	"context"
	"errors"
	"net/url"
	"time"

	"sfrelay/shared/jsonobject"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/salesforce/api"
)

// Window is what changed between two times.
type Window struct {
	IDs     []string
	Covered time.Time // until here the answer is complete: where the next window begins
}

// Updated is the ids of records that were made or changed. The org cuts the seconds, and goes
// back 30 days.
func Updated(ctx context.Context, c *api.Client, object string, start, end time.Time) (Window, error) {
	return window(ctx, c, object, "updated", start, end)
}

// Deleted is Updated for records that were deleted.
func Deleted(ctx context.Context, c *api.Client, object string, start, end time.Time) (Window, error) {
	return window(ctx, c, object, "deleted", start, end)
}

func window(ctx context.Context, c *api.Client, name, which string, start, end time.Time) (w Window, err error) {
	const layout = "2006-01-02T15:04:00+00:00"
	r := api.Request{What: which + " " + name, Path: "sobjects/" + name + "/" + which + "/",
		Query: url.Values{"start": {start.UTC().Format(layout)}, "end": {end.UTC().Format(layout)}}}
	if !api.IsName(name) || r.Query.Get("start") >= r.Query.Get("end") {
		return w, &api.Error{What: which, Code: api.InvalidRequest, Err: errors.New("want an object, and an end in a later minute than the start")}
	}
	text, err := c.Text(ctx, r)
	if err != nil {
		return w, err
	}
	answer, _ := jsonobject.Map(text) // what is read shows below
	list, listed := answer["ids"]
	if which == "deleted" {
		list, listed = answer["deletedRecords"]
	}
	all, err := jsonobject.List(list)
	for _, v := range all {
		if which == "deleted" {
			fields, _ := jsonobject.Map(v)
			v = fields["id"]
		}
		id, _ := jsonobject.Text(v)
		id, bad := salesforce.ID18(id)
		w.IDs, err = append(w.IDs, id), errors.Join(err, bad)
	}
	covered, _ := jsonobject.Text(answer["latestDateCovered"])
	var bad error
	if w.Covered, bad = time.Parse("2006-01-02T15:04:05Z0700", covered); !listed || errors.Join(err, bad) != nil {
		return Window{}, r.Unreadable("it lacks ids or latestDateCovered")
	}
	return w, nil
}
