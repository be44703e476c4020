package shared_test

var readMutants = []mutant{
	{
		name: "deleted-and-seen", file: "guard/protocol.go",
		old:  "return !order.Newest(it.Full, it.Seen, m.full).After(order.Newest(it.Tombstone, m.tombstone)) &&",
		new:  "return order.Newest(it.Full, it.Seen, m.full).IsZero() &&",
		test: "TestADeletedRecordIsSeenAnew", protects: "what an update after a deletion leaves out is read, and not what the record was before",
	},
	{
		name: "old-read-again", file: "guard/protocol.go",
		old:  "return changes[w.Change].Kind == Partial })\n}",
		new:  "return true })\n}",
		test: "TestAnOldReadIsTaken", protects: "a read that stays old is taken, and its change does not come without end",
	},
	{
		name: "first-sight-counts", file: "guard/lease.go",
		old:  "rel := r.releaseFor(Outcome{Effect: NotApplied, Uncounted: true, Class: verdict.NeedsFetch}, r.now())",
		new:  "rel := r.releaseFor(Outcome{Effect: NotApplied, Class: verdict.NeedsFetch}, r.now())",
		test: "TestAFirstSightIsGivenBackAndComesWhole", protects: "a first sight is no failed attempt",
	},
	{
		name: "first-sight-settles-doubt", file: "guard/lease.go",
		old:  "rel := r.releaseFor(Outcome{Effect: NotApplied, Uncounted: true, Class: verdict.NeedsFetch}, r.now())\n",
		new:  "rel := r.releaseFor(Outcome{Effect: NotApplied, Uncounted: true, Class: verdict.NeedsFetch}, r.now())\n\trel.noEffect = true\n",
		test: "TestAFirstSightKeepsADoubt", protects: "a doubt is sticky: only an answer of the sink settles it",
	},
	{
		name: "deleted-before-it-came-back", file: "consumer/ask.go",
		old:  "case rec == nil && early && in.lives(w, fate), rec != nil",
		new:  "case rec != nil",
		test: "TestADeletionThatIsShownForTooLong", protects: "a record that came back is not deleted at the sinks because its row shows it late",
	},
	{
		name: "deleted-in-the-same-second", file: "consumer/ask.go",
		old:  "!fate.Stamp.After(w.change.Version.Time())",
		new:  "fate.Stamp.Before(w.change.Version.Time())",
		test: "TestADeletionThatIsShownForTooLong", protects: "of a deletion and an undelete of one second the undelete counts",
	},
	{
		name: "redriven-deletion-stays", file: "consumer/resync.go",
		old:  "!fate.Deleted && (!w.seen.Deleted || at.Version != w.change.Version):",
		new:  "!fate.Deleted:",
		test: "TestARedrivenDeletionOfWhatIsGoneForGood", protects: "a deletion is carried out also where the record has left the recycle bin",
	},
	{
		name: "redriven-deletion-of-what-came-back", file: "consumer/resync.go",
		old:  "(!w.seen.Deleted || at.Version != w.change.Version)",
		new:  "!w.seen.Deleted",
		test: "TestARedrivenDeletionOfWhatIsGoneForGood", protects: "an old deletion does not take away what came back since and cannot be seen",
	},
}
