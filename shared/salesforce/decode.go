package salesforce

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Options of Decode. The zero value takes every org.
type Options struct {
	Orgs         OrgList // nil: any
	EventIDField string  // payload field with the publisher's own event id; empty: Event_Id__c
}

const (
	sourcePrefix   = "aws.partner/salesforce.com/"
	payloadPointer = "/detail/payload"
	headerName     = "ChangeEventHeader"
	headerPointer  = payloadPointer + "/" + headerName

	// Limits that no event of Salesforce comes near. They bound the memory that a
	// hostile event can make us take to a small multiple of its size.
	maxDepth = 64  // levels of nesting
	maxName  = 255 // bytes of a field name
	maxText  = 512 // bytes of a text of envelope and header
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
	r := reader{text: string(raw), idField: opts.EventIDField}
	r.header.ids = r.oneID[:0]
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, asDecodeError(raw, err)
	}
	e, err := r.event(opts)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// reader collects what one pass over the bytes finds. Its strings are parts of
// text wherever the JSON has no escape.
type reader struct {
	dec     *jsontext.Decoder
	text    string
	idField string
	oneID   [1]string

	id, source, detailType, replayName string
	time                               time.Time
	hasDetail, hasPayload, hasHeader   bool
	headerInDetail                     bool // the shape of AppFlow
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

// UnmarshalJSONFrom lends the reader a pooled decoder over the bytes of text.
func (r *reader) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	r.dec = dec
	return r.object(r.envelopeMember)
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
		r.hasPayload, err = r.objectOrNull(r.payloadMember)
	case headerName:
		r.headerInDetail = true
		_, err = r.value()
	default:
		_, err = r.value()
	}
	return err
}

func (r *reader) payloadMember(name string) error {
	if name == headerName {
		var err error
		r.hasHeader, err = r.objectOrNull(r.headerMember)
		return err
	}
	if len(name) > maxName || strings.Contains(name, ".") {
		return r.refuse("invalid-field-name", "no field of Salesforce has a name with a dot or of more than 255 bytes")
	}
	if r.leaves == nil {
		r.leaves = make([]leaf, 0, 48)
	}
	if r.dec.PeekKind() != '{' {
		raw, err := r.value()
		r.leaves = append(r.leaves, leaf{name: name, value: Value{raw: raw, diff: isDiffText(raw)}})
		return err
	}

	first := len(r.leaves)
	err := r.object(func(component string) error {
		if len(component) > maxName {
			return r.refuse("invalid-field-name", "no field of Salesforce has a name of more than 255 bytes")
		}
		raw, err := r.value()
		r.leaves = append(r.leaves, leaf{name: name, component: component, value: Value{raw: raw, diff: isDiffText(raw)}})
		return err
	})
	switch added := r.leaves[first:]; {
	case err != nil:
		return err
	case len(added) == 0: // {}
		r.leaves = append(r.leaves, leaf{name: name, value: Value{raw: "{}"}})
	case len(added) == 1 && added[0].component == "diff" && added[0].value.raw[0] == '"':
		added[0] = leaf{name: name, value: Value{raw: added[0].value.raw, diff: true}}
	}
	return nil
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
		h.ids, err = r.strs(h.ids)
	case "changedFields":
		h.changed, err = r.strs(make([]string, 0, 8))
	default:
		_, err = r.value()
	}
	return err
}

