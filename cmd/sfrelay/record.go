package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/cmd/sfrelay/internal/verdicts"
	"sfrelay/functions"
	"sfrelay/shared/consumer"
	"sfrelay/shared/guard"
	"sfrelay/shared/guard/dynamo"
	"sfrelay/shared/order"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/verdict"
)

type recordCommand struct {
	account.Flags
	consent
	Subject  string `arg:"" help:"The record, e.g. Account/0015f00002J9YYEAA3, or another key, e.g. stock/SKU-1@BER."`
	Org      string `help:"Id of the org; default: those of the stack."`
	Consumer string `help:"Only this consumer. What changes an item needs it where more than one knows the record."`
	Since    string `default:"30d" placeholder:"TIME" help:"How far back the log is read: a time, or how long ago, e.g. 6h or 3d."`
	JSON     bool   `name:"json" help:"One JSON object for each consumer."`

	Resolve string `enum:",absent,done" default:"" help:"You have looked at the sink: absent, the request in doubt took no effect; done, it did, and never again."`
	Link    string `placeholder:"ID|none" help:"The sink's own id of the record; none: the next change makes or finds one."`
	Version string `placeholder:"TIME" help:"Take versions that are later than this past time back to it: a broken clock wrote one that would win for ever."`
	Forget  bool   `help:"Delete the item: the consumer has never seen the record. An action that was done may be done again."`
	Reason  string `help:"Why: it stands in the audit log. Needed with each of the four above."`
}

// Help is shown by record --help.
func (recordCommand) Help() string {
	return "Joins what the guard holds of a record at each consumer with the lines of the log by the version of each field. " +
		"--resolve, --link, --version and --forget change the item at one consumer. They are refused while somebody works on it, " +
		"leave a line in the audit log, and need the stack's RepairPolicy."
}

// holding is what a consumer knows of a record.
type holding struct {
	consumer.Description
	Org, Key, Subject string
	Item              guard.Item
	Err               error // the item cannot be read
}

// Run implements kong's interface of a command.
func (c *recordCommand) Run(ctx context.Context, s *screen) error {
	change, err := c.change()
	if err != nil {
		return err
	}
	since, err := moment("--since", c.Since, time.Now())
	if err != nil {
		return err
	}
	at, err := c.Open(ctx)
	if err != nil {
		return err
	}
	if at.Outputs["GuardTable"] == "" {
		return fmt.Errorf("the CloudFormation stack %q has no output GuardTable; deploy this version with make deploy", c.StackName)
	}
	store := dynamo.New(dynamo.NewClient(at.Config), at.Outputs["GuardTable"])
	if change != "" {
		return c.repair(ctx, s, at, store, change)
	}
	held, err := c.holdings(ctx, store, at.Orgs)
	if err != nil {
		return err
	}
	s.where(at.Where, c.JSON)
	lines, err := c.story(ctx, at, held, since)
	if err != nil {
		return err
	}
	return c.print(s, held, lines, time.Now())
}

// holdings are the items of the record at every consumer that may know it.
func (c *recordCommand) holdings(ctx context.Context, store guard.Store, orgs []string) ([]holding, error) {
	if c.Org != "" {
		orgs = []string{c.Org}
	}
	var all []holding
	for _, def := range functions.All(functions.Ports{}) {
		d := def.Describe()
		subject := subjectAt(d, c.Subject)
		if subject == "" || c.Consumer != "" && c.Consumer != d.Name {
			continue
		}
		for _, org := range orgs {
			full, err := salesforce.ID18(org)
			if err != nil {
				return nil, usageError{fmt.Errorf("--org: %w", err)}
			}
			h := holding{Description: d, Org: full, Subject: subject, Key: guard.Key(d.Name, full, subject)}
			rec, err := store.Read(ctx, h.Key)
			if err != nil && !strings.Contains(err.Error(), "not an integer of 64 bits") {
				return nil, fmt.Errorf("reading the item %s: %w", h.Key, err)
			}
			h.Item, h.Err = guard.ReadItem(rec), err
			all = append(all, h)
		}
	}
	if len(all) == 0 {
		return nil, usageError{fmt.Errorf("no consumer of this stack has a subject like %q; write Object/ID as dlq list shows it, e.g. Account/0015f00002J9YYEAA3", c.Subject)}
	}
	return all, nil
}

