// Package docs holds the pages that the command line quotes.
package docs

import _ "embed" // of the page

// Failures is reference/failures.md: every class of failure, and what to do.
//
//go:embed reference/failures.md
var Failures string
