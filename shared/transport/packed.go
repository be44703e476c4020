package transport

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"sfrelay/shared/jsonobject"
)

const (
	// MaxBody is the largest message of SQS (SQS Developer Guide, "Amazon SQS message quotas").
	MaxBody = 1 << 20
	// maxUnpacked bounds what a packed message may become: an event and a message around it.
	maxUnpacked = 4 << 20
)

// Fit is a body as it can be sent: as it is, or packed where it is too large for a
// message. JSON shrinks to a fifth and less, so hardly anything is too large after that;
// what is does not fit.
func Fit(body []byte) (message []byte, fits bool) {
	if len(body) <= MaxBody {
		return body, true
	}
	if len(body) > maxUnpacked { // nobody would unpack it
		return nil, false
	}
	var b bytes.Buffer
	b.WriteString(`{"packed":"gzip","body":"`)
	text := base64.NewEncoder(base64.StdEncoding, &b)
	z := gzip.NewWriter(text)
	_, _ = z.Write(body) // into memory: it does not fail
	_ = z.Close()
	_ = text.Close()
	b.WriteString(`"}`)
	if b.Len() > MaxBody {
		return nil, false
	}
	return b.Bytes(), true
}

// unpack is the body of which Fit made this.
func unpack(raw []byte) ([]byte, error) {
	codec, text := "", ""
	err := jsonobject.Members(raw, func(name string, v jsontext.Value) (err error) {
		switch name {
		case "packed":
			codec, err = jsonobject.Text(v)
		case "body":
			text, err = jsonobject.Text(v)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if codec != "gzip" {
		return nil, &jsonobject.Error{Where: "/packed", What: "want gzip"}
	}
	z, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, bytes.NewReader([]byte(text))))
	if err != nil {
		return nil, &jsonobject.Error{Where: "/body", What: "it cannot be unpacked"}
	}
	body, err := io.ReadAll(io.LimitReader(z, maxUnpacked+1))
	switch {
	case err != nil:
		return nil, &jsonobject.Error{Where: "/body", What: "it cannot be unpacked"}
	case len(body) > maxUnpacked:
		return nil, &jsonobject.Error{Where: "/body", What: "it is larger than any message"}
	}
	return body, nil
}

// packed opens what Fit made. Nothing inside of it, however deep, is packed or stored again.
func (o *opener) packed(raw []byte, depth int) []Message {
	if o.unpacked {
		return o.broken(raw, "invalid-packed", "", "it lies in a message that was packed or stored itself")
	}
	body, err := unpack(raw)
	if err != nil {
		return o.broken(raw, "invalid-packed", place(err), "this is no message that a consumer has packed")
	}
	o.unpacked = true
	defer func() { o.unpacked = false }()
	return o.open(body, depth+1)
}
