// Package guardtest is the contract of guard.Store as tests: every store passes
// Run. The expected values are DynamoDB's, from the Developer Guide ("Comparison
// operator and function reference", "Update expressions").
package guardtest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"sfrelay/shared/guard"
)

// Run takes every store through the contract. open returns a store that may hold
// other tests' items: the keys used here are new in every run.
func Run(t *testing.T, open func(t *testing.T) guard.Store) {
	t.Helper()
	run := fmt.Sprintf("guardtest-%d", time.Now().UnixNano())
	n := 0
	fresh := func(t *testing.T) (*keyed, context.Context) {
		n++
		return &keyed{t: t, store: open(t), key: fmt.Sprintf("%s#%d", run, n)}, t.Context()
	}
	for _, tc := range conditions {
		t.Run("condition/"+tc.name, func(t *testing.T) {
			k, ctx := fresh(t)
			if tc.item != nil {
				k.seed(ctx, tc.item)
			}
			old, ok := k.write(ctx, guard.Write{If: tc.cond, Set: set("s", num(9)), ReturnOld: true})
			if ok != tc.want {
				t.Fatalf("holds = %v, want %v", ok, tc.want)
			}
			equal(t, "item returned", old, tc.item)
			want := tc.item
			if tc.want {
				want = with(tc.item, "s", num(9))
			}
			equal(t, "item afterwards", k.read(ctx), want)
		})
	}
	for _, tc := range updates {
		t.Run("update/"+tc.name, func(t *testing.T) {
			k, ctx := fresh(t)
			if tc.item != nil {
				k.seed(ctx, tc.item)
			}
			if _, ok := k.write(ctx, guard.Write{If: guard.Cond{Test: guard.All}, Set: tc.set, Remove: tc.remove}); !ok {
				t.Fatal("refused without a condition")
			}
			equal(t, "item afterwards", k.read(ctx), tc.want)
		})
	}
	for _, tc := range invalid {
		t.Run("update/"+tc.name+" is an error", func(t *testing.T) {
			k, ctx := fresh(t)
			if tc.item != nil {
				k.seed(ctx, tc.item)
			}
			w := guard.Write{Key: k.key, Set: append(set("o", str("new")), tc.set)}
			if _, _, err := k.store.Write(ctx, w); err == nil {
				t.Fatal("no error")
			}
			equal(t, "item afterwards", k.read(ctx), tc.item)
		})
	}
	t.Run("old item only when asked for", func(t *testing.T) {
		k, ctx := fresh(t)
		k.seed(ctx, rec("s", num(1)))
		if old, _ := k.write(ctx, guard.Write{Set: set("s", num(2))}); old != nil {
			t.Fatalf("got %v without ReturnOld", old)
		}
		if old, _ := k.write(ctx, guard.Write{Set: set("s", num(3)), ReturnOld: true}); len(old) != 1 {
			t.Fatalf("got %v with ReturnOld", old)
		}
	})
	t.Run("of 16 at once one wins", func(t *testing.T) {
		k, ctx := fresh(t)
		won := make([]bool, 16)
		var wg sync.WaitGroup
		for i := range won {
			wg.Go(func() {
				_, won[i], _ = k.store.Write(ctx, guard.Write{Key: k.key,
					If: guard.Cond{Test: guard.NoItem}, Set: set("n", num(int64(i)))})
			})
		}
		wg.Wait()
		winner, wins := int64(-1), 0
		for i, w := range won {
			if w {
				winner, wins = int64(i), wins+1
			}
		}
		if wins != 1 {
			t.Fatalf("%d writes passed, want 1", wins)
		}
		equal(t, "item afterwards", k.read(ctx), rec("n", num(winner)))
	})
	t.Run("a context that has ended", func(t *testing.T) {
		k, _ := fresh(t)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := k.store.Write(ended, guard.Write{Key: k.key, Set: set("s", num(1))}); err == nil {
			t.Fatal("Write: no error")
		}
		if _, err := k.store.Read(ended, k.key); err == nil {
			t.Fatal("Read: no error")
		}
	})
}

var (
	low  = bin("\x00\x7f")
	mid  = bin("\x00\x80")
	long = bin("\x00\x80\x00")
)

