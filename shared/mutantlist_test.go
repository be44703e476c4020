package shared_test

// mutants are lines that a reader could take for superfluous. What a test does not hold
// is lost with the next change.
var mutants = slicesOf(guardMutants, consumerMutants, transportMutants, deadletterMutants, stripeMutants, httpsinkMutants)

func slicesOf(lists ...[]mutant) (all []mutant) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

var guardMutants = []mutant{
	{
		name: "claim-without-room", file: "guard/lease.go",
		old:  "last := d.Add(-r.times.effect - r.times.margin)",
		new:  "last := d.Add(-r.times.margin)",
		test: "TestTooLittleTimeToBegin", protects: "an attempt begins only where its whole effect ends before Lambda does",
	},
	{
		name: "completion-ends-with-the-invocation", file: "guard/run.go",
		old:  "old, ok, err := r.store.Write(context.WithoutCancel(r.ctx), c.write())",
		new:  "old, ok, err := r.store.Write(r.ctx, c.write())",
		test: "TestAnEffectIsRecordedAfterTheInvocationEnded", protects: "an effect at the deadline is recorded",
	},
	{
		name: "restored-and-sure", file: "guard/lease.go",
		old:  "if !fresh || !it.Exists || it.Owner.millis() < restored.UnixMilli() {",
		new:  "if !it.Exists || it.Owner.millis() < restored.UnixMilli() {",
		test: "TestALostClaimAnswerAfterARestoreIsInDoubt", protects: "after a restore, a claim whose answer was lost is in doubt",
	},
	{
		name: "parked-too-late", file: "guard/aside.go",
		old:  "if r.park(i, out.Park, out.Err); r.report.Results[i].Verdict == verdict.Parked {\n\t\treturn true",
		new:  "if r.park(i, out.Park, out.Err); true {\n\t\treturn true",
		test: "TestWhatSomebodyHasToLookAtOutlivesAQueueThatIsDown", protects: "what a person has to see is not recorded as done while the queue is down",
	},
	{
		name: "unsure-forgets-retry-after", file: "guard/lease.go",
		old:  "return time.UnixMilli(max(rel.notBefore, now+min(out.RetryAfter, longestRetryAfter).Milliseconds()))",
		new:  "return time.UnixMilli(rel.notBefore)",
		test: "TestAProtectionSaysWhyAndUntilWhen", protects: "a sink that asks for time gets it, also from an attempt in doubt",
	},
	{
		name: "retry-after-without-end", file: "guard/lease.go",
		old:  "now+min(out.RetryAfter, longestRetryAfter).Milliseconds()",
		new:  "now+out.RetryAfter.Milliseconds()",
		test: "TestRetryAfterHoldsNobodyOff", protects: "no sink keeps a message away for a day",
	},
	{
		name: "nothing-sent-settles-doubt", file: "guard/run.go",
		old:  "keepDoubt: !asked && r.inDoubt,",
		new:  "keepDoubt: false,",
		test: "TestADoubtOutlivesACompletionWithoutARequest", protects: "a doubt is sticky: only an answer of the sink settles it",
	},
	{
		name: "group-stops-without-doubt", file: "guard/solo.go",
		old:  "s.total.keepDoubt = s.stop.Effect == Unsure || s.inDoubt",
		new:  "s.total.keepDoubt = s.inDoubt",
		test: "TestAGroupThatStopsUnsureIsInDoubt", protects: "a group that stopped at a lost answer is in doubt",
	},
	{
		name: "refusals-settle-doubt", file: "guard/solo.go",
		old:  "s.total.keepDoubt = s.inDoubt && !s.took",
		new:  "s.total.keepDoubt = false",
		test: "TestADoubtOutlivesAGroupThatIsRefused", protects: "refusals of a group settle no older doubt",
	},
	{
		name: "too-old-for-ever", file: "guard/lease.go",
		old:  "if !r.call.EventSubject || r.call.Redrive || r.call.Published.IsZero() ||",
		new:  "if !r.call.EventSubject || r.call.Published.IsZero() ||",
		test: "TestAnOldEventThatSomebodyRedrivesIsTaken", protects: "a too-old event that somebody redrives by name is taken",
	},
	{
		name: "failed-parking-counts-anew", file: "guard/lease.go",
		old:  "rel.reset = false // still unacknowledged: the attempt counts",
		new:  "_ = rel.reset",
		test: "TestAFailedParkingKeepsCounting", protects: "a change that could not be parked keeps its attempts",
	},
	{
		name: "lift-twice-is-foreign", file: "guard/lease.go",
		old:  "ok = it.Owner == r.token && it.Epoch >= epoch",
		new:  "ok = false && it.Epoch >= epoch",
		test: "TestTheSDKSendsEverythingTwice", protects: "a lift whose answer was lost is recognised as ours",
	},
	{
		name: "parked-without-the-first-time", file: "guard/run.go",
		old:  "p.FirstAt = r.since",
		new:  "_ = r.since",
		test: "TestWhatIsParkedInDoubtSaysSinceWhen", protects: "the parked copy says since when its effect is in doubt",
	},
	{
		name: "parked-or-not", file: "guard/run.go",
		old:  "if r.report.Results[i].Verdict == verdict.Parked {\n\t\tbefore.Class",
		new:  "if true {\n\t\tbefore.Class",
		test: "TestEachOnceTellsOtherContent", protects: "a second content that could not be parked comes again",
	},
	{
		name: "whole-though-mixed", file: "guard/protocol.go",
		old:  "m.whole = m.whole && w.Version == m.wins[0].Version",
		new:  "m.whole = m.whole && w.Version != (order.Version{})",
		test: "TestFieldMerge", protects: "fields of several changes are never sent as one full state",
	},
	{
		name: "claim-too-wide", file: "guard/protocol.go",
		old:  "const maxClaimFields = 70",
		new:  "const maxClaimFields = 300",
		test: "TestEveryClaimFitsAnExpression", protects: "a claim fits DynamoDB's expression limits",
	},
	{
		name: "landed-by-anybody", file: "guard/protocol.go",
		old:  "return it.Status == Done && it.Owner == c.token",
		new:  "return it.Status == Done",
		test: "TestDoneBySomebodyElseIsNotMine", protects: "a worker that outlived its lease does not take the work of another one for its own",
	},
	{
		name: "effect-outlives-its-lease", file: "guard/run.go",
		old:  "left := time.Duration(r.until-r.now())*time.Millisecond - r.times.settle - r.times.margin",
		new:  "left := time.Duration(r.until-r.now())*time.Millisecond - r.times.margin",
		test: "TestTheHandlerEndsBeforeTheLease", protects: "a request has settled before the next one may begin",
	},
	{
		name: "redriven-and-gone", file: "guard/aside.go",
		old:  "if !r.call.Redrive && r.marks.has(mark) {",
		new:  "if r.marks.has(mark) {",
		test: "TestAChangeIsParkedOnce", protects: "a redriven change that is refused again comes back into the queue",
	},
	{
		name: "delete-over-newer-fields", file: "guard/protocol.go",
		old:  "m.deleted = v.After(newestField)",
		new:  "m.deleted = true",
		test: "TestFieldMerge", protects: "a delete that is older than a field deletes nothing at the sink",
	},
	{
		name: "hash-of-a-doubtful-content", file: "guard/run.go",
		old:  "h != [8]byte{} && !r.inDoubt {",
		new:  "h != [8]byte{} {",
		test: "TestADoubtfulContentIsNotTheOneThatWasDone", protects: "after a doubt nobody claims to know which content was done",
	},
	{
		name: "delete-that-never-landed", file: "guard/protocol.go",
		old:  "if c.full.After(it.Full) || c.tombstone.After(it.Tombstone) {",
		new:  "if c.full.After(it.Full) {",
		test: "TestADeleteThatWasNotRecordedComesAgain", protects: "a delete that was not recorded is not forgotten",
	},
	{
		name: "old-delete-takes-back", file: "guard/protocol.go",
		old:  "if !v.After(order.Newest(it.Full, m.full)) || !v.After(order.Newest(it.Tombstone, m.tombstone)) {",
		new:  "if !v.After(order.Newest(it.Full, m.full)) {",
		test: "TestAnOldDeleteInAGroup", protects: "a delete that comes late does not let older updates in again",
	},
	{
		name: "lift-below-our-epoch", file: "guard/lease.go",
		old:  "epoch := max(out.Epoch, now)",
		new:  "epoch := out.Epoch",
		test: "TestALiftIsAboveOurOwnEpoch", protects: "a sink that names a low epoch does not stop a subject for ever",
	},
	{
		name: "lift-settles-doubt", file: "guard/lease.go",
		old:  "now, epoch, !r.inDoubt))",
		new:  "now, epoch, true))",
		test: "TestALiftKeepsAnOlderDoubt", protects: "a fence settles no older doubt",
	},
	{
		name: "time-parks", file: "guard/lease.go",
		old:  "r.attempt >= int64(limit) && !out.Uncounted\n\tif toPark",
		new:  "r.attempt >= int64(limit)\n\tif toPark",
		test: "TestTheLastAttemptIsOneThatWasMade", protects: "time that ran out parks nothing",
	},
	{
		name: "time-parks-a-group", file: "guard/solo.go",
		old:  "r.attempt >= int64(limit) && !out.Uncounted {",
		new:  "r.attempt >= int64(limit) {",
		test: "TestTheLastAttemptIsOneThatWasMade", protects: "time that ran out parks no change of a group",
	},
	{
		name: "fence-in-a-group", file: "guard/solo.go",
		old:  "if out.Effect == Fenced {",
		new:  "if false {",
		test: "TestAFenceInTheMiddleOfAGroupIsAConflict", protects: "a fence that the next attempt answers calls nobody",
	},
	{
		name: "seen-falls", file: "guard/run.go",
		old:  "\tif !c.seen.After(r.item.Seen) {\n\t\tc.seen = order.Version{}\n\t}\n",
		new:  "",
		test: "TestWhatWasSeenNeverFalls", protects: "an item says which full state was the newest that was seen",
	},
}

