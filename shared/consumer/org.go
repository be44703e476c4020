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
	Updated(ctx context.Context, object string, start, end time.Time) (api.Window, error)
	Deleted(ctx context.Context, object string, start, end time.Time) (api.Window, error)
}