// object reads an object and hands every name to member, which reads the value.
func (r *reader) object(member func(name string) error) error {
	if k := r.dec.PeekKind(); k != '{' {
		return r.mismatch("an object")
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	for r.dec.PeekKind() != '}' {
		raw, err := r.dec.ReadValue()
		if err != nil {
			return err
		}
		end := int(r.dec.InputOffset())
		if err := member(unquote(r.text[end-len(raw) : end])); err != nil {
			return err
		}
	}
	_, err := r.dec.ReadToken()
	return err
}

// objectOrNull takes null for a missing object.
func (r *reader) objectOrNull(member func(name string) error) (bool, error) {
	if r.dec.PeekKind() == 'n' {
		return false, r.dec.SkipValue()
	}
	return true, r.object(member)
}

// value is the JSON of the next value, whatever it is.
func (r *reader) value() (string, error) {
	if k := r.dec.PeekKind(); k != '{' && k != '[' {
		raw, err := r.dec.ReadValue()
		end := int(r.dec.InputOffset())
		return r.text[end-len(raw) : end], err
	}
	outside := r.dec.StackDepth()
	if _, err := r.dec.ReadToken(); err != nil {
		return "", err
	}
	start := int(r.dec.InputOffset()) - 1
	for r.dec.StackDepth() > outside {
		if r.dec.StackDepth() > maxDepth {
			return "", r.refuse("too-deep", "the nesting is deeper than any event of Salesforce's")
		}
		if _, err := r.dec.ReadToken(); err != nil {
			return "", err
		}
	}
	return r.text[start:int(r.dec.InputOffset())], nil
}

// str reads a short text; null counts as empty.
func (r *reader) str() (string, error) {
	switch r.dec.PeekKind() {
	case 'n':
		return "", r.dec.SkipValue()
	case '"':
		raw, err := r.value()
		if err != nil {
			return "", err
		}
		if len(raw) > maxText {
			return "", r.refuse("too-long", "the text has more than 512 bytes")
		}
		return unquote(raw), nil
	default:
		return "", r.mismatch("a string")
	}
}

// strs appends an array of short texts, or a single one.
func (r *reader) strs(list []string) ([]string, error) {
	switch r.dec.PeekKind() {
	case 'n':
		return list, r.dec.SkipValue()
	case '[':
		if _, err := r.dec.ReadToken(); err != nil {
			return list, err
		}
		for r.dec.PeekKind() != ']' {
			s, err := r.str()
			if err != nil {
				return list, err
			}
			list = append(list, s)
		}
		_, err := r.dec.ReadToken()
		return list, err
	default:
		s, err := r.str()
		return append(list, s), err
	}
}

// number is the spelling of a number; null counts as missing. Hops through
// JavaScript and MongoDB turn large ones into a string or {"$numberLong":"…"}: the
// digits in there are exact.
func (r *reader) number() (string, error) {
	switch r.dec.PeekKind() {
	case 'n':
		return "", r.dec.SkipValue()
	case '0':
		return r.value()
	case '"':
		return r.digits()
	case '{':
		digits := ""
		err := r.object(func(name string) (err error) {
			if name != "$numberLong" || r.dec.PeekKind() != '"' {
				return r.mismatch("a whole number")
			}
			digits, err = r.digits()
			return err
		})
		if err == nil && digits == "" {
			err = r.mismatch("a whole number")
		}
		return digits, err
	default:
		return "", r.mismatch("a whole number")
	}
}

// digits is a number in a string. An empty one is no number, not a missing one.
func (r *reader) digits() (string, error) {
	s, err := r.str()
	if err == nil && s == "" {
		err = r.mismatch("a whole number")
	}
	return s, err
}

func (r *reader) refuse(name, what string) error {
	return refuse(name, pointer(r.dec.StackPointer()), what)
}

// mismatch refuses the next value; where there is none, it is the JSON that is broken.
func (r *reader) mismatch(want string) error {
	if r.dec.PeekKind() == jsontext.KindInvalid {
		if _, err := r.dec.ReadToken(); err != nil {
			return err
		}
	}
	return r.refuse("wrong-type", "want "+want)
}

// pointer bounds what a hostile name adds to an error.
func pointer(p jsontext.Pointer) string {
	const limit = 200
	if len(p) <= limit {
		return string(p)
	}
	return strings.ToValidUTF8(string(p[:limit]), "") + "…"
}

// asDecodeError names what the JSON package refused. Its own texts quote the input.
func asDecodeError(raw []byte, err error) error {
	if e, ok := errors.AsType[*DecodeError](err); ok {
		return e
	}
	syntax, ok := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case !ok: // end of input, before or within the event
		return refuse("invalid-json", "", "the event ends too early: it is empty or cut off")
	case errors.Is(syntax, jsontext.ErrDuplicateName):
		return refuse("duplicate-key", pointer(syntax.JSONPointer), "a key stands twice: nobody can tell which one counts")
	case !utf8.Valid(raw):
		return refuse("invalid-utf8", pointer(syntax.JSONPointer), "byte "+strconv.FormatInt(syntax.ByteOffset, 10)+" is not UTF-8")
	default:
		return refuse("invalid-json", pointer(syntax.JSONPointer), "the JSON is broken at byte "+strconv.FormatInt(syntax.ByteOffset, 10))
	}
}

