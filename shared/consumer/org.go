package consumer

import (
	"context"
	"time"

	"sfrelay/shared/salesforce/api"
)

// Org is the org that is asked for what an event leaves out.
type Org interface {
	Query(ctx context.Context, s api.Select, each func(*api.Record) error) error
	Fates(ctx context.Context, object string, ids []string) (map[string]api.Fate, error)
	// Changed lists the records that were made, changed or deleted between two times. Until
	// covered the list is complete.
	Changed(ctx context.Context, object string, from, to time.Time) (ids []string, covered time.Time, err error)
}
