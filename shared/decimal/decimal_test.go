package decimal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sfrelay/shared/decimal"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "-0": "0", "0.000": "0", "00": "0", "0e99999": "0", "-0.0e-5000": "0",
		"12.50": "12.5", "012.50": "12.5", "+12.5": "12.5", "-12.50": "-12.5",
		"1.25e1": "12.5", "1.25E+1": "12.5", "1250e-2": "12.5", "1e0002": "100",
		"0.001": "0.001", "1e-3": "0.001", "100": "100", "1.0E7": "10000000",
		"9007199254740993": "9007199254740993", "0.1": "0.1",
		"1e35":                        "1" + strings.Repeat("0", 35),
		"1e-36":                       "0." + strings.Repeat("0", 35) + "1",
		"0" + strings.Repeat("0", 80): "0",
	} {
		d, err := decimal.Parse(in)
		if err != nil || d.String() != want {
			t.Errorf("Parse(%q) = %s, %v, want %s", in, d, err, want)
		}
	}
	for in, want := range map[string]error{
		"": decimal.ErrSyntax, "-": decimal.ErrSyntax, ".5": decimal.ErrSyntax, "5.": decimal.ErrSyntax, "1,5": decimal.ErrSyntax,
		"1 ": decimal.ErrSyntax, " 1": decimal.ErrSyntax, "0x1": decimal.ErrSyntax, "1e": decimal.ErrSyntax, "1e+": decimal.ErrSyntax,
		"e5": decimal.ErrSyntax, "1e5.5": decimal.ErrSyntax, "--1": decimal.ErrSyntax, "NaN": decimal.ErrSyntax, "Inf": decimal.ErrSyntax,
		"1_000": decimal.ErrSyntax, "1e-+5": decimal.ErrSyntax, "1e+-5": decimal.ErrSyntax, "1e--5": decimal.ErrSyntax, "١": decimal.ErrSyntax, "1.2.3": decimal.ErrSyntax,
		"1e36": decimal.ErrRange, "1e-37": decimal.ErrRange, "1e999999999999": decimal.ErrRange, "1e-99999": decimal.ErrRange,
		"0x" + strings.Repeat("1", 99): decimal.ErrSyntax, strings.Repeat("9", 37): decimal.ErrRange,
	} {
		if d, err := decimal.Parse(in); !errors.Is(err, want) {
			t.Errorf("Parse(%q) = %s, %v, want %v", in, d, err, want)
		}
	}
}

func TestEqualNumbersAreEqual(t *testing.T) {
	a, b := decimal.Must("12.50"), decimal.Must("1.25e1")
	if a != b || decimal.Must("0") != (decimal.Decimal{}) {
		t.Error("equal numbers differ by ==")
	}
}

func TestArithmetic(t *testing.T) {
	for _, c := range []struct{ a, b, sum, product string }{
		{"0.1", "0.2", "0.3", "0.02"},
		{"-1.5", "1.5", "0", "-2.25"},
		{"99999999999999.99", "0.01", "100000000000000", "999999999999.9999"},
		{"3", "-0.004", "2.996", "-0.012"},
	} {
		a, b := decimal.Must(c.a), decimal.Must(c.b)
		if s, err := a.Add(b); err != nil || s.String() != c.sum {
			t.Errorf("%s + %s = %s, %v, want %s", a, b, s, err, c.sum)
		}
		if p, err := a.Mul(b); err != nil || p.String() != c.product {
			t.Errorf("%s * %s = %s, %v, want %s", a, b, p, err, c.product)
		}
	}
	huge := decimal.Must("1e35")
	if _, err := huge.Mul(huge); !errors.Is(err, decimal.ErrRange) {
		t.Errorf("an overflow = %v, want ErrRange", err)
	}
	nines := decimal.Must(strings.Repeat("9", 36))
	if _, err := nines.Add(decimal.Must("1")); !errors.Is(err, decimal.ErrRange) {
		t.Errorf("an overflow = %v, want ErrRange", err)
	}
}

func TestRound(t *testing.T) {
	for _, c := range []struct {
		in     string
		places int
		want   string
	}{
		{"0.125", 2, "0.13"}, {"-0.125", 2, "-0.13"}, {"0.124", 2, "0.12"}, {"-0.124", 2, "-0.12"}, {"0.005", 2, "0.01"}, {"0.0049999", 2, "0"},
		{"9.995", 2, "10"}, {"1.5", 0, "2"}, {"2.5", 0, "3"}, {"12", 2, "12"}, {"-0.4", 0, "0"},
	} {
		if got := decimal.Must(c.in).Round(c.places); got.String() != c.want {
			t.Errorf("%s to %d places = %s, want %s", c.in, c.places, got, c.want)
		}
	}
}

