package salesforce

import (
	"strings"
	"time"
)

// reader collects what one pass over the text finds.
type reader struct {
	scanner
	idField string
	now     time.Time // zero: not told
	latest  time.Time // no version may be later; zero: any may
	oneID   [1]string // room for header.ids

	id, source, detailType, replayName string
	time                               time.Time
	hasDetail, hasPayload, hasHeader   bool
	headerInPayload                    bool // maybe null
	headerInDetail                     bool // the shape of AppFlow
	probe                              bool
	detailID, nestedUUID, detailUUID   string
	leaves                             []leaf
	header                             header
}

// header is ChangeEventHeader as sent; numbers keep their spelling.
type header struct {
	entity, changeType, origin, transaction, user string
	sequence, timestamp, commit                   string
	ids, changed                                  []string
}

func (r *reader) envelopeMember(name string) (err error) {
	switch name {
	case "id":
		r.id, err = r.str()
	case "source":
		r.source, err = r.str()
	case "detail-type":
		r.detailType, err = r.str()
	case "replay-name":
		r.replayName, err = r.str()
	case "time":
		// Nothing is ordered by it, so a bad one is not worth an event.
		var raw string
		if raw, err = r.value(); err == nil && raw[0] == '"' {
			r.time, _ = parseISO(unquote(raw))
		}
	case "detail":
		r.hasDetail, err = r.objectOrNull(r.detailMember)
	default:
		_, err = r.value()
	}
	return err
}

func (r *reader) detailMember(name string) (err error) {
	switch name {
	case "id":
		r.detailID, err = r.str()
	case "EventUuid":
		r.detailUUID, err = r.str()
	case "event":
		_, err = r.objectOrNull(func(name string) (err error) {
			if name == "EventUuid" {
				r.nestedUUID, err = r.str()
			} else {
				_, err = r.value()
			}
			return err
		})
	case "payload":
		if r.kind() != 'n' {
			r.hasPayload = true
			return r.members(r.payloadMember)
		}
		_, err = r.value()
	case headerName:
		r.headerInDetail = true
		_, err = r.value()
	case "probe":
		var raw string
		if raw, err = r.value(); err == nil && raw != "true" {
			err = r.mismatch("true, or no such member")
		}
		r.probe = true
	default:
		_, err = r.value()
	}
	return err
}

func (r *reader) payloadMember(name string) error {
	if name == headerName {
		if r.headerInPayload {
			return r.refuse("duplicate-key", duplicateKey)
		}
		var err error
		r.headerInPayload = true
		r.hasHeader, err = r.objectOrNull(r.headerMember)
		return err
	}
	field, err := r.fieldName(name)
	if err != nil {
		return err
	}
	if r.leaves == nil {
		r.leaves = make([]leaf, 0, 48)
	}
	if r.kind() != '{' {
		return r.leaf(field, span{})
	}

	first, start := len(r.leaves), r.at
	err = r.members(func(name string) error {
		component, err := r.fieldName(name)
		if err != nil {
			return err
		}
		return r.leaf(field, component)
	})
	if err != nil {
		return err
	}
	switch added := r.leaves[first:]; {
	case len(added) == 0: // {}
		r.leaves = append(r.leaves, leaf{name: field, raw: r.before(r.at - start)})
	case len(added) == 1 && added[0].component.of(r.text) == "diff" && r.text[added[0].raw.start] == '"':
		added[0].component, added[0].diff = span{}, true
	}
	return nil
}

// fieldName is where the name stands that was just read.
func (r *reader) fieldName(name string) (span, error) {
	if name == "" || len(name) > maxName || !r.plain {
		return span{}, r.refuse("invalid-field-name", "the name of a field has letters, digits and underscores, at most 255")
	}
	return span{uint32(r.at - 1 - len(name)), uint32(r.at - 1)}, nil
}

func (r *reader) leaf(name, component span) (err error) {
	var raw string
	if r.kind() == '"' { // nearly always
		raw = r.string()
	} else {
		raw, err = r.value()
	}
	if err == nil && len(r.leaves) == maxLeaf {
		err = refuse("too-many-fields", payloadPointer, "there are more than 10,000")
	}
	r.leaves = append(r.leaves, leaf{name: name, component: component, raw: r.before(len(raw)), diff: isDiffText(raw)})
	return err
}

// isDiffText recognises the unified diff that stands for a long text (Change Data
// Capture Developer Guide, "Sending Data Differences for Fields of Updated Records").
func isDiffText(raw string) bool { return strings.HasPrefix(raw, `"--- \n+++ `) }

func (r *reader) headerMember(name string) (err error) {
	h := &r.header
	switch name {
	case "entityName":
		h.entity, err = r.str()
	case "changeType":
		h.changeType, err = r.str()
	case "changeOrigin":
		h.origin, err = r.str()
	case "transactionKey":
		h.transaction, err = r.str()
	case "commitUser":
		h.user, err = r.str()
	case "sequenceNumber":
		h.sequence, err = r.number()
	case "commitTimestamp":
		h.timestamp, err = r.number()
	case "commitNumber":
		h.commit, err = r.number()
	case "recordIds", "recordId":
		h.ids, err = r.strs(h.ids, maxRecords, "too-many-records")
	case "changedFields":
		h.changed, err = r.strs(make([]string, 0, 8), maxChanged, "too-many-changed-fields")
	default:
		_, err = r.value()
	}
	return err
}

func isName(s string) bool {
	for i := range len(s) {
		if !isNameByte(s[i]) {
			return false
		}
	}
	return true
}

func isNameByte(c byte) bool { return nameBytes[c] }

// nameBytes are letters, digits and the underscore. Every byte of every name is looked up.
var nameBytes = func() (is [256]bool) {
	for c := range is {
		is[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
	}
	return is
}()
