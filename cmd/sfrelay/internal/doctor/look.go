package doctor

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"sfrelay/functions"
	"sfrelay/shared/relay"
	"sfrelay/shared/salesforce"
)

// View is both sides, and what the consumers need of the org.
type View struct {
	*relay.View
	hidden map[string][]string // fields by object
}

// Look asks both sides, as relay.Look does, and compares the fields that the user of the
// credentials sees with those that the consumers read.
func Look(ctx context.Context, org *relay.Org, client *eventbridge.Client, now time.Time) (*View, error) {
	seen, err := relay.Look(ctx, org, client, now)
	if err != nil {
		return nil, err
	}
	v := &View{seen, map[string][]string{}}
	v.lookAtFields(ctx, org)
	return v, nil
}

// lookAtFields finds the fields that consumers read and the user does not see. A name with
// alternatives is one of an org's settings, so one of them is enough.
func (v *View) lookAtFields(ctx context.Context, org *relay.Org) {
	seen := map[string]map[string]bool{}
	for _, def := range functions.All(functions.Ports{}) {
		d := def.Describe()
		for _, f := range d.Fields {
			if d.Object == "" || len(f.CDC) == 0 {
				continue
			}
			if seen[d.Object] == nil {
				fields, err := org.Fields(ctx, d.Object)
				if v.Miss("fields of "+d.Object, err) {
					return
				}
				seen[d.Object] = fields
			}
			there := slices.ContainsFunc(f.CDC, func(leaf string) bool {
				name := salesforce.RESTField(d.Object, leaf)
				return seen[d.Object][name] || salesforce.DependsOnOrg(name) && len(f.CDC) == 1
			})
			name := salesforce.RESTField(d.Object, f.CDC[len(f.CDC)-1])
			if !there && !slices.Contains(v.hidden[d.Object], name) {
				v.hidden[d.Object] = append(v.hidden[d.Object], name)
			}
		}
	}
}
