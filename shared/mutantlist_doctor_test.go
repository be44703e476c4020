package shared_test

// doctorMutants are lines of what names a broken set-up.
var doctorMutants = []mutant{
	{
		name: "doctor-takes-no-sight-for-nothing-there", file: "../cmd/sfrelay/internal/doctor/findings.go",
		old: `if one.Config != nil && !one.Carries(event) && !v.isUnseen("members of channels") {`, new: `if one.Config != nil && !one.Carries(event) {`,
		test: "TestWhatIsNotSeenIsNoFinding", protects: "half of the rights give no false findings",
	},
	{
		name: "doctor-takes-any-change-type-for-gaps", file: "../cmd/sfrelay/internal/doctor/findings.go",
		old: `!passesAll.MatchString(f)`, new: `!strings.Contains(f, "changeType")`,
		test: "TestBrokenSetUpsAreNamed", protects: "a filter that drops deletions is named",
	},
	{
		name: "doctor-believes-the-wanted-state", file: "../cmd/sfrelay/internal/doctor/findings.go",
		old: `case f.Status != "RUNNING" && f.Status != "ERROR"`, new: `case false && f.Status != "RUNNING" && f.Status != "ERROR"`,
		test: "TestBrokenSetUpsAreNamed", protects: "a relay that stopped by itself is named",
	},
	{
		name: "doctor-forgets-renamed-fields", file: "../cmd/sfrelay/internal/doctor/look.go",
		old: "			leaf = theirs\n", new: "			leaf = leaf + \"\"\n",
		test: "TestFieldsOfTheOrg", protects: "AccountFields is believed",
	},
	{
		name: "doctor-wants-fields-that-the-org-has-not", file: "../cmd/sfrelay/internal/doctor/look.go",
		old: `if theirs == "-" {`, new: `if theirs == "+" {`,
		test: "TestFieldsOfTheOrg", protects: "a field that the org does not have is no finding",
	},
	{
		name: "doctor-forgets-extra-fields", file: "../cmd/sfrelay/internal/doctor/look.go",
		old: `name != "" && fields != nil && !fields[name]`, new: `name == "" && fields != nil && !fields[name]`,
		test: "TestFieldsOfTheOrg", protects: "an extra field that is not there is named",
	},
	{
		name: "doctor-takes-any-target", file: "../cmd/sfrelay/internal/doctor/needs.go",
		old: `s.ByTarget(h.Target) == d.Name`, new: `h.Target != ""`,
		test: "TestTheStackBehindTheRelays", protects: "each consumer has a rule of its own",
	},
	{
		name: "doctor-wants-rules-of-what-is-off", file: "../cmd/sfrelay/internal/doctor/needs.go",
		old: `slices.Contains(s.Off, d.Name) ||`, new: `false ||`,
		test: "TestTheStackBehindTheRelays", protects: "a consumer without its sink is no finding",
	},
	{
		name: "doctor-takes-any-time-to-live", file: "../cmd/sfrelay/internal/doctor/stack.go",
		old: ` && aws.ToString(d.AttributeName) == "x"`, new: ``,
		test: "TestTheStackBehindTheRelays", protects: "the attribute by which items end is the guard's",
	},
	{
		name: "doctor-takes-a-dying-secret", file: "../cmd/sfrelay/internal/doctor/stack.go",
		old: `case out.DeletedDate != nil:`, new: `case false:`,
		test: "TestTheStackBehindTheRelays", protects: "a secret that is about to be deleted is named",
	},
	{
		name: "doctor-counts-every-line", file: "../cmd/sfrelay/internal/doctor/stack.go",
		old: ` && line.Level == "ERROR" {`, new: ` {`,
		test: "TestTheStackBehindTheRelays", protects: "a parked change is no error of a function",
	},
	{
		name: "doctor-finds-its-own-stack-beside-it", file: "../cmd/sfrelay/internal/doctor/stack.go",
		old: `if aws.ToString(s.StackName) == v.stack.Name {`, new: `if false {`,
		test: "TestTheStackBehindTheRelays", protects: "a stack shares its secret with no other",
	},
}