var consumerMutants = []mutant{
	{
		name: "redrive-among-neighbours", file: "consumer/apply.go",
		old:  `key += "#redrive"`,
		new:  `key += ""`,
		test: "TestARedriveCountsForItselfOnly", protects: "a redrive in a batch does not let its neighbours count anew",
	},
	{
		name: "foreign-message-parked", file: "consumer/batch.go",
		old:  "!w.acknowledged() && !foreign {",
		new:  "!w.acknowledged() && (foreign || !foreign) {",
		test: "TestAForeignMessageIsNeverParked", protects: "a message of another consumer is left to its queue",
	},
	{
		name: "pause-without-end", file: "consumer/batch.go",
		old:  "more := min(time.Second<<min(tries-1, 16), longestPause)",
		new:  "more := time.Second << min(tries-1, 16)",
		test: "TestABufferWaitsLongerWithEveryFailure", protects: "a buffer asks again within about a minute",
	},
	{
		name: "portion-becomes-the-whole", file: "consumer/handle.go",
		old:  "m.Records = w.msg.Records",
		new:  "_ = w.msg.Records",
		test: "TestAParkedCopyRemembers", protects: "a portion that is parked again stays a portion",
	},
	{
		name: "attempts-start-anew", file: "consumer/handle.go",
		old:  "Attempts: int(p.Attempts) + w.msg.Attempts,",
		new:  "Attempts: int(p.Attempts),",
		test: "TestAParkedCopyRemembers", protects: "the parked copy counts the attempts before the redrive",
	},
	{
		name: "first-failure-forgotten", file: "consumer/handle.go",
		old:  "m.FirstAt = w.msg.FirstAt",
		new:  "_ = w.msg.FirstAt",
		test: "TestAParkedCopyRemembers", protects: "the parked copy says when it failed first",
	},
	{
		name: "redrive-goes-on-counting", file: "consumer/apply.go",
		old:  "Redrive: first.msg.Redrive,",
		new:  "Redrive: false,",
		test: "TestARedriveCountsForItselfOnly", protects: "a redrive has all its attempts",
	},
	{
		name: "future-without-event-time", file: "consumer/prepare.go",
		old:  "if w.event.Time.IsZero() && j.version.Time()",
		new:  "if false && j.version.Time()",
		test: "TestBadInputIsParkedWholeAndStopsNothing", protects: "a version of the future never wins",
	},
	{
		name: "stage-means-stage-name", file: "consumer/binding.go",
		old:  "strings.HasPrefix(path, c) && len(path) > len(c) && path[len(c)] == '.'",
		new:  "strings.HasPrefix(path, c) && len(path) > len(c)",
		test: "TestChangedIsExact", protects: "a change of Stage is none of StageName",
	},
	{
		name: "enriched-means-changed", file: "consumer/prepare.go",
		old:  "return ok && !v.Enriched() && !v.Null()",
		new:  "return (ok || v.Enriched()) && !v.Null()",
		test: "TestChangedIsExact", protects: "a value that the channel added was not changed",
	},
	{
		name: "fan-out-at-50", file: "consumer/handle.go",
		old:  "if !in.sqs && len(changes) > fanOutAbove {",
		new:  "if !in.sqs && len(changes) >= fanOutAbove {",
		test: "TestFiftyRecordsAreDoneAtOnce", protects: "50 records need no redrive",
	},
	{
		name: "a-fourth-attempt", file: "consumer/new.go",
		old:  "directAttempts   = 3",
		new:  "directAttempts   = 4",
		test: "TestLambdaRetriesAndRedrive", protects: "Lambda's third attempt parks the change with its reason",
	},
	{
		name: "one-subject-at-a-time", file: "consumer/new.go",
		old:  "parallel         = 8",
		new:  "parallel         = 1",
		test: "TestSubjectsAreWorkedOnSideBySide", protects: "a slow record does not use up the time of the others",
	},
	{
		name: "lease-over-the-first-retry", file: "consumer/new.go",
		old:  "longestLease     = 50 * time.Second",
		new:  "longestLease     = 51 * time.Second",
		test: "TestTheLongestLease", protects: "a lease has ended before Lambda's first retry",
	},
	{
		name: "waiting-uses-up-attempts", file: "consumer/outcome.go",
		old:  "out.Uncounted = e.Class == verdict.DependencyMissing || e.Class == verdict.Unfinished",
		new:  "out.Uncounted = e.Class == verdict.Unfinished",
		test: "TestWaitingForADependencyUsesUpNothing", protects: "an invoice waits for its customer as long as its queue lets it",
	},
	{
		name: "a-part-sent-as-the-whole", file: "consumer/unfit.go",
		old:  "rest.Whole, rest.Wins = false, without(at.Wins, unfit)",
		new:  "rest.Wins = without(at.Wins, unfit)",
		test: "TestAFieldThatDoesNotFitMakesAPatch", protects: "a state without the field that does not fit clears nothing",
	},
	{
		name: "redrive-waits-again", file: "consumer/prepare.go",
		old:  "w.event.Time.IsZero() || w.msg.Redrive ||",
		new:  "w.event.Time.IsZero() ||",
		test: "TestARedriveWaitsForNoOtherEvent", protects: "who redrives a change that lacks content gets its answer at once",
	},
	{
		name: "doubt-parked-though-repeatable", file: "consumer/new.go",
		old:  "!contract.Settles() && a.def.inDoubt != RepeatInDoubt,",
		new:  "!contract.Settles(),",
		test: "TestRepeatInDoubtIsSentAgain", protects: "an author who chose at least once gets it",
	},
	{
		name: "lost-with-its-queue", file: "consumer/handle.go",
		old:  "\t\tw.conclude(verdict.Failed, class, errors.Join(cause, err))\n\t\treturn\n",
		new:  "\t\tw.conclude(verdict.Parked, class, errors.Join(cause, err))\n\t\treturn\n",
		test: "TestWhatCannotBeParkedComesAgain", protects: "a message that cannot be parked is not lost",
	},
	{
		name: "orgs-in-one-group", file: "consumer/apply.go",
		old:  `key := w.event.Org + "#" + w.subject`,
		new:  "key := w.subject",
		test: "TestTwoOrgsInABatch", protects: "records of two orgs with one id stay apart",
	},
	{
		name: "error-without-a-class", file: "consumer/outcome.go",
		old:  "return guard.Outcome{Effect: guard.Unsure, Class: verdict.Unknown, Err: plain(err)}",
		new:  "return guard.Outcome{Effect: guard.NotApplied, Class: verdict.Unknown, Err: plain(err)}",
		test: "TestAnErrorOfNoClassLeavesADoubt", protects: "what a consumer returns as it is may have been applied",
	},
	{
		name: "tried-again-for-nothing", file: "consumer/outcome.go",
		old:  "e.Class.IsPermanent() || needsPeople[e.Class]",
		new:  "e.Class.IsPermanent()",
		test: "TestWhatNeedsAPersonIsNotTriedAgain", protects: "what needs a person is parked at once",
	},
	{
		name: "taken-and-forgotten", file: "consumer/outcome.go",
		old:  "out.Effect, out.Link, out.Park = guard.Took, receipt.Link, e.Class",
		new:  "out.Effect, out.Link = guard.Took, receipt.Link",
		test: "TestATakenChangeThatAPersonHasToSee", protects: "what the sink took and a person has to see is told",
	},
	{
		name: "thin-delete", file: "consumer/prepare.go",
		old:  `strings.EqualFold(style, "THIN") && !at.deleted`,
		new:  `strings.EqualFold(style, "THIN")`,
		test: "TestAThinDeleteNeedsNoFetch", protects: "a thin event deletes",
	},
	{
		name: "delete-as-update", file: "consumer/apply.go",
		old:  "a.change.Content, a.change.Deleted = winners, at.Deleted",
		new:  "a.change.Content = winners",
		test: "TestADeleteBehindAnUpdate", protects: "a delete behind an update in one batch deletes",
	},
	{
		name: "field-not-handed-over", file: "consumer/unfit.go",
		old:  "return nil, false // it was not",
		new:  "continue // it was not",
		test: "TestAFieldThatWasNotHandedOverIsNotTakenOut", protects: "a connector that is wrong about a field is not asked twice",
	},
	{
		name: "waiting-for-nobody", file: "consumer/prepare.go",
		old:  " || len(in.def.events) == 0 {",
		new:  " {",
		test: "TestNobodyWaitsForAnEventThatIsNotTaken", protects: "a change whose rest nobody brings is parked at once",
	},
	{
		name: "done-and-parked", file: "consumer/prepare.go",
		old:  "\t\tcase done:\n",
		new:  "\t\tcase done && false:\n",
		test: "TestEveryMessageOfAnActionIsAnswered", protects: "a late change event of a deal that is done parks nothing",
	},
	{
		name: "time-of-publishing", file: "consumer/prepare.go",
		old:  "AlsoCDC: s.changes",
		new:  "AlsoCDC: false",
		test: "TestBesideChangeEventsTheRecordsTimeCounts", protects: "a platform event without the time of its record does not win over change events",
	},
}

