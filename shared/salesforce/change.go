package salesforce

import (
	"slices"
	"strings"
)

// systemFields change with every save and say nothing of the content.
var systemFields = []string{"LastModifiedDate", "LastModifiedById"}

// covers reports whether two field paths are the same, or one is the compound
// field of which the other is a component.
func covers(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	return strings.HasPrefix(b, a) && (len(a) == len(b) || b[len(a)] == '.')
}

func coversAny(paths []string, path string) bool {
	return slices.ContainsFunc(paths, func(p string) bool { return covers(p, path) })
}

// Touches reports whether the change may concern a reader of the given fields. It
// is false only for an update that names what it changed and names none of them,
// neither a component of one nor the compound field around one.
// LastModifiedDate and LastModifiedById never count. Nil stands for every field.
func (c *Said) Touches(paths []string) bool {
	if c.Type != Update || len(c.Changed) == 0 {
		return true
	}
	return slices.ContainsFunc(c.Changed, func(name string) bool {
		return !slices.Contains(systemFields, name) && (paths == nil || coversAny(paths, name))
	})
}

// EchoOf reports whether the change is nothing but the trace of a write of our
// own: an update from the client that we name ourselves in Sforce-Call-Options,
// which changed only fields that we write back, and no field that somebody reads.
// In doubt it is no echo: a flow of the org may have changed more in the same
// transaction.
func (c *Said) EchoOf(client string, writeBack, readFields []string) bool {
	if client == "" || c.Type != Update || len(c.Changed) == 0 || originClient(c.Origin) != client {
		return false
	}
	for _, name := range c.Changed {
		ours := slices.Contains(systemFields, name) || slices.ContainsFunc(writeBack, func(w string) bool {
			return w == name || strings.HasPrefix(name, w+".")
		})
		if !ours || coversAny(readFields, name) {
			return false
		}
	}
	return true
}

// originClient is the client that a changeOrigin such as
// "com/salesforce/api/rest/66.0;client=sfrelay" names.
func originClient(origin string) string {
	_, client, _ := strings.Cut(origin, ";client=")
	return strings.TrimSuffix(client, "/")
}

// FetchReason is why a consumer that reads the given fields has to fetch the
// record instead of applying the body: NeedsFetch, or that one of its fields is
// named but absent, or only there as a diff. Nil stands for every field. It is
// empty when the body will do.
func (c *Said) FetchReason(paths []string) string {
	concerns := func(name string) bool { return paths == nil || coversAny(paths, name) }
	switch {
	case c.NeedsFetch != "":
		return c.NeedsFetch
	case slices.ContainsFunc(c.Missing, concerns):
		return FetchFieldAbsent
	case slices.ContainsFunc(c.Diffs, concerns):
		return FetchTextDiff
	}
	return ""
}

// FetchFields are the fields for which FetchReason says that the body will not do; empty
// where the change as a whole has to be fetched.
func (c *Said) FetchFields(paths []string) []string {
	if c.NeedsFetch != "" {
		return nil
	}
	var names []string
	for _, name := range slices.Concat(c.Missing, c.Diffs) {
		if paths == nil || coversAny(paths, name) {
			names = append(names, name)
		}
	}
	return names
}
