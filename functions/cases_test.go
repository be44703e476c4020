package functions_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sfrelay/functions"
	"sfrelay/shared/billing/stripe"
	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/erp/httpsink"
	"sfrelay/shared/guard"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/salesforce"
	erpsandbox "sfrelay/shared/sandbox/erp"
	stripesandbox "sfrelay/shared/sandbox/stripe"
	"sfrelay/shared/sink/sinkhttp"
)

// The cases are events made from what people reported in public of Salesforce, AWS and
// billing systems. Each group is played on a fresh world through all four consumers, with
// the real connectors and the sandboxes, and ends as is written here by hand. Never right
// is a verdict applied, ignored or stale while a value that the event carries and the
// consumer reads is lost or changed.
var cases = []struct {
	name   string
	events []string // beginnings of file names in testdata/cases, in order
	// ends are what became of each event, "consumer: verdict class" for each consumer that a
	// rule brings it to, in the order of the consumers.
	ends []string
	// holds are pieces of what billing, the ERP and the failure queue hold in the end.
	holds []string
	lacks []string
}{
	{name: "a person account", events: []string{"01"}, ends: []string{both("applied")},
		holds: []string{`customer 0015f0000700101AAA email="ada@sample.example" name="Ada Sample"`, `customer/0015f0000700101AAA email="ada@sample.example" name="Ada Sample"`}},
	{name: "a part of a person's name", events: []string{"02a", "02b"}, ends: []string{both("applied"), both("parked needs-fetch")},
		holds: []string{"needs-fetch: field Name: has no value of its own in the event"}},
	{name: "only a part of a person's name", events: []string{"02c"}, ends: []string{both("parked needs-fetch")}, holds: []string{"needs-fetch: field Name"}},
	{name: "a person's whole name is named", events: []string{"03"}, ends: []string{both("parked needs-fetch")}, holds: []string{"needs-fetch: field Name"}},
	{name: "country and state by code", events: []string{"04a", "04c"}, ends: []string{both("applied"), both("applied")},
		holds: []string{`country="CH" name="Case 04 Example Ltd" state="BY"`, `billingAddress.country="CH"`}, lacks: []string{"Germany", "Bavaria"}},
	{name: "an amount with an exponent", events: []string{"05a", "05b"}, ends: []string{both("applied"), bill1("applied")},
		holds: []string{"invoice 0065f0000700105AAA eur 1441209288 open"}},
	{name: "a quantity with an exponent", events: []string{"05c"}, ends: []string{stock("applied")}, holds: []string{`quantity="12345678"`}},
	{name: "a number read as a text", events: []string{"06"}, ends: []string{both("applied")}, lacks: []string{"E13", "13\"."},
		holds: []string{`taxNumber="16147805824397"`}},
	{name: "too much money", events: []string{"08a", "08b"}, ends: []string{both("applied"), bill1("parked permanent/amount-too-large")}, lacks: []string{"invoice"}},
	{name: "odd spellings of numbers", events: []string{"09a", "09b"}, ends: []string{stock("applied"), stock("applied")},
		holds: []string{`quantity="0.0000005302"`, `quantity="0"`}},
	{name: "a merge", events: []string{"10a", "10b", "10c", "10d", "10e", "10g"},
		ends: []string{both("applied"), both("applied"), both("applied"), "customer-billing: applied; customer-billing: applied; customer-erp: applied; customer-erp: applied", both("applied"), bill1("ignored")},
		holds: []string{`customer 0015f0000700110AAA name="Case 10 Winner Ltd" phone="+49 30 0000 79"`, "customer 0015f0000700111AAA", "customer 0015f0000700112AAA",
			"customer/0015f0000700111AAA retired", "customer/0015f0000700112AAA retired"}},
	{name: "won by the loser of a merge", events: []string{"10a", "10b", "10c", "10d", "10e", "10f"},
		ends: []string{both("applied"), both("applied"), both("applied"), "customer-billing: applied; customer-billing: applied; customer-erp: applied; customer-erp: applied", both("applied"),
			bill1("parked permanent/customer-retired")},
		holds: []string{"its account was deleted or merged"}, lacks: []string{"invoice 0065f"}},
	{name: "SNS calls the function", events: []string{"11a"}, ends: []string{all4("parked permanent/invalid-record")}, holds: []string{"this is an SNS notification"}},
	{name: "SNS fills the queue", events: []string{"11b"}, ends: []string{all4("parked permanent/missing-field")}, holds: []string{"switch on raw message delivery"}},
	{name: "a pipe of SQS records", events: []string{"12a"}, ends: []string{all4("parked permanent/wrong-type")}, holds: []string{"as EventBridge Pipes sends one"}},
	{name: "a pipe of bodies", events: []string{"12b"}, ends: []string{all4("parked permanent/wrong-type")}, holds: []string{"as EventBridge Pipes sends one"}},
	{name: "InputPath $.detail", events: []string{"13a"}, ends: []string{all4("parked permanent/missing-field")}, holds: []string{"take InputPath and InputTransformer out"}},
	{name: "InputPath $.detail.payload", events: []string{"13b"}, ends: []string{all4("parked permanent/missing-field")}, holds: []string{"take InputPath and InputTransformer out"}},
	{name: "a transformer around it", events: []string{"13c"}, ends: []string{all4("parked permanent/missing-field")}, holds: []string{"take InputTransformer out"}},
	{name: "a CloudEvent", events: []string{"13d"}, ends: []string{all4("parked permanent/missing-field")}, holds: []string{"this is a CloudEvent"}},
	{name: "a Kinesis record", events: []string{"13e"}, ends: []string{all4("parked permanent/invalid-record")}, holds: []string{"this is a Kinesis record"}},
	{name: "an API Gateway request", events: []string{"13f"}, ends: []string{all4("parked permanent/missing-field")}, holds: []string{"API Gateway"}},
	{name: "a phone that is too long", events: []string{"14a", "14b", "14c"},
		ends: []string{both("applied"), "customer-billing: parked permanent/field-too-long; customer-erp: applied", both("applied")},
		holds: []string{`city="Hamburg" country="DE" name="Case 14 Example Ltd" phone="+49 30 0000 78"`, `billingAddress.city="Hamburg"`,
			"customer-billing parked permanent/field-too-long: the sink has the other fields of this change; these do not fit: Phone"}},
	{name: "born won", events: []string{"15a"}, ends: []string{bill1("parked needs-snapshot")}},
	{name: "undeleted won", events: []string{"15b"}, ends: []string{bill1("parked needs-snapshot")}},
	{name: "won in another language", events: []string{"15c"}, ends: []string{bill1("parked needs-snapshot")}},
	{name: "a converted lead", events: []string{"16a", "16b", "16c", "16d"}, ends: []string{both("applied"), "", bill1("ignored"), ""}},
	{name: "a sandbox that is not listed", events: []string{"18"}, ends: []string{both("parked permanent/foreign-org")}},
	{name: "times in seconds", events: []string{"20a", "20b", "20c"},
		ends:  []string{stock("parked permanent/time-out-of-range"), stock("applied"), stock("parked permanent/time-out-of-range")},
		holds: []string{`quantity="7"`, "write milliseconds since 1970, not seconds"}},
	{name: "a commit time in seconds", events: []string{"20d"}, ends: []string{both("parked permanent/time-out-of-range")}},
	{name: "dates in milliseconds", events: []string{"05a", "21"}, ends: []string{both("applied"), bill1("applied")}, holds: []string{"invoice 0065f0000700121AAA eur 1000 open"}},
	{name: "another currency of the account", events: []string{"05a", "22a"}, ends: []string{both("applied"), both("applied")}, holds: []string{`currency="USD"`}},
	{name: "deals in other currencies", events: []string{"05a", "05b", "22a", "22b", "22c"}, ends: []string{both("applied"), bill1("applied"), both("applied"), bill1("applied"), bill1("applied")},
		holds: []string{"invoice 0065f0000700122AAA usd 9990 open", "invoice 0065f0000700123AAA jpy 15000 open"}},
	{name: "won without an e-mail", events: []string{"10b", "10f"}, ends: []string{both("applied"), bill1("parked permanent/customer-without-email")},
		holds: []string{"give the account one in Salesforce"}, lacks: []string{"invoice 0065f"}},
	{name: "an amount for people", events: []string{"05a", "22d"}, ends: []string{both("applied"), bill1("parked permanent/invalid-field")}, holds: []string{"field Amount__c"}},
	{name: "a deal of nothing", events: []string{"05a", "22e"}, ends: []string{both("applied"), bill1("applied")}, holds: []string{"eur 0 paid"}},
	// A customer event without a name is refused, because the name is required: of an emptied name
	// nobody knows what is meant. 23c is 23b with its name.
	{name: "empty texts", events: []string{"23a", "23b", "23c"}, ends: []string{both("applied"), both("parked permanent/missing-field"), both("applied")},
		holds: []string{`customer 0015f0000700123AAA name="Case 23 Example Ltd"`, `customer/0015f0000700123AAA name="Case 23 Example Ltd"`, "field Name__c"}, lacks: []string{`=""`}},
	{name: "blank lines of a street", events: []string{"24b"}, ends: []string{both("applied")}, holds: []string{`street1="Attn: Accounts" street2="24 Sample Street"`}},
	{name: "240 characters", events: []string{"24a"}, ends: []string{both("applied")}, holds: []string{strings.Repeat("例", 240)}},
	{name: "200 emoji", events: []string{"24c"}, ends: []string{both("applied")}, holds: []string{`name="` + strings.Repeat("🏭", 200)}},
	{name: "a managed package", events: []string{"25a", "25b"}, ends: []string{"", ""}},
	{name: "a managed field", events: []string{"05a", "25c"}, ends: []string{both("applied"), both("ignored")}},
	{name: "managed fields of an event", events: []string{"25d"}, ends: []string{both("parked permanent/missing-field")}, holds: []string{"field Record_Id__c"}},
	{name: "no event id", events: []string{"26a"}, ends: []string{stock("applied")}},
	{name: "an event that is a text", events: []string{"26b"}, ends: []string{stock("parked permanent/wrong-type")}, holds: []string{"/detail/event"}},
	{name: "only a geocode", events: []string{"27"}, ends: []string{both("ignored")}},
	{name: "operations of others", events: []string{"28a", "28b", "28c", "28d", "28e"}, ends: slices.Repeat([]string{both("parked permanent/unknown-operation")}, 5),
		lacks: []string{"customer "}},
	{name: "a contact as an account", events: []string{"29a"}, ends: []string{both("parked permanent/invalid-record-id")},
		holds: []string{"it is the id of a Contact; an id of an Account begins with 001"}, lacks: []string{"customer 0", "customer/"}},
	{name: "a lead as an account", events: []string{"29b"}, ends: []string{bill1("parked permanent/invalid-record-id")}, holds: []string{"the id of a Lead"}},
	{name: "two regions", events: []string{"05a", "30a", "30b"}, ends: []string{both("applied"), bill1("applied"), bill1("duplicate")}},
	{name: "only a contact's e-mail", events: []string{"33a"}, ends: []string{both("ignored")}},
	{name: "a misspelled price", events: []string{"05a", "34a"}, ends: []string{both("applied"), bill1("parked permanent/invalid-field")}, holds: []string{`in line 1 the member "unit_price"`}},
	{name: "lines of texts", events: []string{"05a", "34b", "34c"}, ends: []string{both("applied"), bill1("applied"), bill1("applied")},
		holds: []string{"invoice 0065f0000700141AAA eur 1000 open", "invoice 0065f0000700142AAA eur 1000 open"}},
	{name: "an unknown discount", events: []string{"05a", "34d"}, ends: []string{both("applied"), bill1("parked permanent/invalid-field")}, holds: []string{`the member "discount"`}},
	{name: "a deal in other spellings", events: []string{"05a", "35a", "35b", "35c", "35d", "35e"},
		ends: []string{both("applied"), bill1("applied"), bill1("duplicate"), bill1("applied"), bill1("duplicate"), bill1("duplicate")}, lacks: []string{"changed-after-done"}},
	{name: "a date with a time", events: []string{"05a", "35g", "35h"}, ends: []string{both("applied"), bill1("applied"), bill1("duplicate")}, lacks: []string{"changed-after-done"}},
	{name: "offsets", events: []string{"36a", "36b", "36c", "36d"}, ends: []string{stock("applied"), stock("applied"), stock("stale"), stock("parked permanent/invalid-time")},
		holds: []string{`quantity="4"`}},
	{name: "odd SKUs", events: []string{"37a", "37b", "37c", "37d", "37e", "37f"},
		ends: []string{stock("applied"), stock("applied"), stock("applied"), stock("parked permanent/invalid-key"), stock("applied"), stock("applied")}},
	{name: "a field named twice", events: []string{"38a", "38b"}, ends: []string{both("applied"), both("ignored")}},
	{name: "18 digits", events: []string{"39"}, ends: []string{stock("applied")}, holds: []string{`quantity="1234567890123456.78"`}},
	{name: "a list of what was filled", events: []string{"40a", "40b", "40c", "40d"},
		ends: []string{both("applied"), both("applied"), both("parked permanent/missing-field"), both("parked permanent/invalid-field")},
		holds: []string{`customer 0015f0000700200AAA city="Berlin" country="DE" email="billing@case40.example" name="Case 40 Example Ltd" phone="+49 30 0000 41"`,
			"field Name__c", "field Fields__c: lists a field that the event does not have"}},
	{name: "two stock states of one instant", events: []string{"41b", "41a"}, ends: []string{stock("applied"), stock("stale")}, holds: []string{`quantity="7"`}},
	{name: "two saves of one second", events: []string{"42b", "42a"}, ends: []string{both("applied"), both("stale")}, holds: []string{"+49 30 0000 43"}, lacks: []string{"+49 30 0000 42"}},
	{name: "a deal whose lines are not listed", events: []string{"05a", "43"}, ends: []string{both("applied"), bill1("applied")}, holds: []string{"invoice 0065f0000700143AAA eur 1000 open"}},
	{name: "stock without its quantity listed", events: []string{"44"}, ends: []string{stock("parked permanent/missing-field")}, holds: []string{"Quantity_On_Hand__c"}},
}

