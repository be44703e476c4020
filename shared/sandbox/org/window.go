package orgsandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// mostIDs is what one window of changed ids may hold.
const mostIDs = 600_000

// back is how far the windows reach.
const back = 30 * 24 * time.Hour

// span reads a window. Salesforce ignores seconds.
func (s *Org) span(c *call) (from, to time.Time, err error) {
	q := c.URL.Query()
	from, err = moment(q, "start")
	if err == nil {
		to, err = moment(q, "end")
	}
	switch {
	case err != nil:
	case !to.After(from):
		err = refuse(http.StatusBadRequest, "INVALID_REPLICATION_DATE", "endDate must be at least one minute greater than startDate")
	case from.Before(s.now().Add(-back)):
		err = refuse(http.StatusBadRequest, "INVALID_REPLICATION_DATE", "startDate cannot be more than 30 days ago")
	}
	return from, to, err
}

func moment(q url.Values, name string) (time.Time, error) {
	// A plus sign that nobody escaped is a space.
	text := strings.ReplaceAll(q.Get(name), " ", "+")
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05.999Z0700"} {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC().Truncate(time.Minute), nil
		}
	}
	return time.Time{}, refuse(http.StatusBadRequest, "INVALID_REPLICATION_DATE", "%s: %s is not a dateTime", name, text)
}

// covered is the latest time that a window is known to be complete up to: the start of
// the longest open transaction, for that may still commit rows with older stamps.
func (s *Org) covered(to time.Time) time.Time {
	now := s.now()
	latest := to
	if now.Before(latest) {
		latest = now.Truncate(time.Minute)
	}
	for _, w := range s.open {
		if w.until.After(now) && w.from.Before(latest) {
			latest = w.from
		}
	}
	return latest
}

// changedIn are the rows with a stamp in the window, as far as they are committed.
func (s *Org) changedIn(o *object, from, to time.Time, deleted bool) (rows []*record) {
	now := s.now()
	for _, r := range s.order[o.name] {
		v := r.at(now)
		if v == nil && len(r.versions) > 0 && r.last().erased && !r.last().from.After(now) {
			v = r.last() // getDeleted knows rows that queryAll does not
		}
		if v != nil && v.deleted == deleted && !v.stamp.Before(from) && v.stamp.Before(to) {
			rows = append(rows, r)
		}
	}
	return rows
}

func (s *Org) window(c *call, deleted bool) (*object, []*record, time.Time, error) {
	o, err := s.object(c)
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	if o.event || o.setup {
		return nil, nil, time.Time{}, refuse(http.StatusBadRequest, "INVALID_TYPE_FOR_OPERATION", "entity type %s is not replicateable", o.name)
	}
	from, to, err := s.span(c)
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	rows := s.changedIn(o, from, to, deleted)
	if len(rows) > mostIDs || s.floods(o.name, from, to) {
		return nil, nil, time.Time{}, refuse(http.StatusBadRequest, "EXCEEDED_ID_LIMIT", "exceeded max of %d ids in the result; use a smaller window", mostIDs)
	}
	return o, rows, s.covered(to), nil
}

func (s *Org) updated(c *call) (*answer, error) {
	_, rows, covered, err := s.window(c, false)
	if err != nil {
		return nil, err
	}
	ids := []string{}
	for _, r := range rows {
		ids = append(ids, r.id)
	}
	return ok(pairs{{"ids", ids}, {"latestDateCovered", covered.Format(restTime)}})
}

func (s *Org) deleted(c *call) (*answer, error) {
	_, rows, covered, err := s.window(c, true)
	if err != nil {
		return nil, err
	}
	gone := []pairs{}
	for _, r := range rows {
		gone = append(gone, pairs{{"deletedDate", r.last().stamp.Format(restTime)}, {"id", r.id}})
	}
	earliest := s.now().Add(-back).Truncate(time.Minute)
	return ok(pairs{{"deletedRecords", gone}, {"earliestDateAvailable", earliest.Format(restTime)}, {"latestDateCovered", covered.Format(restTime)}})
}

// floods reports whether a window covers the whole of the hour in which 600,001 ids are
// said to have changed.
func (s *Org) floods(object string, from, to time.Time) bool {
	return slices.ContainsFunc(s.faults, func(f *Fault) bool {
		return f.Name == tooManyIDs && (f.Object == "" || f.Object == object) && !from.After(f.since.Add(-time.Hour)) && !to.Before(f.since)
	})
}
