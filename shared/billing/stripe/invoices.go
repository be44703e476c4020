package stripe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stripe/stripe-go/v85"

	"sfrelay/shared/billing"
	"sfrelay/shared/decimal"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

const opportunity = "Opportunity"

// Limits of an invoice.
const (
	maxLines       = 250  // lines on one invoice
	maxDescription = 1500 // characters (OpenAPI file, POST /v1/invoices)
	maxLineText    = 500  // characters of a line's description
	maxDueDays     = 3650
)

// Invoices is the port billing.Invoices at Stripe.
//
// An invoice is looked for by its customer and metadata before anything is made.
// Then its customer is read, which must have an e-mail address and not be retired.
// Then: a draft, its lines in one call, the draft read back and compared, and
// finalized. Each step has its own idempotency key, and the draft at Stripe is the
// only checkpoint: an attempt goes on where the last one stopped. Stripe adds no
// discount and no pending items; no tax unless AUTOMATIC_TAX says so; and it tells
// nobody (auto_advance=false) unless INVOICE_DELIVERY says otherwise.
func (c *Client) Invoices() billing.Invoices { return invoices{c} }

type invoices struct{ *Client }

// Contract: idempotency keys with a window, and a list by customer that is
// consistent at once.
func (invoices) Contract() sink.Contract {
	return sink.Contract{KeyWindow: keyWindow, Lookup: true, Effect: 15 * time.Second, Settle: settle}
}

func (s invoices) Issue(ctx context.Context, ref sink.Ref, inv billing.Invoice) (sink.Receipt, error) {
	if inv.CustomerLink == "" {
		return sink.Receipt{}, &sink.Error{Class: verdict.DependencyMissing, Applied: sink.No,
			Reason: "issue the invoice: the account has no customer at Stripe yet"}
	}
	receipt, f := s.issue(ctx, ref, inv)
	switch {
	case f == nil:
		return receipt, nil
	case f.code == stripe.ErrorCodeCustomerTaxLocationInvalid:
		f = withoutTaxLocation(inv.CustomerLink)
	}
	return receipt, f.err()
}

func (s invoices) issue(ctx context.Context, ref sink.Ref, inv billing.Invoice) (sink.Receipt, *failure) {
	found, f := s.find(ctx, ref, inv)
	if f != nil {
		return sink.Receipt{}, f
	}
	if i, f := issued(found); i != nil {
		if f == nil {
			f = s.deliver(ctx, ref, i)
		}
		if f == nil {
			f = billedOtherwise(ref, inv, i)
		}
		return sink.Receipt{Link: i.ID, Outcome: sink.Unchanged}, f
	}
	// From here on nothing has been billed: now the content counts.
	doc, f := newDocument(ref, inv, s.delivery, s.automaticTax)
	if f != nil {
		return sink.Receipt{}, f
	}
	if f := s.billable(ctx, inv.CustomerLink); f != nil {
		return sink.Receipt{}, f
	}
	draft := draftOf(found, doc.content)
	if draft == nil && len(found) > 0 {
		// Left by an attempt with other content, or untaxable. It was never finalized.
		if f := s.remove(ctx, found[0].ID); f != nil {
			return sink.Receipt{}, f
		}
	}
	if draft == nil {
		if draft, f = s.draft(ctx, ref, inv, doc); f != nil {
			return sink.Receipt{}, f
		}
	}
	outcome := sink.Unchanged
	if draft.Status == stripe.InvoiceStatusDraft {
		if draft.Metadata[markContent] != doc.content {
			return sink.Receipt{}, overtaken("another attempt made a draft with other content meanwhile")
		}
		if draft, f = s.fill(ctx, ref, draft, doc); f != nil {
			return sink.Receipt{}, f
		}
	}
	if draft.Status == stripe.InvoiceStatusDraft {
		if draft, f = s.finalize(ctx, ref, draft.ID); f != nil {
			return sink.Receipt{}, f
		}
		outcome = sink.Created
	}
	receipt := sink.Receipt{Link: draft.ID, Outcome: outcome}
	if f := doc.billed(draft); f != nil {
		return receipt, f
	}
	if len(found) > 1 {
		return receipt, duplicates(receipt.Link, len(found))
	}
	return receipt, s.deliver(ctx, ref, draft)
}

// draftOf is the first draft of that content. One that could not be taxed is none: the
// customer can be by now, and whether Stripe calculates anew before it is finalized is not documented.
func draftOf(found []*stripe.Invoice, content string) *stripe.Invoice {
	for _, d := range found {
		if d.Metadata[markContent] == content && taxStatus(d) != stripe.InvoiceAutomaticTaxStatusRequiresLocationInputs {
			return d
		}
	}
	return nil
}

