package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/failures"
	"sfrelay/functions"
	"sfrelay/shared/deadletter"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/verdict"
)

type dlqCommand struct {
	List    dlqListCommand    `cmd:"" help:"List what failed, in groups of one cause."`
	Show    dlqShowCommand    `cmd:"" help:"Show one message whole, and what to do about it."`
	Redrive dlqRedriveCommand `cmd:"" help:"Send failed messages to their consumers again; delete those that were taken."`
	Drop    dlqDropCommand    `cmd:"" help:"Delete messages for ever, with a reason."`
	Export  dlqExportCommand  `cmd:"" help:"Write messages into a file, and leave them where they are."`
	Import  dlqImportCommand  `cmd:"" help:"Put the messages of such a file into the failure queue."`
}

// dlqFlags choose messages.
type dlqFlags struct {
	account.Flags
	Queue    string `enum:"failure,delivery,all" default:"all" help:"failure: consumers and Lambda gave up; delivery: EventBridge could not deliver; or all."`
	QueueURL string `name:"queue-url" placeholder:"URL" help:"A queue by its URL, such as one that an earlier stack left behind. list and show need no stack then."`
	Class    string `help:"Only messages of this class; permanent means every permanent/… ."`
	Consumer string `help:"Only messages of this consumer."`
	Record   string `help:"Only messages about this record or key: an id of 15 or 18 characters, or what list shows, e.g. stock/SKU-1@BER."`
	Object   string `help:"Only messages about records of this object, e.g. Account."`
	Org      string `help:"Only messages of this org: its id, of 15 or 18 characters."`
	Since    string `placeholder:"TIME" help:"Only what failed first since then: a time such as 2026-11-27T08:00:00Z, or how long ago, e.g. 90m, 6h, 3d."`
	Until    string `placeholder:"TIME" help:"Only what failed first before then."`
	Text     string `help:"Only messages with this text in the reason or the event, whatever the case."`
}

// queues opens those of the stack, or the one with a URL, to look at them.
func (f *dlqFlags) queues(ctx context.Context, s *screen, asJSON bool) (*deadletter.Queues, error) {
	at, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	s.where(at.Where, asJSON)
	return f.queuesOf(at)
}

// open is Open, but needs no stack where the queue has a URL.
func (f *dlqFlags) open(ctx context.Context) (*account.Account, error) {
	if f.QueueURL != "" {
		return f.Bare(ctx, "queue "+f.QueueURL)
	}
	return f.Open(ctx)
}

// openStack is Open for what needs a function or the audit log of a stack, too.
func (f *dlqFlags) openStack(ctx context.Context) (*account.Account, error) {
	at, err := f.Open(ctx)
	if err != nil && f.QueueURL != "" {
		err = fmt.Errorf("%w. Without a stack only list and show read a queue: only its functions can take a message, and only its audit log says who dropped or exported one", err)
	}
	return at, err
}

func (f *dlqFlags) queuesOf(at *account.Account) (*deadletter.Queues, error) {
	if _, err := f.filter(time.Now()); err != nil {
		return nil, err
	}
	qs := &deadletter.Queues{
		SQS: sqs.NewFromConfig(at.Config), Lambda: lambda.NewFromConfig(at.Config), OneServer: !f.AWS, Consumers: account.Consumers(at.Outputs),
		Fetch:       account.Fetch(at.Config, at.Outputs),
		TrustSender: !f.AWS, // the emulator gives every message the account as its sender
		ReadsOrg:    at.ReadsOrg, Subject: subjects(),
	}
	if f.QueueURL != "" {
		qs.List, qs.Earlier = []deadletter.Queue{{Name: "given", URL: f.QueueURL}}, true
		return qs, nil
	}
	for _, q := range []struct{ name, output string }{{"failure", "FailureQueueUrl"}, {"delivery", "DeliveryQueueUrl"}} {
		if f.Queue != "all" && f.Queue != q.name {
			continue
		}
		url := at.Outputs[q.output]
		if url == "" {
			return nil, fmt.Errorf("the CloudFormation stack %q has no output %s; deploy this version with make deploy", f.StackName, q.output)
		}
		qs.List = append(qs.List, deadletter.Queue{Name: q.name, URL: url, FromRules: q.name == "delivery"})
	}
	if f.Consumer != "" && !slices.ContainsFunc(qs.Consumers, func(c deadletter.Consumer) bool { return c.Name == f.Consumer }) {
		return nil, usageError{fmt.Errorf("--consumer: this stack has no %q; it has %s", f.Consumer, names(qs.Consumers))}
	}
	return qs, nil
}