var transportMutants = []mutant{
	{
		name: "parked-is-no-redrive", file: "transport/parked.go",
		old:  "m.Form, m.Redrive = ParkedMessage, true",
		new:  "m.Form, m.Redrive = ParkedMessage, false",
		test: "TestOpen", protects: "a parked message counts its attempts anew",
	},
	{
		name: "ids-of-a-dead-batch", file: "transport/open.go",
		old:  `m.ID, m.ReceiptHandle, m.Queue, m.ReceiveCount = "", "", "", 0`,
		new:  `_ = m.ID`,
		test: "TestOpen", protects: "a batch that failed whole does not answer for messages long gone",
	},
	{
		name: "what-sqs-refuses", file: "transport/parked.go",
		old:  `return !strings.ContainsAny(s, "\uFFFE\uFFFF")`,
		new:  `return true || !strings.ContainsAny(s, "\uFFFE\uFFFF")`,
		test: "TestEncode", protects: "an event with characters that SQS refuses can be parked",
	},
	{
		name: "text-like-a-data-url", file: "transport/parked.go",
		old:  ` || strings.HasPrefix(text, "data:")`,
		new:  ``,
		test: "TestEncode", protects: "a text that looks like a data URL comes back as it was",
	},
	{
		name: "all-becomes-none", file: "transport/parked.go",
		old:  "json.FormatNilSliceAsNull(true)",
		new:  "json.FormatNilSliceAsNull(false)",
		test: "TestEncode", protects: "a parked event without a list of records means all of them",
	},
	{
		name: "the-queue-dates-it-anew", file: "transport/open.go",
		old:  "if sent > 0 && m.FirstAt.IsZero() {",
		new:  "if sent > 0 {",
		test: "TestTheFirstFailureOutlivesTheQueue", protects: "the time of the first failure outlives the queue's own",
	},
	{
		name: "too-old-without-a-class", file: "transport/open.go",
		old:  "response.Type = r.Context.Condition",
		new:  "_ = r.Context.Condition",
		test: "TestOpen", protects: "a record without an answer of the function has the condition as its class",
	},
	{
		name: "event-as-batch", file: "transport/open.go",
		old:  "case has(detailTypeKey), has(sourceKey | detailKey):",
		new:  "case !has(messagesKey) && (has(detailTypeKey) || has(sourceKey|detailKey)):",
		test: "TestAnEventWithRecordsIsNoBatch", protects: "an event with a member of a wrapping is not lost as an empty batch",
	},
	{
		name: "other-blanks", file: "transport/parked.go",
		old:  `event := bytes.Trim(p.Event, " \t\r\n")`,
		new:  "event := bytes.TrimSpace(p.Event)",
		test: "TestOtherBlanksStay", protects: "a refused event comes back byte by byte",
	},
	{
		name: "negative-count", file: "transport/open.go",
		old:  "if err != nil || n < 0 {",
		new:  "if err != nil {",
		test: "TestANegativeCountIsUnknown", protects: "no count is below zero",
	},
}

