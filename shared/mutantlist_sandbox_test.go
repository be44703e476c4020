package shared_test

var sandboxMutants = []mutant{
	{
		name: "door-without-a-key", file: "sandbox/door/door.go",
		old:  `key != "" && subtle`,
		new:  "subtle",
		test: "TestAnEmptyKeyOpensNothing", protects: "who forgets the key opens nothing",
	},
	{
		name: "empty-origin-is-no-page", file: "sandbox/door/door.go",
		old:  `_, page := r.Header["Origin"]`,
		new:  `page := r.Header.Get("Origin") != ""`,
		test: "TestOnlyOwnProgramsComeIn", protects: "whatever has an Origin is a page",
	},
	{
		name: "any-port-of-loopback", file: "sandbox/door/door.go",
		old:  `r.Host != at.String() && r.Host != "localhost:"+port`,
		new:  `r.Host != at.String() && r.Host != "localhost" && r.Host != port`,
		test: "TestOnlyOwnProgramsComeIn", protects: "the Host is exactly the sandbox's",
	},
	{
		name: "covered-beyond-open-transactions", file: "sandbox/org/window.go",
		old:  "latest = w.from",
		new:  "_ = w.from",
		test: "TestLatestDateCoveredWaitsForOpenTransactions", protects: "a window is never called complete while a transaction may still write into it",
	},
	{
		name: "row-seen-before-its-commit", file: "sandbox/org/record.go",
		old:  "if !v.from.After(t) {",
		new:  "if !v.stamp.After(t) {",
		test: "TestFaults", protects: "rows are seen when they are committed, not when they are stamped",
	},
	{
		name: "describe-shows-hidden-fields", file: "sandbox/org/describe.go",
		old:  `if s.hidden[o.name+"."+f.name] {`,
		new:  `if s.hidden[f.name] {`,
		test: "TestFaults", protects: "describe leaves out what the user may not see",
	},
	{
		name: "any-signature-of-a-token", file: "sandbox/org/token.go",
		old:  "digest[:], signature) != nil {",
		new:  "digest[:], signature) == rsa.ErrMessageTooLong {",
		test: "TestTokens", protects: "an assertion is signed with the org's key",
	},
	{
		name: "composite-counts-its-parts", file: "sandbox/org/composite.go",
		old:  "s.calls = calls",
		new:  "_ = calls",
		test: "TestComposite", protects: "a composite is one call of the daily limit",
	},
	{
		name: "expired-locator-comes-back", file: "sandbox/org/query.go",
		old:  "		delete(s.locators, name)\n",
		new:  "",
		test: "TestPages", protects: "a page that expired stays away",
	},
	{
		name: "short-id-in-any-case", file: "sandbox/org/select.go",
		old:  "return text[:15] == l.text // an id, whose case counts",
		new:  "return strings.EqualFold(text[:15], l.text)",
		test: "TestIDsHaveCase", protects: "ids that differ in case name two records",
	},
}
