package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sfrelay/cmd/sfrelay/internal/bus"
	"sfrelay/functions"
	"sfrelay/shared/consumer"
	"sfrelay/shared/deadletter"
	"sfrelay/shared/relay"
	"sfrelay/shared/salesforce"
)

// mostSkew is less than what either side takes: AWS refuses a signature after five minutes
// (AWS General Reference, "Signing AWS API requests"), Salesforce an assertion after three.
const mostSkew = 2 * time.Minute

// ofOrg is what the org as a whole has to be.
func (v *View) ofOrg(p relay.Place, add adder) {
	if v.skew.Abs() > mostSkew {
		add("", "clock-off", fmt.Sprintf("this machine's clock is %s from Salesforce's", v.skew.Round(10*time.Second)), "Set the clock: both sides refuse what is signed at another time.")
	}
	if len(v.versions) > 0 && !slices.Contains(v.versions, relay.Version) {
		add("", "api-version-missing", "the org serves "+v.versions[0]+" to "+v.versions[len(v.versions)-1]+", sfrelay asks for "+relay.Version, "Update sfrelay.")
	}
	if len(p.Orgs) > 0 && v.OrgID != "" && !slices.ContainsFunc(p.Orgs, func(o string) bool { return short(o) == short(v.OrgID) }) {
		add("", "org-not-accepted", "SalesforceOrgs is "+strings.Join(p.Orgs, ",")+", the org is "+v.OrgID,
			"Write "+v.OrgID+" into SalesforceOrgs and deploy the stack. A refreshed sandbox has another id.")
	}
	if v.Namespace != "" {
		add("", "namespaced-org", "the org has the namespace "+v.Namespace, "Its components have other names. Deploy salesforce/ with sf, and start the relays in Setup, Event Relays.")
	}
	if v.encrypted {
		add("", "events-encrypted", "the org encrypts events in its bus", "Salesforce names encryption among what a relay may not support. If a relay says feature.not.supported: Setup, Encryption Settings, switch off Encrypt Change Data Capture Events and Platform Events.")
	}
	v.ofEvents(add)
	for _, l := range []struct {
		limit relay.Limit
		what  string
	}{{v.Delivered, "events delivered today"}, {v.Requests, "API requests today"}} {
		const most = 80 // percent; the functions stop asking at 90
		if l.limit.Max > 0 && l.limit.Used()*100 >= l.limit.Max*most {
			add("", "allocation-nearly-used", l.limit.Says(l.what), "Setup, Company Information: look who uses them. Events wait, or records are not read, until room is there again.")
		}
	}
}

func (v *View) ofEvents(add adder) {
	if v.isUnseen("definitions of platform events") {
		return
	}
	for _, name := range functions.DetailTypes(salesforce.Platform) {
		i := slices.IndexFunc(v.definitions, func(d relay.Definition) bool { return d.FullName == name })
		switch {
		case i < 0:
			add("", "event-missing", "the org has no "+name, "Type: sf project deploy start --source-dir salesforce/force-app. If no consumer of yours needs it, leave it.")
		case v.definitions[i].PublishBehavior != "PublishAfterCommit":
			add("", "published-too-early", name+" is published with "+v.definitions[i].PublishBehavior, "Setup, Platform Events, "+name+", Publish Behavior: choose Publish After Commit. Else it comes before its record is saved, or of one that is not saved at all.")
		case v.definitions[i].EventType != "HighVolume":
			add("", "event-not-high-volume", name+" is "+v.definitions[i].EventType, "Delete the event and deploy it from salesforce/. Only HighVolume events are relayed.")
		}
	}
}

// ofUser is what the user of the credentials has to see.
func (v *View) ofUser(add adder) {
	const screen = "Setup, Permission Sets, sfrelay reader"
	if r := v.rights; r != nil {
		if !r.PermissionsApiEnabled {
			add("", "right-missing", "API Enabled", screen+", System Permissions: give it, and assign the set to the user.")
		}
		if !r.PermissionsViewSetup {
			add("", "right-missing", "View Setup and Configuration", screen+", System Permissions: give it. Without it nobody sees how the relays do.")
		}
		for _, object := range objects() {
			if r.seenAll && !r.PermissionsViewAllData && !slices.Contains(r.all, object) {
				add("", "right-missing", "View All Records of "+object, screen+", Object Settings, "+object+": give it. A record that the user does not see is taken for deleted.")
			}
		}
	}
	for _, object := range objects() {
		if names := v.hidden[object]; len(names) > 0 {
			add("", "field-unreadable", object+": "+strings.Join(names, ", "), screen+", Object Settings: give the right to read these fields. A field that the org has under another name, or not at all, belongs into "+parameterOf(object)+".")
		}
	}
}

