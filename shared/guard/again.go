package guard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sfrelay/shared/order"
)

// What an action is told of a fact after it was done. A change event and a platform event
// may both tell of it, whichever comes first.

// PartBytes is how much of a part's hash an item keeps.
const PartBytes = 4

// sameFact is how far the times of one fact may be apart: platform events tell that of the
// save, change events that of the commit, both to the second.
const sameFact = 2 * time.Second

// Done reports, with one consistent read, whether an EachOnce subject has happened, and
// whether a change of that version tells of something later. It is for changes without
// content, which never claim.
func (g *Guard) Done(ctx context.Context, org, subject string, v order.Version) (done, later bool, err error) {
	r, err := g.store.Read(ctx, g.Key(org, subject))
	if err != nil {
		return false, false, err
	}
	it := ReadItem(r)
	return it.Status == Done, it.happenedBefore(v), nil
}

// happenedBefore reports whether what was done happened before the change. Of an item
// without a version nobody knows, and then it is taken for the same.
func (it *Item) happenedBefore(v order.Version) bool {
	return !it.Full.IsZero() && !v.IsZero() && v.Time().Sub(it.Full.Time()) > sameFact
}

// otherKind reports whether what was done came from the other kind of event. Their
// contents are not spelled alike. Items without a version are of platform events.
func (it *Item) otherKind(ch *Change) bool {
	if it.Full.IsZero() {
		return ch.Fetched
	}
	return !ch.Version.IsZero() && (it.Full.Parts().CommitNumber == 0) != (ch.Version.Parts().CommitNumber == 0)
}

// changed tells whether a change has other content than what was done.
func (it *Item) changed(ch *Change) string {
	switch {
	case it.Layout < layout || it.Hash == "" || ch.Hash == [8]byte{}, it.otherKind(ch):
		return "unknown"
	case ch.Fetched && !it.happenedBefore(ch.Version):
		return "unknown" // the same fact: what was read may have been edited since
	case it.Hash == string(ch.Hash[:]):
		return "false"
	default:
		return "true"
	}
}

// happenedAgain is what a person has to look at; nil where there is nothing.
func (r *run) happenedAgain(it *Item, ch *Change, changed string) error {
	later := it.happenedBefore(ch.Version)
	switch {
	case changed == "true":
	case changed == "unknown" && later && (ch.Fetched || it.otherKind(ch)):
	default:
		return nil
	}
	text := "the same fact came again with other content after it was done"
	if changed != "true" {
		text = "the fact happened again after it was done; what was done is not known in this spelling, so look whether it differs"
	} else if parts := r.differing(it, ch); parts != "" {
		text += ": " + parts
	}
	if !it.Full.IsZero() && !ch.Version.IsZero() {
		which := "the older one or the same"
		if later {
			which = "newer"
		}
		text += fmt.Sprintf(" (done: of %s; this one: of %s, %s)", it.Full.Time().Format(time.RFC3339), ch.Version.Time().Format(time.RFC3339), which)
	}
	return errors.New(text)
}

// differing names the parts of the content that are not those of what was done.
func (r *run) differing(it *Item, ch *Change) string {
	if len(it.Parts) != len(ch.Parts) || len(ch.Parts) != PartBytes*len(r.cfg.Parts) {
		return ""
	}
	var names []string
	for i, name := range r.cfg.Parts {
		if at := i * PartBytes; it.Parts[at:at+PartBytes] != ch.Parts[at:at+PartBytes] {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}
