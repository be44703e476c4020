package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/shared/deadletter"
	"sfrelay/shared/transport"
)

var (
	testQueues = &deadletter.Queues{Consumers: []deadletter.Consumer{{Name: "customer-erp", Function: "fn", RoleID: "AROAEXAMPLECUSTOMERERP"}}}
	messages   = []deadletter.Message{
		{
			ID: "aaaaaaaa-1111-4111-8111-111111111111", Queue: deadletter.Queue{Name: "failure"}, Form: transport.ParkedMessage,
			Consumer: "customer-erp", Class: "permanent/invalid-currency", Reason: "the ERP refuses\nthe currency", Attempts: 2,
			FirstAt: time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC), LastAt: time.Date(2026, 11, 22, 7, 59, 0, 0, time.UTC), Body: `{}`, Sender: "AROAEXAMPLECUSTOMERERP:fn",
			Events: []deadletter.Event{{Consumer: "customer-erp", Class: "permanent/invalid-currency", DetailType: "AccountChangeEvent", Identity: "e1", Org: "00D5f000005KcCnEAK", Subjects: []string{"Account/1", "Account/2", "Account/3"}, JSON: []byte(`{"a":1}`)}},
		},
		{
			ID: "bbbbbbbb-2222-4222-8222-222222222222", Queue: deadletter.Queue{Name: "failure"}, Form: transport.ParkedMessage,
			Consumer: "customer-erp", Class: "changed-after-done",
			FirstAt: time.Date(2026, 11, 22, 7, 59, 30, 0, time.UTC), LastAt: time.Date(2026, 11, 22, 7, 59, 30, 0, time.UTC), Body: `{}`,
			Events: []deadletter.Event{{Consumer: "customer-erp", Class: "changed-after-done", Refused: "invalid-json: the event is cut off", JSON: []byte(`{"a":`)}},
		},
	}
)

