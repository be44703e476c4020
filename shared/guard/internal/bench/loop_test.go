package bench_test

import (
	"context"
	"fmt"
	"os"
)

// loop takes events through a contender and nothing else: what callgrind counts. The
// difference of two runs is what the events cost.
func loop(args string) error {
	var which, events int
	var endpoint, table string
	if _, err := fmt.Sscanf(args, "%d %d %s %s", &which, &events, &endpoint, &table); err != nil {
		return err
	}
	do, err := contenders[which].open(config(endpoint), table)
	if err != nil {
		return err
	}
	for i := range events {
		if got, err := do(context.Background(), record(which, i), yes); got != applied {
			return fmt.Errorf("event %d: %s: %w", i, got, err)
		}
	}
	fmt.Fprintln(os.Stderr, events, "events")
	return nil
}