var deadletterMutants = []mutant{
	{
		name: "failures-in-all", file: "deadletter/redrive.go",
		old:  "in.failures[m.Consumer] = 0",
		new:  "_ = in.failures",
		test: "TestDoesNotGiveUpOnAConsumerThatRecovers", protects: "only failures in a row stop a redrive",
	},
	{
		name: "delete-ends-with-the-redrive", file: "deadletter/redrive.go",
		old:  "ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)",
		new:  "ctx, cancel := context.WithTimeout(ctx, time.Minute)",
		test: "TestInterrupted", protects: "what a consumer took is deleted, also after an interruption",
	},
	{
		name: "failed-and-taken", file: "deadletter/redrive.go",
		old:  "case len(answer.Failures) > 0:",
		new:  "case len(answer.Failures) > 10:",
		test: "TestWhatFailsStays", protects: "a message that a function names as failed stays",
	},
	{
		name: "held-for-a-moment", file: "deadletter/redrive.go",
		old:  "if held := in.away(ctx, in.q, handle, hold) == nil; !held {",
		new:  "if held := true; !held {",
		test: "TestRedrive", protects: "a message is held for as long as its function may run",
	},
	{
		name: "any-status-takes", file: "deadletter/redrive.go",
		old:  "case out.StatusCode != 200:",
		new:  "case out.StatusCode > 599:",
		test: "TestWhatFailsStays", protects: "an answer that is no 200 deletes nothing",
	},
	{
		name: "any-answer-takes", file: "deadletter/redrive.go",
		old:  "case !readable:",
		new:  "case !readable && readable:",
		test: "TestWhatFailsStays", protects: "an answer that no consumer gives deletes nothing",
	},
	{
		name: "doubt-is-redriven", file: "deadletter/redrive.go",
		old:  `return "the action may have been done and the sink cannot be asked; look there: if it was done, delete this message, otherwise do it by hand first"`,
		new:  `return ""`,
		test: "TestRedrive", protects: "what may have been done is not done again by a redrive",
	},
	{
		name: "one-failure-more", file: "deadletter/redrive.go",
		old:  "if in.failures[m.Consumer] >= giveUpAfter {",
		new:  "if in.failures[m.Consumer] > giveUpAfter {",
		test: "TestGivesUpOnAConsumerThatFails", protects: "a sink that is down is left alone after five failures",
	},
	{
		name: "redriven-without-end", file: "deadletter/redrive.go",
		old:  "case !m.Sent.Before(in.began.Add(time.Second)), !waiting",
		new:  "case !waiting",
		test: "TestOnlyWhatLayThereIsRedriven", protects: "what comes while a redrive runs waits for the next one",
	},
	{
		name: "hidden-after-an-interruption", file: "deadletter/queues.go",
		old:  "ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)",
		new:  "ctx, cancel := context.WithTimeout(ctx, time.Minute)",
		test: "TestInterruptedReading", protects: "an interrupted reading shows its messages again",
	},
	{
		name: "class-by-its-beginning", file: "deadletter/queues.go",
		old:  `string(f.Class)+"/")`,
		new:  "string(f.Class))",
		test: "TestFilter", protects: "a class that begins like another one is not redriven with it",
	},
	{
		name: "not-json-invoked", file: "deadletter/redrive.go",
		old:  "if !json.Valid([]byte(m.Body)) {",
		new:  "if false {",
		test: "TestAMessageThatIsNotJSONStopsNoOther", protects: "a message that is not JSON does not end the redrive of all others",
	},
	{
		name: "taken-over-is-an-error", file: "deadletter/queues.go",
		old:  " && !errors.As(err, &stale) {",
		new:  " && stale == nil {",
		test: "TestAnotherReaderTakesOver", protects: "two operators can read one queue",
	},
	{
		name: "deleted-and-shown", file: "deadletter/redrive.go",
		old:  "\tdelete(in.aside, m.ID)\n\tin.taken[",
		new:  "\tin.taken[",
		test: "TestRedrive", protects: "a redrive does not end with an error about the messages that it deleted",
	},
	{
		name: "in-front-for-ever", file: "deadletter/redrive.go",
		old:  "if again[id] && p.away(ctx, q, handle, hold) == nil {",
		new:  "if again[id] {",
		test: "TestManyRefusedMessagesDoNotStopARedrive", protects: "a redrive ends, and reaches what lies behind many refused messages",
	},
	{
		name: "list-stops-early", file: "deadletter/queues.go",
		old:  "nothingNew = 0 // it stands no longer before those that we have not seen",
		new:  "_ = nothingNew",
		test: "TestALongReadingShowsItsMessagesAgain", protects: "a long queue is listed to its end",
	},
}

