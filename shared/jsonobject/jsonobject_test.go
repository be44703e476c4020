package jsonobject_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"sfrelay/shared/jsonobject"
)

func members(text string) (got []string, err error) {
	err = jsonobject.Members([]byte(text), func(name string, value jsontext.Value) error {
		got = append(got, name+"="+string(value))
		return nil
	})
	return got, err
}

func TestMembersComeAsTheyStand(t *testing.T) {
	got, err := members(" {\"a\" : 1.50e1 ,\"a\":[ 1 ],\"\\u0062/~\":\"\xff\\u0041\",\"c\":null}\n")
	if want := []string{"a=1.50e1", "a=[ 1 ]", `b/~="` + "\xff" + `\u0041"`, "c=null"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if got, err := members("null"); err != nil || got != nil {
		t.Errorf("null: %q, %v", got, err)
	}
}

// An error names the place by the way to it.
func TestAnErrorNamesItsPlace(t *testing.T) {
	number := func(name string, v jsontext.Value) error {
		if name == "own" {
			return errors.New("own")
		}
		_, err := jsonobject.Int(v)
		return err
	}
	nested := func(_ string, v jsontext.Value) error {
		return jsonobject.Elements(v, func(_ int, v jsontext.Value) error { return jsonobject.Members(v, number) })
	}
	for text, want := range map[string]string{
		`{"a/b~":[{"n":1},{"n":"1"}]}`: `at "/a~1b~0/1/n": want a whole number`,
		`{"a":[{"n":1.0}]}`:            `at "/a/0/n": want a whole number`,
		`{"a":[{"n":9e99}]}`:           `at "/a/0/n": want a whole number`,
		`{"a":[[]]}`:                   `at "/a/0": want an object`,
		`{"a":{}}`:                     `at "/a": want an array`,
		`[]`:                           `at "": want an object`,
		`{"a":[]} {}`:                  `at "": something stands behind the value`,
		`{"a":[1`:                      `at "/a/1": the JSON is broken`,
		`{"a":[{"own":1}]}`:            `own`,
	} {
		err := jsonobject.Members([]byte(text), nested)
		if err == nil || text != `{"a":[1` && err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	for _, text := range []string{``, ` `, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,}`, `x`, `{"a":1}x`, `nul`} {
		if got, err := members(text); err == nil {
			t.Errorf("%q is read as %q", text, got)
		} else if _, ok := errors.AsType[*jsonobject.Error](err); !ok && text != "" && text != " " {
			t.Errorf("%q: error %T", text, err)
		}
	}
}

func TestTexts(t *testing.T) {
	for value, want := range map[string]string{`"a\u0041\n"`: "aA\n", "\"\xff\"": "\uFFFD", `null`: "", `""`: ""} {
		if got, err := jsonobject.Text(jsontext.Value(value)); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", value, got, err, want)
		}
	}
	for _, value := range []string{`1`, `{}`, `true`} {
		if got, err := jsonobject.Text(jsontext.Value(value)); err == nil {
			t.Errorf("%s is the text %q", value, got)
		}
	}
}

// FuzzMembers: what the standard library reads as an object is read with the same members,
// and what it refuses is refused, but for bytes that are no UTF-8 and names that stand
// twice.
func FuzzMembers(f *testing.F) {
	for _, s := range []string{`{"a":1,"b":{"c":[1,2]}}`, `{`, `[]`, `null`, `{"a":"\ud800"}`, `{"a":1}{}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want map[string]json.RawMessage
		wantErr := json.Unmarshal(text, &want)
		got := map[string]string{}
		err := jsonobject.Members(text, func(name string, value jsontext.Value) error {
			got[name] = string(value)
			return nil
		})
		if jsontext.Value(text).IsValid() && (err == nil) != (wantErr == nil) {
			t.Fatalf("%v, the standard library: %v", err, wantErr)
		}
		if err != nil || wantErr != nil {
			return
		}
		if len(got) != len(want) {
			t.Fatalf("%q, want %s", got, want)
		}
		for name, value := range want {
			if got[name] != string(value) {
				t.Fatalf("%q is %q, want %q", name, got[name], value)
			}
		}
	})
}

func TestMapAndList(t *testing.T) {
	m, err := jsonobject.Map([]byte(`{"a":1,"b":null,"a":[2]}`))
	if err != nil || len(m) != 2 || string(m["a"]) != "[2]" || string(m["b"]) != "null" {
		t.Errorf("%v, %v", m, err)
	}
	all, err := jsonobject.List([]byte(`[1, {"a":2},null]`))
	if err != nil || len(all) != 3 || string(all[1]) != `{"a":2}` {
		t.Errorf("%q, %v", all, err)
	}
	if _, err := jsonobject.Map([]byte(`[]`)); err == nil {
		t.Error("a list is a map")
	}
	if _, err := jsonobject.List([]byte(`{}`)); err == nil {
		t.Error("a map is a list")
	}
}
