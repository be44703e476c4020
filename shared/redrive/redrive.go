// Package redrive is the function that hands failed messages to their consumers again, on a
// schedule.
package redrive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	awslambda "github.com/aws/aws-lambda-go/lambda"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"sfrelay/shared/awsclient"
	"sfrelay/shared/config"
	"sfrelay/shared/deadletter"
	"sfrelay/shared/failurebucket"
	"sfrelay/shared/telemetry"
)

// Main serves the schedule until the process is stopped.
func Main() {
	s, err := newScheduled(context.Background(), config.NewReader(os.LookupEnv))
	if err != nil {
		slog.New(slog.NewJSONHandler(os.Stdout, nil)).Error("the function cannot start", "error", err.Error())
		os.Exit(1)
	}
	awslambda.Start(s.run)
}

// scheduled is the redrive function.
type scheduled struct {
	queues *deadletter.Queues
	every  time.Duration
	log    *telemetry.Log
	now    func() time.Time
}

func newScheduled(ctx context.Context, r *config.Reader) (*scheduled, error) {
	s := &scheduled{every: 15 * time.Minute, now: time.Now}
	queues := []deadletter.Queue{
		{Name: "failure", URL: r.Required("FAILURE_QUEUE_URL", "the URL of the failure queue")},
		{Name: "delivery", URL: r.Required("DELIVERY_QUEUE_URL", "the URL of the delivery queue"), FromRules: true},
	}
	s.log = telemetry.New(os.Stdout, r.Optional("SERVICE_NAME", "sfrelay"), slog.LevelInfo).InStage(r.Optional("STAGE", ""))
	list := r.Required("CONSUMERS", "name, function, role id and buffer of each consumer")
	bucket := r.Required("FAILURE_BUCKET", "the name of the failure bucket")
	readsOrg := r.Optional("SALESFORCE_URL", "") != ""
	consumers, err := consumersOf(list)
	if list != "" {
		r.Check("CONSUMERS", err)
	}
	every, err := time.ParseDuration(r.Optional("REDRIVE_EVERY", "15m"))
	if err == nil && every < time.Minute {
		err = errors.New("want a minute or more")
	}
	r.Check("REDRIVE_EVERY", err)
	if err := r.Err(); err != nil {
		return nil, err
	}
	s.every = every
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithHTTPClient(awsclient.HTTPClient()))
	if err != nil {
		return nil, fmt.Errorf("AWS configuration: %w", err)
	}
	objects, err := failurebucket.New(cfg, bucket)
	if err != nil {
		return nil, err
	}
	s.queues = &deadletter.Queues{
		SQS: sqs.NewFromConfig(cfg), Lambda: lambda.NewFromConfig(cfg), List: queues, Consumers: consumers, ReadsOrg: readsOrg, Readers: 2, Fetch: objects.Get,
	}
	return s, nil
}

// consumersOf reads "name function role-id buffer, …" as template.yaml writes it.
func consumersOf(list string) (all []deadletter.Consumer, err error) {
	for part := range strings.SplitSeq(list, ",") {
		words := strings.Fields(part)
		if len(words) != 4 {
			return nil, fmt.Errorf("%q is not a consumer's name, function, role id and buffer", part)
		}
		all = append(all, deadletter.Consumer{Name: words[0], Function: words[1], RoleID: words[2], Buffer: words[3]})
	}
	return all, nil
}

// closes is what is kept of an invocation to show messages again.
const closes = 20 * time.Second

// run is one run of the schedule. It leaves one line. It never fails, so that no record of it
// lies beside what it redrives: what it could not do, the next run does.
func (s *scheduled) run(ctx context.Context, event json.RawMessage) error {
	var clock struct {
		Time time.Time `json:"time"`
	}
	if json.Unmarshal(event, &clock) != nil || clock.Time.IsZero() {
		clock.Time = s.now()
	}
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-closes))
		defer cancel()
	}
	left := map[string]int{}
	sum, err := s.queues.Scheduled(ctx, clock.Time, s.every, func(r deadletter.Result) {
		if r.Outcome == deadletter.Left {
			left[r.Class]++
		}
	})
	level, attrs := slog.LevelInfo, []slog.Attr{
		slog.String("at", clock.Time.UTC().Format(time.RFC3339)),
		slog.Int("taken", sum.Outcomes[deadletter.Taken]), slog.Int("parkedAgain", sum.Outcomes[deadletter.ParkedAgain]), slog.Int("left", sum.Outcomes[deadletter.Left]),
		slog.Int("seen", seen(sum.Counts)), slog.Any("leftByClass", left),
	}
	var measures []telemetry.Measure
	if err != nil {
		level, attrs = slog.LevelError, append(attrs, slog.String("error", err.Error()))
	} else {
		measures = append(measures, Oldest(age(sum.Oldest, clock.Time)))
	}
	s.log.Measured(s.now(), level, "redrive", attrs, measures)
	return nil
}

// Oldest is the age of the oldest message of both queues as a metric. SQS counts what was
// received three times out of its own (SQS Developer Guide, "Available CloudWatch metrics for
// Amazon SQS"), and every run receives all messages.
func Oldest(age time.Duration) telemetry.Measure {
	return telemetry.Measure{Name: "oldestFailedSeconds", Unit: "Seconds", Value: age.Seconds(), By: [][]string{{"service"}}}
}

func age(sent, now time.Time) time.Duration {
	if sent.IsZero() {
		return 0
	}
	return max(now.Sub(sent), 0)
}

func seen(counts []deadletter.Count) (n int) {
	for _, c := range counts {
		n += c.Seen
	}
	return n
}
