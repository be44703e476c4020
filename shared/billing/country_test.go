package billing_test

import (
	"testing"

	"sfrelay/shared/billing"
)

func TestCountries(t *testing.T) {
	n := 0
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			if billing.IsCountry(string([]rune{a, b})) {
				n++
			}
		}
	}
	if n != 249 {
		t.Errorf("%d codes, ISO 3166-1 has 249", n)
	}
	for code, want := range map[string]bool{"DE": true, "de": true, "gb": true, "UK": false, "Germany": false, "": false, "D": false, "DEU": false, " D": false, "D ": false, "E ": false} {
		if billing.IsCountry(code) != want {
			t.Errorf("%q is a country: %v", code, !want)
		}
	}
}
