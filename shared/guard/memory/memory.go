// Package memory is a guard's store in the memory of one process: for tests and
// for the local try-out of a consumer. It evaluates the same conditions that the
// DynamoDB store sends.
package memory

import (
	"context"
	"errors"
	"slices"
	"sync"

	"sfrelay/shared/guard"
)

// Store keeps items in a map. The zero value is ready.
type Store struct {
	mu    sync.Mutex
	items map[string]guard.Record
}

var _ guard.Store = (*Store)(nil)

// ErrInvalid is DynamoDB's ValidationException: the update itself cannot be made.
var ErrInvalid = errors.New("memory: invalid update")

// Write implements guard.Store.
func (s *Store) Write(ctx context.Context, w guard.Write) (guard.Record, bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.items[w.Key]
	if !w.If.Holds(old) {
		return slices.Clone(old), false, nil
	}
	next, ok := w.Apply(old)
	if !ok {
		return nil, false, ErrInvalid
	}
	if s.items == nil {
		s.items = make(map[string]guard.Record)
	}
	s.items[w.Key] = next
	if !w.ReturnOld {
		return nil, true, nil
	}
	return old, true, nil // Apply made a new record; nobody else holds the old one
}

// Read implements guard.Store.
func (s *Store) Read(ctx context.Context, key string) (guard.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.items[key]), nil
}
