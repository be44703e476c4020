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
}
