package stripe

import (
	"context"
	"strconv"
	"strings"
	"unicode"

	"github.com/stripe/stripe-go/v85"

	"sfrelay/shared/sink"
)

// vatForms are the forms of VAT numbers whose prefix names the register: 9 is a digit, X a
// digit or letter, A a letter, B and U themselves (docs.stripe.com/billing/customer/tax-ids;
// the European Commission's VIES, "VAT number format"). XI is Northern Ireland.
const vatForms = "|ATU99999999|BE9999999999|BG999999999|BG9999999999|CY99999999A|CZ99999999|CZ999999999|CZ9999999999|DE999999999|DK99999999" +
	"|EE999999999|EL999999999|ESX9999999X|FI99999999|FRXX999999999|HR99999999999|HU99999999|IE9X99999A|IE9X99999AA|IT99999999999" +
	"|LT999999999|LT999999999999|LU99999999|LV99999999999|MT99999999|NL999999999B99|PL9999999999|PT999999999" +
	"|RO99|RO999|RO9999|RO99999|RO999999|RO9999999|RO99999999|RO999999999|RO9999999999|SE999999999999|SI99999999|SK9999999999" +
	"|XI999999999|XI999999999999|GB999999999|GB999999999999|"

// taxIDOf is Stripe's type of a tax number and the number as Stripe wants it, both empty
// where the form alone does not tell. Nothing is guessed from the country of an address.
func taxIDOf(number string) (kind, value string) {
	value = strings.ToUpper(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '.' || r == '-' {
			return -1
		}
		return r
	}, number))
	for form := range strings.SplitSeq(vatForms, "|") {
		if len(form) != len(value) || value == "" || form[:2] != value[:2] || !hasForm(value[2:], form[2:]) {
			continue
		}
		if form[:2] == "GB" {
			return "gb_vat", value
		}
		return "eu_vat", value
	}
	return "", ""
}

func hasForm(s, form string) bool {
	for i := range len(s) {
		digit, letter := s[i] >= '0' && s[i] <= '9', s[i] >= 'A' && s[i] <= 'Z'
		switch form[i] {
		case '9':
			if !digit {
				return false
			}
		case 'A':
			if !letter {
				return false
			}
		case 'X':
			if !digit && !letter {
				return false
			}
		default:
			if s[i] != form[i] {
				return false
			}
		}
	}
	return true
}

// taxID makes the customer's tax ids follow its tax number, before that is written into
// the metadata: until then the metadata tells which one was made of the number before.
func (s customers) taxID(ctx context.Context, ref sink.Ref, c *stripe.Customer, number string) *failure {
	kind, value := taxIDOf(number)
	_, before := taxIDOf(c.Metadata[markTaxNumber])
	there := value == ""
	var old []string
	if c.TaxIDs != nil {
		for _, id := range c.TaxIDs.Data {
			switch _, v := taxIDOf(id.Value); v {
			case "": // not one of ours
			case value:
				there = true
			case before:
				old = append(old, id.ID)
			}
		}
	}
	if !there {
		_, _, f := write(ctx, s.Client, "create the tax id", func(ctx context.Context, api *stripe.Client) (*stripe.TaxID, error) {
			p := &stripe.TaxIDCreateParams{Customer: &c.ID, Type: &kind, Value: &value}
			p.SetIdempotencyKey(ref.StateKey("tax id "+c.ID+" epoch "+strconv.FormatInt(ref.Epoch, 10), []byte(value)))
			return api.V1TaxIDs.Create(ctx, p)
		})
		if f != nil {
			return f
		}
	}
	for _, id := range old {
		_, _, f := write(ctx, s.Client, "delete the tax id", func(ctx context.Context, api *stripe.Client) (*stripe.TaxID, error) {
			return api.V1TaxIDs.Delete(ctx, id, &stripe.TaxIDDeleteParams{Customer: &c.ID})
		})
		if f != nil && !f.missing() {
			return f
		}
	}
	return nil
}

// created gives a new customer its tax id. It is there already: a tax id that is refused
// is told for a person, and after every other failure the customer is to be looked for.
// With tax_id_data a refusal would use up the key that the customer is created under.
func (s customers) created(ctx context.Context, ref sink.Ref, id string, e edit) (sink.Receipt, error) {
	receipt := sink.Receipt{Link: id, Outcome: sink.Created}
	if !s.taxIDs {
		return receipt, nil
	}
	f := s.taxID(ctx, ref, &stripe.Customer{ID: id}, e.content.TaxNumber.Value)
	switch {
	case f == nil:
		return receipt, nil
	case f.code == stripe.ErrorCodeTaxIDInvalid:
		return receipt, &sink.Error{Class: f.Class, Applied: sink.Yes, Reason: "the customer was created without its tax id; TaxNumber: " + notATaxID}
	}
	f.Applied = sink.Maybe
	return sink.Receipt{}, f.err()
}

const notATaxID = "has the form of a VAT number, and Stripe takes it for none; correct it in Salesforce"

// taxIDInvalid names the field that holds back nothing but itself.
func taxIDInvalid() error {
	return &sink.UnfitError{Fields: []sink.Unfit{unfit("tax-id-invalid", "TaxNumber", notATaxID)}}
}