var stripeMutants = []mutant{
	{
		name: "key-in-use-and-sure", file: "billing/stripe/stripe.go",
		old:  "return verdict.Conflict, sink.Maybe",
		new:  "return verdict.Conflict, sink.No",
		test: "TestKeyInUseIsAConflict", protects: "a request under way may still take effect",
	},
	{
		name: "clocks-agree", file: "billing/stripe/stripe.go",
		old:  "createdMargin = 5 * time.Minute",
		new:  "createdMargin = 0 * time.Minute",
		test: "TestTheLookupAllowsForOtherClocks", protects: "a customer that Stripe dates before our claim is found",
	},
	{
		name: "any-org", file: "billing/stripe/stripe.go",
		old:  "return metadata[markOrg] == ref.Org && metadata[markObject]",
		new:  "return metadata[markObject]",
		test: "TestTheSameIDsOfAnotherOrgAreNotOurs", protects: "a copy of the org on the same account has customers and invoices of its own",
	},
	{
		name: "update-answered-from-memory", file: "billing/stripe/customers.go",
		old:  `" epoch "+strconv.FormatInt(ref.Epoch, 10)`,
		new:  `" epoch "+strconv.FormatInt(0, 10)`,
		test: "TestRepeatedUpdateIsCarriedOut", protects: "a repair after a late request is carried out",
	},
	{
		name: "retired-for-ever", file: "billing/stripe/customers.go",
		old:  `f.metadata[markRetired] = ""`,
		new:  "_ = markRetired",
		test: "TestRetireMarksAndSaveBringsBack", protects: "an undeleted account brings its customer back",
	},
	{
		name: "any-currency", file: "billing/stripe/tax.go",
		old:  "strings.EqualFold(string(draft.Currency), d.currency) && ",
		new:  "strings.EqualFold(d.currency, d.currency) && ",
		test: "TestADraftInAnotherCurrencyIsNotFinalized", protects: "100 yen are not billed as 100 cents",
	},
	{
		name: "newest-of-several", file: "billing/stripe/invoices.go",
		old:  "found = append([]*stripe.Invoice{i}, found...)",
		new:  "found = append(found, i)",
		test: "TestTheOldestOfSeveralInvoicesIsTheOne", protects: "the oldest invoice is the one that is told",
	},
	{
		name: "reads-have-effects", file: "billing/stripe/stripe.go",
		old:  "f.Applied = sink.No",
		new:  "_ = sink.No",
		test: "TestFailedLookupIsNeverAbsent", protects: "a look-up that failed leaves no doubt",
	},
	{
		name: "discounts-inherited", file: "billing/stripe/invoices.go",
		old:  "p.AddUnsetField(stripe.InvoiceCreateParamsUnsetFieldDiscounts)",
		new:  "_ = 0",
		test: "TestADraftInheritsNothing", protects: "a customer's discount does not park each of its invoices",
	},
	{
		name: "rotated-key-forgotten", file: "billing/stripe/stripe.go",
		old:  "key = other\n",
		new:  "_ = other\n",
		test: "TestKeyIsReadLateKeptAndRenewedOnce", protects: "a rotated key is used at once",
	},
	{
		name: "pending-items-billed", file: "billing/stripe/invoices.go",
		old:  `PendingInvoiceItemsBehavior: stripe.String("exclude"),`,
		new:  ``,
		test: "TestADraftInheritsNothing", protects: "items that wait at Stripe are on no invoice of ours",
	},
	{
		name: "too-fine-for-stripe", file: "billing/stripe/money.go",
		old:  "if !ok || n%multiple != 0 {",
		new:  "if !ok || n%multiple > n {",
		test: "TestAnAmountThatStripeWouldRoundIsRefused", protects: "an amount that Stripe would round is refused",
	},
	{
		name: "amount-with-its-tax", file: "billing/stripe/tax.go",
		old:  "return i.TotalExcludingTax",
		new:  "return i.Subtotal",
		test: "TestTaxWithinTheAmountIsNotFinalized", protects: "an account whose prices include their tax bills no deal for less",
	},
	{
		name: "tax-taken-off", file: "billing/stripe/tax.go",
		old:  " && (!d.taxed || taxStatus(draft) != untaxed):",
		new:  ":",
		test: "TestADraftWithoutItsTaxIsNotFinalized", protects: "a draft that lost its automatic tax is not billed without it",
	},
	{
		name: "untaxable-for-ever", file: "billing/stripe/invoices.go",
		old:  "content && taxStatus(d) != stripe.InvoiceAutomaticTaxStatusRequiresLocationInputs {",
		new:  "content {",
		test: "TestTheAddressIsLostOnTheWay", protects: "a customer that has an address again is billed with the first redrive",
	},
	{
		name: "old-choice-of-tax", file: "billing/stripe/invoices.go",
		old:  `part("automatic-tax")`,
		new:  "_ = d.taxed",
		test: "TestTheChoiceChangesBetweenDraftAndFinalizing", protects: "a draft of before AutomaticTax was switched is made anew",
	},
	{
		name: "finalized-without-tax", file: "billing/stripe/tax.go",
		old:  "case d.taxed && taxStatus(i) != stripe.InvoiceAutomaticTaxStatusComplete && taxStatus(i) != \"\":",
		new:  "case d.taxed && false:",
		test: "TestFinalizedOtherwise", protects: "an invoice that Stripe finalized without its tax is told to a person",
	},
	{
		name: "exemption-overwritten", file: "billing/stripe/customers.go",
		old:  "p := fields.forUpdate()\n",
		new:  "p := fields.forUpdate()\n\t\tp.TaxExempt = filled(&s.taxExempt)\n",
		test: "TestTaxExempt", protects: "what a person decided about a customer's exemption stays",
	},
	{
		name: "doubt-is-not-looked-up", file: "billing/stripe/customers.go",
		old:  "case ref.InDoubt:",
		new:  "case ref.InDoubt && false:",
		test: "TestLostResponseMakesOneCustomer", protects: "an attempt in doubt looks before it creates",
	},
	{
		name: "no-time-to-settle", file: "billing/stripe/stripe.go",
		old:  "settle = 20 * time.Second",
		new:  "settle = 0 * time.Second",
		test: "TestContractsSettleDoubt", protects: "a request that was given up has landed before the next attempt looks",
	},
	{
		name: "lines-refused-draft-left", file: "billing/stripe/invoices.go",
		old:  "if f.Class.IsPermanent() {",
		new:  "if false {",
		test: "TestRefusedLinesLeaveNoDraft", protects: "a draft whose lines were refused is not left to be finalized by hand",
	},
	{
		name: "finalized-by-hand", file: "billing/stripe/invoices.go",
		old:  "\t\tif !f.remembered() && f.code != stripe.ErrorCodeInvoiceNotEditable {\n\t\t\treturn nil, f\n\t\t}\n\t\t// Done",
		new:  "\t\tif !f.remembered() {\n\t\t\treturn nil, f\n\t\t}\n\t\t// Done",
		test: "TestAPersonFinalizesTheDraft", protects: "an invoice that a person finalized a moment before is the one",
	},
	{
		name: "old-terms", file: "billing/stripe/invoices.go",
		old:  "inv.Description, strconv.Itoa(inv.DueDays)}",
		new:  "inv.Description}",
		test: "TestTheTermsAreThoseOfTheDeal", protects: "an invoice has the terms that the deal has now",
	},
	{
		name: "due-in-30-days", file: "billing/stripe/invoices.go",
		old:  "stripe.Int64(int64(inv.DueDays))",
		new:  "stripe.Int64(30)",
		test: "TestTheTermsAreThoseOfTheDeal", protects: "the deal says when its invoice is due",
	},
	{
		name: "draft-of-somebody-else", file: "billing/stripe/invoices.go",
		old:  "if draft.Metadata[markContent] != doc.content {",
		new:  "if false {",
		test: "TestADraftOfOtherContentMeanwhile", protects: "two attempts at once do not finalize the text of the older one",
	},
	{
		name: "country-in-small-letters", file: "billing/stripe/customers.go",
		old:  "strings.ToUpper(*p.Country)",
		new:  "*p.Country",
		test: "TestACountryIsInCapitals", protects: "a country in small letters is one",
	},
	{
		name: "sum-without-end", file: "billing/stripe/invoices.go",
		old:  "sum += line.amount; sum > 1<<53 || sum < -1<<53",
		new:  "sum += line.amount; sum == 1<<62",
		test: "TestInvoiceRefusals", protects: "lines that come to more than can be counted are refused",
	},
	{
		name: "telemetry-sent", file: "billing/stripe/stripe.go",
		old:  "EnableTelemetry:   stripe.Bool(false),",
		new:  "EnableTelemetry:   stripe.Bool(true),",
		test: "TestSandboxIsAnAccount", protects: "nothing is told to Stripe beside the requests",
	},
	{
		name: "tax-id-of-a-person", file: "billing/stripe/taxids.go",
		old:  "case before:",
		new:  "case before, v:",
		test: "TestATaxIDOfAPersonStays", protects: "tax ids of others are left alone",
	},
}

