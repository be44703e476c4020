package consumertest_test

import (
	"errors"
	"strings"
	"testing"

	"sfrelay/shared/consumer/consumertest"
	"sfrelay/shared/sink"
	"sfrelay/shared/verdict"
)

func ref(epoch int64, version string) sink.Ref {
	return sink.Ref{Consumer: "levels", Org: consumertest.Org, Subject: "stock/A", Epoch: epoch, Version: version}
}

// The sink keeps to its contract, and promises no more.
func TestASinkRefusesWhatItsContractSays(t *testing.T) {
	type state struct{ N int }
	strict := consumertest.NewSink(sink.Contract{Fenced: true, Versioned: true})
	if _, err := strict.Put(ref(5, "b"), "A", state{1}); err != nil {
		t.Fatal(err)
	}
	_, err := strict.Put(ref(4, "c"), "A", state{2})
	if e, ok := errors.AsType[*sink.FencedError](err); !ok || e.Epoch != 5 {
		t.Errorf("an older epoch: %v", err)
	}
	_, err = strict.Put(ref(6, "a"), "A", state{3})
	if e, ok := errors.AsType[*sink.RefusedVersionError](err); !ok || e.Version != "b" {
		t.Errorf("an older version: %v", err)
	}
	if _, err = strict.Patch(ref(6, "a"), "A", state{4}); err != nil || strict.State() != "A: N=4\n" {
		t.Errorf("a patch of an older version: %v, %q", err, strict.State())
	}
	loose := consumertest.NewSink(sink.Contract{})
	for _, r := range []sink.Ref{ref(5, "b"), ref(4, "a")} {
		if _, err := loose.Put(r, "A", state{5}); err != nil {
			t.Errorf("a sink that promises nothing: %v", err)
		}
	}
}

func TestASinkActsOnceWhereItKnowsTheKeyAgain(t *testing.T) {
	for c, want := range map[sink.Contract]int{{UniqueKey: true}: 1, {Lookup: true}: 1, {}: 2} {
		s := consumertest.NewSink(c)
		for _, text := range []string{"x=first", "x=second"} {
			if _, err := s.Do(ref(1, ""), "A", struct{ X string }{text}); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Contains(s.State(), "second"); got != (want == 2) {
			t.Errorf("%+v: the sink holds %s", c, s.State())
		}
	}
}

func TestASinkNamesMisuse(t *testing.T) {
	for want, misuse := range map[string]func(*consumertest.Sink) error{
		"without a key":     func(s *consumertest.Sink) error { _, err := s.Put(ref(1, "a"), "", 1); return err },
		"without a version": func(s *consumertest.Sink) error { _, err := s.Put(ref(1, ""), "A", 1); return err },
		"without consumer":  func(s *consumertest.Sink) error { _, err := s.Put(sink.Ref{Version: "a"}, "A", 1); return err },
		"do not go together": func(s *consumertest.Sink) error {
			_, _ = s.Put(ref(1, "a"), "A", 1)
			_, err := s.Put(ref(1, "b"), "B", 1)
			return err
		},
	} {
		err := misuse(consumertest.NewSink(sink.Contract{}))
		if err == nil || !strings.Contains(err.Error(), want) || sink.ClassOf(err) != verdict.Permanent("misuse") {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
