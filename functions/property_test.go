package functions_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"sfrelay/functions"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/erp"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// said is what a generated event says of one field that a consumer reads.
type said int

const (
	silent  said = iota // nothing: it stays as it is
	value               // this value
	cleared             // it is empty
	unclear             // something, and not what: nobody may guess
)

// reads are the fields of the customer at the ERP, by the path in change events, the field
// of the platform event, and where the value ends.
var reads = []struct {
	path, event string
	ends        func(erp.Customer) sink.Field[string]
}{
	{"Name", "Name__c", func(c erp.Customer) sink.Field[string] { return c.Name }},
	{"AccountNumber", "Account_Number__c", func(c erp.Customer) sink.Field[string] { return c.Number }},
	{"Status__c", "Status__c", func(c erp.Customer) sink.Field[string] { return c.Status }},
	{"Phone", "Phone__c", func(c erp.Customer) sink.Field[string] { return c.Phone }},
	{"Website", "Website__c", func(c erp.Customer) sink.Field[string] { return c.Website }},
	{"Email__c", "Email__c", func(c erp.Customer) sink.Field[string] { return c.Email }},
	{"Tax_Number__c", "Tax_Number__c", func(c erp.Customer) sink.Field[string] { return c.TaxNumber }},
	{"CurrencyIsoCode", "Currency__c", func(c erp.Customer) sink.Field[string] { return c.Currency }},
	{"BillingAddress.Street", "Billing_Street__c", func(c erp.Customer) sink.Field[string] { return c.BillingAddress.Street }},
	{"BillingAddress.City", "Billing_City__c", func(c erp.Customer) sink.Field[string] { return c.BillingAddress.City }},
	{"BillingAddress.PostalCode", "Billing_Postal_Code__c", func(c erp.Customer) sink.Field[string] { return c.BillingAddress.PostalCode }},
	{"BillingAddress.State", "Billing_State__c", func(c erp.Customer) sink.Field[string] { return c.BillingAddress.State }},
	{"BillingAddress.Country", "Billing_Country__c", func(c erp.Customer) sink.Field[string] { return c.BillingAddress.Country }},
	{"ShippingAddress.Street", "Shipping_Street__c", func(c erp.Customer) sink.Field[string] { return c.ShippingAddress.Street }},
	{"ShippingAddress.City", "Shipping_City__c", func(c erp.Customer) sink.Field[string] { return c.ShippingAddress.City }},
	{"ShippingAddress.PostalCode", "Shipping_Postal_Code__c", func(c erp.Customer) sink.Field[string] { return c.ShippingAddress.PostalCode }},
	{"ShippingAddress.State", "Shipping_State__c", func(c erp.Customer) sink.Field[string] { return c.ShippingAddress.State }},
	{"ShippingAddress.Country", "Shipping_Country__c", func(c erp.Customer) sink.Field[string] { return c.ShippingAddress.Country }},
}

// telling is one generated event and what it tells, known before it was written down.
type telling struct {
	r        *rand.Rand
	platform bool
	kind     string         // changeType
	fields   map[string]any // of the body, by path
	changed  []string
	tells    map[string]said // by path
	values   map[string]string
	odd      bool // some form that a consumer may refuse
}

func (x *telling) tell(path string, s said, text string) { x.tells[path], x.values[path] = s, text }

// put writes a field into the body, and into changedFields of an update.
func (x *telling) put(path string, v any) {
	x.fields[path] = v
	if x.kind == "UPDATE" {
		x.changed = append(x.changed, path)
	}
}

// spelled is a value in one of the forms in which JSON can hold it, and the text that
// users of the org see.
func (x *telling) spelled() (v any, text string) {
	r := x.r
	switch r.IntN(6) {
	case 0: // a number behind a text: Salesforce spells 8 digits and more with an exponent
		n := r.Int64N(1_000_000_000_000)
		text = fmt.Sprint(n)
		switch r.IntN(4) {
		case 0:
			return json.Number(text), text
		case 1:
			return json.Number(text + ".0"), text
		case 2:
			return json.Number(fmt.Sprintf("%de0", n)), text
		default:
			d := text[:1] + "." + text[1:] + "0"
			return json.Number(fmt.Sprintf("%sE%d", d, len(text)-1)), text
		}
	case 1:
		if r.IntN(2) == 0 {
			return true, "true"
		}
		return false, "false"
	case 2:
		text = []string{"Müller & Söhne", "例え株式会社", "a \"quoted\" \\ one", "line\nbreak", "🏭", "<b>x</b>", " padded "}[r.IntN(7)]
		return text, text
	default:
		text = fmt.Sprintf("text %d", r.IntN(1000))
		return text, text
	}
}

