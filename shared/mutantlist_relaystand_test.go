package shared_test

// relayStandMutants are those of the relays that the org sandbox plays.
var relayStandMutants = []mutant{
	{
		name: "relay-of-no-member", file: "sandbox/org/relaying.go",
		old:  "&& members[e.Name] {",
		new:  "&& members != nil {",
		test: "TestRelaysDeliver", protects: "a channel carries its members only, so that a missing member is seen",
	},
	{
		name: "relay-without-position", file: "sandbox/org/relaying.go",
		old:  "if s.relay.positions[id].before(e) &&",
		new:  "if",
		test: "TestPositionsOfRelays", protects: "what was before RUN does not come",
	},
	{
		name: "relay-keeps-for-ever", file: "sandbox/org/relaying.go",
		old:  "e.at.After(now.at.Add(-retention)) && ",
		new:  "",
		test: "TestPositionsOfRelays", protects: "a pause of more than 72 hours loses events, as it does in an org",
	},
	{
		name: "relay-in-order-of-writes", file: "sandbox/org/relaying.go",
		old:  "return position{a.at, a.n}.compare(position{b.at, b.n}) })",
		new:  "return 0 })",
		test: "TestALateCommitComesLater", protects: "events come in the order of the commits",
	},
	{
		name: "relay-runs-on", file: "sandbox/org/relaying.go",
		old:  "if !s.runs(id) {",
		new:  "if id == \"\" {",
		test: "TestAPauseInTheMiddle", protects: "a paused relay delivers no more",
	},
	{
		name: "relay-skips-refused", file: "sandbox/org/relaying.go",
		old:  "failed, end = errors.Join(failed, err), position{}",
		new:  "failed = errors.Join(failed, err)",
		test: "TestWhatIsNotTakenComesAgain", protects: "what was not taken comes again",
	},
	{
		name: "relay-into-the-void", file: "sandbox/org/relaying.go",
		old:  "get(\"State\") != \"ACTIVE\" {",
		new:  "get(\"State\") == nil {",
		test: "TestARelayToAPendingSource", protects: "a relay that runs to a pending source delivers nothing",
	},
	{
		name: "relay-remembers-stop", file: "sandbox/org/relaying.go",
		old:  "delete(s.relay.positions, id)\n\t}",
		new:  "}",
		test: "TestPositionsOfRelays", protects: "STOP forgets the position",
	},
	{
		name: "relay-idle-is-behind", file: "sandbox/org/relaying.go",
		old:  "s.relay.positions[id] = end // it was idle, not behind",
		new:  "_ = end",
		test: "TestPositionsOfRelays", protects: "a long time without events is no loss",
	},
	{
		name: "relay-latest-like-earliest", file: "sandbox/org/relaying.go",
		old:  "if !there || lost {",
		new:  "if _ = lost; !there {",
		test: "TestPositionsOfRelays", protects: "LATEST loses what EARLIEST sends again",
	},
	{
		name: "source-active-though-off", file: "sandbox/org/partner.go",
		old:  "case p.bus && relayed && !p.off:",
		new:  "case p.bus && relayed:",
		test: "TestPartnerSources", protects: "a source that is deactivated takes nothing",
	},
	{
		name: "org-of-a-constant", file: "sandbox/org/event.go",
		old:  "return \"aws.partner/salesforce.com/\" + s.options.OrgID + \"/\" + channel",
		new:  "return \"aws.partner/salesforce.com/\" + OrgID + \"/\" + channel",
		test: "TestAnotherOrgAndAccount", protects: "two orgs have sources of their own",
	},
	{
		name: "deploy-any-state", file: "sandbox/org/deployment.go",
		old:  "if !slices.Contains(relayStates, v.State) {",
		new:  "if v.State == \"-\" {",
		test: "TestDeploymentsAreJudged", protects: "a state that no relay has is seen before an org sees it",
	},
	{
		name: "deploy-any-type", file: "sandbox/org/deployment.go",
		old:  "if name != \"CustomField\" && !slices",
		new:  "if name == \"\" && !slices",
		test: "TestDeploymentsAreJudged", protects: "a misspelled type is refused",
	},
	{
		name: "deploy-any-event", file: "sandbox/org/deployment.go",
		old:  "if !events[v.Entity] {",
		new:  "if v.Entity == \"\" {",
		test: "TestDeploymentsAreJudged", protects: "a member of an event that is not there is refused",
	},
	{
		name: "deploy-without-the-org", file: "sandbox/org/deployment.go",
		old:  "channels[fmt.Sprint(v.values[\"DeveloperName\"], \"__chn\")] = kind",
		new:  "_ = kind",
		test: "TestADeploymentMeetsWhatIsThere", protects: "a channel that the org has need not come again",
	},
	{
		name: "deploy-both-kinds", file: "sandbox/org/deployment.go",
		old:  "} else if there && kind != kindOf(v.Entity) {",
		new:  "} else if there && kind == \"\" {",
		test: "TestDeploymentsAreJudged", protects: "a channel takes one kind of events",
	},
	{
		name: "deploy-namespace", file: "sandbox/org/deployment.go",
		old:  "if namespace, _, found := strings.Cut(m.name, \"__\"); found {",
		new:  "if namespace, _, found := strings.Cut(m.name, \"__\"); found && namespace == \"\" {",
		test: "TestDeploymentsAreJudged", protects: "two underscores in a member's name are refused",
	},
	{
		name: "deploy-says-succeeded", file: "sandbox/org/metadata.go",
		old:  "if !good {",
		new:  "if good && id == \"\" {",
		test: "TestDeploymentsAreJudged", protects: "one mistake fails the deployment",
	},
}
