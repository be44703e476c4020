package salesforce

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"sfrelay/shared/decimal"
	"sfrelay/shared/order"
)

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
	case !r.now.IsZero() && r.time.After(r.now.Add(future)):
		return nil, refuse("version-in-future", "/time", "EventBridge took the event more than 5 minutes after now, as this machine's clock says: no event of EventBridge does that; find out who sent it")
	}
	r.latest = latest(r.time, r.now)
	if r.probe {
		if len(r.leaves) > 0 || r.headerInPayload {
			return nil, refuse("full-probe", payloadPointer, "the event says that it is a probe, and has content: a probe has an empty payload; take detail.probe out if the content counts")
		}
		return &Event{ID: r.id, Source: r.source, DetailType: r.detailType, Org: org, Channel: channel, Time: r.time, ReplayName: r.replayName, Probe: true}, nil
	}
	fields := Fields{r.text, r.leaves}
	fields.sort()
	if path, found := fields.twice(); found {
		return nil, refuse("duplicate-key", payloadPointer+"/"+strings.Replace(path, ".", "/", 1), duplicateKey)
	}
	e := &Event{
		ID: r.id, Source: r.source, DetailType: r.detailType, Org: org, Channel: channel,
		Time: r.time, ReplayName: r.replayName, Kind: Platform,
	}
	switch {
	case r.hasHeader:
		e.Kind = CDC
		err = r.change(e, fields)
	case strings.HasSuffix(r.detailType, "ChangeEvent"):
		err = refuse("missing-header", headerPointer, "a change event has a header")
	default:
		err = r.platformEvent(e, fields)
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

func (r *reader) platformEvent(e *Event, f Fields) error {
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
	c := Said{
		Kind: Platform, Entity: e.DetailType, Type: Published, Fields: f,
		createdDate: e.CreatedDate, latest: r.latest, eventIDField: r.idField,
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
			c.identity, c.IdentityFrom = step.id, step.from
			break
		}
	}
	if c.identity == "" {
		return refuse("missing-id", "/id", "neither Salesforce nor EventBridge gave the event an id")
	}
	if strings.HasPrefix(payloadID, ProbePrefix) {
		e.Probe, e.ProbeID, e.Cause = true, payloadID, &Change{Said: &c}
		return f.saysNothing(r.idField)
	}
	e.Changes = []Change{{Said: &c}}
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

// change makes one Change of every record that the header names.
func (r *reader) change(e *Event, f Fields) error {
	h := &r.header
	if err := h.check(e.DetailType); err != nil {
		return err
	}
	c := &Said{Kind: CDC, Entity: h.entity, Type: ChangeType(h.changeType), Origin: h.origin, latest: r.latest}
	place, err := h.place(r.latest)
	if err != nil {
		return err
	}
	c.Sequence = place.sent
	bodyCounts := h.bodyCounts(e, c)
	if c.NeedsFetch == "" {
		c.NeedsFetch = place.fetch
	}
	c.takeBody(f, bodyCounts)
	if e.Resync == "" && slices.ContainsFunc(h.ids, func(id string) bool { return strings.HasSuffix(id, "*") }) {
		e.Resync = ResyncWildcard
	}
	if c.identity, c.IdentityFrom = r.identity(e, c); c.identity == "" {
		return refuse("missing-id", headerPointer+"/transactionKey", "the header has no transaction key, and neither Salesforce nor EventBridge gave the event an id")
	}
	if e.Resync != "" {
		c.NeedsFetch = e.Resync
		e.Cause = &Change{Said: c, Version: order.New(place.Parts, h.tie(""))}
		return nil
	}
	return r.records(e, c, place.Parts, bodyCounts)
}

// bodyCounts reports whether the body says what the change did. Where it does not, c and
// e say what has to be read from Salesforce instead.
func (h *header) bodyCounts(e *Event, c *Said) bool {
	switch c.Type {
	case Create, Undelete, Delete:
		return true
	case Update:
		if len(h.changed) > 0 {
			c.Changed = h.changed
			return true
		}
		c.NeedsFetch = FetchNoChanged
	case GapCreate, GapUpdate, GapDelete, GapUndelete:
		c.NeedsFetch = FetchGap
	case GapOverflow:
		e.Resync = ResyncOverflow
	default:
		c.NeedsFetch = FetchUnknownType
	}
	return false
}

// takeBody tells the fields that changed from those that enrichment added.
func (c *Said) takeBody(f Fields, counts bool) {
	if counts && c.Type == Update {
		c.Missing = f.markEnriched(c.Changed)
	} else if !counts || c.Type == Delete { // a delete has no fields of its own
		for i := range f.leaves {
			f.leaves[i].enriched = true
		}
	}
	for _, l := range f.leaves {
		if l.diff && !l.enriched {
			c.Diffs = append(c.Diffs, f.path(l))
		}
	}
	c.Fields = f
}

// records makes a change of c for every record that the header names.
func (r *reader) records(e *Event, c *Said, place order.Parts, bodyCounts bool) error {
	h := &r.header
	var tie [4]byte
	if bodyCounts {
		tie = c.tie()
	}
	var seen map[string]bool
	if len(h.ids) > 1 {
		seen = make(map[string]bool, len(h.ids))
	}
	e.Changes = make([]Change, 0, len(h.ids))
	for i, sent := range h.ids {
		id, err := ID18(sent)
		if err != nil {
			return at(headerPointer+"/recordIds/"+strconv.Itoa(i), err)
		}
		if seen[id] {
			continue
		}
		if seen != nil {
			seen[id] = true
		}
		if !bodyCounts {
			tie = h.tie(id)
		}
		e.Changes = append(e.Changes, Change{Said: c, RecordID: id, Version: order.New(place, tie)})
	}
	return nil
}

// check refuses a header that nobody can act on.
func (h *header) check(detailType string) error {
	switch {
	case h.entity == "":
		return refuse("missing-field", headerPointer+"/entityName", "the header names no entity")
	case !isName(h.entity):
		return refuse("invalid-name", headerPointer+"/entityName", "an entity name has letters, digits and underscores only")
	case ChangeEventName(h.entity) != detailType:
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
		where := func() string { return headerPointer + "/changedFields/" + strconv.Itoa(i) }
		if isBitmap(name) {
			return refuse("bitmap-changed-fields", where(), "this is the bitmap of the Pub/Sub API, which needs the event's schema: send the event in the form of Event Relay")
		}
		if name == "" {
			return refuse("invalid-field-name", where(), "the name is empty")
		}
	}
	return nil
}

// placing is what the header says of a change's place among the others.
type placing struct {
	order.Parts
	sent  int64  // sequenceNumber as it came
	fetch string // why the place is not known well enough to apply the body
}

func (h *header) place(latest time.Time) (p placing, err error) {
	if p.TimeMS, err = wholeNumber(h.timestamp); err == nil {
		err = checkTime(p.TimeMS, latest, "")
	}
	if err != nil {
		return p, at(headerPointer+"/commitTimestamp", err)
	}
	if h.sequence != "" {
		if p.sent, err = wholeNumber(h.sequence); err == nil && p.sent < 0 {
			err = refuse("invalid-number", "", "the number is negative")
		}
		if err != nil {
			return p, at(headerPointer+"/sequenceNumber", err)
		}
	}
	if h.commit != "" {
		if p.CommitNumber, err = strconv.ParseUint(h.commit, 10, 64); err != nil {
			return p, refuse("invalid-commit-number", headerPointer+"/commitNumber", "want a whole number of at most 64 bits, digit by digit: a hop on the way has rounded it")
		}
	}
	switch {
	case p.CommitNumber == 0: // after all of its second
		p.CommitNumber, p.Sequence, p.fetch = math.MaxUint64, math.MaxUint16, FetchNoCommit
	case p.sent > math.MaxUint16:
		p.Sequence, p.fetch = math.MaxUint16, FetchSequence
	default:
		p.Sequence = uint16(p.sent)
	}
	return p, nil
}

// identity joins what makes the change unique but for the record id, which Change adds:
// enrichment splits an event of several records into one each. No two identities meet:
// all parts but the transaction key have a fixed length or hold no colon.
func (r *reader) identity(e *Event, c *Said) (id, from string) {
	if h := &r.header; h.transaction != "" {
		return e.Org + ":" + h.transaction + ":" + strconv.FormatInt(c.Sequence, 10) + ":" + c.Entity + ":" + string(c.Type) + ":", "cdc"
	}
	if r.detailID != "" {
		return r.detailID + ":", "detail.id"
	}
	if r.id != "" {
		return r.id + ":", "envelope.id"
	}
	return "", ""
}

// markEnriched marks every leaf that the change does not name, and returns the
// names for which there is no leaf. The leaves are sorted.
func (f Fields) markEnriched(changed []string) (missing []string) {
	for i := range f.leaves {
		f.leaves[i].enriched = true
	}
	var wholes map[string]bool // names of compound fields that were named as a whole
	for _, path := range changed {
		name, component, _ := strings.Cut(path, ".")
		i, found := f.find(name, component)
		if !found && component != "" { // a compound field that is null has no components
			i, found = f.find(name, "")
			found = found && f.value(f.leaves[i]).Null()
		}
		if found {
			f.leaves[i].enriched = false
			continue
		}
		if component == "" && !wholes[name] {
			for ; i < len(f.leaves) && f.leaves[i].name.of(f.text) == name; i++ {
				f.leaves[i].enriched = false
				if wholes == nil {
					wholes = map[string]bool{}
				}
				wholes[name] = true
			}
		}
		if !wholes[path] {
			missing = append(missing, path)
		}
	}
	return missing
}

// ChangeEventName is the API name of an entity's change event (Change Data Capture
// Developer Guide, "Change Event Object Names").
func ChangeEventName(entity string) string {
	if custom, ok := strings.CutSuffix(entity, "__c"); ok {
		return custom + "__ChangeEvent"
	}
	return entity + "ChangeEvent"
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

// numberField is a whole number as Salesforce spells the value of a Number field: 30,
// 30.0 or 3.0E1.
func numberField(raw string) (int64, error) {
	d, err := decimal.Parse(raw)
	n, whole := d.Minor(0)
	if err != nil || !whole {
		return 0, refuse("invalid-number", "", "want a whole number")
	}
	return n, nil
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
