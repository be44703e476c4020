package transport

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"sfrelay/shared/jsonobject"
)

// wrappings are what other hops put around an event or cut off it: members by which one
// knows them, and the setting that has to change. The first that fits counts.
var wrappings = []struct {
	members []string
	says    string
}{
	{[]string{"Sns"}, "this is an SNS notification: let the rule's target be the function or its queue itself"},
	{[]string{"Type", "TopicArn"}, "this is an SNS notification in a queue: switch on raw message delivery of the SNS subscription"},
	{[]string{"kinesis"}, "this is a Kinesis record: let the rule's target be the function or its queue itself"},
	{[]string{"specversion"}, "this is a CloudEvent: send events as EventBridge delivers them"},
	{[]string{"httpMethod"}, "this is a request of API Gateway: let an EventBridge rule call the function"},
	{[]string{"rawPath"}, "this is a request of API Gateway or a function URL: let an EventBridge rule call the function"},
	{[]string{"ChangeEventHeader"}, "only a part of the event is here: take InputPath and InputTransformer out of the rule's target"},
	{[]string{"payload"}, "only a part of the event is here: take InputPath and InputTransformer out of the rule's target"},
	{[]string{"detail"}, ""}, // an event that lacks something else
	{[]string{"event"}, "something is wrapped around the event: take InputTransformer out of the rule's target"},
	{[]string{"messageId", "body"}, "this is a single SQS record: let Lambda's event source mapping read the queue, without EventBridge Pipes"},
}

// Wrapping says of what could not be read as an event what some hop has made of it, and
// which setting to change; empty where nothing is known.
func Wrapping(raw []byte) string {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) > 0 && raw[0] == '[' {
		return "this is a list, as EventBridge Pipes sends one: let the rule's target be the function or its queue itself, without a pipe"
	}
	members := named(raw)
	if _, ok := members["Records"]; ok {
		members = nil
		_ = jsonobject.Members(raw, func(name string, v jsontext.Value) error {
			if name != "Records" {
				return nil
			}
			return jsonobject.Elements(v, func(_ int, first jsontext.Value) error {
				members = named(first)
				return errEnough
			})
		})
	}
	for _, w := range wrappings {
		all := true
		for _, m := range w.members {
			all = all && members[m]
		}
		if all {
			return w.says
		}
	}
	return ""
}

// named are those members of an object of which the table speaks.
func named(raw []byte) map[string]bool {
	found := map[string]bool{}
	err := jsonobject.Members(raw, func(name string, v jsontext.Value) error {
		if known[name] && v.Kind() != 'n' {
			found[name] = true
		}
		return nil
	})
	if err != nil {
		return nil
	}
	return found
}

var known = func() map[string]bool {
	all := map[string]bool{"Records": true}
	for _, w := range wrappings {
		for _, m := range w.members {
			all[m] = true
		}
	}
	return all
}()
