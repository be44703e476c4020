package orgsandbox

import (
	"fmt"
	"html"
	"regexp"
)

// What the user of the credentials may do, how the org encrypts, and how its events are
// published: what a check of the set-up asks for.

// setupObjects are rows that only Salesforce writes. Their ids are fixed, so that they use up
// no number.
func setupObjects() []*object {
	of := func(name, prefix string, fields ...[]*field) *object {
		return &object{name: name, label: name, plural: name, prefix: prefix, setup: true, fields: joined(append([][]*field{system()}, fields...)...)}
	}
	return []*object{
		of("UserPermissionAccess", "0UP", typed("boolean", "PermissionsApiEnabled", "PermissionsViewSetup", "PermissionsCustomizeApplication", "PermissionsViewAllData")),
		of("PermissionSetAssignment", "0Pa", lookup("AssigneeId", "User"), lookup("PermissionSetId", "PermissionSet")),
		of("ObjectPermissions", "110", lookup("ParentId", "PermissionSet"), typed("picklist", "SobjectType"), typed("boolean", "PermissionsRead", "PermissionsViewAllRecords")),
		of("PlatformEncryptionSettings", "0PE", typed("boolean", "IsEventBusEncryptionEnabled")),
	}
}

const readerSet = "0PS5f0000000001GAA"

// seedRights gives the user what salesforce/ gives to the reader, and the right to customize.
func (s *Org) seedRights() {
	s.mustCommit("UserPermissionAccess", "0UP5f0000000001GAA", map[string]any{
		"PermissionsApiEnabled": true, "PermissionsViewSetup": true, "PermissionsCustomizeApplication": true, "PermissionsViewAllData": false})
	s.mustCommit("PermissionSetAssignment", "0Pa5f0000000001GAA", map[string]any{"AssigneeId": UserID, "PermissionSetId": readerSet})
	for i, object := range []string{"Account", "Contact", "Opportunity"} {
		s.mustCommit("ObjectPermissions", fmt.Sprintf("1105f000000000%dGAA", i+1), map[string]any{
			"ParentId": readerSet, "SobjectType": object, "PermissionsRead": true, "PermissionsViewAllRecords": true})
	}
	s.mustCommit("PlatformEncryptionSettings", "0PE5f0000000001GAA", map[string]any{"IsEventBusEncryptionEnabled": false})
}

// Say sets fields of the rows of an object that only Salesforce writes: of those where a
// field has a value, or of all of them where its name is empty.
func (s *Org) Say(object, field string, is any, values map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.order[object] {
		if v := r.at(s.now()); v != nil && (field == "" || v.values[field] == is) {
			if err := s.commit(r.object, "", change{kind: "UPDATE", id: r.id, values: values}); err != nil {
				panic(err) // the row has no lock
			}
		}
	}
}

// Publish sets when an event is published: PublishAfterCommit or PublishImmediately.
func (s *Org) Publish(event, behavior string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[event].publish = behavior
}

var fullNames = regexp.MustCompile(`<(?:\w+:)?fullNames>([^<]*)<`)

// definitions answers readMetadata of CustomObject for platform events. A name that is not
// there has an empty record (Metadata API Developer Guide, "readMetadata()").
func (s *Org) definitions(body []byte) (*answer, error) {
	const most = 10 // components of one call
	names := fullNames.FindAllSubmatch(body, -1)
	if len(names) > most {
		return fault("sf:EXCEEDED_ID_LIMIT", "EXCEEDED_ID_LIMIT: record limit reached. cannot submit more than 10 records in this operation")
	}
	records := []pairs{}
	for _, m := range names {
		o := s.ownEvent(html.UnescapeString(string(m[1])))
		if o == nil {
			records = append(records, pairs{})
			continue
		}
		behavior := o.publish
		if behavior == "" {
			behavior = "PublishAfterCommit"
		}
		records = append(records, pairs{{"fullName", o.name}, {"deploymentStatus", "Deployed"}, {"eventType", "HighVolume"}, {"label", o.label}, {"pluralLabel", o.label + "s"}, {"publishBehavior", behavior}})
	}
	return envelope("http://soap.sforce.com/2006/04/metadata", "readMetadata", pairs{{"records", records}})
}
