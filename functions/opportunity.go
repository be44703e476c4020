package functions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"sfrelay/shared/billing"
	"sfrelay/shared/consumer"
	"sfrelay/shared/decimal"
	"sfrelay/shared/jsonobject"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// Won is a won opportunity. Opportunity_Won__e has it all; a change event only tells
// that it was won, and the rest is read from the org.
type Won struct {
	Stage     sink.Field[string] `cdc:"StageName"`
	IsWon     sink.Field[string] `cdc:"IsWon"`
	IsClosed  sink.Field[string] `cdc:"IsClosed"`
	StageSet  consumer.DateTime  `rest:"LastStageChangeDate"`
	AccountID string             `event:"Account_Id__c,required" rest:"AccountId" ref:"Account"`
	Name      string             `event:"Name__c" rest:"Name"`
	Amount    decimal.Decimal    `event:"Amount__c,required" rest:"Amount"`
	Currency  billing.Currency   `event:"Currency__c,required" rest:"CurrencyIsoCode"`
	CloseDate consumer.Date      `event:"Close_Date__c" rest:"CloseDate"`
	DueDays   int                `event:"Payment_Terms_Days__c" rest:"Payment_Terms_Days__c"`
	Lines     Lines              `event:"Lines__c" rest:"OpportunityLineItems(sku=ProductCode,description=Product2.Name,quantity=Quantity,unitPrice=UnitPrice,total=TotalPrice)"`
}

// Lines are the invoice's lines, a JSON text in one field.
type Lines []billing.Line

// UnmarshalText reads [{"sku":"A-1","description":"Licence","quantity":3,"unitPrice":19.99}].
// A line with a total that is not quantity x unitPrice, because of a discount, bills that.
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
	var quantity, price, total bool
	var comesTo decimal.Decimal
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
		case "total":
			total, err = readDecimal(v, &comesTo)
		default:
			return fmt.Errorf("has in line %d the member %.40q, which nobody reads: write sku, description, quantity, unitPrice and total", number, name)
		}
		return err
	})
	switch {
	case err != nil:
	case !quantity:
		err = fmt.Errorf("has no quantity in line %d", number)
	case !price:
		err = fmt.Errorf("has no unitPrice in line %d", number)
	case total:
		line = discounted(line, comesTo)
	}
	return line, err
}

