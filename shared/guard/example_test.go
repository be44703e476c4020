package guard_test

import (
	"context"
	"crypto/rand"
	"fmt"

	"sfrelay/shared/guard"
	"sfrelay/shared/guard/memory"
	"sfrelay/shared/order"
)

func token() (r [10]byte) {
	_, _ = rand.Read(r[:])
	return r
}

// An action happens once for its business key, however often its event comes.
func ExampleGuard_Do() {
	g, err := guard.New(&memory.Store{}, guard.Config{Consumer: "invoices", Policy: guard.EachOnce, Random: token})
	if err != nil {
		fmt.Println(err)
		return
	}
	deliver := func() {
		report := g.Do(context.Background(), guard.Call{
			Org: "00D5f000005KcCnEAK", Subject: "Opportunity/0065f00000ABCDEAA5/invoice",
			Changes: []guard.Change{{Hash: [8]byte{1}}},
			Park:    func(context.Context, guard.Parking) error { return nil },
		}, func(_ context.Context, a guard.Attempt) guard.Outcome {
			fmt.Println("attempt", a.Number, "may act")
			return guard.Outcome{Effect: guard.Took, Link: "in_1"}
		})
		fmt.Println(report.Results[0].Verdict, "with", report.Requests, "requests")
	}
	deliver()
	deliver()
	// Output:
	// attempt 1 may act
	// applied with 2 requests
	// duplicate with 1 requests
}

// Of every field the newest change wins, in whatever order they come.
func ExampleGuard_Do_fieldMerge() {
	g, err := guard.New(&memory.Store{}, guard.Config{
		Consumer: "customers", Policy: guard.FieldMerge, Fields: []string{"name", "phone"}, Random: token,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	at := func(second byte) order.Version { return order.Version{3: second} }
	for _, change := range []guard.Change{
		{Kind: guard.Full, Version: at(1)},
		{Kind: guard.Partial, Version: at(3), Fields: []string{"phone"}},
		{Kind: guard.Partial, Version: at(2), Fields: []string{"name", "phone"}}, // late: only its name is new
		{Kind: guard.Partial, Version: at(2), Fields: []string{"phone"}},         // nothing is
	} {
		report := g.Do(context.Background(), guard.Call{
			Org: "00D5f000005KcCnEAK", Subject: "Account/0015f00002J9YYEAA3", Changes: []guard.Change{change},
			Park: func(context.Context, guard.Parking) error { return nil },
		}, func(_ context.Context, a guard.Attempt) guard.Outcome {
			fmt.Print("write")
			for _, w := range a.Wins {
				fmt.Print(" ", w.Field)
			}
			fmt.Print(": ")
			return guard.Outcome{Effect: guard.Took}
		})
		fmt.Println(report.Results[0].Verdict)
	}
	// Output:
	// write name phone: applied
	// write phone: applied
	// write name: partly-stale
	// stale
}
