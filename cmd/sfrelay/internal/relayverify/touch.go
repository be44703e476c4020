package relayverify

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sfrelay/cmd/sfrelay/internal/verdicts"
	"sfrelay/functions"
	"sfrelay/shared/consumer"
	"sfrelay/shared/relay"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/verdict"
)

// Touched is a field of a record that is written to make change events. Salesforce makes
// none where no field changes.
type Touched struct {
	Object, ID, Field string
}

var touched = regexp.MustCompile(`^([A-Za-z0-9_]+)/([A-Za-z0-9]{15}|[A-Za-z0-9]{18})\.([A-Za-z0-9_]+)$`)

// ParseTouch reads Object/id.Field.
func ParseTouch(text string) (*Touched, error) {
	m := touched.FindStringSubmatch(text)
	if m == nil {
		return nil, fmt.Errorf("--touch: want Object/id.Field, e.g. Account/0015f00002J9YYEAA3.Description; a change event is made only where a field changes, so name one that no consumer reads")
	}
	id, err := salesforce.ID18(m[2])
	if err != nil {
		return nil, fmt.Errorf("--touch: %w", err)
	}
	return &Touched{m[1], id, m[3]}, nil
}

// Event is the detail-type of its change event.
func (t *Touched) Event() string { return salesforce.ChangeEventName(t.Object) }

// Check refuses a field whose change a consumer of the stack would act on. settings are the
// parameters of the stack that name fields.
func (t *Touched) Check(stack Stack, settings ...string) error {
	for _, s := range settings {
		for _, name := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == '=' || r == ' ' || r == ':' }) {
			if name == t.Field {
				return fmt.Errorf("--touch: the settings of the stack name the field %s, so a consumer reads it; choose a field that no consumer reads", t.Field)
			}
		}
	}
	event, err := t.sample()
	if err != nil {
		return err
	}
	takes := false
	for _, def := range functions.All(functions.Ports{}) {
		d, look := def.Describe(), def.Look(event, &event.Changes[0])
		if !look.Takes || !slices.Contains(stack.Consumers, d.Name) {
			continue
		}
		takes = true
		reads := slices.ContainsFunc(d.Fields, func(f consumer.Field) bool { // whatever it makes of this value: it gets two
			return slices.ContainsFunc(f.CDC, func(leaf string) bool { return leaf == t.Field || salesforce.RESTField(t.Object, leaf) == t.Field })
		})
		if reads || look.Verdict != verdict.Ignored {
			return fmt.Errorf("--touch: %s acts on a change of %s.%s, and a touch must change nothing at a sink; choose a field that no consumer reads", d.Name, t.Object, t.Field)
		}
	}
	if !takes {
		return fmt.Errorf("--touch: no consumer of the stack takes %s", t.Event())
	}
	return nil
}

// sample is the change event that the touch makes, as far as consumers look at it.
func (t *Touched) sample() (*salesforce.Event, error) {
	text, err := json.Marshal(map[string]any{"id": "touch", "detail-type": t.Event(), "source": "aws.partner/salesforce.com/00D000000000001EAA/touch", "detail": map[string]any{"payload": map[string]any{
		"ChangeEventHeader": map[string]any{"entityName": t.Object, "recordIds": []string{t.ID}, "changeType": "UPDATE", "changedFields": []string{"LastModifiedDate", t.Field},
			"transactionKey": "touch", "sequenceNumber": 1, "commitTimestamp": 1795770000000, "commitNumber": 1},
		"LastModifiedDate": "2026-11-27T09:00:00.000Z", t.Field: "x",
	}}})
	if err != nil {
		return nil, err
	}
	return salesforce.Decode(text, salesforce.Options{})
}

// Touch gives a field another value and its own one back, and waits until a change event of
// the record is at every consumer that takes it.
func (v *Verify) Touch(ctx context.Context, t *Touched) ([]*Arrival, error) {
	value, err := v.Org.Value(ctx, t.Object, t.ID, t.Field)
	if err != nil {
		return nil, err
	}
	other, err := another(value)
	if err != nil {
		return nil, fmt.Errorf("--touch: %s of %s/%s: %w", t.Field, t.Object, t.ID, err)
	}
	at := v.Now()
	if err := v.Org.Write(ctx, t.Object, t.ID, t.Field, other); err != nil {
		// Without an answer it may be written. The value that is there changes nothing.
		_ = v.Org.Write(context.WithoutCancel(ctx), t.Object, t.ID, t.Field, value)
		return nil, err
	}
	// Interrupted or not: the record gets its value back.
	if err := v.Org.Write(context.WithoutCancel(ctx), t.Object, t.ID, t.Field, value); err != nil {
		return nil, fmt.Errorf("%w; %s of %s/%s is %v now: write %v back", err, t.Field, t.Object, t.ID, other, value)
	}
	var all []*Arrival
	for _, name := range v.takers(t.Event()) {
		all = append(all, &Arrival{Event: t.Event(), Consumer: name, published: at, kind: relay.Kinds[1], want: verdict.Ignored,
			arrives: func(l verdicts.Line) bool { return l.DetailType == t.Event() && strings.Contains(l.Subject, t.ID) }})
	}
	return all, v.follow(ctx, all)
}

// another is a value of the same type. A text of one more character may not fit its field:
// then Salesforce refuses it, and nothing has changed.
func another(value any) (any, error) {
	switch v := value.(type) {
	case bool:
		return !v, nil
	case float64:
		return v + 1, nil
	case string:
		if regexp.MustCompile(`^\d{4}-\d\d-\d\d`).MatchString(v) {
			return nil, fmt.Errorf("it is a date; choose a text, a number or a checkbox")
		}
		return v + ".", nil
	case nil:
		return nil, fmt.Errorf("it is empty, which tells no type; choose a field with a value")
	}
	return nil, fmt.Errorf("it has parts; choose a text, a number or a checkbox")
}
