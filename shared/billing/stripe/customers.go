package stripe

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/form"

	"sfrelay/shared/billing"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

const account = "Account"

// Customers is the port billing.Customers at Stripe.
//
// Name, e-mail, phone and the two addresses are Stripe's own fields; account
// number, status, website, tax number and currency are metadata (sf_number,
// sf_status, sf_website, sf_tax_number, sf_currency): Stripe fixes a customer's
// currency with its first invoice, and its tax ids are objects of their own.
// Retire sets metadata sf_retired, which the next Save removes.
func (c *Client) Customers() billing.Customers { return customers{c} }

type customers struct{ *Client }

// Contract: idempotency keys with a window for creating, setting fields is
// idempotent by nature, and a created customer is found again by a list, which is
// consistent at once ("v1 top-level lists", unlike search).
func (customers) Contract() sink.Contract {
	return sink.Contract{KeyWindow: keyWindow, Lookup: true, Effect: 10 * time.Second, Settle: settle}
}

func (s customers) Save(ctx context.Context, ref sink.Ref, accountID string, c billing.Customer) (sink.Receipt, error) {
	if err := fits(c); err != nil {
		return sink.Receipt{}, err
	}
	return s.upsert(ctx, ref, edit{account: accountID, content: c})
}

func (s customers) Retire(ctx context.Context, ref sink.Ref, accountID string) (sink.Receipt, error) {
	return s.upsert(ctx, ref, edit{account: accountID, retire: true})
}

// edit is what becomes of the customer of an account.
type edit struct {
	account string // its id
	content billing.Customer
	retire  bool // instead of content
}

// upsert finds the customer, by what is known of it, and writes. Save creates what is
// not there, Retire leaves it so.
func (s customers) upsert(ctx context.Context, ref sink.Ref, e edit) (sink.Receipt, error) {
	var found []string
	switch {
	case ref.Link != "":
		found = []string{ref.Link}
	case ref.InDoubt:
		var f *failure
		if found, f = s.find(ctx, ref, e.account); f != nil {
			return sink.Receipt{}, f.err()
		}
	}
	if len(found) == 0 && e.retire {
		return sink.Receipt{Outcome: sink.Unchanged}, nil
	}
	if len(found) == 0 {
		id, adopted, f := s.create(ctx, ref, e)
		if f != nil {
			return sink.Receipt{}, f.err()
		}
		if len(adopted) == 0 {
			return s.created(ctx, ref, id, e)
		}
		found = adopted
	}
	if f := s.update(ctx, ref, found[0], e); f != nil {
		if e.retire && f.Class == customerDeleted {
			return sink.Receipt{Link: found[0], Outcome: sink.Unchanged}, nil // more than retired
		}
		return sink.Receipt{}, f.err()
	}
	receipt := sink.Receipt{Link: found[0], Outcome: sink.Updated}
	if len(found) > 1 {
		// The change is there, on the oldest; that there are others is for a person.
		return receipt, &sink.Error{Class: verdict.DuplicateRemote, Applied: sink.Yes,
			Reason: strconv.Itoa(len(found)) + " customers at Stripe carry the id of this account; the oldest was kept up to date, merge or delete the others: " + strings.Join(found[1:], ", ")}
	}
	return receipt, nil
}

// find lists the customers that carry our marks, oldest first. It looks from
// ref.DoubtSince on; where that is zero it looks through all of them, newest first,
// up to maxListed.
func (s customers) find(ctx context.Context, ref sink.Ref, accountID string) ([]string, *failure) {
	const what = "look for the customer"
	return read(ctx, s.Client, what, func(ctx context.Context, api *stripe.Client) ([]string, error) {
		p := &stripe.CustomerListParams{}
		p.Limit = stripe.Int64(100)
		if !ref.DoubtSince.IsZero() {
			p.CreatedRange = &stripe.RangeQueryParams{GreaterThanOrEqual: ref.DoubtSince.Add(-createdMargin).Unix()}
		}
		var found []string
		seen := 0
		for c, err := range api.V1Customers.List(ctx, p).All(ctx) {
			if err != nil {
				return nil, err
			}
			if seen++; seen > maxListed {
				return nil, errTooMany
			}
			if marked(c.Metadata, ref, account, accountID) && !c.Deleted {
				found = append(found, c.ID)
			}
		}
		slices.Reverse(found)
		return found, nil
	})
}

