package deadletter_test

import (
	"testing"

	"sfrelay/shared/deadletter"
)

// What an earlier stack left behind names functions and buffers whose names ended otherwise:
// CloudFormation calls them <stack>-<logical id>-<12 or 13 letters and digits>.
func TestMessagesOfAnEarlierStack(t *testing.T) {
	const sqsARN = "arn:aws:sqs:eu-west-2:123456789012:"
	q := newQueues(t)
	targets := map[string]string{
		"function":       lambdaARN + "sfrelay-CustomerErp-AAAAAAAAAAAA",
		"buffer":         sqsARN + "sfrelay-CustomerErpBuffer-BBBBBBBBBBBBB",
		"now":            lambdaARN + "sfrelay-CustomerErp-1A2B3C4D5E6F",
		"other stack":    lambdaARN + "sfrelay-test-CustomerErp-AAAAAAAAAAAA",
		"other ending":   lambdaARN + "my-sfrelay-CustomerErp-AAAAAAAAAAAA",
		"other function": lambdaARN + "sfrelay-CustomerErpPlus-AAAAAAAAAAAA",
		"no such ending": lambdaARN + "sfrelay-CustomerErp-AAA",
	}
	for id, target := range targets {
		q.put(deliveryURL, id, change("e-"+id, one), undelivered(target))
	}
	q.put(deliveryURL, "record", onFailure("sfrelay-CustomerErp-AAAAAAAAAAAA", change("e-record", one)), nil)
	for earlier, want := range map[bool]map[string]string{
		false: {"now": "customer-erp"},
		true:  {"now": "customer-erp", "function": "customer-erp", "buffer": "customer-erp", "record": "customer-erp"},
	} {
		qs := &deadletter.Queues{
			SQS: q, List: []deadletter.Queue{{Name: "given", URL: deliveryURL}}, Earlier: earlier,
			Consumers: []deadletter.Consumer{
				{Name: "customer-erp", Function: "sfrelay-CustomerErp-1A2B3C4D5E6F", Buffer: "https://sqs/123456789012/sfrelay-CustomerErpBuffer-6F5E4D3C2B1A"},
				{Name: "inventory-erp", Function: "inventory", Buffer: ""},
			},
		}
		found := read(t, qs, deadletter.Filter{}, 0)
		if len(found) != len(targets)+1 {
			t.Errorf("%d messages", len(found))
		}
		for id, m := range found {
			if m.Consumer != want[id] {
				t.Errorf("earlier %t: %s is for %q, want %q", earlier, id, m.Consumer, want[id])
			}
			if m.MovedFrom != "" {
				t.Errorf("%s: SQS moved it from %s", id, m.MovedFrom)
			}
		}
	}
}
