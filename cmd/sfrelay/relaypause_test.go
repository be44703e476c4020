package main

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	orgsandbox "sfrelay/shared/sandbox/org"
)

// pauseWorld is a set-up of both relays that run, and a way to type.
func pauseWorld(t *testing.T) (a *awsAccount, do func(want int, words ...string) (out, said string)) {
	t.Helper()
	_, a, flags := relayAccount(t)
	do = func(want int, words ...string) (string, string) {
		t.Helper()
		code, out, said := called(t, nobody, append(words, flags...)...)
		if code != want {
			t.Fatalf("%v: code %d, want %d: %s%s", words, code, want, out, said)
		}
		return out, said
	}
	do(done, "relay", "setup", "--yes")
	return a, do
}

const announcementKey = "relay#" + orgsandbox.OrgID

// An announced pause leaves a line in the audit log, then the announcement, then pauses; a start
// removes it.
func TestAPauseIsAnnounced(t *testing.T) {
	a, do := pauseWorld(t)
	began := time.Now()
	_, said := do(done, "relay", "pause", "--for", "2h", "--reason", "move of the ERP", "--yes")
	if !strings.Contains(said, "No alarm will ring until ") || strings.Contains(said, "will ring; announce") {
		t.Error(said)
	}
	var put struct {
		TableName string
		Item      map[string]map[string]string
	}
	if len(a.writes) != 1 || json.Unmarshal([]byte(a.writes[0]), &put) != nil {
		t.Fatalf("%q", a.writes)
	}
	until, _ := strconv.ParseInt(put.Item["t"]["N"], 10, 64)
	from, to := began.Add(2*time.Hour).UnixMilli(), time.Now().Add(2*time.Hour).UnixMilli()
	if put.TableName != "sfrelay-GuardTable" || put.Item["pk"]["S"] != announcementKey || put.Item["by"]["S"] != accountCaller || put.Item["why"]["S"] != "move of the ERP" ||
		until < from || until > to || put.Item["x"]["N"] != strconv.FormatInt(until/1000+24*60*60, 10) {
		t.Errorf("%+v, want an end between %d and %d", put, from, to)
	}
	if len(a.audit) != 1 || !strings.Contains(a.audit[0], `"action":"relay pause","reason":"move of the ERP"`) || !strings.Contains(a.audit[0], accountCaller) || !strings.Contains(a.audit[0], "announced until") {
		t.Errorf("%q", a.audit)
	}
	calls := a.calls()
	if slices.Index(calls, "Logs_20140328.PutLogEvents") > slices.Index(calls, "DynamoDB_20120810.PutItem") {
		t.Errorf("the audit log comes late: %v", calls)
	}
	a.items[announcementKey] = map[string]any{"pk": map[string]string{"S": announcementKey}, "t": put.Item["t"], "by": put.Item["by"], "why": put.Item["why"]}
	if out, _ := do(done, "relay", "status"); strings.Count(out, "wanted PAUSE") != 2 || !strings.Contains(out, "announced  pause until ") || !strings.Contains(out, accountCaller+": move of the ERP") {
		t.Error(out)
	}
	a.items[announcementKey]["t"] = map[string]string{"N": strconv.FormatInt(began.UnixMilli(), 10)}
	if out, _ := do(done, "relay", "status"); strings.Contains(out, "announced") {
		t.Errorf("a pause that is over: %s", out)
	}
	do(done, "relay", "start", "--yes")
	if len(a.writes) != 2 || !strings.Contains(a.writes[1], `"Key":{"pk":{"S":"`+announcementKey+`"}}`) || !slices.Contains(a.calls(), "DynamoDB_20120810.DeleteItem") {
		t.Errorf("%q", a.writes)
	}
	if len(a.audit) != 2 || !strings.Contains(a.audit[1], `"action":"relay start"`) {
		t.Errorf("%q", a.audit)
	}
	if out, _ := do(done, "relay", "status"); strings.Count(out, "wanted RUN") != 2 {
		t.Error(out)
	}
}

// Without an announcement an alarm rings, and an earlier one does not hide that.
func TestAPauseWithoutAnAnnouncement(t *testing.T) {
	a, do := pauseWorld(t)
	if _, said := do(done, "relay", "pause", "--yes"); !strings.Contains(said, "RelayDownAlarm will ring; announce it with --for") {
		t.Error(said)
	}
	if calls := a.calls(); slices.Contains(calls, "DynamoDB_20120810.PutItem") || !slices.Contains(calls, "DynamoDB_20120810.DeleteItem") || len(a.audit) != 1 {
		t.Errorf("%v, %q", calls, a.audit)
	}
}

// Salesforce keeps events for 72 hours.
func TestAPauseHas72Hours(t *testing.T) {
	for pause, code := range map[string]int{"72h": done, "72h0m1s": wrongUse, "100h": wrongUse, "-1h": wrongUse} {
		a, do := pauseWorld(t)
		_, said := do(code, "relay", "pause", "--yes", "--for="+pause)
		if code != done && (!strings.Contains(said, "72h: Salesforce keeps events for so long") || len(a.audit) > 0 || len(a.writes) > 0) {
			t.Errorf("%s: %s, %q", pause, said, a.writes)
		}
	}
}

// Where nothing is deployed there is no table, and no alarm either.
func TestAPauseWithoutAStack(t *testing.T) {
	a, do := pauseWorld(t)
	a.stackless = true
	account := []string{"--account", "123456789012"}
	if _, said := do(wrongUse, append([]string{"relay", "pause", "--for", "1h", "--yes"}, account...)...); !strings.Contains(said, "there is no table to write the announcement into") {
		t.Error(said)
	}
	if out, _ := do(done, append([]string{"relay", "status"}, account...)...); strings.Count(out, "wanted RUN") != 2 {
		t.Errorf("the relays were paused all the same: %s", out)
	}
	if _, said := do(done, append([]string{"relay", "pause", "--yes"}, account...)...); strings.Contains(said, "will ring") {
		t.Error(said)
	}
	do(done, append([]string{"relay", "start", "--yes"}, account...)...)
	if len(a.writes)+len(a.audit) > 0 {
		t.Errorf("%q %q", a.writes, a.audit)
	}
}

// What cannot be written down is not done.
func TestAPauseThatCannotBeAnnounced(t *testing.T) {
	for _, call := range []string{"Logs_20140328.PutLogEvents", "DynamoDB_20120810.PutItem"} {
		a, do := pauseWorld(t)
		a.refuse = call
		do(notDone, "relay", "pause", "--for", "1h", "--yes")
		if out, _ := do(done, "relay", "status"); strings.Count(out, "wanted RUN") != 2 {
			t.Errorf("without %s the relays are paused: %s", call, out)
		}
	}
}

// The monitor of a stack looks at the announcements of its own org.
func TestAPauseIsAnnouncedToTheStackOfTheOrg(t *testing.T) {
	a, do := pauseWorld(t)
	a.orgs = "00D5f000005KcCo"
	if _, said := do(notDone, "relay", "pause", "--for", "1h", "--yes"); !strings.Contains(said, "the stack takes nothing of the org "+orgsandbox.OrgID) || len(a.writes) > 0 {
		t.Errorf("%s %q", said, a.writes)
	}
}
