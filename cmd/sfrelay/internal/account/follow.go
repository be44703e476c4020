package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"sfrelay/cmd/sfrelay/internal/verdicts"
	"sfrelay/shared/deadletter"
)

// Follow reads what the consumers log from since on.
func Follow(ctx context.Context, cfg aws.Config, consumers []deadletter.Consumer, since time.Time) (*verdicts.Reader, error) {
	var functions []string
	for _, c := range consumers {
		functions = append(functions, c.Function)
	}
	return verdicts.Open(ctx, cfg, functions, since)
}

// FollowLocal does the same on the local stack. Its emulator reads what a function
// writes for 50 ms after the answer; on a busy machine the line comes later, and is
// then held back until the same process is invoked again. So where lines are overdue,
// the functions are invoked with an empty SQS batch, about which no consumer does
// anything. The first free process takes an invocation: as many at once as there may
// be processes reach them all.
func FollowLocal(ctx context.Context, cfg aws.Config, consumers []deadletter.Consumer, since time.Time) (*verdicts.Reader, error) {
	const (
		processes = 8
		patience  = 2500 * time.Millisecond // longer than the first scaled pause of Lambda
	)
	r, err := Follow(ctx, cfg, consumers, since)
	if err != nil {
		return nil, err
	}
	client := lambda.NewFromConfig(cfg)
	r.WhenOverdue(patience, func(ctx context.Context, names []string) error {
		var group sync.WaitGroup
		failures := make(chan error, processes*len(consumers))
		for _, c := range consumers {
			if !slices.Contains(names, c.Name) {
				continue
			}
			for range processes {
				group.Go(func() {
					in := &lambda.InvokeInput{FunctionName: &c.Function, Payload: []byte(`{"Records":[]}`)}
					if _, err := client.Invoke(ctx, in); err != nil {
						failures <- fmt.Errorf("asking %s for its log: %w", c.Name, err)
					}
				})
			}
		}
		group.Wait()
		close(failures)
		var errs []error
		for err := range failures {
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
	return r, nil
}