var recordID = regexp.MustCompile(`^[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?$`)

// subjectAt is what a consumer calls the record; empty where it is about something else.
func subjectAt(d consumer.Description, given string) string {
	object, id, ok := strings.Cut(given, "/")
	isRecord := ok && recordID.MatchString(strings.SplitN(id, "/", 2)[0])
	switch {
	case d.Subject == "<key>":
		if isRecord {
			return ""
		}
		return given
	case strings.HasPrefix(d.Subject, "event/"):
		if strings.HasPrefix(given, "event/") {
			return given
		}
		return ""
	case !isRecord || object != d.Object:
		return ""
	}
	id, _, _ = strings.Cut(id, "/")
	full, err := salesforce.ID18(id)
	if err != nil {
		return ""
	}
	return strings.Replace(d.Subject, "<id>", full, 1)
}

// story are the lines of the log about the record, the oldest first.
func (c *recordCommand) story(ctx context.Context, at *account.Account, held []holding, since time.Time) ([]verdicts.Line, error) {
	names := map[string]bool{}
	for _, h := range held {
		names[h.Name] = true
	}
	consumers := account.Consumers(at.Outputs)
	var functionsOf []string
	for _, co := range consumers {
		if names[co.Name] {
			functionsOf = append(functionsOf, co.Function)
		}
	}
	r, err := verdicts.Open(ctx, at.Config, functionsOf, since)
	if err != nil {
		return nil, err
	}
	if c.AWS { // the emulator knows no patterns
		r.Only(pattern(held))
	}
	all, err := r.Next(ctx)
	return slices.DeleteFunc(all, func(l verdicts.Line) bool {
		return !slices.ContainsFunc(held, func(h holding) bool { return h.has(l) })
	}), err
}

// pattern chooses the lines of the record (CloudWatch Logs User Guide, "Filter pattern syntax").
func pattern(held []holding) string {
	var terms []string
	for _, h := range held {
		for _, subject := range []string{h.Subject, h.record()} {
			if term := fmt.Sprintf("($.subject = %q)", subject); subject != "" && !slices.Contains(terms, term) {
				terms = append(terms, term)
			}
		}
	}
	return "{ " + strings.Join(terms, " || ") + " }"
}

// record is the subject without what an action does.
func (h holding) record() string {
	if parts := strings.SplitN(h.Subject, "/", 3); h.Object != "" && len(parts) >= 2 {
		return parts[0] + "/" + parts[1]
	}
	return ""
}

// has reports whether a line is about what the consumer knows.
func (h holding) has(l verdicts.Line) bool {
	return l.Consumer == h.Name && (l.Subject == h.Subject || l.Subject != "" && l.Subject == h.record()) && (l.Org == "" || l.Org == h.Org)
}

// recordJSON is a holding for machines.
type recordJSON struct {
	Consumer   string               `json:"consumer"`
	Org        string               `json:"org"`
	Subject    string               `json:"subject"`
	Item       string               `json:"item"` // its key
	State      string               `json:"state"`
	Epoch      int64                `json:"epoch,omitempty"`
	DoubtSince *time.Time           `json:"doubtSince,omitempty"`
	Link       string               `json:"link,omitempty"`
	Class      verdict.Class        `json:"class,omitempty"`
	Blocks     string               `json:"blocks,omitempty"`
	Full       string               `json:"fullState,omitempty"`
	Deleted    string               `json:"deleted,omitempty"`
	Fields     map[string]fieldJSON `json:"fields,omitempty"`
	Lines      []verdicts.Line      `json:"lines"`
}

type fieldJSON struct {
	Version   string     `json:"version"`
	Committed time.Time  `json:"committed"`
	Event     string     `json:"event,omitempty"`
	Applied   *time.Time `json:"applied,omitempty"`
}

