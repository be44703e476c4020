package functions_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sfrelay/functions"
	"sfrelay/shared/consumer"
	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/transport"
	"sfrelay/shared/verdict"
)

// What the first version parked because it could not ask the org, as it lies in queues: a
// redrive takes all of it now. Only "event" and the names of the files are ours.
func TestWhatTheFirstVersionParkedIsDrained(t *testing.T) {
	files, err := filepath.Glob("testdata/parked-1/*.json")
	if err != nil || len(files) != 11 {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, err := transport.DecodeParked(body)
			if err != nil || p.Class != verdict.NeedsFetch && p.Class != verdict.NeedsSnapshot && p.Class != verdict.OverwroteNewer {
				t.Fatalf("%+v, %v", p.Class, err)
			}
			org := &consumertest.Records{}
			org.Put("0015f0000200002AAA", 0, map[string]any{"Name": "Beta"})
			won := deal("100.0")
			won["AccountId"] = "0015f0000200002AAA"
			org.Put("0065f0000300002AAA", 0, won)
			org.List(consumertest.Now, "0015f0000200002AAA")
			var def consumer.Definition
			var took func() []consumertest.Request
			switch p.Consumer {
			case "customer-erp":
				l := newLedger()
				def, took = functions.CustomerERP(l), l.Took
			case "customer-billing":
				r := newRegister()
				def, took = functions.CustomerBilling(r), r.Took
			default:
				b := newBook()
				known := links{"customer-billing#00D5f000005KcCnEAK#Account/0015f0000200002AAA": "cus_2"}
				def, took = dealsOf(b, known), b.Took
			}
			k := consumertest.New(t, def, consumertest.In(org.Asked))
			k.Holding(p).Redrive().SendBatch() // what it puts into the buffer, too
			if got := took(); len(got) != 1 || len(k.Parked()) != 0 {
				t.Fatalf("%d requests, parked %+v\n%+v", len(got), k.Parked(), k.Lines())
			}
			if got := took()[0]; strings.HasPrefix(p.Consumer, "customer") && !strings.Contains(got.Ref.Subject, "0015f0000200002AAA") {
				t.Errorf("%+v", got)
			}
		})
	}
}

func dealsOf(b book, l links) consumer.Definition {
	return functions.OpportunityBilling(b, l, merges{}, functions.Deals{WonStages: []string{"Closed Won"}})
}