var conditions = []struct {
	name string
	item guard.Record
	cond guard.Cond
	want bool
}{
	{"no condition", nil, guard.Cond{Test: guard.All}, true},
	{"no item, none there", nil, guard.Cond{Test: guard.NoItem}, true},
	{"no item, one there", rec("s", num(0)), guard.Cond{Test: guard.NoItem}, false},
	{"absent", rec("s", num(0)), cond(guard.Absent, "u", guard.Value{}), true},
	{"absent, no item", nil, cond(guard.Absent, "u", guard.Value{}), true},
	{"absent, there", rec("u", num(0)), cond(guard.Absent, "u", guard.Value{}), false},
	{"field name with a dot", rec(".b.street", mid), cond(guard.Less, ".b.street", long), true},
	{"equal number", rec("s", num(4)), cond(guard.Equal, "s", num(4)), true},
	{"equal, missing", rec("s", num(4)), cond(guard.Equal, "n", num(4)), false},
	{"equal, other type", rec("s", str("4")), cond(guard.Equal, "s", num(4)), false},
	{"differs", rec("s", num(4)), cond(guard.Differs, "s", num(3)), true},
	{"differs, same", rec("s", num(4)), cond(guard.Differs, "s", num(4)), false},
	{"differs, missing", rec("s", num(4)), cond(guard.Differs, "n", num(4)), true},
	{"differs, other type", rec("s", str("4")), cond(guard.Differs, "s", num(4)), true},
	{"less number", rec("u", num(-5)), cond(guard.Less, "u", num(0)), true},
	{"less number, equal", rec("u", num(0)), cond(guard.Less, "u", num(0)), false},
	{"less, missing", rec("s", num(0)), cond(guard.Less, "u", num(9)), false},
	{"less, other type", rec("u", str("0")), cond(guard.Less, "u", num(9)), false},
	{"less bytes are unsigned", rec("d", low), cond(guard.Less, "d", mid), true},
	{"less bytes, greater", rec("d", mid), cond(guard.Less, "d", low), false},
	{"less bytes, prefix", rec("d", mid), cond(guard.Less, "d", long), true},
	{"at most, equal", rec("u", num(1745500706683617281)), cond(guard.AtMost, "u", num(1745500706683617281)), true},
	{"at most, one more", rec("u", num(1745500706683617282)), cond(guard.AtMost, "u", num(1745500706683617281)), false},
	{"at most, missing", nil, cond(guard.AtMost, "u", num(1)), false},
	{"all", rec("s", num(1), "u", num(5)), guard.Cond{Test: guard.All, Terms: []guard.Cond{
		cond(guard.Equal, "s", num(1)), cond(guard.Less, "u", num(6))}}, true},
	{"all, one fails", rec("s", num(1), "u", num(7)), guard.Cond{Test: guard.All, Terms: []guard.Cond{
		cond(guard.Equal, "s", num(1)), cond(guard.Less, "u", num(6))}}, false},
	{"any binds weaker than all", rec("s", num(4), "u", num(0)), guard.Cond{Test: guard.All, Terms: []guard.Cond{
		{Test: guard.Any, Terms: []guard.Cond{cond(guard.Absent, "u", guard.Value{}), cond(guard.AtMost, "u", num(0))}},
		cond(guard.Equal, "s", num(3))}}, false},
	{"all inside any", rec("s", num(4), "u", num(0)), guard.Cond{Test: guard.Any, Terms: []guard.Cond{
		{Test: guard.NoItem},
		{Test: guard.All, Terms: []guard.Cond{cond(guard.Differs, "s", num(4)), cond(guard.AtMost, "u", num(0))}}}}, false},
}