// event judges what was read.
func (r *reader) event(opts Options) (*Event, error) {
	switch {
	case r.source == "":
		return nil, refuse("missing-field", "/source", "this is no EventBridge event: it has no source")
	case strings.HasPrefix(r.source, "aws.partner/appflow"), r.headerInDetail && !r.hasPayload:
		return nil, refuse("appflow-event", "", "this is the shape of Amazon AppFlow, whose events name no org: relay the channel with Salesforce's Event Relay")
	case r.detailType == "":
		return nil, refuse("missing-field", "/detail-type", "this is no EventBridge event: it has no detail-type")
	}
	org, channel, err := parseSource(r.source)
	if err != nil {
		return nil, err
	}
	if !opts.Orgs.Allows(org) {
		return nil, refuse("foreign-org", "/source", "the org "+org+" is not on the list of allowed orgs: add it if it is yours, otherwise find out who relays into this account")
	}
	switch {
	case !r.hasDetail:
		return nil, refuse("missing-field", "/detail", "this is no EventBridge event: it has no detail")
	case !r.hasPayload:
		return nil, refuse("missing-payload", payloadPointer, "an event of Event Relay has its fields there")
	}
	sortLeaves(r.leaves)
	e := &Event{
		ID: r.id, Source: r.source, DetailType: r.detailType, Org: org, Channel: channel,
		Time: r.time, ReplayName: r.replayName, Kind: Platform,
	}
	switch {
	case r.hasHeader:
		e.Kind = CDC
		err = r.change(e)
	case strings.HasSuffix(r.detailType, "ChangeEvent"):
		err = refuse("missing-header", headerPointer, "a change event has a header")
	default:
		err = r.platformEvent(e)
	}
	return e, err
}

// parseSource takes org and channel from the name of the partner event source
// (Object Reference, EventRelayFeedback.RemoteResource).
func parseSource(source string) (org, channel string, err error) {
	rest, ok := strings.CutPrefix(source, sourcePrefix)
	org, channel, both := strings.Cut(rest, "/")
	if !ok || !both || channel == "" || strings.Contains(channel, "/") {
		return "", "", refuse("foreign-source", "/source", "want "+sourcePrefix+"<org id>/<channel>")
	}
	if !strings.HasPrefix(org, "00D") {
		return "", "", refuse("foreign-source", "/source", "an org id begins with 00D")
	}
	if org, err = ID18(org); err != nil {
		return "", "", at("/source", err)
	}
	return org, channel, nil
}

func (r *reader) platformEvent(e *Event) error {
	f := Fields{r.leaves}
	if v, ok := f.Lookup("CreatedDate"); ok && !v.Null() {
		t, err := v.DateTime()
		if err != nil {
			return at(payloadPointer+"/CreatedDate", err)
		}
		if t.Unix() < 0 {
			return refuse("negative-time", payloadPointer+"/CreatedDate", "the time lies before 1970")
		}
		e.CreatedDate = t
	}
	c := Change{
		Kind: Platform, Entity: e.DetailType, Type: Published, Fields: f,
		createdDate: e.CreatedDate, eventTime: e.Time, eventIDField: r.idField,
	}
	payloadUUID, err := eventID(f, "EventUuid")
	if err != nil {
		return err
	}
	payloadID, err := eventID(f, r.idField)
	if err != nil {
		return err
	}
	for _, step := range [...]struct{ from, id string }{
		{"detail.id", r.detailID},
		{"detail.event.EventUuid", r.nestedUUID},
		{"detail.EventUuid", r.detailUUID},
		{"detail.payload.EventUuid", payloadUUID},
		{"detail.payload." + r.idField, payloadID},
		{"envelope.id", r.id},
	} {
		if step.id != "" {
			c.Identity, c.IdentityFrom = step.id, step.from
			break
		}
	}
	if c.Identity == "" {
		return refuse("missing-id", "/id", "neither Salesforce nor EventBridge gave the event an id")
	}
	e.Changes = []Change{c}
	return nil
}

