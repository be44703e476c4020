package bulk_test

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"sfrelay/functions/internal/prices"
)

// sinks are those that the loads go to.
var sinks = []struct {
	name string
	api
}{
	{"400 a second, 50 ms, 20 at once", api{takes: 50 * time.Millisecond, atOnce: 20}},
	{"700 a second, 50 ms, 35 at once", api{takes: 50 * time.Millisecond, atOnce: 35}},
	{"200 a second, 200 ms, 40 at once", api{takes: 200 * time.Millisecond, atOnce: 40}},
	{"100 a second, 200 ms, then 429", api{takes: 200 * time.Millisecond, perSec: 100}},
	{"25 a second, 200 ms, then 429", api{takes: 200 * time.Millisecond, perSec: 25}},
}

// advised is the MaxConcurrency that docs/deploy.md advises for a sink: how many invocations
// keep it busy. An invocation has sixteen calls under way, each with two writes to the table
// around it and a little room, and a share of a core.
func advised(a api, memory int) int {
	const parallel = 16
	record := max((a.takes+3*dynamoTakes).Seconds()/parallel, cpuOfRecord.Seconds()*coreMB/float64(memory))
	return max(2, int(math.Ceil(a.rate()*record)))
}

// TestTheAdviceIsThatOfThePage: the rows of docs/deploy.md, "How many", are what is played here.
func TestTheAdviceIsThatOfThePage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sinks {
		n := advised(s.api, 256)
		row := fmt.Sprintf("| %.0f calls a second | %d ms | %d | %d |\n", s.rate(), s.takes.Milliseconds(), n, n+1)
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/deploy.md does not say %s", row)
		}
	}
}

// withAdvice is a load of so many records, 200 to an event, all published at once.
func withAdvice(records int, a api, buffered bool) load {
	n := advised(a, 256)
	return load{records: records, each: 200, buffered: buffered, memory: 256, most: n, reserved: n + 1, sink: a, units: newTable}
}

// dollars are what AWS charges for the load, without what it charges anyway.
func (r result) dollars(l load) float64 {
	p, million := prices.USEast1, 1e-6
	events := float64((l.records + l.each - 1) / l.each)
	gb := (float64(r.logged) + float64(r.invocations)*prices.LambdaLines*1000) / prices.BytesOfGB
	return million*(p.PartnerEvents*events+p.Requests*float64(r.invocations)+p.GBSeconds*r.billed.Seconds()*float64(l.memory)/1024+
		p.Writes*float64(r.writes)+p.SQS*float64(r.sqs)) + p.LogsGB*gb
}

func (r result) used(l load) float64 { return float64(l.records) / r.took.Seconds() / l.sink.rate() }

// right fails unless every record has arrived once and nothing was parked.
func (r result) right(t *testing.T) {
	t.Helper()
	if r.parked > 0 || r.missing > 0 || r.twice > 0 {
		t.Errorf("%d parked, %d missing, %d sent twice", r.parked, r.missing, r.twice)
	}
}

const heading = "| sink | mode | `ReservedConcurrency`, `MaxConcurrency` | done after | of the sink's rate | requests to the table, calls of the sink, a record | Lambda's GB-seconds | all of it |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n"

func (r result) row(name string, l load) string {
	mode := "direct"
	if l.buffered {
		mode = "buffered"
	}
	n := float64(l.records)
	return fmt.Sprintf("| %s | %s | %d, %d | %v | %.2f | %.2f, %.2f | %.0f | $%.2f |\n", name, mode, l.reserved, l.most, r.took.Round(time.Second), r.used(l),
		float64(r.writes)/n, float64(r.calls+r.refused)/n, r.billed.Seconds()*float64(l.memory)/1024, r.dollars(l))
}

// The budgets of a load with the advised concurrency.
const (
	leastUsed  = 0.9  // of the sink's own rate
	mostWrites = 2.15 // requests to the table, a record
	mostCalls  = 1.05 // of the sink, a record
)