func both(end string) string  { return "customer-billing: " + end + "; customer-erp: " + end }
func bill1(end string) string { return "opportunity-billing: " + end }
func stock(end string) string { return "inventory-erp: " + end }
func all4(end string) string {
	return both(end) + "; " + stock(end) + "; " + bill1(end)
}

func TestCases(t *testing.T) {
	played := map[string]bool{}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, consumertest.Org)
			for i, name := range tc.events {
				file, got := w.play(name)
				played[file] = true
				if got != tc.ends[i] {
					t.Errorf("%s ends %q, want %q", name, got, tc.ends[i])
				}
			}
			state := w.state()
			for _, piece := range tc.holds {
				if !strings.Contains(state, piece) {
					t.Errorf("nothing holds %s:\n%s", piece, state)
				}
			}
			for _, piece := range tc.lacks {
				if strings.Contains(state, piece) {
					t.Errorf("something holds %s:\n%s", piece, state)
				}
			}
		})
	}
	files, err := filepath.Glob("testdata/cases/*.json")
	if err != nil || len(files) < 100 {
		t.Fatal("cases", len(files), err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".json")
		if !played[name] && playedElsewhere[name] == "" {
			t.Errorf("no group plays %s", name)
		}
	}
}

// One event that changes two hundred records reaches both sinks, at the latest by
// redrives.
func TestABulkLoadOfTwoHundred(t *testing.T) {
	w := newWorld(t, consumertest.Org)
	_, _ = w.play("17")
	for _, name := range []string{"customer-billing", "customer-erp"} {
		for range 3 {
			w.kits[name].Redrive()
		}
		if left := w.kits[name].Parked(); len(left) > 0 {
			t.Errorf("%s: %d messages are left, the first %s: %s", name, len(left), left[0].Class, left[0].Error)
		}
	}
	if c, r := len(w.billing.State().Customers), len(w.erp.State().Records); c != 200 || r != 200 {
		t.Errorf("%d customers at billing, %d at the ERP, want 200", c, r)
	}
}

