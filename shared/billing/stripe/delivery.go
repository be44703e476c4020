package stripe

import (
	"context"
	"net/http"
	"strconv"

	"github.com/stripe/stripe-go/v85"

	"sfrelay/shared/sink"
)

// How a customer hears of an invoice, INVOICE_DELIVERY.
const (
	deliverOpen    = "open"    // not from Stripe: it is finalized, and somebody else tells
	deliverSend    = "send"    // by one e-mail of Stripe's
	deliverAdvance = "advance" // as the account's settings say: e-mail, reminders (auto_advance)
)

// delivered is the value of markDelivery once the invoice was sent. Before it is
// deliverSend; an invoice without the mark is not ours to send.
const delivered = "sent"

// deliver lets Stripe send an invoice that was made to be sent and is still to be paid.
// Stripe does not tell whether it sent one: the mark does, and for a day the key.
func (s invoices) deliver(ctx context.Context, ref sink.Ref, i *stripe.Invoice) *failure {
	const what = "send the invoice"
	if i.Metadata[markDelivery] != deliverSend || i.Status != stripe.InvoiceStatusOpen {
		return nil
	}
	for generation := 0; ; generation++ {
		if generation == maxGenerations {
			return stuck(what)
		}
		_, _, f := write(ctx, s.Client, what, func(ctx context.Context, api *stripe.Client) (*stripe.Invoice, error) {
			p := &stripe.InvoiceSendInvoiceParams{}
			p.SetIdempotencyKey(ref.ActionKey("send "+i.ID, generation))
			return api.V1Invoices.SendInvoice(ctx, i.ID, p)
		})
		if f == nil {
			break
		}
		if !f.remembered() { // else whether that one was sent nobody knows: rather twice than never
			return f
		}
	}
	_, _, f := write(ctx, s.Client, "mark the invoice as sent", func(ctx context.Context, api *stripe.Client) (*stripe.Invoice, error) {
		p := &metadataParams{Metadata: map[string]string{markDelivery: delivered}}
		p.Context = ctx
		p.SetIdempotencyKey(ref.ActionKey("sent "+i.ID+" epoch "+strconv.FormatInt(ref.Epoch, 10), 0))
		v := &stripe.Invoice{}
		return v, api.V1Invoices.B.Call(http.MethodPost, "/v1/invoices/"+i.ID, api.V1Invoices.Key, p, v)
	})
	return f
}

// metadataParams stands for stripe.InvoiceUpdateParams, which would bring the descriptions
// of a hundred types into the binary.
type metadataParams struct {
	stripe.Params `form:"*"`
	Metadata      map[string]string `form:"metadata"`
}
