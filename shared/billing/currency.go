package billing

import (
	"errors"

	"sfrelay/shared/sink"
)

// Currency is an ISO 4217 alphabetic code in capital letters.
type Currency string

// ErrCurrency says that a text is not a currency code.
var ErrCurrency = errors.New("not a currency code: write three letters of ISO 4217, e.g. EUR")

// ParseCurrency reads a code in either case. That the code is in circulation is
// for the billing system to say.
func ParseCurrency(s string) (Currency, error) {
	if len(s) != 3 {
		return "", ErrCurrency
	}
	b := []byte(s)
	for i, c := range b {
		switch {
		case c >= 'A' && c <= 'Z':
		case c >= 'a' && c <= 'z':
			b[i] = c - 'a' + 'A'
		default:
			return "", ErrCurrency
		}
	}
	return Currency(b), nil
}

// UnmarshalText reads a code in either case. It refuses others as invalid-currency.
func (c *Currency) UnmarshalText(b []byte) (err error) {
	if *c, err = ParseCurrency(string(b)); err != nil {
		return sink.Refuse("invalid-currency", "is %w", err)
	}
	return nil
}

// Digits is the number of decimal places of the currency's minor unit (ISO 4217,
// list one; two where the list has no other number). A billing system may count
// otherwise: its connector says so.
func (c Currency) Digits() int {
	switch c {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF",
		"UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3
	case "CLF", "UYW":
		return 4
	default:
		return 2
	}
}
