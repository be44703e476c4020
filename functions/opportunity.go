package functions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"sfrelay/shared/billing"
	"sfrelay/shared/consumer"
	"sfrelay/shared/decimal"
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
	var lines []struct {
		SKU         string           `json:"sku"`
		Description string           `json:"description"`
		Quantity    *decimal.Decimal `json:"quantity"`
		UnitPrice   *decimal.Decimal `json:"unitPrice"`
	}
	if err := json.Unmarshal(b, &lines, json.RejectUnknownMembers(true)); err != nil {
		if e, ok := errors.AsType[*json.SemanticError](err); ok && errors.Is(err, json.ErrUnknownName) {
			line, member, _ := strings.Cut(strings.TrimPrefix(string(e.JSONPointer), "/"), "/")
			n, _ := strconv.Atoi(line)
			return fmt.Errorf("has in line %d the member %.40q, which nobody reads: write sku, description, quantity and unitPrice", n+1, member)
		}
		return errors.New(`is not a list of lines: write [{"sku":"…","description":"…","quantity":1,"unitPrice":9.5}]`)
	}
	*l = make(Lines, len(lines))
	for i, x := range lines {
		switch {
		case x.Quantity == nil:
			return fmt.Errorf("has no quantity in line %d", i+1)
		case x.UnitPrice == nil:
			return fmt.Errorf("has no unitPrice in line %d", i+1)
		}
		(*l)[i] = billing.Line{SKU: x.SKU, Description: x.Description, Quantity: *x.Quantity, UnitPrice: *x.UnitPrice}
	}
	return nil
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
