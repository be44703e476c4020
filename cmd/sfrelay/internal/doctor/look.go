package doctor

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"sfrelay/functions"
	"sfrelay/shared/relay"
	"sfrelay/shared/salesforce"
)

// View is both sides, and what the consumers need of them.
type View struct {
	*relay.View
	org   *relay.Org
	aws   *eventbridge.Client
	stack *stackView // nil: there is no stack

	skew        time.Duration // of this machine's clock
	versions    []string
	definitions []relay.Definition
	encrypted   bool
	rights      *rights             // nil: not seen
	hidden      map[string][]string // fields by object
}

// rights are those of the user of the credentials.
type rights struct {
	PermissionsApiEnabled, PermissionsViewSetup, PermissionsViewAllData bool //nolint:revive // Salesforce's names
	all                                                                 []string
	seenAll                                                             bool
}

// Look asks both sides, as relay.Look does, then what the consumers need of the org and,
// where there is one, of the stack. What it cannot see is in Unseen; only a refused login is
// an error.
func Look(ctx context.Context, org *relay.Org, client *eventbridge.Client, stack *Stack, now time.Time) (*View, error) {
	seen, err := relay.Look(ctx, org, client, now)
	if err != nil {
		return nil, err
	}
	v := &View{View: seen, org: org, aws: client, hidden: map[string][]string{}}
	v.versions, err = org.Versions(ctx)
	v.Miss("versions of the API", err)
	v.skew = org.Skew()
	v.definitions, err = org.Definitions(ctx, functions.DetailTypes(salesforce.Platform))
	v.Miss("definitions of platform events", err)
	v.lookAtEncryption(ctx)
	v.lookAtRights(ctx)
	var parameters map[string]string
	if stack != nil {
		parameters = stack.Parameters
	}
	v.lookAtFields(ctx, parameters)
	if stack != nil {
		v.lookAtStack(ctx, stack)
	}
	return v, nil
}

func (v *View) lookAtEncryption(ctx context.Context) {
	settings, err := relay.Rows[struct{ IsEventBusEncryptionEnabled bool }](ctx, v.org, "SELECT IsEventBusEncryptionEnabled FROM PlatformEncryptionSettings")
	v.Miss("encryption of events", err)
	v.encrypted = len(settings) == 1 && settings[0].IsEventBusEncryptionEnabled
}

func (v *View) lookAtRights(ctx context.Context) {
	own, err := relay.Rows[rights](ctx, v.org, "SELECT PermissionsApiEnabled, PermissionsViewSetup, PermissionsViewAllData FROM UserPermissionAccess")
	if v.Miss("rights of the user", err) || len(own) != 1 {
		return
	}
	v.rights = &own[0]
	user, err := v.org.User(ctx)
	if v.Miss("permission sets of the user", err) {
		return
	}
	sets, err := relay.Rows[struct {
		PermissionSetID string `json:"PermissionSetId"`
	}](ctx, v.org, "SELECT PermissionSetId FROM PermissionSetAssignment WHERE AssigneeId = '"+user+"'")
	if v.Miss("permission sets of the user", err) || len(sets) == 0 {
		return
	}
	ids := make([]string, len(sets))
	for i, s := range sets {
		ids[i] = "'" + s.PermissionSetID + "'"
	}
	objects, err := relay.Rows[struct{ SobjectType string }](ctx, v.org,
		"SELECT SobjectType FROM ObjectPermissions WHERE PermissionsViewAllRecords = true AND ParentId IN ("+strings.Join(ids, ", ")+")")
	if v.Miss("rights on objects", err) {
		return
	}
	v.rights.seenAll = true
	for _, o := range objects {
		v.rights.all = append(v.rights.all, o.SobjectType)
	}
}

// renames are the pairs of AccountFields and OpportunityFields; "-" is a field that the org
// does not have.
func renames(parameters map[string]string, object string) map[string]string {
	names := map[string]string{}
	for pair := range strings.SplitSeq(parameters[object+"Fields"], ",") {
		if ours, theirs, is := strings.Cut(pair, "="); is {
			names[strings.TrimSpace(ours)] = strings.TrimSpace(theirs)
		}
	}
	return names
}

// lookAtFields finds the fields that consumers read and the user does not see. A name with
// alternatives is one of an org's settings, so one of them is enough.
func (v *View) lookAtFields(ctx context.Context, parameters map[string]string) {
	seen := map[string]map[string]bool{}
	for _, def := range functions.All(functions.Ports{}) {
		d := def.Describe()
		if d.Object == "" {
			continue
		}
		if seen[d.Object] == nil {
			fields, err := v.org.Fields(ctx, d.Object)
			if v.Miss("fields of "+d.Object, err) {
				return
			}
			seen[d.Object] = fields
		}
		named := renames(parameters, d.Object)
		for _, f := range d.Fields {
			v.lookAtField(d.Object, f.CDC, named, seen[d.Object])
		}
	}
	for name := range strings.SplitSeq(parameters["AccountExtraFields"], ",") {
		if fields := seen["Account"]; name != "" && fields != nil && !fields[name] {
			v.hide("Account", name)
		}
	}
}

func (v *View) lookAtField(object string, leaves []string, named map[string]string, there map[string]bool) {
	var missing string
	for _, leaf := range leaves {
		theirs, renamed := named[leaf]
		if theirs == "-" {
			continue
		}
		if renamed {
			leaf = theirs
		}
		name := salesforce.RESTField(object, leaf)
		if there[name] || salesforce.DependsOnOrg(name) && len(leaves) == 1 {
			return
		}
		missing = name
	}
	v.hide(object, missing)
}

func (v *View) hide(object, name string) {
	if name != "" && !slices.Contains(v.hidden[object], name) {
		v.hidden[object] = append(v.hidden[object], name)
	}
}
