package shared_test

var salesforceMutants = []mutant{
	{
		name: "next-page-anywhere", file: "salesforce/api/api.go",
		old:  `u.Scheme != c.org.Scheme || u.Host != c.org.Host || u.User != nil`,
		new:  `u.User != nil`,
		test: "TestTheOrgStaysWhereItIs", protects: "the next page is asked of the org only",
	},
	{
		name: "instance-anywhere", file: "salesforce/login/session.go",
		old:  `u.Scheme != s.org.Scheme || u.Host != s.org.Host {`,
		new:  `u.Host == "" {`,
		test: "TestTheOrgStaysWhereItIs", protects: "a token of another org is refused",
	},
	{
		name: "redirect-with-the-session", file: "salesforce/api/api.go",
		old:  `return http.ErrUseLastResponse`,
		new:  `return nil`,
		test: "TestTheOrgStaysWhereItIs", protects: "no redirect is followed with the session",
	},
	{
		name: "login-for-each-who-waits", file: "salesforce/login/session.go",
		old:  `if s.token != "" && s.token != ended {`,
		new:  `if s.token != "" && ended == "" {`,
		test: "TestOneLoginForAllWhoWait", protects: "of all whose session ended one logs in",
	},
	{
		name: "refused-login-again", file: "salesforce/login/session.go",
		old:  `s.refused, s.until = failed, time.Now().Add(again)`,
		new:  `s.refused, s.until = failed, time.Now()`,
		test: "TestARefusedLoginIsNotRepeated", protects: "a login that was refused is not repeated for every change",
	},
	{
		name: "failed-login-for-each", file: "salesforce/login/session.go",
		old:  `s.until = time.Now().Add(soon)`,
		new:  `s.until = time.Now()`,
		test: "TestALoginThatFailsForNowIsTriedAgain", protects: "who waited for a login that failed does not log in again at once",
	},
	{
		name: "hurry-of-one", file: "salesforce/login/session.go",
		old:  `if ctx.Err() != nil { // who`,
		new:  `if ctx == nil { // who`,
		test: "TestALoginThatFailsForNowIsTriedAgain", protects: "the deadline of one caller refuses no other",
	},
	{
		name: "short-answer", file: "salesforce/api/records.go",
		old:  `if err != nil || len(all) != len(some) {`,
		new:  `if err != nil || len(all) > len(some) {`,
		test: "TestRetrieve", protects: "a short answer is no deleted record",
	},
	{
		name: "another-record", file: "salesforce/api/records.go",
		old:  `if rec.text("Id") != some[i] {`,
		new:  `if rec.text("Id") == "" {`,
		test: "TestRetrieve", protects: "a record is that which was asked for",
	},
	{
		name: "missing-is-null", file: "salesforce/api/records.go",
		old:  `return v, ok && v.Kind() == 'n'`,
		new:  `return v, true`,
		test: "TestQueryWithChildren", protects: "a field that the org says nothing of is not null",
	},
	{
		name: "any-column-is-named", file: "salesforce/api/error.go",
		old:  `if e.Code == codeField && strings.EqualFold(f[strings.LastIndexByte(f, '.')+1:], column) {`,
		new:  `if e.Field = column; e.Code == "" {`,
		test: "TestRefusals", protects: "an error names fields that were asked for only",
	},
	{
		name: "any-code-is-shown", file: "salesforce/login/session.go",
		old:  `return s != "" && len(s) <= 64 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""`,
		new:  `return s != ""`,
		test: "TestARefusedLoginIsNotRepeated", protects: "an error holds codes, no values",
	},
	{
		name: "brake-for-ever", file: "salesforce/api/error.go",
		old:  `u.at, over = time.Now(), false`,
		new:  `u.at = time.Now()`,
		test: "TestTheBrakeLetsOneThroughAfterAnHour", protects: "a client that stopped asking begins again",
	},
	{
		name: "brake-lets-all-through", file: "salesforce/api/error.go",
		old:  `u.at, over = time.Now(), false`,
		new:  `over = false`,
		test: "TestTheBrakeLetsOneThroughAfterAnHour", protects: "after an hour one request finds out, not all",
	},
	{
		name: "rows-cut-off", file: "salesforce/sweep/jobs.go",
		old:  ` || resp.Header.Get("Sforce-NumberOfRecords") != strconv.Itoa(n)`,
		new:  ` || n < 0 && strconv.Itoa(n) == ""`,
		test: "TestBulk", protects: "rows that broke off at the end of a line are not taken for all",
	},
	{
		name: "statement-of-anything", file: "salesforce/api/records.go",
		old: `child, err := Select{Object: c.Object, Fields: c.Fields}.SOQL("")
		if err != nil {`,
		new: `child, err := Select{Object: c.Object, Fields: c.Fields}.SOQL("")
		if err != nil && c.Object == "" {`,
		test: "TestStatementsAreMadeOfNames", protects: "a sub-select is made of API names too",
	},
	{
		name: "a-client-that-is-none", file: "function/function.go",
		old:  `; client != nil { // a nil`,
		new:  `; client != nil || f.org == nil { // a nil`,
		test: "TestAskOrg", protects: "without an org Env.Org is nil, not a nil client in an interface",
	},
	{
		name: "street-of-anything", file: "salesforce/restnames.go",
		old:  `ok && c.has(part) && (c.object == "" || c.object == object) {`,
		new:  `ok && c.has(part) {`,
		test: "TestRESTFields", protects: "only a lead's Street is part of Address",
	},
	{
		name: "any-part-of-an-address", file: "salesforce/restnames.go",
		old:  `if c.name == name && c.has(part) &&`,
		new:  `if c.name == name &&`,
		test: "TestRESTFields", protects: "a part that no address has is no field",
	},
	{
		name: "pc-is-found", file: "consumer/leaf.go",
		old:  `return custom + "__c of ContactChangeEvent"`,
		new:  `return custom`,
		test: "TestLeafOf", protects: "a consumer that reads a __pc field is told where it is",
	},
}