func parameterOf(object string) string {
	if object == "Contact" {
		return "NotifyFields"
	}
	return object + "Fields"
}

// objects are those whose records the consumers read.
func objects() (names []string) {
	for _, def := range functions.All(functions.Ports{}) {
		if o := def.Describe().Object; o != "" && !slices.Contains(names, o) {
			names = append(names, o)
		}
	}
	slices.Sort(names)
	return names
}

// ofStack is what the stack has to be.
func (s *stackView) ofStack(v *View, add adder) {
	for _, one := range v.Relays {
		if name := s.Parameters[one.Kind.Parameter]; name != "" && one.Source.Bus && name != one.Feedback.RemoteResource {
			add(one.Name, "stack-on-another-bus", one.Kind.Parameter+" is "+name+", the relay feeds "+one.Feedback.RemoteResource, "Type: sfrelay relay setup, which writes it down. Then type: make deploy")
		}
	}
	for _, w := range s.ways {
		s.ofWay(w, add)
	}
	s.ofTable(add)
	for _, f := range s.functions {
		if f.state == "Failed" {
			add("", "function-failed", f.name+": "+f.reason, "Deploy the stack again.")
		}
		if f.errors > 0 {
			add("", "function-errors", fmt.Sprintf("%s: %d lines of the last hour say an error", f.name, f.errors), "Type: sfrelay tail --aws --stack-name "+s.Name+" --consumer "+f.name+". The log says why it cannot start, or what ended it.")
		}
	}
	for _, x := range s.secrets {
		add("", "secret-missing", x.parameter+" "+secretName(x.arn)+": "+x.where, "Make the secret, or restore it in Secrets Manager, and deploy if its ARN is another.")
	}
	for _, x := range s.shared {
		add("", "secret-shared", x.parameter+" "+secretName(x.arn)+" is that of the stack "+x.where+", too", "Give each stage a secret of its own: a test stage bills with the key of the other one.")
	}
}

func (s *stackView) ofTable(add adder) {
	name := s.Outputs["GuardTable"]
	if !s.table.seen {
		return
	}
	if s.table.status == "missing" {
		add("", "guard-table-missing", name, "Nothing is applied. Restore it from its backup, and deploy with GuardRestoredAt.")
		return
	}
	for _, c := range []struct {
		ok             bool
		finding, wrong string
		cure           string
	}{
		{s.table.status == "ACTIVE" || s.table.status == "UPDATING", "guard-table-not-active", "status " + s.table.status, "Until it is active nothing is applied, and what comes is parked."},
		{s.table.ttl, "guard-table-without-ttl", "no time to live on the attribute x", "DynamoDB, Additional settings, Time to Live: switch it on for x. Without it the table only grows."},
		{s.table.restorable, "guard-table-without-backups", "point-in-time recovery is off", "DynamoDB, Backups: switch it on. Who loses the table bills twice."},
		{s.table.protected, "guard-table-unprotected", "deletion protection is off", "DynamoDB, Additional settings: switch it on. Who loses the table bills twice."},
	} {
		if !c.ok {
			add("", c.finding, name+": "+c.wrong, c.cure)
		}
	}
}

// ofWay compares the targets of an event with the consumers that take it.
func (s *stackView) ofWay(w way, add adder) {
	for _, def := range functions.All(functions.Ports{}) {
		d := def.Describe()
		takes := slices.ContainsFunc(d.Sources, func(x consumer.Source) bool { return x.DetailType == w.event })
		if !takes || w.none || slices.Contains(s.Off, d.Name) || !slices.ContainsFunc(s.Consumers, func(c deadletter.Consumer) bool { return c.Name == d.Name }) {
			continue // a bus without any rule is a finding of its relay
		}
		if !slices.ContainsFunc(w.hops, func(h bus.Hop) bool { return s.ByTarget(h.Target) == d.Name }) {
			add("", "no-way-to-consumer", "no enabled rule hands "+w.event+" of "+w.source+" to "+d.Name, "Deploy the stack. If somebody changed the rule's pattern by hand, it is as template.yaml has it then.")
		}
	}
	for _, h := range w.hops {
		if h.Code != "" {
			add("", "target-refuses", w.event+" to "+h.Target+": "+h.Code+" "+h.Reason, "Deploy the stack, which gives the rule its permission. Until then the events go to the delivery queue.")
		}
		if !h.DeadLetter {
			add("", "rule-without-queue", h.Rule+" has no dead-letter queue", "Deploy the stack. What this rule cannot hand over is lost.")
		}
	}
}
