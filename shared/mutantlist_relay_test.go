package shared_test

// relayMutants are lines of what watches the relays.
var relayMutants = []mutant{
	{
		name: "unseen-is-fine", file: "relaymonitor/report.go",
		old:  "if len(s.Down) > 0 || len(s.Unseen) == 0 {",
		new:  "if true {",
		test: "TestWhatIsNotSeenIsUnknown", protects: "a relay that cannot be seen is not said to run",
	},
	{
		name: "unseen-relay-is-missing", file: "relaymonitor/report.go",
		old:  "if s.StatesSeen {\n\t\t\ts.Down",
		new:  "if true {\n\t\t\ts.Down",
		test: "TestWhatIsNotSeenIsUnknown", protects: "a right that is missing is no relay that is missing",
	},
	{
		name: "announced-for-ever", file: "relay/pause.go",
		old:  "return p != nil && now.Before(p.Until)",
		new:  "return p != nil",
		test: "TestAnnouncement", protects: "an announced pause rings when it is over",
	},
	{
		name: "announcement-excuses-a-stop", file: "relaymonitor/report.go",
		old:  `one.Config.State == "PAUSE" && one.Feedback.Status != "STOPPED"`,
		new:  "true",
		test: "TestAnAnnouncementExcusesNothingElse", protects: "a relay that was stopped, or that does not start again, rings in spite of an announcement",
	},
	{
		name: "leads-elsewhere", file: "relaymonitor/report.go",
		old:  "if to := one.Feedback.RemoteResource; to != bus {",
		new:  "if to := one.Feedback.RemoteResource; to != bus && to == \"\" {",
		test: "TestARelayIsDown", protects: "a relay that runs and feeds another bus is down for this stack",
	},
	{
		name: "session-never-renewed", file: "relay/org.go",
		old:  "status != http.StatusUnauthorized || ended != \"\" {",
		new:  "status != http.StatusUnauthorized || ended == \"\" {",
		test: "TestASessionIsRenewedOnce", protects: "a function that lives longer than its session goes on seeing",
	},
	{
		name: "watches-everything", file: "relaymonitor/report.go",
		old:  "if bus == \"\" {\n\t\t\tcontinue",
		new:  "if false {\n\t\t\tcontinue",
		test: "TestOnlyTheStacksOwnBusesAreWatched", protects: "a relay that feeds another stack raises no alarm in this one",
	},
	{
		name: "error-of-a-relay-that-runs", file: "relaymonitor/report.go",
		old:  "yes(relayError, s.ErrorCode != \"\", byService)",
		new:  "yes(relayError, s.Is == \"ERROR\", byService)",
		test: "TestTheErrorCodeIsInTheLine", protects: "an error is told also while Salesforce says RUNNING",
	},
	{
		name: "hours-of-a-relay-that-runs", file: "relaymonitor/report.go",
		old:  "s.HoursLeft, s.HoursSeen = keptHours, true",
		new:  "s.HoursLeft, s.HoursSeen = 0, false",
		test: "TestBothRelaysRun", protects: "the alarm on the hours clears when the relay runs again",
	},
	{
		name: "refused-login-hides-the-buses", file: "relaymonitor/monitor.go",
		old:  "v = unknown(now, r.Refused)",
		new:  "return r",
		test: "TestTheOrgRefuses", protects: "a bus that is gone is seen also while the org refuses the login",
	},
	{
		name: "smaller-allocation", file: "relaymonitor/report.go",
		old:  "percent, known = max(percent,",
		new:  "percent, known = min(max(percent, 1),",
		test: "TestAllocation", protects: "the allocation that ends first is told",
	},
}
