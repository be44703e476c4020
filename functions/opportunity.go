package functions

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"sfrelay/shared/billing"
	"sfrelay/shared/consumer"
	"sfrelay/shared/decimal"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// Won is a won opportunity. Opportunity_Won__e has it all; a change event only tells
// the stage.
type Won struct {
	Stage     sink.Field[string] `cdc:"StageName"`
	AccountID string             `event:"Account_Id__c,required"`
	Name      string             `event:"Name__c"`
	Amount    decimal.Decimal    `event:"Amount__c,required"`
	Currency  string             `event:"Currency__c,required"`
	CloseDate Date               `event:"Close_Date__c"`
	DueDays   int                `event:"Payment_Terms_Days__c"`
	Lines     Lines              `event:"Lines__c"`
}

// Date is a Date field, YYYY-MM-DD, or the date of a Date/Time field.
type Date struct{ time.Time }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Date) UnmarshalText(b []byte) (err error) {
	if len(b) > len(time.DateOnly) {
		b = b[:len(time.DateOnly)]
	}
	if d.Time, err = time.Parse(time.DateOnly, string(b)); err != nil {
		err = errors.New("is not a date: write YYYY-MM-DD")
	}
	return err
}

// Lines are the invoice's lines, a JSON text in one field.
type Lines []billing.Line

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Lines) UnmarshalText(b []byte) error {
	var lines []struct {
		SKU         string          `json:"sku"`
		Description string          `json:"description"`
		Quantity    decimal.Decimal `json:"quantity"`
		UnitPrice   decimal.Decimal `json:"unitPrice"`
	}
	if err := json.Unmarshal(b, &lines); err != nil {
		return errors.New(`is not a list of lines: write [{"sku":"…","description":"…","quantity":1,"unitPrice":9.5}]`)
	}
	*l = make(Lines, len(lines))
	for i, x := range lines {
		(*l)[i] = billing.Line{SKU: x.SKU, Description: x.Description, Quantity: x.Quantity, UnitPrice: x.UnitPrice}
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
			case !c.Deleted && c.Changed("StageName") && slices.Contains(wonStages, c.Content.Stage.Value):
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
			inv.CustomerLink = link
			return invoices.Issue(ctx, ref, inv)
		},
	}
}

func (w Won) invoice(opportunity string) (billing.Invoice, error) {
	account, err := consumer.RecordID(w.AccountID)
	if err != nil {
		return billing.Invoice{}, sink.Refuse("invalid-record-id", "Account_Id__c is not a record id of 15 or 18 characters")
	}
	currency, err := billing.ParseCurrency(w.Currency)
	if err != nil {
		return billing.Invoice{}, sink.Refuse("invalid-currency", "Currency__c: %w", err)
	}
	if w.DueDays < 0 {
		return billing.Invoice{}, sink.Refuse("invalid-field", "Payment_Terms_Days__c is negative")
	}
	return billing.Invoice{
		OpportunityID: opportunity, AccountID: account,
		Total: billing.Money{Amount: w.Amount, Currency: currency}, Lines: w.Lines,
		Description: w.Name, DueDays: w.DueDays, CloseDate: w.CloseDate.Time,
	}, nil
}
