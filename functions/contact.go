package functions

import (
	"context"

	"sfrelay/shared/consumer"
	"sfrelay/shared/notify"
	"sfrelay/shared/salesforce"
	"sfrelay/shared/sink"
)

// Contact is what is read of a contact, besides the names of what was changed.
type Contact struct {
	AccountID string `cdc:"AccountId" ref:"Account"`
}

// ContactNotify tells a receiver once of every change of a contact. values are the fields of
// which it tells the value too; of all others it tells the name.
func ContactNotify(receiver notify.Receiver, values []string) consumer.Definition {
	return consumer.Action[Contact]{
		Name: "contact-notify", Object: "Contact", Changes: true, Any: true,
		Once: consumer.PerEvent(),
		When: func(consumer.Change[Contact]) consumer.Decision { return consumer.Act }, // on deletions, too
		To:   receiver,
		// The receiver knows a repetition by its id.
		InDoubt: consumer.RepeatInDoubt,
		Do: func(ctx context.Context, ref sink.Ref, c consumer.Change[Contact]) (sink.Receipt, error) {
			n := notify.Notification{
				Object: "Contact", RecordID: c.RecordID, AccountID: c.Content.AccountID,
				Kind: kindOf(c.Type), Partial: c.Partial, Fields: append([]string{}, c.Names()...), At: c.At, Version: c.Version,
			}
			for _, name := range values {
				if v, ok := c.Value(name); ok {
					if n.Values == nil {
						n.Values = make(map[string]*string)
					}
					n.Values[name] = v
				}
			}
			return receiver.Tell(ctx, ref, n)
		},
	}
}

// kindOf is the kind of a change; of one that is not documented only that there was one is
// known.
func kindOf(t salesforce.ChangeType) notify.Kind {
	switch t {
	case salesforce.Create, salesforce.GapCreate:
		return notify.Created
	case salesforce.Delete, salesforce.GapDelete:
		return notify.Deleted
	case salesforce.Undelete, salesforce.GapUndelete:
		return notify.Undeleted
	default:
		return notify.Updated
	}
}