var httpsinkMutants = []mutant{
	{
		name: "broken-refusal-believed", file: "erp/httpsink/httpsink.go",
		old:  "(res.StatusCode < 400 || res.StatusCode == http.StatusPreconditionFailed)",
		new:  "res.StatusCode < 400",
		test: "TestARefusalThatBrokeOffIsNoRefusal", protects: "a 412 that broke off is neither stale nor fenced",
	},
	{
		name: "blank-as-plus", file: "erp/httpsink/httpsink.go",
		old:  `strings.ReplaceAll(url.QueryEscape(key), "+", "%20")`,
		new:  `strings.ReplaceAll(url.QueryEscape(key), "+", "+")`,
		test: "TestConnectorKeepsTheContract", protects: "a SKU with a blank is the SKU that the ERP knows",
	},
	{
		name: "yes-without-an-id", file: "erp/httpsink/httpsink.go",
		old:  `(body.ID == "" && body.Outcome != sink.Unchanged) ||`,
		new:  ``,
		test: "TestConnectorKeepsTheContract", protects: "a yes that names nothing is no proof",
	},
	{
		name: "doubt-with-retry-after", file: "erp/httpsink/httpsink.go",
		old:  "if e.Applied == sink.No {",
		new:  "if e.Applied != sink.Yes {",
		test: "TestAnAnswerInDoubtDoesNotSayWhen", protects: "a page of some proxy does not put off what may have been applied",
	},
	{
		name: "403-is-no-credential", file: "erp/httpsink/httpsink.go",
		old:  "case http.StatusUnauthorized, http.StatusForbidden:\n\t\treturn &sink.Error{Class: verdict.Auth",
		new:  "case http.StatusUnauthorized:\n\t\treturn &sink.Error{Class: verdict.Auth",
		test: "TestConnectorKeepsTheContract", protects: "a 403 reads the secret again",
	},
	{
		name: "patch-is-stale", file: "erp/httpsink/httpsink.go",
		old:  `case body.Reason == "version" && method == http.MethodPatch:`,
		new:  `case body.Reason == "version" && method == http.MethodPost:`,
		test: "TestConnectorKeepsTheContract", protects: "fields of a PATCH are not lost as stale",
	},
	{
		name: "key-without-the-body", file: "erp/httpsink/httpsink.go",
		old:  "ref.StateKey(op.method, r.body)",
		new:  "ref.StateKey(op.method, nil)",
		test: "TestConnectorKeepsTheContract", protects: "another content under one version has another key",
	},
	{
		name: "half-a-version", file: "erp/httpsink/httpsink.go",
		old:  `case body.Reason == "version" && err == nil && len(v) == 20:`,
		new:  `case body.Reason == "version" && err == nil && len(v) > 0:`,
		test: "TestConnectorKeepsTheContract", protects: "a version that is none is not taken over",
	},
	{
		name: "id-without-end", file: "erp/httpsink/httpsink.go",
		old:  " || len(body.ID) > 255 {",
		new:  " {",
		test: "TestAnIDThatIsTooLong", protects: "no id grows the items of the guard",
	},
	{
		name: "delete-character", file: "erp/httpsink/httpsink.go",
		old:  " || r == 0x7f",
		new:  "",
		test: "TestADeleteCharacterIsInNoKey", protects: "no control character is part of a key",
	},
	{
		name: "version-as-written", file: "erp/httpsink/httpsink.go",
		old:  "RefusedVersionError{Version: strings.ToLower(body.Version)}",
		new:  "RefusedVersionError{Version: body.Version}",
		test: "FuzzAnswer", protects: "a version has one spelling",
	},
}
