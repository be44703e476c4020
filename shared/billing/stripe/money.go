package stripe

import (
	"sfrelay/shared/billing"
)

// places is the number of decimal places in which Stripe counts a currency, and of
// how many of its units an amount must be a multiple (docs.stripe.com/currencies,
// "Zero-decimal currencies", "Three-decimal currencies", "Special cases"). It is
// not ISO 4217 throughout. ok is false where Stripe's documents contradict
// themselves or do not list the currency at all: nothing is guessed about money.
func places(c billing.Currency) (digits int, multiple int64, ok bool) {
	switch c {
	case "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0, 1, true
	case "BHD", "JOD", "KWD", "OMR", "TND":
		// The last digit must be zero.
		return 3, 10, true
	case "ISK":
		// Sent with two places for compatibility, which must be zero.
		return 2, 100, true
	case "UGX":
		// Listed both with no places and with two.
		return 0, 0, false
	}
	// What ISO counts otherwise than in hundredths and the lists above lack.
	return 2, 1, c.Digits() == 2
}

// minor is the amount as Stripe counts it. It never rounds.
func minor(m billing.Money, what string) (int64, *failure) {
	digits, multiple, ok := places(m.Currency)
	if !ok {
		return 0, refused("unsupported-currency", "%s: how Stripe counts this currency is not documented clearly; bill it by hand", what)
	}
	n, ok := m.Amount.Minor(digits)
	if !ok || n%multiple != 0 {
		return 0, refused("amount-too-fine", "%s has more decimal places than Stripe takes for its currency, or is too large; correct it in Salesforce", what)
	}
	return n, nil
}