// plain fields: a value, null, absent, or something that is none of them.
func (x *telling) plain(path string) {
	if x.kind == "UPDATE" && x.r.IntN(3) > 0 {
		return // not changed
	}
	switch n := x.r.IntN(60); {
	case n < 3:
		x.put(path, nil)
		x.tell(path, cleared, "")
	case n < 5:
		if x.kind == "UPDATE" && x.r.IntN(2) == 0 { // named and absent
			x.changed = append(x.changed, path)
			x.tell(path, unclear, "")
			x.odd = true
		}
	case n == 5:
		x.put(path, []any{"x"})
		x.tell(path, unclear, "")
		x.odd = true
	case n == 6 && !strings.Contains(path, "."):
		x.put(path+".Part", "x")
		x.tell(path, unclear, "")
		x.odd = true
	case n == 7 && x.kind == "UPDATE":
		x.put(path, "--- \n+++ \n@@ -1 +1 @@\n-a\n+b") // the diff of a long text
		x.tell(path, unclear, "")
		x.odd = true
	default:
		v, text := x.spelled()
		x.put(path, v)
		x.tell(path, value, text)
	}
}

// name of an account: a text, or the compound of a person account.
func (x *telling) name() {
	if x.platform || x.r.IntN(2) == 0 {
		x.plain("Name")
		return
	}
	parts := map[string]string{"Salutation": "Dr.", "FirstName": "Ada", "MiddleName": "M.", "LastName": "Sample", "Suffix": "Jr."}
	var composed []string
	all := true
	for _, part := range []string{"Salutation", "FirstName", "MiddleName", "LastName", "Suffix"} {
		if x.r.IntN(3) == 0 && part != "LastName" {
			all = all && part == "Salutation"
			continue
		}
		x.put("Name."+part, parts[part])
		if part != "Salutation" {
			composed = append(composed, parts[part])
		}
	}
	if x.kind == "UPDATE" && !all {
		x.tell("Name", unclear, "")
		x.odd = true
		return
	}
	x.tell("Name", value, strings.Join(composed, " "))
}

// place is a part of an address that has a code where the org has picklists.
func (x *telling) place(path string) {
	switch {
	case x.platform || x.r.IntN(2) == 0:
		x.plain(path)
	case x.kind == "UPDATE" && x.r.IntN(2) == 0: // the code alone
		x.put(path+"Code", "CH")
		x.tell(path, value, "CH")
	case x.r.IntN(4) == 0:
		x.put(path, nil)
		x.put(path+"Code", nil)
		x.tell(path, cleared, "")
	case x.r.IntN(4) == 0: // a country that is on no list has no code
		x.put(path, "Atlantis")
		x.put(path+"Code", nil)
		x.tell(path, value, "Atlantis")
	default:
		x.put(path, "Switzerland")
		x.put(path+"Code", "CH")
		x.tell(path, value, "CH")
	}
}

// generate makes an event of any form.
func generate(seed uint64) *telling {
	x := &telling{r: rand.New(rand.NewPCG(seed, 11)), fields: map[string]any{}, tells: map[string]said{}, values: map[string]string{}}
	x.kind = []string{"CREATE", "UPDATE", "UPDATE", "UNDELETE", ""}[x.r.IntN(5)]
	x.platform = x.kind == ""
	for _, f := range reads {
		switch {
		case f.path == "Name":
			x.name()
		case strings.HasSuffix(f.path, ".State") || strings.HasSuffix(f.path, ".Country"):
			x.place(f.path)
		default:
			x.plain(f.path)
		}
	}
	if x.kind == "UPDATE" && x.r.IntN(10) == 0 {
		x.wholeAddress("ShippingAddress")
	}
	if x.kind == "UPDATE" {
		if x.r.IntN(3) == 0 { // enriched: read at delivery, no part of the change
			for _, f := range reads {
				if _, ok := x.fields[f.path]; !ok && x.tells[f.path] == silent && !x.speaksOfPart(f.path) && x.r.IntN(2) == 0 {
					x.fields[f.path] = "newer than the event"
				}
			}
		}
		x.put("Description", "not read")
		x.changed = append(x.changed, "LastModifiedDate")
	}
	return x
}

// wholeAddress names a compound field as a whole, with some of its parts in the body:
// what the others are nobody says.
func (x *telling) wholeAddress(name string) {
	x.changed = slices.DeleteFunc(x.changed, func(p string) bool { return strings.HasPrefix(p, name+".") })
	x.changed = append(x.changed, name)
	maps.DeleteFunc(x.fields, func(p string, _ any) bool { return strings.HasPrefix(p, name+".") })
	for _, f := range reads {
		if !strings.HasPrefix(f.path, name+".") {
			continue
		}
		x.tell(f.path, unclear, "")
		if x.r.IntN(6) > 0 {
			x.fields[f.path] = "part"
			x.tell(f.path, value, "part")
		}
	}
	x.fields[name+".Latitude"] = 52.5 // some part there is
}

// speaksOfPart: an enriched value beside a named part or code of the same field would be
// another form than any that Salesforce makes.
func (x *telling) speaksOfPart(path string) bool {
	for p := range x.fields {
		if strings.HasPrefix(p, path) || strings.HasPrefix(path, p) {
			return true
		}
	}
	return slices.Contains(x.changed, path)
}

