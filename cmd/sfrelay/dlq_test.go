package main

import (
	"bytes"
	"encoding/json"
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
			FirstAt: time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC), Body: `{}`, Sender: "AROAEXAMPLECUSTOMERERP:fn",
			Events: []deadletter.Event{{Consumer: "customer-erp", Class: "permanent/invalid-currency", DetailType: "AccountChangeEvent", Identity: "e1", Subjects: []string{"Account/1", "Account/2", "Account/3"}, JSON: []byte(`{"a":1}`)}},
		},
		{
			ID: "bbbbbbbb-2222-4222-8222-222222222222", Queue: deadletter.Queue{Name: "failure"}, Form: transport.ParkedMessage,
			Consumer: "customer-erp", Class: "changed-after-done",
			FirstAt: time.Date(2026, 11, 22, 7, 59, 30, 0, time.UTC), Body: `{}`,
			Events: []deadletter.Event{{Consumer: "customer-erp", Class: "changed-after-done", Refused: "invalid-json: the event is cut off", JSON: []byte(`{"a":`)}},
		},
	}
)

func TestDLQList(t *testing.T) {
	var out bytes.Buffer
	p := terminal.To(&out)
	new(dlqListCommand).write(p, messages, time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC))
	const want = `MESSAGE   AGE  QUEUE    CONSUMER      CLASS
aaaaaaaa  1h   failure  customer-erp  permanent/invalid-currency
          AccountChangeEvent e1  Account/1 Account/2 and 1 more
          the ERP refuses the currency
bbbbbbbb  30s  failure  customer-erp  changed-after-done
          –
2 messages. See one whole with: sfrelay dlq show MESSAGE
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	out.Reset()
	new(dlqListCommand).write(p, nil, time.Now())
	if !strings.HasPrefix(out.String(), "Nothing failed") {
		t.Error(out.String())
	}
	out.Reset()
	if err := writeMessagesJSON(p, messages[:1]); err != nil {
		t.Fatal(err)
	}
	const wantJSON = `{"message":"aaaaaaaa-1111-4111-8111-111111111111","queue":"failure","form":"parked","consumer":"customer-erp","class":"permanent/invalid-currency","reason":"the ERP refuses\nthe currency",` +
		`"attempts":2,"firstAt":"2026-11-22T07:00:00Z","events":[{"detailType":"AccountChangeEvent","identity":"e1","subjects":["Account/1","Account/2","Account/3"]}]}` + "\n"
	if out.String() != wantJSON {
		t.Errorf("got\n%swant\n%s", out.String(), wantJSON)
	}
}

func TestDLQShow(t *testing.T) {
	for i, wanted := range [][]string{
		{"sfrelay dlq redrive --message aaaaaaaa-1111", "permanent/invalid-currency", "{\n  \"a\": 1\n}\n", "Account/3"},
		{"refused: the action was done once", "invalid-json: the event is cut off", "{\"a\":\n"},
	} {
		var out bytes.Buffer
		(&dlqShowCommand{}).show(terminal.To(&out), testQueues, messages[i])
		for _, want := range wanted {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q is not in\n%s", want, out.String())
			}
		}
	}
}

func TestDLQDryRun(t *testing.T) {
	s, out, progress := testScreen()
	c := dlqRedriveCommand{DryRun: true}
	c.wouldRedrive(testQueues, messages, s)
	if out.String() != "1 would be redriven, 1 refused.\n" || !strings.HasPrefix(progress.String(), "would go  aaaaaaaa  customer-erp         AccountChangeEvent e1\n") {
		t.Errorf("%s%s", out.String(), progress.String())
	}
	out.Reset()
	c.JSON = true
	c.wouldRedrive(testQueues, messages, s)
	var outcomes []string
	d := json.NewDecoder(out)
	for d.More() {
		var l messageJSON
		if err := d.Decode(&l); err != nil {
			t.Fatal(err)
		}
		outcomes = append(outcomes, l.Outcome)
	}
	if strings.Join(outcomes, ",") != "would go,refused" {
		t.Errorf("outcomes %v", outcomes)
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
	c.write(terminal.To(&out), messages[:1], time.Now())
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
