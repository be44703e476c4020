package verdict_test

import (
	"testing"

	"sfrelay/shared/verdict"
)

func TestClasses(t *testing.T) {
	for class, want := range map[verdict.Class]bool{
		verdict.Permanent("invalid-currency"): true, "permanent/": false, "permanent": false, "": false,
		verdict.Throttled: false, verdict.Conflict: false, verdict.SubjectBusy: false, verdict.DependencyMissing: false, verdict.Auth: false, verdict.Unknown: false,
		verdict.Unfinished: false, verdict.NeedsSnapshot: false, verdict.NeedsFetch: false, verdict.RecordUnreadable: false, verdict.TooOld: false,
		verdict.EpochConflict: false, verdict.DuplicateRemote: false, verdict.OverwroteNewer: false, verdict.InDoubt: false,
		verdict.ChangedAfterDone: false, verdict.FanOut: false, verdict.OrgLimit: false, verdict.OrgDown: false,
	} {
		if class.IsPermanent() != want {
			t.Errorf("%q permanent: %v", class, !want)
		}
	}
}

// The words are written out: other people's queries hold them.
func TestVerdicts(t *testing.T) {
	for v, want := range map[verdict.Verdict]bool{
		"applied": true, "duplicate": true, "stale": true, "partly-stale": true, "ignored": true, "echo": true,
		"parked": true, "zombie": true, "busy": false, "failed": false,
	} {
		if v.Acknowledged() != want {
			t.Errorf("%s acknowledged: %v", v, !want)
		}
	}
}