// create makes the customer. adopted is set when an earlier attempt made it
// already: then its fields are still to be written.
func (s customers) create(ctx context.Context, ref sink.Ref, e edit) (id string, adopted []string, f *failure) {
	const what = "create the customer"
	fields := fieldsOf(ref, e, nil)
	for generation := range maxGenerations {
		made, replayed, f := write(ctx, s.Client, what, func(ctx context.Context, api *stripe.Client) (*stripe.Customer, error) {
			p := fields.forCreate()
			p.TaxExempt = filled(&s.taxExempt) // never of a customer that is there: somebody may have decided
			p.SetIdempotencyKey(ref.ActionKey("customer", generation))
			return api.V1Customers.Create(ctx, p)
		})
		switch {
		case f == nil && !replayed:
			return made.ID, nil, nil
		case f == nil:
			return made.ID, []string{made.ID}, nil
		case !f.remembered():
			return "", nil, f
		}
		// The key belongs to an earlier attempt. What that one left behind is adopted;
		// only when nothing is there the next key is tried.
		if adopted, f = s.find(ctx, ref, e.account); f != nil || len(adopted) > 0 {
			return "", adopted, f
		}
	}
	return "", nil, stuck(what)
}

func (s customers) update(ctx context.Context, ref sink.Ref, id string, e edit) *failure {
	var current *stripe.Customer
	taxNumber := s.taxIDs && e.content.TaxNumber.Present
	if !e.retire && (taxNumber || needsCurrent(e.content)) {
		var f *failure
		var expand []string
		if s.taxIDs {
			expand = []string{"tax_ids"}
		}
		if current, f = s.customer(ctx, id, expand...); f != nil {
			return f
		}
		if current.Deleted {
			return deletedCustomer(id)
		}
		if taxNumber {
			if f := s.taxID(ctx, ref, current, e.content.TaxNumber.Value); f != nil {
				return f
			}
		}
	}
	fields := fieldsOf(ref, e, current)
	_, _, f := write(ctx, s.Client, "update the customer", func(ctx context.Context, api *stripe.Client) (*stripe.Customer, error) {
		p := fields.forUpdate()
		// The epoch is part of the key: a repetition must be carried out and not be
		// answered from memory, because a late request of an older attempt may have
		// written in between. Setting the same fields twice does no harm.
		body := &form.Values{}
		form.AppendTo(body, p)
		p.SetIdempotencyKey(ref.StateKey("customer "+id+" epoch "+strconv.FormatInt(ref.Epoch, 10), []byte(body.Encode())))
		return api.V1Customers.Update(ctx, id, p)
	})
	if f != nil && f.missing() {
		return deletedCustomer(id)
	}
	return f
}

// customer reads a customer with what Stripe leaves out unless it is asked; one that was
// deleted is an answer, too.
func (c *Client) customer(ctx context.Context, id string, expand ...string) (*stripe.Customer, *failure) {
	v, f := read(ctx, c, "read the customer", func(ctx context.Context, api *stripe.Client) (*stripe.Customer, error) {
		p := &stripe.CustomerRetrieveParams{}
		for _, name := range expand {
			p.AddExpand(name)
		}
		return api.V1Customers.Retrieve(ctx, id, p)
	})
	if f != nil && f.missing() {
		f = deletedCustomer(id)
	}
	return v, f
}

var customerDeleted = verdict.Permanent("customer-deleted")

func deletedCustomer(id string) *failure {
	return refused("customer-deleted", "customer %s was deleted at Stripe; decide whether the account gets a new one", id)
}

// fields are the parameters that creating and updating have in common.
type fields struct {
	name, email, phone *string
	address            *stripe.AddressParams
	shippingName       string
	shipping           *stripe.AddressParams
	noShipping         bool // the shipping address is cleared
	metadata           map[string]string
}

// needsCurrent reports whether the change says too little to write it without
// reading first. Stripe's documents do not say whether an address that is sent in
// part keeps its other parts, and a shipping address cannot be sent without a
// name: so both are always sent whole.
func needsCurrent(c billing.Customer) bool {
	if partial(c.Billing) || partial(c.Shipping) {
		return true
	}
	return c.Name.Present != !c.Shipping.IsZero()
}

// partial reports whether some parts of the address are present and others not.
func partial(a billing.Address) bool {
	n := 0
	for _, f := range []sink.Field[string]{a.Street, a.City, a.State, a.PostalCode, a.Country} {
		if f.Present {
			n++
		}
	}
	return n > 0 && n < 5
}

// extraKey is the metadata key of a custom field: Stripe's are 40 characters at most.
func extraKey(name string) string { return "sf_" + name }