var updates = []struct {
	name   string
	item   guard.Record
	set    []guard.Assign
	remove []string
	want   guard.Record
}{
	{"put", nil, set("l", str("cus_1")), nil, rec("l", str("cus_1"))},
	{"put over another type", rec("l", num(1)), set("l", str("cus_1")), nil, rec("l", str("cus_1"))},
	{"put absent, absent", nil, []guard.Assign{{Attr: "w", Op: guard.PutAbsent, Value: mid}}, nil, rec("w", mid)},
	{"put absent, there", rec("w", low), []guard.Assign{{Attr: "w", Op: guard.PutAbsent, Value: mid}}, nil, rec("w", low)},
	{"add to, absent", nil, []guard.Assign{{Attr: "n", Op: guard.AddTo, Value: num(1700000000000), Delta: 1}}, nil, rec("n", num(1700000000001))},
	{"add to, there", rec("n", num(41)), []guard.Assign{{Attr: "n", Op: guard.AddTo, Value: num(1700000000000), Delta: 1}}, nil, rec("n", num(42))},
	{"add", rec("a", num(3)), []guard.Assign{{Attr: "a", Op: guard.Add, Delta: -1}}, nil, rec("a", num(2))},
	{"remove", rec("w", mid, "s", num(1)), set("s", num(0)), []string{"w"}, rec("s", num(0))},
	{"remove what is not there", rec("s", num(1)), set("s", num(0)), []string{"w", "e"}, rec("s", num(0))},
	{"right sides read the old item", rec("s", num(1), "u", num(7)), []guard.Assign{
		{Attr: "s", Op: guard.Put, Value: num(5)}, {Attr: "u", Op: guard.Add, Delta: 1}}, nil, rec("s", num(5), "u", num(8))},
	{"equal values in one write", nil, []guard.Assign{
		{Attr: "d", Op: guard.Put, Value: mid}, {Attr: ".name", Op: guard.Put, Value: mid}, {Attr: ".b.city", Op: guard.Put, Value: mid},
		{Attr: "u", Op: guard.Put, Value: num(0)}, {Attr: "a", Op: guard.Put, Value: num(0)}}, nil,
		rec("d", mid, ".name", mid, ".b.city", mid, "u", num(0), "a", num(0))},
}

// invalid updates are refused whole, whatever the condition says. The store in memory once
// took a sum with a text or bytes, which DynamoDB refuses ("An operand in the update
// expression has an incorrect data type"): a random history found it.
var invalid = []struct {
	name string
	item guard.Record
	set  guard.Assign
}{
	{"add to a number that is not there", nil, guard.Assign{Attr: "a", Op: guard.Add, Delta: -1}},
	{"add, the attribute is a text", rec("a", str("é")), guard.Assign{Attr: "a", Op: guard.Add, Delta: -1}},
	{"add to, the attribute is a text", rec("s", str("b")), guard.Assign{Attr: "s", Op: guard.AddTo, Value: num(5), Delta: 1}},
	{"add to, the attribute is bytes", rec("s", low), guard.Assign{Attr: "s", Op: guard.AddTo, Value: num(5), Delta: 1}},
}

type keyed struct {
	t     *testing.T
	store guard.Store
	key   string
}

func (k *keyed) write(ctx context.Context, w guard.Write) (guard.Record, bool) {
	k.t.Helper()
	w.Key = k.key
	old, ok, err := k.store.Write(ctx, w)
	if err != nil {
		k.t.Fatalf("Write: %v", err)
	}
	return old, ok
}

func (k *keyed) seed(ctx context.Context, item guard.Record) {
	k.t.Helper()
	w := guard.Write{}
	for _, a := range item {
		w.Set = append(w.Set, guard.Assign{Attr: a.Name, Op: guard.Put, Value: a.Value})
	}
	k.write(ctx, w)
}

func (k *keyed) read(ctx context.Context) guard.Record {
	k.t.Helper()
	r, err := k.store.Read(ctx, k.key)
	if err != nil {
		k.t.Fatalf("Read: %v", err)
	}
	return r
}

func equal(t *testing.T, what string, got, want guard.Record) {
	t.Helper()
	if (got == nil) != (want == nil) || len(got) != len(want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
	for _, a := range want {
		if v, ok := got.Get(a.Name); !ok || v != a.Value {
			t.Fatalf("%s: %q is %v, want %v", what, a.Name, v, a.Value)
		}
	}
}

func with(r guard.Record, name string, v guard.Value) guard.Record {
	out := guard.Record{{Name: name, Value: v}}
	for _, a := range r {
		if a.Name != name {
			out = append(out, a)
		}
	}
	return out
}

func rec(pairs ...any) guard.Record {
	r := guard.Record{}
	for i := 0; i < len(pairs); i += 2 {
		r = append(r, guard.Attr{Name: pairs[i].(string), Value: pairs[i+1].(guard.Value)})
	}
	return r
}

func set(name string, v guard.Value) []guard.Assign {
	return []guard.Assign{{Attr: name, Op: guard.Put, Value: v}}
}

func cond(t guard.Test, attr string, v guard.Value) guard.Cond {
	return guard.Cond{Test: t, Attr: attr, Value: v}
}
func num(n int64) guard.Value  { return guard.Value{Kind: guard.Number, Num: n} }
func str(s string) guard.Value { return guard.Value{Kind: guard.String, Str: s} }
func bin(s string) guard.Value { return guard.Value{Kind: guard.Binary, Str: s} }
