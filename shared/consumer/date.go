package consumer

import (
	"errors"
	"reflect"
	"time"

	"sfrelay/shared/salesforce"
)

// Date is a Date field, or the date of a Date/Time field, in either dialect: YYYY-MM-DD,
// ISO 8601, or milliseconds since 1970. It is midnight UTC; the zero Date is none. The
// date of a Date/Time is the one that is written, whatever its offset.
type Date struct{ time.Time }

var (
	dates      = reflect.TypeFor[Date]()
	errNotDate = errors.New("is not a date: write YYYY-MM-DD")
)

func setDate(dst reflect.Value, v salesforce.Value) error {
	t, err := v.DateTime()
	if err != nil {
		return errNotDate
	}
	if text, err := v.Text(); err == nil && v.Raw()[0] == '"' {
		if t, err = time.Parse(time.DateOnly, text[:min(len(text), len(time.DateOnly))]); err != nil {
			return errNotDate
		}
	} else if salesforce.TooOld(t) {
		return errors.New("is a number that lies before 1999: write milliseconds since 1970, not seconds, or YYYY-MM-DD")
	}
	dst.Set(reflect.ValueOf(Date{t.UTC().Truncate(24 * time.Hour)}))
	return nil
}

// DateTime is a Date/Time field in either dialect, or midnight UTC of a Date field. The zero
// DateTime is none.
type DateTime struct{ time.Time }

var dateTimes = reflect.TypeFor[DateTime]()

func setDateTime(dst reflect.Value, v salesforce.Value) error {
	t, err := v.DateTime()
	if err != nil {
		return errors.New("is not a date with time: write YYYY-MM-DDThh:mm:ss.000Z")
	}
	dst.Set(reflect.ValueOf(DateTime{t.UTC()}))
	return nil
}
