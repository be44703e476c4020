package salesforce

import (
	"errors"
	"time"
)

// Options of Decode. The zero value takes every org.
type Options struct {
	Orgs         OrgList   // nil: any
	EventIDField string    // payload field with the publisher's own event id; empty: Event_Id__c
	Now          time.Time // our own clock, against which times of the future are held; zero: only the event's own time
}

const (
	sourcePrefix   = "aws.partner/salesforce.com/"
	payloadPointer = "/detail/payload"
	headerName     = "ChangeEventHeader"
	headerPointer  = payloadPointer + "/" + headerName

	// Limits that no event of Salesforce comes near. They bound the memory that a
	// hostile event can make us take to a small multiple of its size.
	maxDepth = 64     // levels of nesting
	maxName  = 255    // bytes of a field name
	maxText  = 512    // bytes of a text of envelope and header
	maxLeaf  = 10_000 // fields and components; an object has at most 800 custom fields
	maxNames = 1_000  // members of an object that has no fields: envelope, detail, header

	// One transaction changes at most 10,000 records (Apex Developer Guide, "Execution
	// Governors and Limits", records processed as a result of DML statements), and only
	// changes of one transaction are merged into one event.
	maxRecords = 10_000
	maxChanged = maxLeaf
)

// Decode reads one EventBridge event as Salesforce's Event Relay sends it.
//
// Keys match exactly; a duplicate key, invalid UTF-8 and anything after the event
// are refused. No number passes through floating point. The result keeps no
// reference to raw. The error is always a *DecodeError.
func Decode(raw []byte, opts Options) (*Event, error) {
	if opts.EventIDField == "" {
		opts.EventIDField = "Event_Id__c"
	}
	if err := check(raw); err != nil {
		return nil, err
	}
	r := reader{idField: opts.EventIDField, now: opts.Now}
	r.text, r.header.ids = string(raw), r.oneID[:0]
	err := r.object(r.envelopeMember)
	if err == nil {
		var e *Event
		if e, err = r.event(opts); err == nil {
			return e, nil
		}
	}
	if d, ok := errors.AsType[*DecodeError](err); ok {
		d.EventID, d.DetailType = r.id, r.detailType
	}
	return nil, err
}
