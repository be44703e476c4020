package httpsink

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

// Whatever a sink writes into a 200 or 412 becomes one of the known results, and
// never a yes or a refusal that it did not say.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"outcome":"created","id":"C-1"}`, `{"outcome":"unchanged","id":""}`, `{"reason":"epoch","epoch":7}`,
		`{"reason":"version","version":"019aa0000000000000000000000000010000aaaa"}`, `{"reason":"version","version":"019AA0000000000000000000000000010000AAAA"}`, `{"type":"urn:x"}`, `[]`, `null`, `{"epoch":1e99}`, "\xff",
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, answer []byte, patch bool) {
		r, err := receipt("PUT customer", answer)
		if err == nil && r.Outcome != sink.Created && r.Outcome != sink.Updated && r.Outcome != sink.Unchanged {
			t.Errorf("%q became %+v", answer, r)
		}
		if e, ok := errors.AsType[*sink.Error](err); err != nil && (!ok || e.Class != verdict.Unknown || e.Applied != sink.Maybe) {
			t.Errorf("%q became %v", answer, err)
		}
		method := http.MethodPut
		if patch {
			method = http.MethodPatch
		}
		err = precondition(method+" customer", method, answer)
		_, isFence := errors.AsType[*sink.FencedError](err)
		v, isVersion := errors.AsType[*sink.RefusedVersionError](err)
		_, isOther := errors.AsType[*sink.Error](err)
		if !isFence && !isVersion && !isOther {
			t.Errorf("%q became %v", answer, err)
		}
		if isVersion && (patch || len(v.Version) != 40 || strings.ToLower(v.Version) != v.Version) {
			t.Errorf("%q became %v", answer, err)
		}
		if p := problemType(answer); len(p) > 100 || strings.ContainsAny(p, " \n\"<") {
			t.Errorf("%q has the type %q", answer, p)
		}
	})
}
