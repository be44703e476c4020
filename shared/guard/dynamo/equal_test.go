package dynamo_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sfrelay/shared/guard"
	"sfrelay/shared/guard/memory"
)

// TestTheMemoryStoreIsDynamoDB runs the same random writes against the store in memory
// and against DynamoDB Local, with the expressions that are sent on the wire, and
// compares every answer and every item. The simulation's store evaluates with the same
// functions as the one in memory.
func TestTheMemoryStoreIsDynamoDB(t *testing.T) {
	real := open(t, nil)
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		key := fmt.Sprintf("equal#%d", run)
		mem := &memory.Store{}
		ctx := context.Background()
		for step := range rapid.IntRange(1, 12).Draw(t, "writes") {
			w := anyWrite(t)
			w.Key = key
			memOld, memOK, memErr := mem.Write(ctx, w)
			realOld, realOK, realErr := real.Write(ctx, w)
			if (memErr == nil) != (realErr == nil) {
				t.Fatalf("write %d %+v: memory says %v, DynamoDB %v", step, w, memErr, realErr)
			}
			if memOK != realOK || !same(memOld, realOld) {
				t.Fatalf("write %d %+v: memory %v %v, DynamoDB %v %v", step, w, memOK, memOld, realOK, realOld)
			}
			memItem, _ := mem.Read(ctx, key)
			realItem, err := real.Read(ctx, key)
			if err != nil {
				t.Fatal(err)
			}
			if !same(memItem, realItem) {
				t.Fatalf("after write %d %+v: memory %v, DynamoDB %v", step, w, memItem, realItem)
			}
		}
	})
}

func same(a, b guard.Record) bool {
	if len(a) != len(b) {
		return false
	}
	for _, x := range a {
		if v, ok := b.Get(x.Name); !ok || v != x.Value {
			return false
		}
	}
	return true
}

var attributes = []string{"s", "o", "n", "a", "u", "w", "d", "z", "l", ".f", ".b.city"}

func anyValue(t *rapid.T) guard.Value {
	switch rapid.IntRange(0, 2).Draw(t, "type") {
	case 0:
		return guard.Value{Kind: guard.Number, Num: rapid.SampledFrom([]int64{0, 1, 2, -1, 1745500706683617281, 1745500706683617282}).Draw(t, "number")}
	case 1:
		return guard.Value{Kind: guard.String, Str: rapid.SampledFrom([]string{"a", "b", "é"}).Draw(t, "text")}
	default:
		return guard.Value{Kind: guard.Binary, Str: rapid.SampledFrom([]string{"\x00", "\x7f", "\x80", "\x80\x00", "\xff"}).Draw(t, "bytes")}
	}
}

func anyCond(t *rapid.T, depth int) guard.Cond {
	kinds := []guard.Test{guard.NoItem, guard.Absent, guard.Equal, guard.Differs, guard.Less, guard.AtMost}
	if depth < 3 {
		kinds = append(kinds, guard.All, guard.Any, guard.All, guard.Any)
	}
	c := guard.Cond{Test: rapid.SampledFrom(kinds).Draw(t, "test")}
	switch c.Test {
	case guard.All, guard.Any:
		for range rapid.IntRange(1, 3).Draw(t, "terms") {
			c.Terms = append(c.Terms, anyCond(t, depth+1))
		}
	case guard.NoItem:
	case guard.Absent:
		c.Attr = rapid.SampledFrom(attributes).Draw(t, "attribute")
	default:
		c.Attr = rapid.SampledFrom(attributes).Draw(t, "attribute")
		c.Value = anyValue(t)
	}
	return c
}

func anyWrite(t *rapid.T) guard.Write {
	w := guard.Write{ReturnOld: rapid.Bool().Draw(t, "old")}
	if rapid.Bool().Draw(t, "conditional") {
		w.If = anyCond(t, 0)
	}
	drawn := rapid.Permutation(attributes).Draw(t, "attributes")
	n := rapid.IntRange(1, 4).Draw(t, "set")
	for _, attr := range drawn[:n] {
		a := guard.Assign{Attr: attr, Op: rapid.SampledFrom([]guard.Op{guard.Put, guard.Put, guard.PutAbsent, guard.AddTo, guard.Add}).Draw(t, "op")}
		switch a.Op {
		case guard.AddTo:
			a.Attr = []string{"n", "a", "u", "s"}[slices.Index(drawn, attr)%4]
			a.Value = guard.Value{Kind: guard.Number, Num: 5}
			a.Delta = rapid.Int64Range(-2, 2).Draw(t, "delta")
		case guard.Add:
			a.Delta = rapid.Int64Range(-2, 2).Draw(t, "delta")
		default:
			a.Value = anyValue(t)
		}
		if !slices.ContainsFunc(w.Set, func(x guard.Assign) bool { return x.Attr == a.Attr }) {
			w.Set = append(w.Set, a)
		}
	}
	for _, attr := range drawn[n : n+rapid.IntRange(0, 2).Draw(t, "remove")] {
		if !slices.ContainsFunc(w.Set, func(x guard.Assign) bool { return x.Attr == attr }) {
			w.Remove = append(w.Remove, attr)
		}
	}
	return w
}