func fieldsOf(ref sink.Ref, e edit, current *stripe.Customer) fields {
	f := fields{metadata: marks(ref, account, e.account)}
	if e.retire {
		f.metadata[markRetired] = "true"
		return f
	}
	c := e.content
	f.metadata[markRetired] = ""
	for name, field := range map[string]sink.Field[string]{"sf_number": c.Number, "sf_status": c.Status,
		"sf_website": c.Website, markTaxNumber: c.TaxNumber, "sf_currency": c.Currency} {
		if field.Present {
			f.metadata[name] = field.Value
		}
	}
	for name, field := range c.Extra {
		f.metadata[extraKey(name)] = field.Value
	}
	f.name, f.email, f.phone = value(c.Name), value(c.Email), value(c.Phone)

	if current == nil {
		current = &stripe.Customer{}
	}
	if !c.Billing.IsZero() {
		f.address = merge(c.Billing, current.Address)
	}
	if c.Shipping.IsZero() && (f.name == nil || current.Shipping == nil) {
		return f
	}
	var old *stripe.Address
	if current.Shipping != nil {
		old = current.Shipping.Address
	}
	shipping := merge(c.Shipping, old)
	if empty(shipping) {
		f.noShipping = true
		return f
	}
	f.shipping, f.shippingName = shipping, current.Name
	if f.name != nil {
		f.shippingName = *f.name
	}
	if f.shippingName == "" {
		f.shippingName = e.account // Stripe wants a name
	}
	return f
}

// value is nil for a field that is left alone and empty for one that is cleared.
func value(f sink.Field[string]) *string {
	if !f.Present {
		return nil
	}
	v := f.Value
	if f.Null {
		v = ""
	}
	return &v
}

// merge is the whole address after the change. Stripe has two lines for a street: the
// first of its own goes to the first, the others to the second. Blank ones are skipped.
func merge(a billing.Address, old *stripe.Address) *stripe.AddressParams {
	if old == nil {
		old = &stripe.Address{}
	}
	pick := func(f sink.Field[string], old string) *string {
		if v := value(f); v != nil {
			return v
		}
		return &old
	}
	p := &stripe.AddressParams{
		Line1: &old.Line1, Line2: &old.Line2, City: pick(a.City, old.City), State: pick(a.State, old.State),
		PostalCode: pick(a.PostalCode, old.PostalCode), Country: pick(a.Country, old.Country),
	}
	country := strings.ToUpper(*p.Country)
	p.Country = &country
	if street := value(a.Street); street != nil {
		var all []string
		for _, line := range strings.FieldsFunc(*street, func(r rune) bool { return r == '\n' || r == '\r' }) {
			if line = strings.TrimSpace(line); line != "" {
				all = append(all, line)
			}
		}
		all = append(all, "") // there is a first one
		rest := strings.TrimSuffix(strings.Join(all[1:], ", "), ", ")
		p.Line1, p.Line2 = &all[0], &rest
	}
	return p
}

func empty(p *stripe.AddressParams) bool {
	for _, v := range []*string{p.Line1, p.Line2, p.City, p.State, p.PostalCode, p.Country} {
		if v != nil && *v != "" {
			return false
		}
	}
	return true
}

// forCreate leaves out what is empty: there is nothing to clear, and Stripe
// refuses empty texts for a new customer.
func (f fields) forCreate() *stripe.CustomerCreateParams {
	p := &stripe.CustomerCreateParams{Name: filled(f.name), Email: filled(f.email), Phone: filled(f.phone), Metadata: map[string]string{}}
	for k, v := range f.metadata {
		if v != "" {
			p.Metadata[k] = v
		}
	}
	if f.address != nil && !empty(f.address) {
		p.Address = whole(f.address)
	}
	if f.shipping != nil {
		p.Shipping = &stripe.CustomerCreateShippingParams{Name: &f.shippingName, Address: whole(f.shipping)}
	}
	return p
}

func (f fields) forUpdate() *stripe.CustomerUpdateParams {
	p := &stripe.CustomerUpdateParams{Name: f.name, Email: f.email, Phone: f.phone, Metadata: f.metadata, Address: f.address}
	if f.shipping != nil {
		p.Shipping = &stripe.CustomerUpdateShippingParams{Name: &f.shippingName, Address: f.shipping}
	}
	if f.noShipping {
		p.AddUnsetField(stripe.CustomerUpdateParamsUnsetFieldShipping)
	}
	return p
}

func whole(a *stripe.AddressParams) *stripe.AddressParams {
	return &stripe.AddressParams{Line1: filled(a.Line1), Line2: filled(a.Line2), City: filled(a.City),
		State: filled(a.State), PostalCode: filled(a.PostalCode), Country: filled(a.Country)}
}

func filled(v *string) *string {
	if v == nil || *v == "" {
		return nil
	}
	return v
}
