// Package audit writes what people did with the queues and the guard's items into a log group
// of its own. A line holds ids and reasons, never a field value.
package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/google/uuid"
)

// Line is what somebody did.
type Line struct {
	At       time.Time `json:"time"`
	By       string    `json:"by"`     // ARN
	Action   string    `json:"action"` // drop, export, import, redrive, or that of a record
	Reason   string    `json:"reason,omitempty"`
	Queue    string    `json:"queue,omitempty"`
	Message  string    `json:"message,omitempty"`
	Consumer string    `json:"consumer,omitempty"`
	Class    string    `json:"class,omitempty"`
	Org      string    `json:"org,omitempty"`
	Subjects []string  `json:"subjects,omitempty"`
	Event    string    `json:"event,omitempty"`  // identity
	Chosen   string    `json:"chosen,omitempty"` // the flags that chose messages
	File     string    `json:"file,omitempty"`   // SHA-256
	Count    int       `json:"count,omitempty"`
	Item     string    `json:"item,omitempty"` // key of the guard's
	Before   any       `json:"before,omitempty"`
	After    any       `json:"after,omitempty"`
}

// Log is the log group, and who writes into it.
type Log struct {
	client *cloudwatchlogs.Client
	group  string
	by     string
	stream string
	now    func() time.Time
}

// ErrNoGroup is of a stack that has none: of an earlier version.
var ErrNoGroup = errors.New("the stack has no output AuditLogGroup; deploy this version with make deploy")

// New is the log group of a stack. It needs logs:CreateLogStream and logs:PutLogEvents there.
func New(cfg aws.Config, group, by string) (*Log, error) {
	if group == "" {
		return nil, ErrNoGroup
	}
	return &Log{client: cloudwatchlogs.NewFromConfig(cfg), group: group, by: by, now: time.Now}, nil
}

// mostEvents is how many lines one call takes (CloudWatch Logs API Reference, PutLogEvents: 10,000
// and 1 MiB).
const mostEvents = 500

// Write adds lines. Each command has a stream of its own, so nobody else writes into it.
func (l *Log) Write(ctx context.Context, lines ...Line) error {
	if l.stream == "" {
		stream := l.now().UTC().Format("2006/01/02/") + uuid.NewString()
		if _, err := l.client.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &l.group, LogStreamName: &stream}); err != nil {
			return fmt.Errorf("the audit log %s: %w", l.group, err)
		}
		l.stream = stream
	}
	for chunk := range slices.Chunk(lines, mostEvents) {
		in := &cloudwatchlogs.PutLogEventsInput{LogGroupName: &l.group, LogStreamName: &l.stream}
		for _, line := range chunk {
			line.At, line.By = l.now().UTC(), l.by
			text, err := json.Marshal(line)
			if err != nil {
				return err
			}
			in.LogEvents = append(in.LogEvents, types.InputLogEvent{Timestamp: aws.Int64(line.At.UnixMilli()), Message: aws.String(string(text))})
		}
		out, err := l.client.PutLogEvents(ctx, in)
		if err == nil && out.RejectedLogEventsInfo != nil {
			err = errors.New("CloudWatch took not all lines; check the clock of this machine")
		}
		if err != nil {
			return fmt.Errorf("the audit log %s: %w", l.group, err)
		}
	}
	return nil
}
