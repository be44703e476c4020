package consumer

import (
	"strings"

	"sfrelay/shared/salesforce"
)

// leafOf is what change events of the object call a field that the reader named as queries
// do; empty where they call it the same. A field by its other name would never be found, and
// never be missed.
func leafOf(object, path string) string {
	if custom, ok := strings.CutSuffix(path, "__pc"); ok {
		return custom + "__c of ContactChangeEvent"
	}
	if leaf := salesforce.ChangeLeaf(object, path); leaf != path {
		return leaf
	}
	return ""
}