// discounted is a line that comes to another amount than its quantity and price: one piece
// at that amount, with the rest for people.
func discounted(line billing.Line, total decimal.Decimal) billing.Line {
	if listed, err := line.Quantity.Mul(line.UnitPrice); err == nil && listed.Cmp(total) == 0 {
		return line
	}
	line.Description = strings.TrimSpace(fmt.Sprintf("%s (%s x %s, discounted)", line.Description, line.Quantity, line.UnitPrice))
	line.Quantity, line.UnitPrice = decimal.Must("1"), total
	return line
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

// Deals is what is known of an org's opportunities besides their fields.
type Deals struct {
	WonStages []string         // names of the stages that count as won
	Currency  billing.Currency // of an org with a single one, whose records do not name it; may be empty
}

// OpportunityBilling bills a won opportunity once for ever, whatever happens to it
// later and whichever event tells of it first.
func OpportunityBilling(invoices billing.Invoices, customers consumer.LinkReader, merges consumer.Merges, deals Deals) consumer.Definition {
	return consumer.Action[Won]{
		Name: "opportunity-billing", Object: "Opportunity", Changes: true,
		Events: []consumer.PlatformEvent{{Name: "Opportunity_Won__e", Record: "Record_Id__c", ModifiedAt: "Record_Modified_At__c", Sequence: "Sequence__c", Fields: "Fields__c"}},
		Once:   consumer.PerRecord("invoice"),
		When: func(c consumer.Change[Won]) consumer.Decision {
			switch {
			case !c.CDC:
				return consumer.Act
			case c.Deleted:
				return consumer.Ignore
			case c.Fetched:
				return c.Content.isOfThis(c, deals.WonStages)
			case !c.Changed("StageName") && !c.Changed("IsWon"):
				return consumer.Ignore
			case c.Content.won(deals.WonStages), c.Content.maybeWon():
				return consumer.NeedsSnapshot // change events carry no lines
			default:
				return consumer.Ignore
			}
		},
		To: invoices,
		Do: func(ctx context.Context, ref sink.Ref, c consumer.Change[Won]) (sink.Receipt, error) {
			inv, err := c.Content.invoice(c.RecordID, deals.Currency)
			if err != nil {
				return sink.Receipt{}, err
			}
			inv.RecordTime = c.At
			return customerOf{customers, merges}.bill(ctx, ref, invoices, inv)
		},
	}
}

// longestSave is how long a transaction lasts at most, from the save to the commit.
const longestSave = 15 * time.Minute

// isOfThis decides about a deal that was read because of a change: whether it is won, and
// where the change does not say what it changed, whether it was won with that change.
func (w Won) isOfThis(c consumer.Change[Won], stages []string) consumer.Decision {
	switch {
	case !w.won(stages):
		return consumer.Ignore
	case !c.Partial || c.Type == salesforce.GapCreate:
		return consumer.Act
	case w.StageSet.IsZero():
		return consumer.NeedsSnapshot
	case w.StageSet.Before(c.At.Add(-longestSave)):
		return consumer.Ignore // won before, by a change of its own
	default:
		return consumer.Act
	}
}

// customerOf finds who is billed: the customer of the account, or of the one that it was
// merged into.
type customerOf struct {
	links  consumer.LinkReader
	merges consumer.Merges
}

// longestMerges bounds how often an account may have been merged away.
const longestMerges = 5

func (c customerOf) bill(ctx context.Context, ref sink.Ref, invoices billing.Invoices, inv billing.Invoice) (sink.Receipt, error) {
	for range longestMerges {
		link, err := c.links.Link(ctx, customerBilling, ref.Org, consumer.RecordKey("Account", inv.AccountID))
		if err != nil {
			return sink.Receipt{}, sink.NotYet(verdict.Unfinished, "the link of the account's customer cannot be read: %w", err)
		}
		var receipt sink.Receipt
		refused := sink.NotYet(verdict.DependencyMissing, "the account has no customer at the billing system yet")
		if link != "" {
			inv.CustomerLink = link
			if receipt, refused = invoices.Issue(ctx, ref, inv); !noLongerBilled(refused) {
				return receipt, refused
			}
		}
		into, gone, err := c.mergedInto(ctx, inv.AccountID)
		switch {
		case err != nil:
			return sink.Receipt{}, sink.NotYet(verdict.Unfinished, "whether the account was merged into another one cannot be read: %w", err)
		case gone:
			return sink.Receipt{}, sink.Refuse("account-deleted", "the account was deleted; give the opportunity another account, or undelete it, then redrive")
		case into == "":
			return receipt, refused
		}
		inv.AccountID = into
	}
	return sink.Receipt{}, sink.Refuse("account-deleted", "the account was merged away more than %d times", longestMerges)
}

func (c customerOf) mergedInto(ctx context.Context, account string) (into string, gone bool, err error) {
	if c.merges == nil {
		return "", false, nil
	}
	return c.merges.MergedInto(ctx, "Account", account)
}

// noLongerBilled reports whether the customer of the account was given up.
func noLongerBilled(err error) bool {
	e, ok := errors.AsType[*sink.Error](err)
	return ok && e.Applied == sink.No && (e.Class == verdict.Permanent("customer-retired") || e.Class == verdict.Permanent("customer-deleted"))
}

// won: Salesforce says so itself, whatever the stage is called in the org's language. A
// stage counts by its name where the event does not say.
func (w Won) won(stages []string) bool {
	return w.IsWon.Value == "true" || slices.Contains(stages, w.Stage.Value)
}

// maybeWon: a stage that closes the deal, that is on no list, and of which the event does
// not say whether it is won. It must leave a trace.
func (w Won) maybeWon() bool { return w.IsClosed.Value == "true" && w.IsWon.Value == "" }

func (w Won) invoice(opportunity string, currency billing.Currency) (billing.Invoice, error) {
	if w.Currency == "" {
		w.Currency = currency
	}
	if w.Currency == "" {
		return billing.Invoice{}, sink.Refuse("missing-field", "the org has a single currency and does not name it: set ORG_CURRENCY")
	}
	if w.DueDays < 0 {
		return billing.Invoice{}, sink.Refuse("invalid-field", "Payment_Terms_Days__c is negative")
	}
	return billing.Invoice{
		OpportunityID: opportunity, AccountID: w.AccountID,
		Total: billing.Money{Amount: w.Amount, Currency: w.Currency}, Lines: w.Lines,
		Description: w.Name, DueDays: w.DueDays, CloseDate: w.CloseDate.Time,
	}, nil
}