// event writes it down, in one of the two dialects.
func (x *telling) event() []byte {
	if !x.platform {
		x.fields["LastModifiedDate"] = []any{consumertest.At(1), consumertest.Start.UnixMilli() + 1000}[x.r.IntN(2)]
		return consumertest.Change{Object: "Account", Kind: x.kind, IDs: []string{account}, Second: 1, Fields: x.fields, Changed: x.changed}.Event()
	}
	payload := map[string]any{"Record_Id__c": account, "Record_Modified_At__c": consumertest.At(1)}
	if x.r.IntN(2) == 0 {
		payload["Record_Modified_At__c"] = consumertest.Start.UnixMilli() + 1000
	}
	var filled []string
	for _, f := range reads {
		if v, ok := x.fields[f.path]; ok {
			payload[f.event] = v
			filled = append(filled, f.event)
		} else if v, ok := x.fields[f.path+".Part"]; ok {
			payload[f.event] = map[string]any{"Part": v}
			filled = append(filled, f.event)
		}
	}
	if x.r.IntN(2) == 0 { // Salesforce sends what the publisher left out as null
		for _, f := range reads {
			if _, ok := payload[f.event]; !ok {
				payload[f.event] = nil
			}
		}
		payload["Fields__c"] = strings.Join(filled, ",")
		if len(filled) == 0 {
			payload["Fields__c"] = "Record_Id__c"
		}
	}
	return consumertest.PlatformEvent("Cloud_Customer_Sync__e", 1, payload)
}

// Never is a change applied, ignored or stale while a value that its event carries and
// the consumer reads is lost, changed or guessed. The generator knows what each event
// says before it writes it down.
func TestNoValueIsLostChangedOrGuessed(t *testing.T) {
	ends := map[string]int{}
	events := uint64(20_000)
	if testing.Short() {
		events = 3_000
	}
	for seed := range events {
		x := generate(seed)
		raw := x.event()
		l := newLedger()
		kit := consumertest.New(t, functions.CustomerERP(l))
		kit.Send(raw)
		line := kit.Lines()[len(kit.Lines())-1]
		ends[line.Verdict]++
		wrong := func(format string, args ...any) {
			t.Helper()
			t.Fatalf("seed %d, %s: %s\n%s", seed, line.Verdict, fmt.Sprintf(format, args...), raw)
		}
		unclears := slices.Contains(slices.Collect(maps.Values(x.tells)), unclear)
		if x.platform && x.tells["Name"] == cleared { // required
			unclears = true
		}
		switch verdict.Verdict(line.Verdict) {
		case verdict.Parked:
			if !unclears && len(x.tells) != 0 {
				wrong("%s: %s, though everything was said", line.Class, line.Error)
			}
			continue
		case verdict.Ignored:
			if len(x.tells) > 0 {
				wrong("it says something of %v", slices.Sorted(maps.Keys(x.tells)))
			}
			continue
		case verdict.Applied:
		default:
			wrong("no other verdict is right for the first change of a record")
		}
		if unclears {
			wrong("something is not known: %v", x.tells)
		}
		got := l.Took()[0].Body.(erp.Customer)
		for _, f := range reads {
			want := sink.Field[string]{}
			switch s := x.tells[f.path]; {
			case s == value:
				want = sink.Set(x.values[f.path])
			case s == cleared, s == silent && (x.kind == "CREATE" || x.kind == "UNDELETE"):
				want = sink.Clear[string]()
			}
			if f.ends(got) != want {
				wrong("%s ends as %+v, want %+v", f.path, f.ends(got), want)
			}
		}
	}
	t.Logf("%d events: %v", events, ends)
	if ends["applied"] < int(events)/5 || ends["parked"] < int(events)/20 {
		t.Errorf("the events are too much alike: %v", ends)
	}
}

// A quantity is what its digits say, however Salesforce spells it, or is refused.
func TestNoQuantityIsChanged(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 2_000 {
		digits := fmt.Sprint(r.Int64N(1_000_000_000))
		spelling := digits
		switch r.IntN(4) {
		case 0:
			spelling = digits + "." + strings.Repeat("0", r.IntN(3)) + fmt.Sprint(r.IntN(1000))
		case 1:
			spelling = fmt.Sprintf("%sE%d", digits, r.IntN(9))
		case 2:
			spelling = fmt.Sprintf("%s.%sE-%d", digits[:1], digits, r.IntN(9))
		}
		if r.IntN(4) == 0 {
			spelling = "-" + spelling
		}
		want, ok := new(big.Rat).SetString(spelling)
		if !ok {
			t.Fatal(spelling)
		}
		s := newShelf()
		kit := consumertest.New(t, functions.InventoryERP(s))
		kit.Send(onHand(1, "A-1", "WH", json.Number(spelling)))
		kit.Want(verdict.Applied)
		got, ok := new(big.Rat).SetString(s.Took()[0].Body.(erp.Level).Quantity.String())
		if !ok || got.Cmp(want) != 0 {
			t.Fatalf("%s became %v", spelling, s.Took()[0].Body)
		}
	}
}
