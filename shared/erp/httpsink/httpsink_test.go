package httpsink_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sfrelay/shared/decimal"
	"sfrelay/shared/erp"
	"sfrelay/shared/erp/httpsink"
	"sfrelay/shared/erp/sinktest"
	erpsandbox "sfrelay/shared/sandbox/erp"
	"sfrelay/shared/sandbox/faults"
	"sfrelay/shared/sink"
	"sfrelay/shared/sink/sinkhttp"
	"sfrelay/shared/verdict"
)

const (
	org       = "00D000000000001EAA"
	accountID = "001000000000001AAA"
)

func connect(t interface{ Fatal(...any) }, url string, read sinkhttp.ReadKey) *httpsink.Client {
	c, err := httpsink.New(read, url)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConnectorKeepsTheContract(t *testing.T) {
	sinktest.RunConnector(t, func(t *testing.T, url, key string) (erp.Customers, erp.Stock) {
		c := connect(t, url, sinkhttp.Static(key))
		return c.Customers(), c.Stock()
	})
}

func ref(version, epoch int) sink.Ref {
	return sink.Ref{Consumer: "customer-erp", Org: org, Subject: "Account/" + accountID, Version: fmt.Sprintf("%040x", version), Epoch: int64(epoch)}
}

func named(name string) erp.Customer { return erp.Customer{Name: sink.Set(name)} }

func newSandbox(t *testing.T) (*erpsandbox.Sandbox, *httptest.Server, *httpsink.Client) {
	t.Helper()
	s := erpsandbox.New(erpsandbox.Options{Key: "test-key"})
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server, connect(t, server.URL, sinkhttp.Static("test-key"))
}

// Whatever happens to the first request, sending it again leaves one record with
// the content, applied once.
func TestSentAgainAfterEveryFault(t *testing.T) {
	for kind, want := range map[faults.Kind]struct {
		class   verdict.Class
		applied sink.Applied
		outcome sink.Outcome // of the second request
	}{
		faults.Down:         {verdict.Unknown, sink.Maybe, sink.Created},
		faults.Unavailable:  {verdict.Throttled, sink.No, sink.Created},
		faults.Throttled:    {verdict.Throttled, sink.No, sink.Created},
		faults.ErrorBefore:  {verdict.Unknown, sink.Maybe, sink.Created},
		faults.ErrorAfter:   {verdict.Unknown, sink.Maybe, sink.Unchanged},
		faults.LostResponse: {verdict.Unknown, sink.Maybe, sink.Unchanged},
	} {
		s, _, c := newSandbox(t)
		if err := s.Faults.Add(faults.Fault{Kind: kind}); err != nil {
			t.Fatal(err)
		}
		_, err := c.Customers().Put(t.Context(), ref(1, 1), accountID, named("A"))
		if e, ok := errors.AsType[*sink.Error](err); !ok || e.Class != want.class || e.Applied != want.applied {
			t.Errorf("%s: first = %v, want %s, applied %s", kind, err, want.class, want.applied)
		}
		r, err := c.Customers().Put(t.Context(), ref(1, 2), accountID, named("A"))
		if err != nil || r.Outcome != want.outcome || r.Link == "" {
			t.Errorf("%s: second = %+v, %v, want %s", kind, r, err, want.outcome)
		}
		if rec, _ := s.Record("customer", org, accountID); rec.Applied != 1 || rec.Fields["name"] != "A" {
			t.Errorf("%s: record = %+v, want it applied once", kind, rec)
		}
	}
}

// A request that arrives after its caller gave up, when the next attempt is
// through, changes nothing.
func TestLateRequestIsFenced(t *testing.T) {
	s, server, c := newSandbox(t)
	hold := faults.NewHold()
	if err := s.Faults.Add(faults.Fault{Kind: faults.Latency, Hold: hold}); err != nil {
		t.Fatal(err)
	}
	ctx, giveUp := context.WithCancel(t.Context())
	go func() { <-hold.Reached; giveUp() }()
	_, err := c.Customers().Patch(ctx, ref(1, 1), accountID, named("old"))
	if e, ok := errors.AsType[*sink.Error](err); !ok || e.Class != verdict.Unknown || e.Applied != sink.Maybe {
		t.Fatalf("first = %v", err)
	}
	if _, err := c.Customers().Patch(t.Context(), ref(2, 2), accountID, named("new")); err != nil {
		t.Fatal(err)
	}
	close(hold.Release)
	server.Close() // waits until the late request is through
	st := s.State()
	if len(st.Requests) != 2 || st.Requests[1].Status != http.StatusPreconditionFailed || st.Records[0].Fields["name"] != "new" {
		t.Errorf("state = %+v", st)
	}
}

// Full states in any order, each sent again and again under growing epochs, end in
// the newest.
func TestAnyOrderEndsInTheNewest(t *testing.T) {
	s, _, c := newSandbox(t)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		sku := fmt.Sprintf("S%d", n)
		versions := rapid.SliceOfN(rapid.IntRange(1, 9), 1, 12).Draw(t, "versions")
		for i, v := range versions {
			l := erp.Level{SKU: sku, Warehouse: "W", Quantity: decimal.FromMinor(int64(v), 0)}
			r := ref(v, i+1)
			r.Subject = "stock/" + sku + "@W"
			_, err := c.Stock().Set(context.Background(), r, l)
			if _, stale := errors.AsType[*sink.RefusedVersionError](err); err != nil && !stale {
				t.Fatal(err)
			}
		}
		newest := slices.Max(versions)
		if rec, _ := s.Record("stock", org, sku+"@W"); rec.Fields["quantity"] != fmt.Sprint(newest) {
			t.Fatalf("%v ends in %v", versions, rec.Fields["quantity"])
		}
	})
}

