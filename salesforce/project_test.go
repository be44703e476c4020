// Package salesforce_test holds the project that admins deploy: its files fit the
// consumers, and programs of others find no mistake in them.
package salesforce_test

import (
	"encoding/xml"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sfrelay/functions"
	"sfrelay/shared/salesforce"
)

const source = "force-app/main/default"

// metadata are all files of metadata.
func metadata(t *testing.T) (files []string) {
	t.Helper()
	err := filepath.WalkDir(source, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, "-meta.xml") {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) < 40 {
		t.Fatalf("%d files of metadata, %v", len(files), err)
	}
	return files
}

func read(t *testing.T, name string, v any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(source, filepath.FromSlash(name)))
	if err == nil {
		err = xml.Unmarshal(text, v)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// Every platform event has the fields that its consumers read, and no others. What is not of
// the record itself is the same in all.
func TestEventsHaveWhatConsumersRead(t *testing.T) {
	want := map[string][]string{}
	for _, def := range functions.All(functions.Ports{}) {
		d := def.Describe()
		for _, s := range d.Sources {
			if s.Kind == salesforce.Platform {
				want[s.DetailType] = append(append(want[s.DetailType], d.Paths(s)...), "Event_Id__c")
			}
		}
	}
	ours, err := filepath.Glob(filepath.Join(source, "objects", "*__e"))
	if err != nil || len(ours) != 3 { // the platform events of other consumers may be those of another project
		t.Fatal(ours, err)
	}
	for _, folder := range ours {
		event := filepath.Base(folder)
		fields := want[event]
		slices.Sort(fields)
		fields = slices.Compact(fields)
		entries, err := filepath.Glob(filepath.Join(source, "objects", event, "fields", "*.field-meta.xml"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			got = append(got, strings.TrimSuffix(filepath.Base(e), ".field-meta.xml"))
		}
		if !slices.Equal(got, fields) {
			t.Errorf("%s has %v, want %v", event, got, fields)
		}
		for _, own := range []string{"Event_Id__c", "Record_Modified_At__c", "Sequence__c", "Fields__c"} {
			if !slices.Contains(got, own) {
				t.Errorf("%s has no %s", event, own)
			}
		}
		var object struct {
			EventType       string `xml:"eventType"`
			PublishBehavior string `xml:"publishBehavior"`
		}
		if read(t, "objects/"+event+"/"+event+".object-meta.xml", &object); object.EventType != "HighVolume" || object.PublishBehavior != "PublishAfterCommit" {
			t.Errorf("%s: %+v; an event that is published before the commit tells of what may never be", event, object)
		}
	}
}

// free are fields that every user sees who sees the record: Salesforce takes no permission
// for what is required or kept by itself.
var free = []string{"Account.Name", "Account.CurrencyIsoCode", "Opportunity.Name", "Opportunity.StageName", "Opportunity.IsWon", "Opportunity.IsClosed",
	"Opportunity.CloseDate", "Opportunity.CurrencyIsoCode", "Opportunity.LastStageChangeDate"}

// asked are the fields that the consumers read of change events or ask the org for.
func asked() (fields []string) {
	flat := regexp.MustCompile(`^(Billing|Shipping)Address\..*`)
	add := func(object, leaf string) {
		fields = append(fields, object+"."+flat.ReplaceAllString(leaf, "${1}Address"))
	}
	for _, def := range functions.All(functions.Ports{}) {
		d := def.Describe()
		for _, f := range d.Fields {
			for _, leaf := range f.CDC {
				add(d.Object, leaf)
			}
		}
	}
	won := reflect.TypeFor[functions.Won]()
	for i := range won.NumField() {
		if rest := won.Field(i).Tag.Get("rest"); rest != "" && !strings.Contains(rest, "(") { // products have no permissions by field here
			add("Opportunity", rest)
		}
	}
	return fields
}

func TestTheReaderMayReadWhatConsumersAskFor(t *testing.T) {
	var set struct {
		Fields []struct {
			Field    string `xml:"field"`
			Readable bool   `xml:"readable"`
			Editable bool   `xml:"editable"`
		} `xml:"fieldPermissions"`
		Objects []struct {
			Object  string `xml:"object"`
			Read    bool   `xml:"allowRead"`
			Create  bool   `xml:"allowCreate"`
			Edit    bool   `xml:"allowEdit"`
			ViewAll bool   `xml:"viewAllRecords"`
		} `xml:"objectPermissions"`
		User []string `xml:"userPermissions>name"`
	}
	read(t, "permissionsets/Sfrelay_Reader.permissionset-meta.xml", &set)
	may := map[string]bool{}
	for _, f := range set.Fields {
		may[f.Field] = f.Readable
		if f.Editable || slices.Contains(free, f.Field) {
			t.Errorf("%s: editable, or one that has no permission", f.Field)
		}
	}
	n := 0
	for _, f := range asked() {
		if n++; !may[f] && !slices.Contains(free, f) {
			t.Errorf("%s may not be read", f)
		}
	}
	if n < 20 {
		t.Errorf("consumers read %d fields", n)
	}
	all := map[string]bool{}
	for _, o := range set.Objects {
		all[o.Object] = o.Read && o.ViewAll && !o.Create && !o.Edit
	}
	for _, o := range []string{"Account", "Contact", "Opportunity", "Product2"} {
		if !all[o] {
			t.Errorf("%s: not read whole, or written", o)
		}
	}
	for _, p := range []string{"ApiEnabled", "ViewSetup"} {
		if !slices.Contains(set.User, p) {
			t.Errorf("no %s in %v", p, set.User)
		}
	}
}

func TestTheRelaysBeginSafely(t *testing.T) {
	var credential struct {
		Endpoint string `xml:"endpoint"`
		Type     string `xml:"namedCredentialType"`
		Status   string `xml:"calloutStatus"`
	}
	read(t, "namedCredentials/Sfrelay_AWS.namedCredential-meta.xml", &credential)
	if !regexp.MustCompile(`^arn:aws:[A-Z]+-[A-Z]+-[0-9]:[0-9]{12}$`).MatchString(credential.Endpoint) || credential.Type != "Legacy" || credential.Status != "Enabled" {
		t.Errorf("%+v; want a legacy credential with the region in capitals", credential)
	}
	for name, want := range map[string]struct {
		kind   string
		events []string
	}{
		"Sfrelay_Events":  {"event", []string{"Cloud_Customer_Sync__e", "Opportunity_Won__e", "Inventory_Update__e"}},
		"Sfrelay_Changes": {"data", []string{"AccountChangeEvent", "ContactChangeEvent", "OpportunityChangeEvent"}},
	} {
		var channel struct {
			Type string `xml:"channelType"`
		}
		if read(t, "platformEventChannels/"+name+"__chn.platformEventChannel-meta.xml", &channel); channel.Type != want.kind {
			t.Errorf("%s: %+v", name, channel)
		}
		var relay struct {
			To      string `xml:"destinationResourceName"`
			Channel string `xml:"eventChannel"`
			Option  string `xml:"relayOption"`
			State   string `xml:"state"`
			Usage   string `xml:"usageType"`
		}
		read(t, "eventRelays/"+name+".eventRelay-meta.xml", &relay)
		if relay.To != "callout:Sfrelay_AWS" || relay.Channel != name+"__chn" || relay.Option != `{"ReplayRecovery":"EARLIEST"}` || relay.State != "STOP" || relay.Usage != "AMAZON_EVENTBRIDGE" {
			t.Errorf("%+v", relay)
		}
		for _, event := range want.events {
			var member struct {
				Channel string `xml:"eventChannel"`
				Event   string `xml:"selectedEntity"`
				Filter  string `xml:"filterExpression"`
			}
			// No part of a name may look like a namespace.
			file := "platformEventChannelMembers/" + name + "_chn_" + strings.ReplaceAll(event, "__", "_") + ".platformEventChannelMember-meta.xml"
			if read(t, file, &member); member.Channel != name+"__chn" || member.Event != event || member.Filter != "" {
				t.Errorf("%+v; a filter may drop gap events, which have no fields", member)
			}
		}
	}
}