// eventID is the event id in a payload field, empty when there is none.
func eventID(f Fields, name string) (string, error) {
	v, ok := f.Lookup(name)
	if !ok || v.Null() {
		return "", nil
	}
	s, err := v.Text()
	if err == nil && len(s) > maxText {
		err = refuse("too-long", "", "the event id has more than 512 bytes")
	}
	return s, at(payloadPointer+"/"+name, err)
}

func (r *reader) change(e *Event) error {
	h := &r.header
	switch {
	case h.entity == "":
		return refuse("missing-field", headerPointer+"/entityName", "the header names no entity")
	case !isName(h.entity):
		return refuse("invalid-name", headerPointer+"/entityName", "an entity name has letters, digits and underscores only")
	case changeEventName(h.entity) != e.DetailType:
		return refuse("entity-mismatch", headerPointer+"/entityName", "the header speaks of another entity than detail-type")
	case h.changeType == "":
		return refuse("missing-field", headerPointer+"/changeType", "the header names no change type")
	case !isName(h.changeType):
		return refuse("invalid-name", headerPointer+"/changeType", "a change type has letters, digits and underscores only")
	case len(h.ids) == 0:
		return refuse("missing-field", headerPointer+"/recordIds", "the header names no record")
	case h.timestamp == "":
		return refuse("missing-field", headerPointer+"/commitTimestamp", "the header has no commit time")
	}
	for i, name := range h.changed {
		if isBitmap(name) {
			return refuse("bitmap-changed-fields", headerPointer+"/changedFields/"+strconv.Itoa(i), "this is the bitmap of the Pub/Sub API, which needs the event's schema: send the event in the form of Event Relay")
		}
		if name == "" {
			return refuse("invalid-field-name", headerPointer+"/changedFields/"+strconv.Itoa(i), "the name is empty")
		}
	}

	c := Change{Kind: CDC, Entity: h.entity, Type: ChangeType(h.changeType), Origin: h.origin, eventTime: e.Time}
	ms, err := wholeNumber(h.timestamp)
	if err != nil {
		return at(headerPointer+"/commitTimestamp", err)
	}
	if err := checkTime(ms, e.Time, headerPointer+"/commitTimestamp"); err != nil {
		return err
	}
	if h.sequence != "" {
		if c.Sequence, err = wholeNumber(h.sequence); err != nil {
			return at(headerPointer+"/sequenceNumber", err)
		}
		if c.Sequence < 0 {
			return refuse("invalid-number", headerPointer+"/sequenceNumber", "the number is negative")
		}
	}
	commit, sequence := uint64(0), uint16(min(c.Sequence, 1<<16-1))
	if h.commit != "" {
		if !isDigits(h.commit) {
			return refuse("invalid-commit-number", headerPointer+"/commitNumber", "want a whole number, digit by digit: a hop on the way has rounded it")
		}
		if commit, err = strconv.ParseUint(h.commit, 10, 64); err != nil {
			return refuse("invalid-commit-number", headerPointer+"/commitNumber", "the number does not fit into 64 bits")
		}
	}

	bodyCounts := false // whether the body says what the change did
	switch c.Type {
	case Update:
		c.Changed = h.changed
		if bodyCounts = len(c.Changed) > 0; !bodyCounts {
			c.Changed, c.NeedsFetch = nil, FetchNoChanged
		}
	case Create, Undelete, Delete:
		bodyCounts = true
	case GapOverflow:
		e.Resync = ResyncOverflow
		return nil
	case GapCreate, GapUpdate, GapDelete, GapUndelete:
		c.NeedsFetch = FetchGap
	default:
		c.NeedsFetch = FetchUnknownType
	}
	if slices.ContainsFunc(h.ids, func(id string) bool { return strings.HasSuffix(id, "*") }) {
		e.Resync = ResyncWildcard
		return nil
	}
	if commit == 0 {
		commit, sequence = 1<<64-1, 1<<16-1
		if c.NeedsFetch == "" {
			c.NeedsFetch = FetchNoCommit
		}
	} else if c.Sequence > 1<<16-1 && c.NeedsFetch == "" {
		c.NeedsFetch = FetchSequence
	}

	switch {
	case c.Type == Create || c.Type == Undelete:
	case c.Type == Update && bodyCounts:
		c.Missing = markEnriched(r.leaves, c.Changed)
	default:
		for i := range r.leaves {
			r.leaves[i].value.enriched = true
		}
	}
	c.Fields = Fields{r.leaves}
	for _, l := range r.leaves {
		if l.value.diff && !l.value.enriched {
			c.Diffs = append(c.Diffs, l.path())
		}
	}

	var tie [4]byte
	if bodyCounts {
		tie = c.tie()
	}
	seen := make(map[string]bool, len(h.ids))
	e.Changes = make([]Change, 0, len(h.ids))
	for i, id := range h.ids {
		if c.RecordID, err = ID18(id); err != nil {
			return at(headerPointer+"/recordIds/"+strconv.Itoa(i), err)
		}
		if seen[c.RecordID] {
			continue
		}
		seen[c.RecordID] = true
		if !bodyCounts {
			tie = h.tie(c.RecordID)
		}
		c.Version = makeVersion(ms, commit, sequence, tie)
		c.Parts = c.Version.Parts()
		if c.Identity, c.IdentityFrom = r.identity(e, &c); c.Identity == "" {
			return refuse("missing-id", headerPointer+"/transactionKey", "the header has no transaction key, and neither Salesforce nor EventBridge gave the event an id")
		}
		e.Changes = append(e.Changes, c)
	}
	return nil
}

