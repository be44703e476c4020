package billing_test

import (
	"errors"
	"fmt"
	"testing"

	"sfrelay/shared/billing"
	"sfrelay/shared/decimal"
)

// Numbers of decimal places by hand from ISO 4217, list one.
func TestMinorUnits(t *testing.T) {
	for _, c := range []struct {
		amount   string
		currency billing.Currency
		want     int64
	}{
		{"12.50", "EUR", 1250}, {"500", "JPY", 500}, {"1.234", "KWD", 1234}, {"-0.01", "USD", -1}, {"3", "XAF", 3}, {"1.2345", "CLF", 12345}, {"0", "GBP", 0},
	} {
		if n, err := (billing.Money{Amount: decimal.Must(c.amount), Currency: c.currency}).Minor(); err != nil || n != c.want {
			t.Errorf("%s %s = %d, %v, want %d", c.amount, c.currency, n, err, c.want)
		}
	}
	for amount, c := range map[string]billing.Currency{"0.001": "EUR", "0.5": "JPY", "1.2345": "BHD", "92233720368547758.08": "USD"} {
		if n, err := (billing.Money{Amount: decimal.Must(amount), Currency: c}).Minor(); !errors.Is(err, billing.ErrFraction) {
			t.Errorf("%s %s = %d, %v, want ErrFraction", amount, c, n, err)
		}
	}
}

func TestParseCurrency(t *testing.T) {
	for in, want := range map[string]billing.Currency{"EUR": "EUR", "eur": "EUR", "uSd": "USD"} {
		if c, err := billing.ParseCurrency(in); err != nil || c != want {
			t.Errorf("ParseCurrency(%q) = %s, %v", in, c, err)
		}
	}
	for _, in := range []string{"", "EU", "EURO", "E R", "€€€", "12A"} {
		if c, err := billing.ParseCurrency(in); !errors.Is(err, billing.ErrCurrency) {
			t.Errorf("ParseCurrency(%q) = %s, %v, want ErrCurrency", in, c, err)
		}
	}
}

func TestLineAmount(t *testing.T) {
	for _, c := range []struct {
		quantity, price string
		currency        billing.Currency
		want            string
	}{
		{"3", "0.335", "EUR", "1.01"}, {"-1", "0.005", "EUR", "-0.01"}, {"1.5", "3", "JPY", "5"}, {"2", "0.0005", "KWD", "0.001"}, {"0", "9", "EUR", "0"},
	} {
		m, err := billing.Line{Quantity: decimal.Must(c.quantity), UnitPrice: decimal.Must(c.price)}.Amount(c.currency)
		if err != nil || m.Amount.String() != c.want || m.Currency != c.currency {
			t.Errorf("%s x %s %s = %v, %v, want %s", c.quantity, c.price, c.currency, m, err, c.want)
		}
	}
	big := billing.Line{Quantity: decimal.Must("1e30"), UnitPrice: decimal.Must("1e30")}
	if _, err := big.Amount("EUR"); !errors.Is(err, decimal.ErrRange) {
		t.Errorf("an overflow = %v, want ErrRange", err)
	}
}

func ExampleMoney_Minor() {
	for _, m := range []billing.Money{
		{Amount: decimal.Must("12.50"), Currency: "EUR"},
		{Amount: decimal.Must("500"), Currency: "JPY"},
		{Amount: decimal.Must("0.5"), Currency: "JPY"},
	} {
		fmt.Println(m.Minor())
	}
	// Output:
	// 1250 <nil>
	// 500 <nil>
	// 0 the amount is not a whole number of minor units of its currency
}