func TestKeyIsReadLateKeptAndRenewedOnce(t *testing.T) {
	s := erpsandbox.New(erpsandbox.Options{Key: "new-key"})
	server := httptest.NewServer(s)
	defer server.Close()
	reads := 0
	c := connect(t, server.URL, func(context.Context) (string, error) {
		reads++
		return []string{"old-key", "new-key"}[min(reads, 2)-1], nil
	})
	if reads != 0 {
		t.Fatal("the key was read before the first call")
	}
	for i := range 3 {
		if _, err := c.Customers().Patch(t.Context(), ref(i+1, i+1), accountID, named("A")); err != nil {
			t.Fatal(err)
		}
	}
	if reads != 2 {
		t.Errorf("the key was read %d times, want 2", reads)
	}
	wrong := connect(t, server.URL, sinkhttp.Static("wrong-key"))
	_, err := wrong.Customers().Delete(t.Context(), ref(9, 9), accountID)
	if e, ok := errors.AsType[*sink.Error](err); !ok || e.Class != verdict.Auth || e.Applied != sink.No {
		t.Errorf("a wrong key = %v", err)
	}
	unreadable := connect(t, server.URL, func(context.Context) (string, error) { return "", errors.New("denied") })
	if _, err := unreadable.Customers().Delete(t.Context(), ref(9, 9), accountID); sink.ClassOf(err) != verdict.Auth {
		t.Errorf("an unreadable key = %v", err)
	}
}

func TestAddress(t *testing.T) {
	for base, ok := range map[string]bool{
		"https://erp.example.com": true, "https://erp.example.com/sfrelay/": true, "http://127.0.0.1:9000": true, "http://localhost:9000/x": true, "http://[::1]:1": true,
		"": false, "http://erp.example.com": false, "erp.example.com": false, "https://u:p@erp.example.com": false, "https://erp.example.com?x=1": false, "https://erp.example.com#x": false, "ftp://erp.example.com": false,
	} {
		if _, err := httpsink.New(sinkhttp.Static("test-key"), base); (err == nil) != ok {
			t.Errorf("New(%q) = %v", base, err)
		}
	}
}

func TestContract(t *testing.T) {
	_, _, c := newSandbox(t)
	for _, got := range []sink.Contract{c.Customers().Contract(), c.Stock().Contract()} {
		if !got.Fenced || !got.Versioned || !got.Settles() || got.KeyWindow != 0 {
			t.Errorf("contract = %+v", got)
		}
	}
}

func ExampleClient_Customers() {
	s := erpsandbox.New(erpsandbox.Options{})
	server := httptest.NewServer(s)
	defer server.Close()
	c, err := httpsink.New(sinkhttp.Static("test-key"), server.URL)
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	fmt.Println(c.Customers().Put(ctx, ref(5, 1), accountID, named("Acme")))
	fmt.Println(c.Customers().Put(ctx, ref(4, 2), accountID, named("Old Acme")))
	fmt.Println(c.Customers().Put(ctx, ref(6, 1), accountID, named("Zombie")))
	// Output:
	// {customer-1 created} <nil>
	// { } the sink holds the newer version 0000000000000000000000000000000000000005
	// { } the sink has seen epoch 2, which is higher than ours
}