// billable refuses a customer that Stripe takes no invoice for, or that is nobody's any
// more. Between this and the draft somebody may still change it: Stripe itself then
// refuses what it refuses.
func (s invoices) billable(ctx context.Context, id string) *failure {
	var expand []string
	if s.automaticTax {
		expand = []string{"tax"}
	}
	c, f := s.customer(ctx, id, expand...)
	switch {
	case f != nil:
		return f
	case c.Deleted:
		return deletedCustomer(id)
	case c.Metadata[markRetired] != "":
		return refused("customer-retired", "customer %s is retired: its account was deleted or merged in Salesforce; publish the deal again with the account that took over and delete this message, or undelete the account and redrive", id)
	case c.Email == "":
		return refused("customer-without-email", "customer %s has no e-mail address, and Stripe takes no invoice that is sent to nobody; give the account one in Salesforce and, when it has reached Stripe, redrive", id)
	case c.Tax != nil && c.Tax.AutomaticTax == stripe.CustomerTaxAutomaticTaxUnrecognizedLocation:
		return withoutTaxLocation(id)
	}
	return nil
}

// overtaken says that somebody else is at work on the draft: the next attempt looks
// again.
func overtaken(why string) *failure {
	return &failure{Error: sink.Error{Class: verdict.Conflict, Applied: sink.No, Reason: "issue the invoice: " + why}}
}

const draftGone = "the draft was deleted meanwhile"

func duplicates(id string, n int) *failure {
	return &failure{Error: sink.Error{Class: verdict.DuplicateRemote, Applied: sink.Yes,
		Reason: fmt.Sprintf("%d invoices at Stripe carry the id of this opportunity; %s is taken as the one, delete or void the others", n, id)}}
}

// find lists the customer's invoices that carry our marks, oldest first. It looks at the
// newest ones: all since the doubt began or the deal was saved, of before that the first
// alwaysListed. An invoice of this deal cannot be older; those few pages more cost
// nothing, and find what the guard's table forgot.
func (s invoices) find(ctx context.Context, ref sink.Ref, inv billing.Invoice) ([]*stripe.Invoice, *failure) {
	since := inv.RecordTime.Add(-recordMargin)
	if doubt := ref.DoubtSince.Add(-createdMargin); ref.InDoubt && doubt.Before(since) {
		since = doubt // zero: all
	}
	found, f := read(ctx, s.Client, "look for the invoice", func(ctx context.Context, api *stripe.Client) ([]*stripe.Invoice, error) {
		p := &stripe.InvoiceListParams{Customer: &inv.CustomerLink}
		p.Limit = stripe.Int64(100)
		var found []*stripe.Invoice
		seen := 0
		for i, err := range api.V1Invoices.List(ctx, p).All(ctx) {
			if err != nil {
				return nil, err
			}
			if seen++; seen > maxListed {
				return nil, errTooMany
			}
			if marked(i.Metadata, ref, opportunity, inv.OpportunityID) {
				found = append([]*stripe.Invoice{i}, found...)
			}
			if seen >= alwaysListed && i.Created < since.Unix() {
				break
			}
		}
		return found, nil
	})
	switch {
	case f != nil && f.missing():
		f = deletedCustomer(inv.CustomerLink)
	case f != nil && f.Class == verdict.InDoubt && !ref.InDoubt:
		// Nobody ever tried, and no delivery of this change ever sees more.
		f = refused("too-many-invoices", "issue the invoice: its customer has more than %d since the deal was last saved, so that this one is not there cannot be told; look at Stripe for the deal's id in the metadata sf_id: if it is not there, save the deal in Salesforce again, then delete this message", maxListed)
	}
	return found, f
}

// draft makes the draft. It steps over keys that an earlier attempt used up and
// left nothing of: a remembered failure, or a draft that was deleted since.
func (s invoices) draft(ctx context.Context, ref sink.Ref, inv billing.Invoice, doc document) (*stripe.Invoice, *failure) {
	const what = "create the draft invoice"
	for generation := range maxGenerations {
		made, replayed, f := write(ctx, s.Client, what, func(ctx context.Context, api *stripe.Client) (*stripe.Invoice, error) {
			p := &stripe.InvoiceCreateParams{
				Customer:                    &inv.CustomerLink,
				Currency:                    stripe.String(strings.ToLower(string(inv.Total.Currency))),
				AutoAdvance:                 stripe.Bool(false),
				AutomaticTax:                &stripe.InvoiceCreateAutomaticTaxParams{Enabled: &doc.taxed},
				CollectionMethod:            stripe.String(string(stripe.InvoiceCollectionMethodSendInvoice)),
				DaysUntilDue:                stripe.Int64(int64(inv.DueDays)),
				PendingInvoiceItemsBehavior: stripe.String("exclude"),
				Metadata:                    doc.metadata,
			}
			if inv.Description != "" {
				p.Description = &inv.Description
			}
			// Without this the invoice inherits the customer's discount.
			p.AddUnsetField(stripe.InvoiceCreateParamsUnsetFieldDiscounts)
			p.SetIdempotencyKey(ref.ActionKey("draft", generation))
			return api.V1Invoices.Create(ctx, p)
		})
		switch {
		case f == nil && !replayed:
			return made, nil
		case f == nil:
			made, f = s.get(ctx, made.ID)
			if f == nil || !f.missing() {
				return made, f
			}
		case !f.remembered():
			if f.code == stripe.ErrorCodeResourceMissing {
				f = deletedCustomer(inv.CustomerLink)
			}
			return nil, f
		default:
			found, f := s.find(ctx, ref, inv)
			if f != nil {
				return nil, f
			}
			if len(found) > 0 {
				return found[0], nil
			}
		}
	}
	return nil, stuck(what)
}