// The repair that docs/reference/failures.md tells: correct the record in Salesforce, save
// it, redrive the message. Then nothing is left, and both sinks hold the same.
func TestTheDocumentedRepair(t *testing.T) {
	w := newWorld(t, consumertest.Org)
	for _, name := range []string{"14a", "14b", "14c"} {
		_, _ = w.play(name)
	}
	w.kits["customer-billing"].Redrive()
	if left := w.kits["customer-billing"].Parked(); len(left) > 0 {
		t.Errorf("left is %s: %s", left[0].Class, left[0].Error)
	}
	state := w.state()
	for _, piece := range []string{
		`city="Hamburg" country="DE" name="Case 14 Example Ltd" phone="+49 30 0000 78"`,
		`billingAddress.city="Hamburg" billingAddress.country="DE" billingAddress.postalCode="20095" billingAddress.street="14 Sample Street" name="Case 14 Example Ltd" phone="+49 30 0000 78"`,
	} {
		if !strings.Contains(state, piece) {
			t.Errorf("nothing holds %s:\n%s", piece, state)
		}
	}
}

// playedElsewhere are cases that a test of their own plays.
var playedElsewhere = map[string]string{
	"17-bulk-load-200": "TestABulkLoadOfTwoHundred",
}

// inCases are the consumers that the cases are about.
var inCases = []string{"customer-billing", "customer-erp", "inventory-erp", "opportunity-billing"}

