package shared_test

// setupMutants are lines of what sets up the relays and tries them.
var setupMutants = []mutant{
	{
		name: "setup-without-events", file: "../cmd/sfrelay/internal/relaysetup/setup.go",
		old:  "if len(missing.Names) > 0 {",
		new:  "if false {",
		test: "TestSetupBeginsWithThePlatformEvents", protects: "nothing is made in an org without the platform events",
	},
	{
		name: "probe-of-the-org-is-a-change", file: "salesforce/judge.go",
		old:  "if strings.HasPrefix(payloadID, ProbePrefix) {",
		new:  "if false {",
		test: "TestProbe", protects: "a probe that the org publishes reaches no sink",
	},
	{
		name: "full-probe-of-the-org-is-lost", file: "salesforce/judge.go",
		old:  "return f.saysNothing(r.idField)",
		new:  "return nil",
		test: "TestProbe", protects: "an event with content is not taken for a probe",
	},
	{
		name: "probe-without-its-name", file: "consumer/handle.go",
		old:  "w.line.Subject = event.ProbeID",
		new:  "_ = event.ProbeID",
		test: "TestAProbeTouchesNothing", protects: "verify finds its probe in the log",
	},
	{
		name: "every-refusal-is-a-missing-event", file: "relay/org.go",
		old:  `ok && no.Code == "NOT_FOUND" {`,
		new:  `ok && no.Code != "" {`,
		test: "TestAnEventIsThereOrNot", protects: "an org that does not answer is not told to deploy",
	},
	{
		name: "a-comment-is-an-entry", file: "../cmd/sfrelay/internal/samconfig/samconfig.go",
		old:  `m != nil && m[live] == "" && m[called] == name {`,
		new:  `m != nil && m[called] == name {`,
		test: "TestTheCommentBecomesTheList", protects: "what is commented out in samconfig.toml does not count",
	},
	{
		name: "entry-without-its-comma", file: "../cmd/sfrelay/internal/samconfig/samconfig.go",
		old:  "f.fitComma(from, place)",
		new:  "_ = from",
		test: "TestEntriesOfAListThatCounts", protects: "samconfig.toml stays one that sam can read",
	},
	{
		name: "another-list-is-edited", file: "../cmd/sfrelay/internal/samconfig/samconfig.go",
		old:  "case m != nil && off < 0:",
		new:  "case m != nil:\n\t\t\tat = i",
		test: "TestEntriesOfAListThatCounts", protects: "a list that is commented out does not replace the one that counts",
	},
	{
		name: "stack-settings-are-copied", file: "../cmd/sfrelay/internal/samconfig/samconfig.go",
		old:  "&& !own && !inList {",
		new:  "&& !own {",
		test: "TestAnotherEnvironment", protects: "a test stack does not get the secrets of production",
	},
	{
		name: "sandbox-buses-in-the-settings", file: "../cmd/sfrelay/relaysetup.go",
		old:  "if err != nil || c.Sandbox {",
		new:  "if err != nil {",
		test: "TestTheSandboxWritesNoSettings", protects: "buses that no stack can use stay out of samconfig.toml",
	},
	{
		name: "touch-of-what-is-read", file: "../cmd/sfrelay/internal/relayverify/touch.go",
		old:  "if reads || look.Verdict != verdict.Ignored {",
		new:  "if _ = reads; look.Verdict != verdict.Ignored {",
		test: "TestATouchThatIsRefused", protects: "a touch of a won deal's stage makes no invoice",
	},
	{
		name: "touch-of-what-is-acted-on", file: "../cmd/sfrelay/internal/relayverify/touch.go",
		old:  "if reads || look.Verdict != verdict.Ignored {",
		new:  "if reads {",
		test: "TestATouchThatIsRefused", protects: "a consumer that acts on any change is not touched",
	},
	{
		name: "touch-is-not-taken-back", file: "../cmd/sfrelay/internal/relayverify/touch.go",
		old:  "if err := v.Org.Write(context.WithoutCancel(ctx), t.Object, t.ID, t.Field, value); err != nil {",
		new:  "if err := error(nil); err != nil {",
		test: "TestTouch", protects: "a record has its own value after a touch",
	},
	{
		name: "another-verdict-is-well", file: "../cmd/sfrelay/internal/relayverify/verify.go",
		old:  "case a.Verdict != a.want:",
		new:  "case false:",
		test: "TestAnotherVerdictIsNamed", protects: "a probe that was parked is no success",
	},
	{
		name: "verify-waits-for-ever", file: "../cmd/sfrelay/internal/relayverify/verify.go",
		old:  "if !v.Now().Before(end) {",
		new:  "if v.Now().Sub(end) > time.Minute {",
		test: "TestTheHopThatLostIt", protects: "verify ends when its time is over",
	},
	{
		name: "source-is-not-blamed", file: "../cmd/sfrelay/internal/relayverify/verify.go",
		old:  `case one.Source.State != "" && one.Source.State != "ACTIVE":`,
		new:  `case false:`,
		test: "TestTheHopThatLostIt", protects: "a pending source is named, not the relay that runs",
	},
	{
		name: "probe-of-required-fields", file: "relay/publish.go",
		old:  "!f.Nillable && f.Createable",
		new:  "f.Nillable && f.Createable",
		test: "TestAProbeFillsWhatTheEventRequires", protects: "Salesforce takes the probe, and it has no content",
	},
	{
		name: "permission-set-is-not-named", file: "relay/publish.go",
		old:  "return \"\", publisher(event, err)",
		new:  "return \"\", err",
		test: "TestWhoMayNotPublish", protects: "who may not publish is told the permission set",
	},
	{
		name: "setup-without-sight", file: "../cmd/sfrelay/internal/relaysetup/setup.go",
		old:  `if blind := v.Blind(); blind != "" { // else what is there`,
		new:  `if blind := ""; blind != "" { // else what is there`,
		test: "TestAMissingRightInSalesforceIsNamed", protects: "what the user may not see is not made a second time",
	},
	{
		name: "namespaced-org-is-set-up", file: "../cmd/sfrelay/internal/relaysetup/setup.go",
		old:  `if v.Namespace != "" {`,
		new:  `if false {`,
		test: "TestANamespacedOrgIsRefused", protects: "no half of a set-up under names that lead nowhere",
	},
	{
		name: "aws-right-without-its-name", file: "../cmd/sfrelay/internal/relaysetup/setup.go",
		old:  `"associate %s with a bus: %w"`,
		new:  `"associate %s with a bus: %v"`,
		test: "TestAMissingRightInAWSIsNamed", protects: "one plain sentence says which action is not allowed",
	},
	{
		name: "right-of-salesforce-without-its-name", file: "relay/settings.go",
		old:  "case no.Denied():",
		new:  "case false:",
		test: "TestARefusalNamesTheRight", protects: "who may not customize the org is told so",
	},
}