// fill puts the lines on the draft, unless an earlier attempt did, reads it back
// and compares. A draft that is not what the opportunity says is deleted.
func (s invoices) fill(ctx context.Context, ref sink.Ref, draft *stripe.Invoice, doc document) (*stripe.Invoice, *failure) {
	const what = "add the invoice lines"
	for generation := 0; lines(draft) == 0; generation++ {
		if generation == maxGenerations {
			return nil, stuck(what)
		}
		_, _, f := write(ctx, s.Client, what, func(ctx context.Context, api *stripe.Client) (*stripe.Invoice, error) {
			p := &stripe.InvoiceAddLinesParams{Lines: doc.params()}
			p.SetIdempotencyKey(ref.ActionKey("lines "+draft.ID, generation))
			return api.V1Invoices.AddLines(ctx, draft.ID, p)
		})
		if f != nil && !f.remembered() && f.code != stripe.ErrorCodeInvoiceNotEditable {
			if f.missing() {
				return nil, overtaken(draftGone)
			}
			if f.Class.IsPermanent() {
				if undone := s.remove(ctx, draft.ID); undone != nil {
					return nil, undone
				}
			}
			return nil, f
		}
		if draft, f = s.get(ctx, draft.ID); f != nil {
			return nil, f
		}
		if draft.Status != stripe.InvoiceStatusDraft {
			return draft, nil
		}
	}
	wrong := doc.differs(draft)
	if wrong == nil {
		return draft, nil
	}
	if f := s.remove(ctx, draft.ID); f != nil {
		return nil, f
	}
	return nil, wrong
}

func lines(i *stripe.Invoice) int {
	if i.Lines == nil {
		return 0
	}
	return len(i.Lines.Data)
}

// finalize issues the invoice for good.
func (s invoices) finalize(ctx context.Context, ref sink.Ref, id string) (*stripe.Invoice, *failure) {
	const what = "finalize the invoice"
	for generation := range maxGenerations {
		done, _, f := write(ctx, s.Client, what, func(ctx context.Context, api *stripe.Client) (*stripe.Invoice, error) {
			p := &stripe.InvoiceFinalizeInvoiceParams{AutoAdvance: stripe.Bool(s.delivery == deliverAdvance)}
			p.SetIdempotencyKey(ref.ActionKey("finalize "+id, generation))
			return api.V1Invoices.FinalizeInvoice(ctx, id, p)
		})
		if f == nil {
			return done, nil
		}
		if f.missing() {
			return nil, overtaken(draftGone)
		}
		if !f.remembered() && f.code != stripe.ErrorCodeInvoiceNotEditable {
			return nil, f
		}
		// Done before, by an earlier attempt or a person? Only a draft says no.
		if done, f = s.get(ctx, id); f != nil {
			return nil, f
		}
		if done.Status != stripe.InvoiceStatusDraft {
			return done, nil
		}
	}
	return nil, stuck(what)
}

// get reads an invoice; its Lines.Data holds at least the first one.
func (s invoices) get(ctx context.Context, id string) (*stripe.Invoice, *failure) {
	return read(ctx, s.Client, "read the invoice", func(ctx context.Context, api *stripe.Client) (*stripe.Invoice, error) {
		return api.V1Invoices.Retrieve(ctx, id, nil)
	})
}

// remove deletes a draft; one that is gone already is as good.
func (s invoices) remove(ctx context.Context, id string) *failure {
	_, _, f := write(ctx, s.Client, "delete the draft invoice", func(ctx context.Context, api *stripe.Client) (*stripe.Invoice, error) {
		return api.V1Invoices.Delete(ctx, id, nil)
	})
	if f != nil && f.missing() {
		return nil
	}
	return f
}

// document is the content of an invoice as Stripe gets it.
type document struct {
	customer string // its id at Stripe
	lines    []docLine
	total    int64 // as Stripe counts the currency
	currency string
	taxed    bool   // Stripe adds the tax; total is before it
	content  string // hash: drafts of other content are not ours to finish
	metadata map[string]string
}

