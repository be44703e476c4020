package functions

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"sfrelay/shared/billing"
	"sfrelay/shared/consumer"
	"sfrelay/shared/decimal"
	"sfrelay/shared/jsonobject"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// Won is a won opportunity. Opportunity_Won__e has it all; a change event only tells
// that it was won.
type Won struct {
	Stage     sink.Field[string] `cdc:"StageName"`
	IsWon     sink.Field[string] `cdc:"IsWon"`
	IsClosed  sink.Field[string] `cdc:"IsClosed"`
	AccountID string             `event:"Account_Id__c,required" ref:"Account"`
	Name      string             `event:"Name__c"`
	Amount    decimal.Decimal    `event:"Amount__c,required"`
	Currency  billing.Currency   `event:"Currency__c,required"`
	CloseDate consumer.Date      `event:"Close_Date__c"`
	DueDays   int                `event:"Payment_Terms_Days__c"`
	Lines     Lines              `event:"Lines__c"`
}

// Lines are the invoice's lines, a JSON text in one field.
type Lines []billing.Line

// UnmarshalText reads [{"sku":"A-1","description":"Licence","quantity":3,"unitPrice":19.99}].
// A line without a quantity or a price, and a member that nobody reads, are refused by
// name: a total that does not add up would not tell which it was.
func (l *Lines) UnmarshalText(b []byte) error {
	notLines := errors.New(`is not a list of lines: write [{"sku":"…","description":"…","quantity":1,"unitPrice":9.5}]`)
	if !jsontext.Value(b).IsValid() { // nor if a member stands twice
		return notLines
	}
	lines := Lines{}
	err := jsonobject.Elements(b, func(i int, v jsontext.Value) error {
		line, err := readLine(v, i+1)
		lines = append(lines, line)
		return err
	})
	if _, ok := errors.AsType[*jsonobject.Error](err); ok {
		return notLines
	}
	*l = lines
	return err
}

// readLine reads the line of that number.
func readLine(b []byte, number int) (line billing.Line, err error) {
	var quantity, price bool
	err = jsonobject.Members(b, func(name string, v jsontext.Value) (err error) {
		switch name {
		case "sku":
			line.SKU, err = jsonobject.Text(v)
		case "description":
			line.Description, err = jsonobject.Text(v)
		case "quantity":
			quantity, err = readDecimal(v, &line.Quantity)
		case "unitPrice":
			price, err = readDecimal(v, &line.UnitPrice)
		default:
			return fmt.Errorf("has in line %d the member %.40q, which nobody reads: write sku, description, quantity and unitPrice", number, name)
		}
		return err
	})
	switch {
	case err != nil:
	case !quantity:
		err = fmt.Errorf("has no quantity in line %d", number)
	case !price:
		err = fmt.Errorf("has no unitPrice in line %d", number)
	}
	return line, err
}

// readDecimal reports whether there is a value: null is none.
func readDecimal(v jsontext.Value, d *decimal.Decimal) (bool, error) {
	if v.Kind() == 'n' {
		return false, nil
	}
	if err := d.UnmarshalJSON(v); err != nil {
		return false, &jsonobject.Error{What: "want a number"}
	}
	return true, nil
}

// OpportunityBilling bills a won opportunity once for ever, whatever happens to it
// later. wonStages are the names of the stages that count as won.
func OpportunityBilling(invoices billing.Invoices, customers consumer.LinkReader, wonStages []string) consumer.Definition {
	return consumer.Action[Won]{
		Name: "opportunity-billing", Object: "Opportunity", Changes: true,
		Events: []consumer.PlatformEvent{{Name: "Opportunity_Won__e", Record: "Record_Id__c", ModifiedAt: "Record_Modified_At__c"}},
		Once:   consumer.PerRecord("invoice"),
		When: func(c consumer.Change[Won]) consumer.Decision {
			switch {
			case !c.CDC:
				return consumer.Act
			case c.Deleted || !c.Changed("StageName") && !c.Changed("IsWon"):
				return consumer.Ignore
			case c.Content.won(wonStages), c.Content.maybeWon():
				return consumer.NeedsSnapshot // change events carry no lines
			default:
				return consumer.Ignore
			}
		},
		To: invoices,
		Do: func(ctx context.Context, ref sink.Ref, c consumer.Change[Won]) (sink.Receipt, error) {
			inv, err := c.Content.invoice(c.RecordID)
			if err != nil {
				return sink.Receipt{}, err
			}
			link, err := customers.Link(ctx, customerBilling, ref.Org, consumer.RecordKey("Account", inv.AccountID))
			if err != nil {
				return sink.Receipt{}, sink.NotYet(verdict.Unfinished, "the link of the account's customer cannot be read: %w", err)
			}
			if link == "" {
				return sink.Receipt{}, sink.NotYet(verdict.DependencyMissing, "the account has no customer at the billing system yet")
			}
			inv.CustomerLink, inv.RecordTime = link, c.At
			return invoices.Issue(ctx, ref, inv)
		},
	}
}

// won: Salesforce says so itself, whatever the stage is called in the org's language. A
// stage counts by its name where the event does not say.
func (w Won) won(stages []string) bool {
	return w.IsWon.Value == "true" || slices.Contains(stages, w.Stage.Value)
}

// maybeWon: a stage that closes the deal, that is on no list, and of which the event does
// not say whether it is won. It must leave a trace.
func (w Won) maybeWon() bool { return w.IsClosed.Value == "true" && w.IsWon.Value == "" }

func (w Won) invoice(opportunity string) (billing.Invoice, error) {
	if w.DueDays < 0 {
		return billing.Invoice{}, sink.Refuse("invalid-field", "Payment_Terms_Days__c is negative")
	}
	return billing.Invoice{
		OpportunityID: opportunity, AccountID: w.AccountID,
		Total: billing.Money{Amount: w.Amount, Currency: w.Currency}, Lines: w.Lines,
		Description: w.Name, DueDays: w.DueDays, CloseDate: w.CloseDate.Time,
	}, nil
}