// world is all four consumers over one guard table, at the sandboxes.
type world struct {
	t       *testing.T
	kits    map[string]*consumertest.Kit
	names   []string
	defs    map[string]consumer.Definition
	billing *stripesandbox.Sandbox
	erp     *erpsandbox.Sandbox
	seen    map[string]int
}

func newWorld(t *testing.T, orgs ...string) *world {
	t.Helper()
	// So long after the last of the cases, which are of the 26th, that none of them counts
	// as late on its way.
	begin := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	w := &world{t: t, kits: map[string]*consumertest.Kit{}, defs: map[string]consumer.Definition{}, seen: map[string]int{},
		billing: stripesandbox.New(stripesandbox.Options{Now: func() time.Time { return begin }}), erp: erpsandbox.New(erpsandbox.Options{})}
	atStripe, atERP := httptest.NewServer(w.billing), httptest.NewServer(w.erp)
	t.Cleanup(atStripe.Close)
	t.Cleanup(atERP.Close)
	s, err := stripe.New(sinkhttp.Static("test-key"), atStripe.URL)
	if err != nil {
		t.Fatal(err)
	}
	h, err := httpsink.New(sinkhttp.Static("test-key"), atERP.URL)
	if err != nil {
		t.Fatal(err)
	}
	store := &memory.Store{}
	for _, def := range functions.All(functions.Ports{
		BillingCustomers: s.Customers(), Invoices: s.Invoices(), Links: stored{store}, ERPCustomers: h.Customers(), Stock: h.Stock(),
	}) {
		name := def.Describe().Name
		if !slices.Contains(inCases, name) {
			continue
		}
		w.names, w.defs[name] = append(w.names, name), def
		w.kits[name] = consumertest.New(t, def, consumertest.WithoutDeadline(), consumertest.From(begin), consumertest.In(func(s *consumer.Env) {
			s.Store, s.Orgs = store, salesforce.OrgList(orgs)
		}))
	}
	return w
}

