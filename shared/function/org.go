package function

import (
	"context"
	"slices"
	"time"

	"sfrelay/shared/salesforce/api"
	"sfrelay/shared/salesforce/sweep"
)

// org is the org that the consumer asks.
type org struct{ *api.Client }

// Changed implements consumer.Org with the two lists that the org keeps.
func (o org) Changed(ctx context.Context, object string, from, to time.Time) (ids []string, covered time.Time, err error) {
	updated, err := sweep.Updated(ctx, o.Client, object, from, to)
	if err != nil {
		return nil, covered, err
	}
	deleted, err := sweep.Deleted(ctx, o.Client, object, from, to)
	if err != nil {
		return nil, covered, err
	}
	if covered = updated.Covered; deleted.Covered.Before(covered) {
		covered = deleted.Covered
	}
	return slices.Concat(updated.IDs, deleted.IDs), covered, nil
}

// MergedInto implements consumer.Merges. Where the org is not asked it knows nothing.
func (f *Function) MergedInto(ctx context.Context, object, id string) (into string, gone bool, err error) {
	if f.org == nil {
		return "", false, nil
	}
	fates, err := f.org.Fates(ctx, object, []string{id})
	fate := fates[id]
	return fate.Master, fate.Deleted && fate.Master == "", err
}