func TestDLQList(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	p := terminal.To(&out)
	new(dlqListCommand).each(p, messages, now)
	const want = `MESSAGE   FIRST  LAST  QUEUE    CONSUMER      CLASS
aaaaaaaa  1h     1m    failure  customer-erp  permanent/invalid-currency
          Account/1 Account/2 and 1 more  org 00D5f000005KcCnEAK
          AccountChangeEvent e1
          the ERP refuses the currency
bbbbbbbb  30s    30s   failure  customer-erp  changed-after-done
          –
          –
2 messages. See one whole with: sfrelay dlq show MESSAGE
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	out.Reset()
	if err := writeMessagesJSON(p, messages[:1]); err != nil {
		t.Fatal(err)
	}
	const wantJSON = `{"message":"aaaaaaaa-1111-4111-8111-111111111111","queue":"failure","form":"parked","consumer":"customer-erp","class":"permanent/invalid-currency","reason":"the ERP refuses\nthe currency",` +
		`"attempts":2,"firstAt":"2026-11-22T07:00:00Z","lastAt":"2026-11-22T07:59:00Z","org":"00D5f000005KcCnEAK","events":[{"detailType":"AccountChangeEvent","identity":"e1","subjects":["Account/1","Account/2","Account/3"]}]}` + "\n"
	if out.String() != wantJSON {
		t.Errorf("got\n%swant\n%s", out.String(), wantJSON)
	}
}

// Of ten thousand messages with one cause the list is one entry, on a terminal of 80 columns.
func TestDLQListGroups(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	var all []deadletter.Message
	for i := range 10_000 {
		all = append(all, deadletter.Message{
			ID: fmt.Sprintf("%08x-0000", i), Queue: deadletter.Queue{Name: "failure"}, Consumer: "customer-erp", Class: "throttled",
			Reason: fmt.Sprintf("PUT customer: the ERP answered 503, request %d", 100_000+i), FirstAt: now.Add(-2 * time.Hour), LastAt: now.Add(-time.Duration(20000-i) * time.Millisecond),
			Events: []deadletter.Event{{Org: "00D5f000005KcCnEAK", Subjects: []string{fmt.Sprintf("Account/%d", i)}}},
		})
	}
	all = append(all, messages...)
	var out bytes.Buffer
	p := terminal.Sized(&out, 80)
	c := dlqListCommand{}
	c.AWS, c.Text = true, "it's"
	c.groups(p, all, now)
	const want = `COUNT  FIRST  LAST  NEEDS  CONSUMER      CLASS
10000  2h     10s   time   customer-erp  throttled
       PUT customer: the ERP answered 503, request …
       0000270f  Account/9999  org 00D5f000005KcCnEAK
    1  1h     1m    you    customer-erp  permanent/invalid-currency
       the ERP refuses the currency
       aaaaaaaa  Account/1 Account/2 and 1 more  org 00D5f000005KcCnEAK
    1  30s    30s   you    customer-erp  changed-after-done
       bbbbbbbb  –
10002 messages, 3 causes.
See one message:   sfrelay dlq show 0000270f --aws
See each message:  sfrelay dlq list --all --text 'it'\''s' --aws
Send them again:   sfrelay dlq redrive --class throttled --text 'it'\''s' --aws
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

// "Nothing failed" is said only where SQS says so too.
func TestDLQListSaysWhatItDoesNotHold(t *testing.T) {
	queue := deadletter.Queue{Name: "failure"}
	for _, c := range []struct {
		found     deadletter.Reading
		out, says string
	}{
		{deadletter.Reading{Counts: []deadletter.Count{{Queue: queue, Whole: true, Known: true}}}, "Nothing failed: the queues are empty.\n", ""},
		{deadletter.Reading{Counts: []deadletter.Count{{Queue: queue, Whole: true, Known: true, InFlight: 7}}}, "No message can be seen now.\n", "others hold about 7 messages of the failure queue"},
		{deadletter.Reading{Counts: []deadletter.Count{{Queue: queue, Whole: true}}}, "No message can be seen now.\n", "nobody can tell"},
		{deadletter.Reading{Counts: []deadletter.Count{{Queue: queue, Known: true, Visible: 12}}}, "No message can be seen now.\n", "counts about 12 more. Run the command again"},
		{deadletter.Reading{Counts: []deadletter.Count{{Queue: queue, Whole: true, Known: true}}, Warnings: []error{errors.New("not shown again")}}, "Nothing failed: the queues are empty.\n", "not shown again\n"},
	} {
		s, out, said := testScreen()
		cmd := dlqListCommand{}
		if err := cmd.print(s, &c.found, time.Now()); err != nil {
			t.Fatal(err)
		}
		cmd.incomplete(s.Err, &c.found, false)
		if out.String() != c.out || !strings.Contains(said.String(), c.says) || (c.says == "") != (said.Len() == 0) {
			t.Errorf("%+v: %q, %q", c.found.Counts, out.String(), said.String())
		}
	}
}

// A class that does not exist is a mistake, and not an empty list.
func TestAClassThatDoesNotExistIsRefused(t *testing.T) {
	for _, verb := range []string{"list", "redrive"} {
		for class, says := range map[string]string{"throtled": `did you mean "throttled"?`, "permanent/invalid-curency": `did you mean "permanent/invalid-currency"?`} {
			a := newAccount(t)
			code, out, said := called(t, nobody, "dlq", verb, "--aws", "--dry-run", "--class", class)
			if verb == "list" {
				code, out, said = called(t, nobody, "dlq", verb, "--aws", "--class", class)
			}
			if code != wrongUse || !strings.Contains(said, says) || !strings.Contains(said, "changed-after-done, ") || strings.Contains(out, "would be redriven") || len(a.changed()) > 0 {
				t.Errorf("%s: code %d, %s%s", class, code, out, said)
			}
		}
		newAccount(t)
		args := []string{"dlq", verb, "--aws", "--class", "permanent"}
		if verb == "redrive" {
			args = append(args, "--dry-run")
		}
		if code, out, said := called(t, nobody, args...); code != done || !strings.Contains(out+said, "No message matches") {
			t.Errorf("permanent: code %d, %s%s", code, out, said)
		}
	}
}

func TestTimesOfAFilter(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": {}, "90m": now.Add(-90 * time.Minute), "3d": now.AddDate(0, 0, -3), "2026-11-21": time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC),
		"2026-11-21T10:30:00+01:00": time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC), "2026-11-21T10:30": time.Date(2026, 11, 21, 10, 30, 0, 0, time.UTC),
	} {
		if got, err := moment("--since", text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"yesterday", "-3d", "-1h", "3"} {
		if _, err := moment("--since", text, now); err == nil || !strings.Contains(err.Error(), "--since") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestDLQShow(t *testing.T) {
	for i, wanted := range [][]string{
		{"sfrelay dlq redrive --message aaaaaaaa-1111", "permanent/invalid-currency", "money that cannot be billed as it is", "{\n  \"a\": 1\n}\n", "Account/3"},
		{"A redrive refuses it: the action was done once", "it means      an action that was done once came again", "invalid-json: the event is cut off", "{\"a\":\n"},
	} {
		var out bytes.Buffer
		(&dlqShowCommand{}).show(terminal.To(&out), testQueues, messages[i], nil)
		for _, want := range wanted {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q is not in\n%s", want, out.String())
			}
		}
	}
}

func TestDLQDryRun(t *testing.T) {
	for _, c := range []struct {
		args      []string
		out, says string
	}{
		{[]string{"--all"}, "2 would be redriven, 0 refused.\n", "would go      aaaaaaaa  inventory-erp        stock/SKU-100@BER\n"},
		{nil, "2 would be redriven, 0 refused.\n", "    2  would go      inventory-erp  throttled  e.g. aaaaaaaa\n"},
		{[]string{"--json"}, `"outcome":"would go"`, "account"},
	} {
		newAccount(t)
		code, out, said := called(t, nobody, append([]string{"dlq", "redrive", "--aws", "--dry-run"}, c.args...)...)
		if code != done || !strings.HasSuffix(out, c.out) && !strings.Contains(out, c.out) || !strings.Contains(said, c.says) {
			t.Errorf("%v: code %d, %s%s", c.args, code, out, said)
		}
	}
}

// How far a redrive is, and how long it may take.
func TestProgress(t *testing.T) {
	counts := map[deadletter.Outcome]int{deadletter.Taken: 90, deadletter.Left: 10}
	for _, c := range []struct {
		cmd  dlqRedriveCommand
		p    deadletter.Progress
		took time.Duration
		want string
	}{
		{dlqRedriveCommand{}, deadletter.Progress{Queued: 1000, Seen: 120, Chosen: 120, Done: 100}, 10 * time.Second, "100 of about 1000: 90 taken, 10 left, 10 a second, 1m left"},
		{dlqRedriveCommand{Limit: 200}, deadletter.Progress{Queued: 1000, Seen: 120, Chosen: 120, Done: 100}, 10 * time.Second, "100 of about 200: 90 taken, 10 left, 10 a second, 10s left"},
		{dlqRedriveCommand{dlqFlags: dlqFlags{Class: "auth"}}, deadletter.Progress{Queued: 1000, Seen: 500, Chosen: 120, Done: 100}, time.Millisecond, "120 chosen, 500 of about 1000 messages seen: 90 taken, 10 left"},
		{dlqRedriveCommand{}, deadletter.Progress{Seen: 120, Chosen: 120, Done: 100}, time.Millisecond, "90 taken, 10 left"},
	} {
		if got := c.cmd.progress(c.p, counts, c.took); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", time.Minute: "1m", 119 * time.Minute: "1h", 47 * time.Hour: "47h", 48 * time.Hour: "2d",
	} {
		if got := age(d); got != want {
			t.Errorf("%s is %s, want %s", d, got, want)
		}
	}
}

func TestNextCommandIsForTheSameAccount(t *testing.T) {
	c := dlqListCommand{}
	c.AWS, c.StackName = true, "billing"
	var out bytes.Buffer
	c.each(terminal.To(&out), messages[:1], time.Now())
	if !strings.HasSuffix(out.String(), "with: sfrelay dlq show aaaaaaaa --aws --stack-name billing\n") {
		t.Error(out.String())
	}
}

// On AWS the sender counts, unless the operator says otherwise; the emulator knows none.
func TestWhoseSenderCounts(t *testing.T) {
	at := &account.Account{Outputs: map[string]string{
		"FailureQueueUrl": "https://sqs.example/failure", "DeliveryQueueUrl": "https://sqs.example/delivery", "FailureBucket": "failures",
		"CustomerErpFunction": "fn-customer-erp", "CustomerErpBufferUrl": "https://sqs.example/buffer", "CustomerErpRoleId": "AROAEXAMPLECUSTOMERERP",
	}}
	for _, aws := range []bool{false, true} {
		f := dlqFlags{Flags: account.Flags{AWS: aws}, Queue: "all"}
		qs, err := f.queuesOf(at)
		if err != nil {
			t.Fatal(err)
		}
		if qs.TrustSender == aws {
			t.Errorf("AWS is %t, any sender is trusted: %t", aws, qs.TrustSender)
		}
		if qs.Fetch == nil {
			t.Error("what lies in the failure bucket is not fetched")
		}
		if len(qs.List) != 2 || qs.List[0].FromRules || !qs.List[1].FromRules {
			t.Errorf("queues %+v", qs.List)
		}
		if want := (deadletter.Consumer{Name: "customer-erp", Function: "fn-customer-erp", Buffer: "https://sqs.example/buffer", RoleID: "AROAEXAMPLECUSTOMERERP"}); len(qs.Consumers) != 1 || qs.Consumers[0] != want {
			t.Errorf("consumers %+v, want %+v", qs.Consumers, want)
		}
	}
}
