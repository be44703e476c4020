package doctor

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"sfrelay/cmd/sfrelay/internal/relaysetup"
)

// by says that a cure is one call, and which.
func (f *Finding) by(fix string, mend func(context.Context) error) { f.Fix, f.mend = fix, mend }

func (v *View) associate(source string) func(context.Context) error {
	return func(ctx context.Context) error { return relaysetup.Associate(ctx, v.aws, source) }
}

func (v *View) enable(bus string, rules []string) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, r := range rules {
			if _, err := v.aws.EnableRule(ctx, &eventbridge.EnableRuleInput{EventBusName: &bus, Name: &r}); err != nil {
				return err
			}
		}
		return nil
	}
}