func (c *recordCommand) print(s *screen, held []holding, lines []verdicts.Line, now time.Time) error {
	for i, h := range held {
		own := slices.DeleteFunc(slices.Clone(lines), func(l verdicts.Line) bool { return !h.has(l) })
		if c.JSON {
			if err := s.Out.JSON(h.json(own, now)); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			s.Out.Printf("\n")
		}
		c.tell(s.Out, h, own, now)
	}
	return nil
}

// setBy is the line of the event that set what has the version: the first that got through.
func setBy(lines []verdicts.Line, v order.Version) *verdicts.Line {
	for i := range lines {
		if l := &lines[i]; l.RecordVersion == v.String() && (l.Verdict == verdict.Applied || l.Verdict == verdict.PartlyStale) {
			return l
		}
	}
	return nil
}

// known are the fields of which a version is known, by their names.
func (h holding) known() map[string]order.Version {
	all := map[string]order.Version{}
	for _, f := range h.Fields {
		if f.Code == "" {
			continue
		}
		if v := h.Item.Field(f.Code); !v.IsZero() {
			all[fieldName(f)] = v
		}
	}
	return all
}

func fieldName(f consumer.Field) string {
	if len(f.CDC) > 0 {
		return f.CDC[0]
	}
	return f.Event
}

func (h holding) json(lines []verdicts.Line, now time.Time) recordJSON {
	j := recordJSON{
		Consumer: h.Name, Org: h.Org, Subject: h.Subject, Item: h.Key, State: h.state(), Epoch: h.Item.Epoch, Link: h.Item.Link, Class: h.Item.Class,
		Blocks: h.blocks(lines, now), Fields: map[string]fieldJSON{}, Lines: append([]verdicts.Line{}, lines...),
	}
	if d := h.Item.DoubtSince(); !d.IsZero() {
		j.DoubtSince = &d
	}
	for _, v := range []struct {
		at order.Version
		to *string
	}{{h.Item.Full, &j.Full}, {h.Item.Tombstone, &j.Deleted}} {
		if !v.at.IsZero() {
			*v.to = v.at.String()
		}
	}
	for name, v := range h.known() {
		f := fieldJSON{Version: v.String(), Committed: v.Time()}
		if l := setBy(lines, v); l != nil {
			f.Event, f.Applied = l.EventID, &l.Time
		}
		j.Fields[name] = f
	}
	return j
}

// state is what the item says of the last attempt.
func (h holding) state() string {
	switch {
	case h.Err != nil:
		return "not readable: " + h.Err.Error()
	case !h.Item.Exists:
		return "never seen"
	}
	return h.Item.Status.String()
}

// blocks says what keeps changes from getting through, as far as is known.
func (h holding) blocks(lines []verdicts.Line, now time.Time) string {
	if h.Err != nil {
		return "no change can be taken: the item cannot be read"
	}
	if said := h.Item.Blocks(now); said != "" {
		return said
	}
	for _, l := range slices.Backward(lines) { // the last word on each version counts
		if l.Verdict != verdict.Parked && l.Verdict != verdict.Failed {
			continue
		}
		over := slices.ContainsFunc(lines, func(o verdicts.Line) bool {
			return o.RecordVersion == l.RecordVersion && o.Time.After(l.Time) && o.Verdict.Acknowledged()
		})
		if !over {
			return fmt.Sprintf("%s as %s since %s: %s", l.Verdict, l.Class, l.Time.UTC().Format(time.RFC3339), brief(l.Error))
		}
	}
	return ""
}