// identity joins what makes the change of one record unique. The record id is part
// of it, because enrichment splits an event of several records into one each. No
// two identities meet: all parts but the transaction key have a fixed length or
// hold no colon.
func (r *reader) identity(e *Event, c *Change) (id, from string) {
	if h := &r.header; h.transaction != "" {
		return e.Org + ":" + h.transaction + ":" + strconv.FormatInt(c.Sequence, 10) + ":" + c.Entity + ":" + string(c.Type) + ":" + c.RecordID, "cdc"
	}
	if r.detailID != "" {
		return r.detailID + ":" + c.RecordID, "detail.id"
	}
	if r.id != "" {
		return r.id + ":" + c.RecordID, "envelope.id"
	}
	return "", ""
}

// markEnriched marks every leaf that the change does not name, and returns the
// names for which there is no leaf. The leaves are sorted.
func markEnriched(leaves []leaf, changed []string) (missing []string) {
	f := Fields{leaves}
	for i := range leaves {
		leaves[i].value.enriched = true
	}
	wholes := map[string]bool{} // names of compound fields that were named as a whole
	for _, path := range changed {
		name, component, _ := strings.Cut(path, ".")
		i, found := f.find(name, component)
		if !found && component != "" { // a compound field that is null has no components
			i, found = f.find(name, "")
			found = found && leaves[i].value.Null()
		}
		if found {
			leaves[i].value.enriched = false
			continue
		}
		if component == "" && !wholes[name] {
			for ; i < len(leaves) && leaves[i].name == name; i++ {
				leaves[i].value.enriched = false
				wholes[name] = true
			}
		}
		if !wholes[path] {
			missing = append(missing, path)
		}
	}
	return missing
}

// changeEventName is the API name of an entity's change event (Change Data Capture
// Developer Guide, "Change Event Object Names").
func changeEventName(entity string) string {
	if custom, ok := strings.CutSuffix(entity, "__c"); ok {
		return custom + "__ChangeEvent"
	}
	return entity + "ChangeEvent"
}

func isName(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '_' && !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// isBitmap recognises "0x400080" and "4-0x01".
func isBitmap(s string) bool {
	if before, after, ok := strings.Cut(s, "-"); ok && isDigits(before) {
		s = after
	}
	return strings.HasPrefix(s, "0x")
}

func isDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

// wholeNumber reads a number spelled as an integer.
func wholeNumber(s string) (int64, error) {
	if !isDigits(strings.TrimPrefix(s, "-")) {
		return 0, refuse("invalid-number", "", "want a whole number, digit by digit")
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, refuse("invalid-number", "", "the number does not fit into 64 bits")
	}
	return n, nil
}
