package stripe

import (
	"fmt"

	"github.com/stripe/stripe-go/v85"

	"sfrelay/shared/billing"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// issued is the invoice that exists for good: open, paid, or voided or written off by a
// person, who would not want it issued again.
func issued(found []*stripe.Invoice) (*stripe.Invoice, *failure) {
	for _, i := range found {
		if i.Status == stripe.InvoiceStatusDraft {
			continue
		}
		if len(found) > 1 {
			return i, duplicates(i.ID, len(found))
		}
		return i, nil
	}
	return nil, nil
}

// billedOtherwise tells of an invoice that an earlier attempt issued with other content: the
// deal was edited between the two.
func billedOtherwise(ref sink.Ref, inv billing.Invoice, i *stripe.Invoice) *failure {
	billed := i.Metadata[markContent]
	for _, delivery := range []string{"", deliverSend} { // settings of ours may have changed since: those of the invoice count
		doc, f := newDocument(ref, inv, delivery, i.AutomaticTax != nil && i.AutomaticTax.Enabled)
		if f == nil && (billed == "" || billed == doc.content) {
			return nil
		}
	}
	return &failure{Error: sink.Error{Class: verdict.ChangedAfterDone, Applied: sink.Yes,
		Reason: fmt.Sprintf("%s was issued by an earlier attempt, and the deal was changed since: compare both", i.ID)}}
}