// subjects are what the consumers of this version make of a change.
func subjects() func(string, *salesforce.Event, *salesforce.Change) string {
	looks := map[string]func(*salesforce.Event, *salesforce.Change) string{}
	for _, def := range functions.All(functions.Ports{}) {
		looks[def.Describe().Name] = func(e *salesforce.Event, ch *salesforce.Change) string { return def.Look(e, ch).Subject }
	}
	return func(consumer string, e *salesforce.Event, ch *salesforce.Change) string {
		if look := looks[consumer]; look != nil {
			return look(e, ch)
		}
		return ""
	}
}

func names(consumers []deadletter.Consumer) string {
	var all []string
	for _, c := range consumers {
		all = append(all, c.Name)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// lowercase is how our own classes are spelled. Those of Stripe, EventBridge and Lambda may be
// others than the page knows.
var lowercase = regexp.MustCompile(`^[a-z-]+$`)

func (f *dlqFlags) filter(now time.Time) (deadletter.Filter, error) {
	filter := deadletter.Filter{
		Class: verdict.Class(f.Class), Consumer: f.Consumer, Record: f.Record, Object: f.Object, Org: f.Org, Text: f.Text,
	}
	if lowercase.MatchString(f.Class) && !failures.Known(f.Class) {
		return filter, noClass(f.Class)
	}
	var err error
	if filter.Since, err = moment("--since", f.Since, now); err != nil {
		return filter, err
	}
	filter.Until, err = moment("--until", f.Until, now)
	return filter, err
}

// noClass is about a class that does not exist: it says which do.
func noClass(class string) error {
	said := fmt.Sprintf("--class: there is no class %q", class)
	if closest := failures.Closest(class); closest != "" {
		said += fmt.Sprintf(", did you mean %q?", closest)
	}
	return usageError{fmt.Errorf("%s The classes: permanent (all of permanent/…), %s; of Stripe's own codes permanent/CODE", said, strings.Join(failures.Classes(), ", "))}
}

// moment is a time, or how long ago it was.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, usageError{fmt.Errorf("%s: %q is neither a time such as 2026-11-27T08:00:00Z nor how long ago it was, e.g. 90m, 6h or 3d", flag, text)}
}

// words are the flags that choose the same messages in another command.
func (f *dlqFlags) words() string {
	var b strings.Builder
	if f.Queue != "" && f.Queue != "all" {
		b.WriteString(" --queue " + f.Queue)
	}
	for _, flag := range []struct{ name, value string }{
		{"queue-url", f.QueueURL}, {"consumer", f.Consumer}, {"class", f.Class}, {"record", f.Record}, {"object", f.Object},
		{"org", f.Org}, {"since", f.Since}, {"until", f.Until}, {"text", f.Text},
	} {
		if flag.value != "" {
			b.WriteString(" --" + flag.name + " " + shellWord(flag.value))
		}
	}
	return b.String()
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,-]+$`)

// shellWord is a value as it is typed in a shell.
func shellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// chooses reports whether the flags choose some of the messages.
func (f *dlqFlags) chooses() bool { return f.words() != "" }

// notFound says that nothing matches, or that nothing can.
func (f *dlqFlags) notFound(s *screen) error {
	if f.Class != "" && !failures.Known(f.Class) {
		return noClass(f.Class)
	}
	s.Out.Printf("No message matches the filter.\n")
	return nil
}
