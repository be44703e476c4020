package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"sfrelay/cmd/sfrelay/internal/audit"
	"sfrelay/shared/deadletter"
	"sfrelay/shared/transport"
)

// exported is one line of a file: a message whole, as it lay in its queue.
type exported struct {
	Version    int               `json:"sfrelay"` // of this form
	Queue      string            `json:"queue"`
	Message    string            `json:"message"`
	Consumer   string            `json:"consumer"`
	Class      string            `json:"class"`
	Sent       time.Time         `json:"sent"`
	Sender     string            `json:"sender,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Body       string            `json:"body"`
}

const exportVersion = 1

type dlqExportCommand struct {
	dlqFlags
	File  string `arg:"" help:"File to write; it must not exist. It holds field values, and only you may read it."`
	Limit int    `default:"0" help:"Most messages; 0 takes all."`
}

// Help is shown by export --help.
func (dlqExportCommand) Help() string {
	return "Writes the messages into a file, one JSON object a line, and leaves them in their queues. sfrelay dlq import puts such a file into a queue. " +
		"A message that lies in the failure bucket is written as the message that names the object."
}

// Run implements kong's interface of a command.
func (c *dlqExportCommand) Run(ctx context.Context, s *screen) error {
	at, err := c.openStack(ctx)
	if err != nil {
		return err
	}
	qs, err := c.queuesOf(at)
	if err != nil {
		return err
	}
	s.where(at.Where, false)
	f, err := os.OpenFile(c.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	filter, _ := c.filter(time.Now())
	n, sum, found, err := export(ctx, qs, deadletter.Query{Filter: filter, Limit: c.Limit, Progress: func(seen int) { s.Err.Status("%d messages read", seen) }}, f)
	s.Err.Status("")
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("%w; %s is not complete", err, c.File)
	}
	c.incomplete(s.Err, found, false)
	log, err := openAudit(ctx, at)
	if err == nil {
		err = log.Write(ctx, audit.Line{Action: "export", Chosen: c.words(), Count: n, File: sum})
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%w; %s was deleted, because nobody would know of it", err, c.File), os.Remove(c.File))
	}
	s.Out.Printf("%s in %s. They still lie in their queues.\nPut them into a queue with: %s\n", count(n, "message", "messages"), c.File, c.Command("dlq import "+shellWord(c.File)))
	return nil
}

// export writes what the query chooses, and says how many messages that are and the SHA-256 of all.
func export(ctx context.Context, qs *deadletter.Queues, query deadletter.Query, to io.Writer) (n int, sum string, found *deadletter.Reading, err error) {
	hash := sha256.New()
	out := bufio.NewWriter(io.MultiWriter(to, hash))
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	query.Each = func(m deadletter.Message) error {
		n++
		return enc.Encode(exported{exportVersion, m.Queue.Name, m.ID, m.Consumer, string(m.Class), m.Sent, m.Sender, m.Custom, m.Body})
	}
	found, err = qs.Read(ctx, query)
	err = errors.Join(err, out.Flush())
	return n, hex.EncodeToString(hash.Sum(nil)), found, err
}

type dlqImportCommand struct {
	dlqFlags
	consent
	File   string `arg:"" help:"File that export has written."`
	DryRun bool   `help:"Only check the file."`
}

// Help is shown by import --help.
func (dlqImportCommand) Help() string {
	return "Puts the messages of a file into the failure queue, after it checked all of them. Each is marked with who imported it and when. " +
		"It needs the parameter Operators to name you. Because you are their sender, redrive them with --trust-sender."
}

// Run implements kong's interface of a command.
func (c *dlqImportCommand) Run(ctx context.Context, s *screen) error {
	if c.QueueURL != "" {
		return usageError{errors.New("import puts messages into the failure queue of a stack; leave --queue-url out")}
	}
	raw, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	at, err := c.Open(ctx)
	if err != nil {
		return err
	}
	qs, err := c.queuesOf(at)
	if err != nil {
		return err
	}
	all, err := imported(raw, qs.Consumers)
	if err != nil {
		return fmt.Errorf("%s: %w; nothing was imported", c.File, err)
	}
	if c.DryRun {
		s.where(at.Where, false)
		s.Out.Printf("%s can be imported.\n", count(len(all), "message", "messages"))
		return nil
	}
	err = s.ask(ctx, at, c.consent, false, func() (string, error) {
		return fmt.Sprintf("%s will be put into the failure queue, where a redrive with --trust-sender can take them.", count(len(all), "message", "messages")), nil
	})
	if err != nil {
		return err
	}
	log, err := openAudit(ctx, at)
	if err != nil {
		return err
	}
	by, err := at.Caller(ctx)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(raw)
	if err := log.Write(ctx, audit.Line{Action: "import", Count: len(all), File: hex.EncodeToString(sum[:])}); err != nil {
		return err
	}
	n, err := send(ctx, sqs.NewFromConfig(at.Config), at.Outputs["FailureQueueUrl"], all, by, time.Now())
	s.Out.Printf("%d imported.\n", n)
	if err != nil {
		return fmt.Errorf("%w; a second import doubles those that are there, which is harmless: the guard finds a duplicate", err)
	}
	s.Out.Printf("Send them to their consumers with: %s\n", c.Command("dlq redrive --trust-sender"))
	return nil
}

// mostImported bounds a file: what a redrive takes at once.
const mostImported = 100_000

// imported reads a file of export. Its error names the first line that cannot be taken.
func imported(raw []byte, consumers []deadletter.Consumer) (all []exported, err error) {
	n := 0
	for line := range bytes.Lines(raw) {
		if n++; len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var e exported
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&e); err != nil {
			return nil, fmt.Errorf("line %d is no exported message: %w", n, err)
		}
		if err := e.fits(consumers); err != nil {
			return nil, fmt.Errorf("line %d, message %s: %w", n, e.Message, err)
		}
		if all = append(all, e); len(all) > mostImported {
			return nil, fmt.Errorf("more than %d messages; split the file", mostImported)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("it holds no message")
	}
	return all, nil
}

// fits says what is wrong with a message, if this stack can never take it.
func (e *exported) fits(consumers []deadletter.Consumer) error {
	switch {
	case e.Version != exportVersion:
		return fmt.Errorf("it is of form %d, and this version reads form %d", e.Version, exportVersion)
	case len(e.Body) == 0 || len(e.Body) > transport.MaxBody:
		return fmt.Errorf("its body has %d bytes; SQS takes 1 to %d", len(e.Body), transport.MaxBody)
	case len(e.Attributes) > mostAttributes:
		return fmt.Errorf("it has %d attributes; SQS takes %d with ours", len(e.Attributes), mostAttributes)
	case e.Consumer != "" && !slices.ContainsFunc(consumers, func(c deadletter.Consumer) bool { return c.Name == e.Consumer }):
		return fmt.Errorf("this stack has no consumer %q", e.Consumer)
	}
	for _, m := range transport.OpenSQS(transport.SQSMessage{Body: e.Body, Custom: e.Attributes}) {
		if m.Err != nil && !m.Unfetched {
			return m.Err
		}
		if m.Consumer != "" && m.Consumer != e.Consumer {
			return fmt.Errorf("its body is for %q, and the line says %q", m.Consumer, e.Consumer)
		}
	}
	return nil
}

// mostAttributes is what SQS takes of a message, without the mark of an import.
const mostAttributes = 9

// importMark is the attribute that says who imported a message, when, and which it was.
const importMark = "SFRELAY_IMPORTED"

// send puts the messages into a queue, some side by side, and says how many are there.
func send(ctx context.Context, client *sqs.Client, queue string, all []exported, by string, at time.Time) (n int, err error) {
	var mu sync.Mutex
	var group sync.WaitGroup
	free := make(chan struct{}, 8)
	for _, e := range all {
		free <- struct{}{}
		mu.Lock()
		failed := err != nil
		mu.Unlock()
		if failed {
			break
		}
		group.Go(func() {
			defer func() { <-free }()
			in := &sqs.SendMessageInput{QueueUrl: &queue, MessageBody: &e.Body, MessageAttributes: map[string]types.MessageAttributeValue{}}
			mark := fmt.Sprintf("%s %s %s", by, at.UTC().Format(time.RFC3339), e.Message)
			for name, value := range e.Attributes {
				in.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
			}
			in.MessageAttributes[importMark] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &mark}
			_, failed := client.SendMessage(ctx, in)
			mu.Lock()
			defer mu.Unlock()
			if failed != nil {
				err = failed
				return
			}
			n++
		})
	}
	group.Wait()
	return n, err
}