// tell prints what a consumer knows, and what happened.
func (c *recordCommand) tell(p *terminal.Printer, h holding, lines []verdicts.Line, now time.Time) {
	rows := [][]terminal.Cell{{{Text: "consumer"}, {Text: h.Name, Style: terminal.Bold}}, terminal.Row("subject", h.Subject+"  org "+h.Org)}
	line := func(name, value string) {
		if value != "" {
			rows = append(rows, terminal.Row(name, value))
		}
	}
	line("state", h.state())
	if h.Item.InDoubt {
		since := "a time that is not known"
		if d := h.Item.DoubtSince(); !d.IsZero() {
			since = d.Format(time.RFC3339)
		}
		line("in doubt", "since "+since+": a request may have taken effect")
	}
	line("link", h.Item.Link)
	if h.Item.Class != "" && h.Item.Status != guard.Idle {
		line("last error", string(h.Item.Class))
	}
	if v := h.Item.Tombstone; !v.IsZero() {
		line("deleted", v.Time().Format(time.RFC3339))
	}
	if v := h.Item.Full; !v.IsZero() && h.Policy != guard.EachOnce {
		line("whole state", v.Time().Format(time.RFC3339)+setter(lines, v))
	}
	line("blocked by", h.blocks(lines, now))
	p.Table(0, rows...)
	if known := h.known(); len(known) > 0 {
		table := [][]terminal.Cell{terminal.Heading("FIELD", "COMMITTED", "APPLIED", "SET BY EVENT")}
		for _, f := range h.Fields {
			v, ok := known[fieldName(f)]
			if !ok {
				continue
			}
			applied, event := "–", "older than the log"
			if l := setBy(lines, v); l != nil {
				applied, event = l.Time.UTC().Format("15:04:05.000"), l.EventID
			}
			table = append(table, terminal.Row(fieldName(f), v.Time().Format(time.RFC3339), applied, event))
		}
		p.Table(2, table...)
	}
	c.happened(p, lines)
	c.offer(p, h)
}

func setter(lines []verdicts.Line, v order.Version) string {
	if l := setBy(lines, v); l != nil {
		return ", set by event " + l.EventID
	}
	return ""
}

// happened prints the lines, the latest last.
func (c *recordCommand) happened(p *terminal.Printer, lines []verdicts.Line) {
	if len(lines) == 0 {
		p.Printf("  The log says nothing of it since %s.\n", c.Since)
		return
	}
	table := [][]terminal.Cell{terminal.Heading("WHEN", "VERDICT", "WHAT")}
	for _, l := range lines {
		what := strings.TrimSpace(l.DetailType + " " + l.EventID)
		const most = 6
		if n := len(l.Fields) - most; n > 0 {
			what += "  " + strings.Join(l.Fields[:most], " ") + fmt.Sprintf(" and %d more", n)
		} else if len(l.Fields) > 0 {
			what += "  " + strings.Join(l.Fields, " ")
		}
		if len(l.Stale) > 0 {
			what += "  stale: " + strings.Join(l.Stale, " ")
		}
		if l.Redrive != "" {
			what += "  redriven by " + l.Redrive
		}
		if l.Class != "" {
			what += "  " + string(l.Class) + because(brief(l.Error))
		}
		table = append(table, terminal.Row(l.Time.UTC().Format("2006-01-02 15:04:05"), string(l.Verdict), what))
	}
	p.Table(2, table...)
}

// offer says which command may help.
func (c *recordCommand) offer(p *terminal.Printer, h holding) {
	subject := shellWord(h.record())
	if h.record() == "" {
		subject = shellWord(h.Subject)
	}
	if h.Item.Class == verdict.InDoubt || h.Item.InDoubt && h.Policy == guard.EachOnce {
		p.Printf("Look at the sink, then: %s\n", c.Command("record "+subject+" --consumer "+h.Name+" --resolve absent|done --reason TEXT"))
	}
	p.Printf("Its messages: %s\n", c.Command("dlq list --all --consumer "+h.Name+" --record "+subject))
}

// change is which of the changes is asked for; empty: none.
func (c *recordCommand) change() (name string, err error) {
	for _, f := range []struct {
		name  string
		given bool
	}{{"resolve", c.Resolve != ""}, {"link", c.Link != ""}, {"version", c.Version != ""}, {"forget", c.Forget}} {
		switch {
		case f.given && name != "":
			return "", usageError{fmt.Errorf("--%s and --%s: one at a time", name, f.name)}
		case f.given:
			name = f.name
		}
	}
	if name != "" && strings.TrimSpace(c.Reason) == "" {
		return "", usageError{fmt.Errorf("--%s needs --reason", name)}
	}
	if name == "" && c.Reason != "" {
		return "", usageError{errors.New("--reason is for --resolve, --link, --version and --forget")}
	}
	return name, nil
}
