package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sfrelay/cmd/sfrelay/internal/bus"
)

func events(ids ...string) []bus.Event {
	var all []bus.Event
	for _, id := range ids {
		all = append(all, bus.Event{ID: id, JSON: []byte(`{"id":"` + id + `","detail":{"n":9007199254740993}}`)})
	}
	return all
}

func TestPlanDuplicatesUnderNewIDs(t *testing.T) {
	c := sendCommand{Duplicate: 2}
	got, err := c.plan(events("a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 6 || got[0].ID != "a" || got[3].ID != "b" {
		t.Fatalf("planned %v", got)
	}
	seen := map[string]bool{}
	for _, e := range got {
		if seen[e.ID] {
			t.Errorf("the id %s comes twice", e.ID)
		}
		seen[e.ID] = true
		var envelope struct {
			ID     string
			Detail json.RawMessage
		}
		if err := json.Unmarshal(e.JSON, &envelope); err != nil || envelope.ID != e.ID || string(envelope.Detail) != `{"n":9007199254740993}` {
			t.Errorf("%s under the id %s: %v", e.JSON, e.ID, err)
		}
	}
}

func TestPlanShufflesBySeed(t *testing.T) {
	sent := func(seed uint64) string {
		c := sendCommand{Shuffle: &seed}
		got, err := c.plan(events("a", "b", "c", "d", "e", "f", "g", "h"))
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, e := range got {
			ids = append(ids, e.ID)
		}
		sorted := slices.Sorted(slices.Values(ids))
		if strings.Join(sorted, "") != "abcdefgh" {
			t.Errorf("events got lost: %v", ids)
		}
		return strings.Join(ids, "")
	}
	first, again, other := sent(1), sent(1), sent(2)
	if first != again {
		t.Errorf("one seed, two orders: %s, %s", first, again)
	}
	if first == other || first == "abcdefgh" {
		t.Errorf("not shuffled: %s, %s", first, other)
	}
	inOrder, err := (&sendCommand{}).plan(events("a", "b"))
	if err != nil || inOrder[0].ID != "a" {
		t.Errorf("shuffled unasked: %v, %v", inOrder, err)
	}
}

func TestReadAllSaysWhichFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(file, []byte(`{"id":`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, filepath.Join(t.TempDir(), "missing.json")} {
		if _, err := readAll([]string{name}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v does not name %s", err, name)
		}
	}
}

func TestSandboxListensOnLoopbackOnly(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", "[::]:0", ":0", "example.com:80", "8080"} {
		if l, err := listenLoopback(addr); err == nil {
			_ = l.Close()
			t.Errorf("%s is taken", addr)
		} else if !strings.Contains(err.Error(), "127.0.0.1:PORT") {
			t.Errorf("%s: error %v does not say what to write", addr, err)
		}
	}
	l, err := listenLoopback("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

func TestSendWritesAnEventWithoutID(t *testing.T) {
	screen, out, _ := testScreen()
	(&sending{sendCommand: &sendCommand{}, screen: screen}).print(bus.Delivery{Outcome: bus.NoRule})
	if out.String() != "(an event without an id)\n  no rule takes it\n" {
		t.Error(out.String())
	}
}
