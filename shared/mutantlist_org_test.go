package shared_test

// orgMutants are lines of what is read from the org.
var orgMutants = []mutant{
	{
		name: "first-sight-sends-the-delta", file: "guard/run.go",
		old:  "if r.call.WholeFirst && m.unseen(&r.item, r.call.Changes) {",
		new:  "if false {",
		test: "TestARecordThatWasNeverSeenWhole", protects: "the first change of an older customer makes no nameless one",
	},
	{
		name: "unfit-state-was-never-seen", file: "guard/protocol.go",
		old:  "order.Newest(it.Full, it.Seen, m.full).After(",
		new:  "order.Newest(it.Full, m.full).After(",
		test: "TestARecordThatWasNeverSeenWhole", protects: "a record with one field that does not fit is not read with every change",
	},
	{
		name: "own-fields-are-those-that-were-read", file: "consumer/ask.go",
		old:  "partial.onto(in.binding, read, w)",
		new:  "_ = partial",
		test: "TestAReadThatIsBehind", protects: "a read that is behind does not lose the change that caused it",
	},
	{
		name: "read-that-is-behind-is-taken", file: "consumer/ask.go",
		old:  "rec != nil && early && in.behind(w, rec):",
		new:  "rec != nil && early && false:",
		test: "TestWhatIsBehindWithoutATimeOfTheSave", protects: "a row that is seen late is waited for",
	},
	{
		name: "old-read-covers-what-is-on-its-way", file: "consumer/ask.go",
		old:  "if w.saysAll && w.line.Read == \"old\" {",
		new:  "if false {",
		test: "TestAnOldReadCoversNothingBehindIt", protects: "a change between an old read and its cause still wins",
	},
	{
		name: "hidden-field-comes-by-itself", file: "consumer/ask.go",
		old:  "return verdict.RecordUnreadable, true",
		new:  "return verdict.OrgDown, false",
		test: "TestALostPermissionBlanksNobody", protects: "a lost permission is told to a person at once",
	},
	{
		name: "mask-is-a-value", file: "consumer/rest.go",
		old:  "case masked(v):",
		new:  "case false:",
		test: "TestAMaskIsNoValue", protects: "asterisks reach no customer",
	},
	{
		name: "gone-without-a-trace-is-deleted", file: "consumer/ask.go",
		old:  "case rec == nil && (fate.Deleted || w.seen.Deleted):",
		new:  "case rec == nil:",
		test: "TestWhatIsNotThere", protects: "a record that may not be seen retires no customer",
	},
	{
		name: "second-without-a-place-is-read-at-once", file: "consumer/ask.go",
		old:  "!w.saysAll && from.After(until)",
		new:  "false && from.After(until)",
		test: "TestASecondIsAwaited", protects: "all of its second is in what is read",
	},
	{
		name: "repair-goes-over-what-is-newer", file: "consumer/resync.go",
		old:  "case rec != nil && stamp(rec, \"SystemModstamp\")",
		new:  "case false && stamp(rec, \"SystemModstamp\")",
		test: "TestARepairThatIsBehind", protects: "a row that is seen late does not go over what the sink has",
	},
	{
		name: "overflow-list-is-believed", file: "consumer/resync.go",
		old:  "err == nil && covered.Before(committed)",
		new:  "err == nil && covered.IsZero()",
		test: "TestAnOverflow", protects: "records of a transaction that is still open are not forgotten",
	},
	{
		name: "thin-twins-are-duplicates", file: "consumer/apply.go",
		old:  "case r.Settled && w.thin && w.change.Kind != guard.Resync:",
		new:  "case false:",
		test: "TestThinEventsOfOneSecond", protects: "the second of two thin events of a second is read again",
	},
	{
		name: "repair-is-a-duplicate", file: "consumer/handle.go",
		old:  "case in.repairs(msg):",
		new:  "case false:",
		test: "TestARepair", protects: "a record that may have been overwritten is sent again",
	},
	{
		name: "later-win-is-the-same", file: "guard/again.go",
		old:  "v.Time().Sub(it.Full.Time()) > sameFact",
		new:  "false",
		test: "TestAFactThatComesAgain", protects: "a deal that was won again is looked at",
	},
	{
		name: "kinds-are-compared", file: "guard/again.go",
		old:  "ch.Hash == [8]byte{}, it.otherKind(ch):",
		new:  "ch.Hash == [8]byte{}:",
		test: "TestAFactThatComesAgain", protects: "one win that two events tell of is no difference",
	},
	{
		name: "edit-after-the-win-is-another-win", file: "guard/again.go",
		old:  "case ch.Fetched && !it.happenedBefore(ch.Version):",
		new:  "case false:",
		test: "TestAFactThatComesAgain", protects: "what was read later may have been edited",
	},
	{
		name: "based-state-is-full", file: "guard/protocol.go",
		old:  "v = ch.Base\n",
		new:  "\n",
		test: "TestAStateWithABase", protects: "an old read does not stop what happened since",
	},
	{
		name: "resync-hides-what-does-not-fit", file: "guard/run.go",
		old:  "r.layAside(&m, out.Unfit)\n	}\n	c := completion{key: r.key, token: r.token, full: m.full, tombstone: m.tombstone, seen: m.seen",
		new:  "}\n	c := completion{key: r.key, token: r.token, full: m.full, tombstone: m.tombstone, seen: m.seen",
		test: "TestAResyncThatDoesNotFit", protects: "a field that a repair could not send is told",
	},
	{
		name: "outage-of-the-org-is-one-of-the-sink", file: "consumer/apply.go",
		old:  "if asked {\n				in.breaker",
		new:  "if asked || true {\n				in.breaker",
		test: "TestARepairWithoutAnOrgSparesTheSink", protects: "the breaker looks at the sink only",
	},
	{
		name: "whole-question-for-what-is-not-in-every-org", file: "consumer/ask.go",
		old:  "a.without.add(e.Field)",
		new:  "",
		test: "TestWhatNotEveryOrgHas", protects: "the next question knows what the org lacks",
	},
}
