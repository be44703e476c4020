package deadletter_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sfrelay/shared/deadletter"
)

// What is dropped was written down before, whenever the process is killed.
func TestADropIsWrittenDownFirst(t *testing.T) {
	for step := 1; ; step++ {
		killed := false
		synctest.Test(t, func(t *testing.T) {
			r := newRemote(100 * time.Millisecond)
			r.put(23, "in-doubt")
			r.put(20, "throttled")
			r.dies = func(call int) (bool, bool) {
				killed = killed || call >= step
				return call > step, call >= step
			}
			written := map[string]bool{}
			dropped := 0
			drop := func() error {
				_, err := r.queues().Drop(t.Context(), deadletter.Query{Filter: deadletter.Filter{Class: "in-doubt"}}, func(all []deadletter.Message) error {
					for _, m := range all {
						written[m.ID] = true
					}
					return nil
				}, func(deadletter.Message) { dropped++ })
				return err
			}
			if err := drop(); killed && !errors.Is(err, errDead) && dropped < 23 {
				t.Errorf("step %d: %v", step, err)
			}
			for _, m := range r.all {
				if m.gone && !written[m.id] {
					t.Errorf("step %d: %s was deleted and not written down", step, m.id)
				}
			}
			r.dies = nil
			time.Sleep(deadletter.HeldFor)
			if err := drop(); err != nil {
				t.Errorf("step %d: run again: %v", step, err)
			}
			if n, hidden := r.left(); n != 20 || hidden != 0 || slices.ContainsFunc(r.all[23:], func(m *lying) bool { return m.gone }) {
				t.Errorf("step %d: %d left, %d hidden", step, n, hidden)
			}
		})
		if !killed {
			break
		}
	}
}

// What cannot be written down is not dropped, and a limit holds.
func TestWhatIsNotDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote(100 * time.Millisecond)
		r.put(50, "in-doubt")
		refused := errors.New("no log")
		if _, err := r.queues().Drop(t.Context(), deadletter.Query{}, func([]deadletter.Message) error { return refused }, nil); !errors.Is(err, refused) {
			t.Error(err)
		}
		if n, hidden := r.left(); n != 50 || hidden != 0 {
			t.Errorf("%d left, %d hidden", n, hidden)
		}
		if _, err := r.queues().Drop(t.Context(), deadletter.Query{Limit: 3}, func([]deadletter.Message) error { return nil }, func(deadletter.Message) {}); err != nil {
			t.Error(err)
		}
		if n, hidden := r.left(); n != 47 || hidden != 0 {
			t.Errorf("%d left, %d hidden", n, hidden)
		}
	})
}