func (r result) keeps(t *testing.T, l load) {
	t.Helper()
	r.right(t)
	n := float64(l.records)
	if r.used(l) < leastUsed || float64(r.writes) > mostWrites*n || float64(r.calls+r.refused) > mostCalls*n {
		t.Errorf("the sink had %.2f of its rate, with %.2f requests to the table and %.2f calls a record; want %.2f, and at most %.2f and %.2f",
			r.used(l), float64(r.writes)/n, float64(r.calls+r.refused)/n, leastUsed, mostWrites, mostCalls)
	}
}

// TestBudgetBulk: with the advised concurrency a load of 20,000 records is limited by nothing
// but the sink, in both modes, and costs what it must. The race detector, which takes ten
// times as long, sees a tenth of them, which are too few to tell a rate.
func TestBudgetBulk(t *testing.T) {
	for _, s := range sinks {
		for _, buffered := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, buffered %v", s.name, buffered), func(t *testing.T) {
				l := withAdvice(20_000, s.api, buffered)
				if raced || testing.Short() {
					l.records = 2_000
					play(t, l).right(t)
					return
				}
				r := play(t, l)
				t.Log(r.row(s.name, l))
				r.keeps(t, l)
			})
		}
	}
}

// TestFewerAreTooFew: one invocation less than advised does not keep the sink busy.
func TestFewerAreTooFew(t *testing.T) {
	if raced || testing.Short() {
		t.Skip("make test counts without the race detector; run it without -short")
	}
	for _, s := range sinks[1:3] { // the others are advised the least that there is
		l := withAdvice(20_000, s.api, true)
		l.most--
		r := play(t, l)
		r.right(t)
		if r.used(l) >= leastUsed {
			t.Errorf("%s: %d invocations reach %.2f of its rate: the advice, %d, is too much", s.name, l.most, r.used(l), l.most+1)
		}
	}
}

// TestAMillion plays 1,000,000 records with the advised concurrency and prints the table of
// docs/reference/performance.md.
func TestAMillion(t *testing.T) {
	if os.Getenv("MILLION") == "" {
		t.Skip("takes some minutes: make million")
	}
	table := heading
	for _, s := range sinks {
		for _, buffered := range []bool{false, true} {
			l := withAdvice(1_000_000, s.api, buffered)
			t.Run(fmt.Sprintf("%s, buffered %v", s.name, buffered), func(t *testing.T) {
				r := play(t, l)
				r.keeps(t, l)
				table += r.row(s.name, l)
				t.Log(r.row(s.name, l))
				t.Logf("messages put into the buffer %d, received at most %d times; at most %d write units in a second, %d refused; %d requests to SQS, %d invocations; %v; %d processes",
					r.laneMessages, r.mostReceived, r.peak, r.throttled, r.sqs, r.invocations, r.verdicts, r.environments)
			})
		}
	}
	fmt.Println(table)
}

// TestTheKnee prints what other concurrencies make of 20,000 records.
func TestTheKnee(t *testing.T) {
	if os.Getenv("MILLION") == "" {
		t.Skip("takes some minutes: make million")
	}
	table := heading
	for _, s := range sinks {
		for _, n := range []int{2, 3, 5, 10, 25} {
			l := withAdvice(20_000, s.api, true)
			l.most, l.reserved = n, n+1
			r := play(t, l)
			r.right(t)
			table += r.row(s.name, l)
		}
	}
	fmt.Println(table)
}

// TestAboveTheTable: a sink that takes 4,000 records a second asks for 8,000 write units, and a
// new table has 4,000. Nothing is lost or parked, but the table is the limit then, and a completion
// that it refuses repeats a call.
func TestAboveTheTable(t *testing.T) {
	if os.Getenv("MILLION") == "" {
		t.Skip("takes some minutes: make million")
	}
	table := heading
	for _, units := range []int{newTable, 12_000} {
		l := withAdvice(200_000, api{takes: 50 * time.Millisecond, atOnce: 200}, true)
		l.units = units
		r := play(t, l)
		if r.parked > 0 || r.missing > 0 {
			t.Errorf("%d parked, %d missing", r.parked, r.missing)
		}
		table += r.row(fmt.Sprintf("4,000 a second, table of %d units, %.0f%% refused", units, 100*float64(r.throttled)/float64(r.writes+r.throttled)), l)
	}
	fmt.Println(table)
}
