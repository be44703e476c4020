//go:build stripelive

package stripe_test

import (
	"os"
	"strings"
	"testing"
)

// TestLiveAccount runs the suite against a Stripe test account:
//
//	STRIPE_TEST_KEY=… go test -tags stripelive -run TestLiveAccount ./shared/billing/stripe
//
// STRIPE_API_BASE replaces Stripe's address. The same suite runs against the
// sandbox in every test run; what differs here is a mistake of the sandbox.
func TestLiveAccount(t *testing.T) {
	key := os.Getenv("STRIPE_TEST_KEY")
	if key == "" {
		t.Fatal("STRIPE_TEST_KEY is not set: give the secret key of a Stripe test account")
	}
	if strings.Contains(key, "_live_") {
		t.Fatal("STRIPE_TEST_KEY is the key of a live account: this suite issues invoices, use a test account")
	}
	runAccount(t, os.Getenv("STRIPE_API_BASE"), key)
}
