package consumer

import (
	"context"

	"sfrelay/shared/salesforce/api"
)

// Org is a Salesforce org that is asked for records.
type Org interface {
	Query(ctx context.Context, s api.Select, each func(*api.Record) error) error
	Fates(ctx context.Context, object string, ids []string) (map[string]api.Fate, error)
}