// stored reads links from the guard table.
type stored struct{ *memory.Store }

func (s stored) Link(ctx context.Context, owner, org string, k consumer.Key) (string, error) {
	r, err := s.Read(ctx, guard.Key(owner, org, k.String()))
	return guard.ReadItem(r).Link, err
}

// play delivers a case to the consumers that the rules bring it to: those that take its
// detail-type, all of them where it has none.
func (w *world) play(name string) (file, ends string) {
	w.t.Helper()
	found, err := filepath.Glob("testdata/cases/" + name + "-*.json")
	if err != nil || len(found) != 1 {
		w.t.Fatalf("cases %s: %q, %v", name, found, err)
	}
	raw, err := os.ReadFile(found[0])
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, consumer := range w.names {
		if !w.matches(consumer, raw) {
			continue
		}
		kit := w.kits[consumer]
		kit.Send(raw)
		lines := kit.Lines()
		last := map[string]consumertest.Line{}
		var order []string
		for _, l := range lines[w.seen[consumer]:] {
			if _, ok := last[l.Subject]; !ok {
				order = append(order, l.Subject)
			}
			last[l.Subject] = l
		}
		w.seen[consumer] = len(lines)
		for _, subject := range order {
			l := last[subject]
			all = append(all, strings.TrimSpace(fmt.Sprintf("%s: %s %s", consumer, l.Verdict, l.Class)))
		}
	}
	return strings.TrimSuffix(filepath.Base(found[0]), ".json"), strings.Join(all, "; ")
}