type docLine struct {
	amount                   int64
	text                     string
	sku, quantity, unitPrice string
}

func newDocument(ref sink.Ref, inv billing.Invoice, delivery string, taxed bool) (document, *failure) {
	d := document{customer: inv.CustomerLink, currency: string(inv.Total.Currency), taxed: taxed}
	switch {
	case inv.Total.Amount.Sign() < 0:
		return d, refused("negative-total", "the opportunity's amount is negative; issue a credit note by hand")
	case inv.DueDays < 0 || inv.DueDays > maxDueDays:
		return d, refused("invalid-due-days", "the payment terms must be 0 to %d days", maxDueDays)
	case utf8.RuneCountInString(inv.Description) > maxDescription:
		return d, refused("field-too-long", "the invoice's description has more than the %d characters that Stripe takes", maxDescription)
	case len(inv.Lines) > maxLines:
		return d, refused("too-many-lines", "an invoice at Stripe has at most %d lines", maxLines)
	}
	var f *failure
	if d.total, f = minor(inv.Total, "the opportunity's amount"); f != nil {
		return d, f
	}
	given := inv.Lines
	if len(given) == 0 {
		given = []billing.Line{{Description: inv.Description, Quantity: decimal.Must("1"), UnitPrice: inv.Total.Amount}}
	}
	sum := int64(0)
	for i, l := range given {
		line, f := newLine(l, i, inv.Total.Currency)
		if f != nil {
			return d, f
		}
		if taxed && line.amount < 0 {
			return d, negativeLine(i + 1)
		}
		d.lines = append(d.lines, line)
		if sum += line.amount; sum > 1<<53 || sum < -1<<53 {
			return d, refused("amount-too-large", "line %d and those before it come to more than can be billed", i+1)
		}
	}
	if sum != d.total {
		return d, refused("total-mismatch", "the lines do not add up to the opportunity's amount; nothing was billed; correct it in Salesforce and redrive")
	}
	d.metadata = marks(ref, opportunity, inv.OpportunityID)
	d.metadata["sf_account"] = inv.AccountID
	if !inv.CloseDate.IsZero() {
		d.metadata["sf_close_date"] = inv.CloseDate.Format(time.DateOnly)
	}
	if delivery == deliverSend {
		d.metadata[markDelivery] = deliverSend
	}
	d.content = d.hash(inv)
	d.metadata[markContent] = d.content
	return d, nil
}

func newLine(l billing.Line, i int, c billing.Currency) (docLine, *failure) {
	name := fmt.Sprintf("line %d", i+1)
	money, err := l.Amount(c)
	if err != nil {
		return docLine{}, refused("amount-too-large", "%s: quantity times price has more digits than can be billed", name)
	}
	amount, f := minor(money, name)
	if f != nil {
		return docLine{}, f
	}
	text := l.Description
	if text == "" {
		text = l.SKU
	}
	if l.Quantity != decimal.Must("1") {
		text = strings.TrimSpace(fmt.Sprintf("%s (%s × %s)", text, l.Quantity, l.UnitPrice))
	}
	if utf8.RuneCountInString(text) > maxLineText || utf8.RuneCountInString(l.SKU) > longestMetadata {
		return docLine{}, refused("field-too-long", "the text of %s has more than the %d characters that Stripe takes", name, maxLineText)
	}
	return docLine{amount, text, l.SKU, l.Quantity.String(), l.UnitPrice.String()}, nil
}

// hash covers all that a customer reads on the invoice, that it is to be sent and to be taxed.
func (d document) hash(inv billing.Invoice) string {
	h := sha256.New()
	part := func(s string) { fmt.Fprintf(h, "%d:%s", len(s), s) }
	for _, s := range []string{d.customer, d.currency, strconv.FormatInt(d.total, 10), inv.Description, strconv.Itoa(inv.DueDays)} {
		part(s)
	}
	for _, l := range d.lines {
		for _, s := range []string{strconv.FormatInt(l.amount, 10), l.text, l.sku, l.quantity, l.unitPrice} {
			part(s)
		}
	}
	if how := d.metadata[markDelivery]; how != "" {
		part(how)
	}
	if d.taxed {
		part("automatic-tax")
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func (d document) params() []*stripe.InvoiceAddLinesLineParams {
	all := make([]*stripe.InvoiceAddLinesLineParams, len(d.lines))
	for i, l := range d.lines {
		p := &stripe.InvoiceAddLinesLineParams{
			Amount:   &l.amount,
			Metadata: map[string]string{"sf_quantity": l.quantity, "sf_unit_price": l.unitPrice},
		}
		if l.text != "" {
			p.Description = &l.text
		}
		if l.sku != "" {
			p.Metadata["sf_sku"] = l.sku
		}
		all[i] = p
	}
	return all
}
