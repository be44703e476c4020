// Package decimal is an exact decimal number for money and quantities: what
// Salesforce, Stripe and an ERP say of an amount passes through without a binary
// fraction ever standing between them.
package decimal

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// The digits a Decimal may have before and after the point. Salesforce numbers
// and currencies have at most 18 digits together (Object Reference, "Field
// Types"); a product of two of them still fits.
const (
	maxWhole    = 36
	maxFraction = 36
)

// ErrSyntax says that a text is not a decimal number.
var ErrSyntax = errors.New("not a decimal number: write digits with at most one point, e.g. 12.50")

// ErrRange says that a number has more digits than a Decimal holds: 36 before
// and 36 after the point.
var ErrRange = errors.New("a decimal number has at most 36 digits before and 36 after the point")

// Decimal is an exact decimal number. The zero value is 0. Equal numbers are
// equal with ==, however they were spelled: 12.5, 12.50 and 1.25e1 are one value.
type Decimal struct {
	s string // canonical: no exponent, no leading or trailing zeros, "" for 0
}

// Parse reads a decimal number as JSON spells one, leading zeros and a leading
// plus sign allowed. The error is ErrSyntax or ErrRange and never holds the text.
func Parse(s string) (Decimal, error) {
	mantissa, exponent, err := splitExponent(s)
	if err != nil {
		return Decimal{}, err
	}
	negative := strings.HasPrefix(mantissa, "-")
	if negative || strings.HasPrefix(mantissa, "+") {
		mantissa = mantissa[1:]
	}
	whole, fraction, point := strings.Cut(mantissa, ".")
	if whole == "" || (point && fraction == "") || !digits(whole) || !digits(fraction) {
		return Decimal{}, ErrSyntax
	}
	return canonical(negative, whole+fraction, len(whole)+exponent)
}

// Must is Parse for constants in code: it panics on what Parse refuses.
func Must(s string) Decimal {
	d, err := Parse(s)
	if err != nil {
		panic("decimal: " + s + ": " + err.Error())
	}
	return d
}

// FromMinor is n units of the given number of decimal places: FromMinor(1250, 2)
// is 12.50.
func FromMinor(n int64, places int) Decimal {
	d, err := fromInt(big.NewInt(n), places)
	if err != nil {
		panic(fmt.Sprintf("decimal: %d decimal places", places))
	}
	return d
}

// splitExponent cuts off an exponent. Four digits of it are read: more are out of
// range whatever the mantissa is.
func splitExponent(s string) (mantissa string, exponent int, err error) {
	i := strings.IndexAny(s, "eE")
	if i < 0 {
		return s, 0, nil
	}
	mantissa, e := s[:i], s[i+1:]
	sign := 1
	if strings.HasPrefix(e, "-") {
		sign = -1
	}
	e = strings.TrimPrefix(strings.TrimPrefix(e, "-"), "+")
	if e == "" || !digits(e) || (sign < 0 && strings.HasPrefix(s[i+1:], "-+")) {
		return "", 0, ErrSyntax
	}
	e = strings.TrimLeft(e, "0")
	if len(e) > 4 {
		if strings.Trim(mantissa, "+-0.") == "" {
			return mantissa, 0, nil // zero at any exponent
		}
		return "", 0, ErrRange
	}
	for _, c := range e {
		exponent = exponent*10 + int(c-'0')
	}
	return mantissa, sign * exponent, nil
}

// canonical builds the one spelling of the number 0.<all> x 10^point.
func canonical(negative bool, all string, point int) (Decimal, error) {
	trimmed := strings.TrimLeft(all, "0")
	point -= len(all) - len(trimmed)
	trimmed = strings.TrimRight(trimmed, "0")
	if trimmed == "" {
		return Decimal{}, nil
	}
	if point > maxWhole || len(trimmed)-point > maxFraction {
		return Decimal{}, ErrRange
	}
	var s string
	switch {
	case point <= 0:
		s = "0." + strings.Repeat("0", -point) + trimmed
	case point >= len(trimmed):
		s = trimmed + strings.Repeat("0", point-len(trimmed))
	default:
		s = trimmed[:point] + "." + trimmed[point:]
	}
	if negative {
		s = "-" + s
	}
	return Decimal{s: s}, nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// String is the plain spelling: no exponent, no trailing zeros, "0" for zero.
func (d Decimal) String() string {
	if d.s == "" {
		return "0"
	}
	return d.s
}

// Sign is -1, 0 or 1.
func (d Decimal) Sign() int {
	switch {
	case d.s == "":
		return 0
	case d.s[0] == '-':
		return -1
	default:
		return 1
	}
}

// Places is the number of digits after the point.
func (d Decimal) Places() int {
	_, fraction, _ := strings.Cut(d.s, ".")
	return len(fraction)
}

// Cmp is -1, 0 or 1, as d is less than, equal to or greater than e.
func (d Decimal) Cmp(e Decimal) int {
	places := max(d.Places(), e.Places())
	return d.scaled(places).Cmp(e.scaled(places))
}

// Add is the exact sum, or ErrRange.
func (d Decimal) Add(e Decimal) (Decimal, error) {
	places := max(d.Places(), e.Places())
	return fromInt(new(big.Int).Add(d.scaled(places), e.scaled(places)), places)
}

// Mul is the exact product, or ErrRange.
func (d Decimal) Mul(e Decimal) (Decimal, error) {
	dp, ep := d.Places(), e.Places()
	return fromInt(new(big.Int).Mul(d.scaled(dp), e.scaled(ep)), dp+ep)
}

// Round cuts to so many places, half away from zero, as an invoice does
// (0.125 to two places is 0.13, -0.125 is -0.13).
func (d Decimal) Round(places int) Decimal {
	extra := d.Places() - places
	if extra <= 0 {
		return d
	}
	n := d.scaled(d.Places())
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(extra)), nil)
	half := new(big.Int).Rsh(unit, 1)
	if n.Sign() < 0 {
		half.Neg(half)
	}
	n.Quo(n.Add(n, half), unit)
	r, err := fromInt(n, places)
	if err != nil {
		// Rounding up may carry into one more digit before the point.
		return d
	}
	return r
}

// Minor is the number in units of the given number of decimal places: 12.5 with
// two places is 1250. ok is false where that is not a whole number or does not
// fit; nothing is ever rounded.
func (d Decimal) Minor(places int) (n int64, ok bool) {
	if d.Places() > places {
		return 0, false
	}
	b := d.scaled(places)
	return b.Int64(), b.IsInt64()
}

// scaled is d x 10^places, which must be a whole number.
func (d Decimal) scaled(places int) *big.Int {
	whole, fraction, _ := strings.Cut(d.String(), ".")
	n, _ := new(big.Int).SetString(whole+fraction+strings.Repeat("0", places-len(fraction)), 10)
	return n
}

func fromInt(n *big.Int, places int) (Decimal, error) {
	all := new(big.Int).Abs(n).String()
	return canonical(n.Sign() < 0, all, len(all)-places)
}

// MarshalText writes the plain spelling, so that a Decimal is a JSON string.
func (d Decimal) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what Parse reads.
func (d *Decimal) UnmarshalText(b []byte) (err error) {
	*d, err = Parse(string(b))
	return err
}

// UnmarshalJSON reads a JSON number or a JSON string that holds one, digit by
// digit: it never passes through a float.
func (d *Decimal) UnmarshalJSON(b []byte) error {
	if len(b) >= 2 && b[0] == '"' && b[len(b)-1] == '"' {
		b = b[1 : len(b)-1]
	}
	return d.UnmarshalText(b)
}