func (w *world) matches(consumer string, raw []byte) bool {
	var e struct {
		DetailType string `json:"detail-type"`
	}
	_ = json.Unmarshal(raw, &e)
	for _, s := range w.defs[consumer].Describe().Sources {
		if e.DetailType == "" || e.DetailType == s.DetailType {
			return true
		}
	}
	return false
}

// state is what billing, the ERP and the failure queues hold, a line each.
func (w *world) state() string {
	var b strings.Builder
	s := w.billing.State()
	for _, c := range s.Customers {
		fields := map[string]any{"name": c.Name, "phone": c.Phone, "email": c.Email}
		if c.Address != nil {
			fields["city"], fields["country"], fields["state"] = c.Address.City, c.Address.Country, c.Address.State
			fields["street1"], fields["street2"] = c.Address.Line1, c.Address.Line2
		}
		fmt.Fprintf(&b, "customer %s%s metadata %v\n", c.Metadata["sf_id"], texts(fields), c.Metadata)
	}
	for _, i := range s.Invoices {
		fmt.Fprintf(&b, "invoice %s %s %d %s\n", i.Metadata["sf_id"], i.Currency, i.Total, i.Status)
	}
	for _, r := range w.erp.State().Records {
		retired := ""
		if r.Retired {
			retired = " retired"
		}
		fields := map[string]any{}
		for name, v := range r.Fields {
			if sub, ok := v.(map[string]any); ok {
				for part, v := range sub {
					fields[name+"."+part] = v
				}
				continue
			}
			fields[name] = v
		}
		fmt.Fprintf(&b, "%s/%s%s%s\n", r.Kind, r.Key, retired, texts(fields))
	}
	for _, name := range w.names {
		for _, p := range w.kits[name].Parked() {
			fmt.Fprintf(&b, "%s parked %s: %s\n", name, p.Class, p.Error)
		}
	}
	return b.String()
}

// texts are the fields that are texts, by name.
func texts(fields map[string]any) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		switch v := fields[name].(type) {
		case string:
			fmt.Fprintf(&b, " %s=%q", name, v)
		case *string:
			if v != nil {
				fmt.Fprintf(&b, " %s=%q", name, *v)
			}
		}
	}
	return b.String()
}
