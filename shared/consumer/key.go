package consumer

import (
	"net/url"
	"strings"
)

// Key names a thing whose order matters: part of the key of its guard item, and of
// what a sink remembers it by. The zero Key names nothing.
type Key struct {
	text  string
	whole bool
}

// KeyOf makes a key of a kind of thing and the values that tell one of them from
// another, e.g. KeyOf("stock", sku, warehouse). It escapes, so that no two lists of
// values make the same key. A key with an empty value is refused, because it would
// name many things: the change is parked as permanent/missing-field.
func KeyOf(kind string, values ...string) Key {
	k := Key{whole: kind != "" && len(values) > 0}
	var b strings.Builder
	b.WriteString(url.QueryEscape(kind))
	for i, v := range values {
		k.whole = k.whole && v != ""
		b.WriteByte("/@"[min(i, 1)])
		b.WriteString(url.QueryEscape(v))
	}
	k.text = b.String()
	return k
}

// RecordKey is the key of a Salesforce record at a Record consumer. The id has 18
// characters.
func RecordKey(object, id string) Key {
	return Key{text: object + "/" + id, whole: object != "" && id != ""}
}

// String is the key as it stands in guard items and log lines, e.g. "stock/A-1@WH".
func (k Key) String() string { return k.text }