func TestMinor(t *testing.T) {
	for _, c := range []struct {
		in     string
		places int
		n      int64
		ok     bool
	}{
		{"12.5", 2, 1250, true}, {"-12.5", 2, -1250, true}, {"500", 0, 500, true}, {"1.234", 3, 1234, true}, {"1.234", 2, 0, false},
		{"0", 2, 0, true}, {"92233720368547758.07", 2, 9223372036854775807, true}, {"92233720368547758.08", 2, 0, false},
	} {
		n, ok := decimal.Must(c.in).Minor(c.places)
		if ok != c.ok || (ok && n != c.n) {
			t.Errorf("%s with %d places = %d, %v, want %d, %v", c.in, c.places, n, ok, c.n, c.ok)
		}
	}
	if d := decimal.FromMinor(-1250, 2); d.String() != "-12.5" {
		t.Errorf("FromMinor(-1250, 2) = %s", d)
	}
}

func TestJSON(t *testing.T) {
	var v struct{ Number, Text decimal.Decimal }
	if err := json.Unmarshal([]byte(`{"Number":12.50,"Text":"1.0E2"}`), &v); err != nil || v.Number.String() != "12.5" || v.Text.String() != "100" {
		t.Errorf("decoded %v, %v", v, err)
	}
	if b, err := json.Marshal(v); err != nil || string(b) != `{"Number":"12.5","Text":"100"}` {
		t.Errorf("encoded %s, %v", b, err)
	}
	for _, bad := range []string{`true`, `null`, `""`, `"x"`, `[1]`, `"1\u0030"`} {
		var d decimal.Decimal
		if err := json.Unmarshal([]byte(bad), &d); err == nil {
			t.Errorf("decoded %s to %s", bad, d)
		}
	}
}

// Against math/big, which knows nothing of our spelling.
func TestAgreesWithBigRat(t *testing.T) {
	number := rapid.StringMatching(`-?[0-9]{1,12}(\.[0-9]{1,6})?(e-?[0-9]{1,1})?`)
	rapid.Check(t, func(t *rapid.T) {
		as, bs := number.Draw(t, "a"), number.Draw(t, "b")
		a, b := decimal.Must(as), decimal.Must(bs)
		ra, _ := new(big.Rat).SetString(as)
		rb, _ := new(big.Rat).SetString(bs)
		same := func(what string, d decimal.Decimal, err error, r *big.Rat) {
			if limit, _ := new(big.Rat).SetString("1e36"); new(big.Rat).Abs(r).Cmp(limit) >= 0 { // 37 digits before the point
				if !errors.Is(err, decimal.ErrRange) {
					t.Fatalf("%s of %s and %s = %s, %v, want %v", what, as, bs, d, err, decimal.ErrRange)
				}
				return
			}
			if got, _ := new(big.Rat).SetString(d.String()); err != nil || got.Cmp(r) != 0 {
				t.Fatalf("%s of %s and %s = %s, %v, want %s", what, as, bs, d, err, r)
			}
		}
		same("value", a, nil, ra)
		sum, err := a.Add(b)
		same("sum", sum, err, new(big.Rat).Add(ra, rb))
		product, err := a.Mul(b)
		same("product", product, err, new(big.Rat).Mul(ra, rb))
		if a.Cmp(b) != ra.Cmp(rb) || a.Sign() != ra.Sign() || (a == b) != (ra.Cmp(rb) == 0) {
			t.Fatalf("%s and %s compare differently", as, bs)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"12.50", "-1e5", "1.0E-7", "e", "1e999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := decimal.Parse(s)
		if err != nil {
			return
		}
		if again, err := decimal.Parse(d.String()); err != nil || again != d {
			t.Errorf("%q became %q, which is %v, %v", s, d, again, err)
		}
		if len(d.String()) > 75 {
			t.Errorf("%q has %d characters", s, len(d.String()))
		}
	})
}

func ExampleDecimal() {
	price, quantity := decimal.Must("12.50"), decimal.Must("3")
	total, err := price.Mul(quantity)
	cents, whole := total.Minor(2)
	fmt.Println(total, err, cents, whole)
	// Output: 37.5 <nil> 3750 true
}
