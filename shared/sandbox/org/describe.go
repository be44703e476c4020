package orgsandbox

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (s *Org) versions(*call) (*answer, error) {
	var all []pairs
	for v := oldestVersion; v <= newestVersion; v++ {
		n := v - 32 // API 32 came with Winter '15, and each year has three
		year, season := 15+n/3, "Winter"
		switch {
		case n < 0:
			year, season = 14, "Summer"
		case n%3 == 1:
			season = "Spring"
		case n%3 == 2:
			season = "Summer"
		}
		all = append(all, pairs{{"label", fmt.Sprintf("%s '%02d", season, year)}, {"url", fmt.Sprintf("/services/data/v%d.0", v)}, {"version", fmt.Sprintf("%d.0", v)}})
	}
	return ok(all)
}

func (s *Org) resources(c *call) (*answer, error) {
	var all pairs
	for _, name := range []string{"tooling", "metadata", "composite", "query", "queryAll", "limits", "jobs", "sobjects"} {
		all = append(all, pair{name, "/services/data/" + c.version + "/" + name})
	}
	return ok(append(all, pair{"identity", c.base() + "/id/" + s.options.OrgID + "/" + UserID}))
}

func (s *Org) limits(*call) (*answer, error) {
	limit := func(name string, most, used int) pair {
		return pair{name, pairs{{"Max", most}, {"Remaining", max(0, most-used)}}}
	}
	now := s.now()
	delivered := 0
	for _, e := range s.events {
		if !e.at.After(now) {
			delivered++
		}
	}
	return ok(pairs{limit("DailyApiRequests", dailyCalls, s.calls), limit("DailyBulkApiBatches", 15000, 0), limit("DailyBulkV2QueryJobs", 10000, len(s.jobs)),
		limit("DailyDeliveredPlatformEvents", 10000, delivered), limit("HourlyPublishedPlatformEvents", 50000, 0), limit("MonthlyPlatformEventsUsageEntitlement", 0, 0)})
}

func (s *Org) globalDescribe(c *call) (*answer, error) {
	all := []pairs{}
	for _, name := range slices.Sorted(maps.Keys(s.objects)) {
		all = append(all, s.brief(c, s.objects[name]))
	}
	return ok(pairs{{"encoding", "UTF-8"}, {"maxBatchSize", 200}, {"sobjects", all}})
}

// same are members of one value.
func same(v any, names ...string) (members pairs) {
	for _, n := range names {
		members = append(members, pair{n, v})
	}
	return members
}

func (s *Org) brief(c *call, o *object) pairs {
	at := "/services/data/" + c.version + "/sobjects/" + o.name
	urls := pairs{{"sobject", at}, {"describe", at + "/describe"}, {"rowTemplate", at + "/{ID}"}, {"approvalLayouts", at + "/describe/approvalLayouts"},
		{"compactLayouts", at + "/describe/compactLayouts"}, {"layouts", at + "/describe/layouts"}, {"listviews", at + "/listviews"}, {"quickActions", at + "/quickActions"}}
	write := !o.setup
	all := pairs{{"createable", write}, {"custom", strings.Contains(o.name, "__")}, {"deletable", write && !o.event}, {"keyPrefix", o.prefix},
		{"label", o.label}, {"labelPlural", o.plural}, {"layoutable", write}, {"mergeable", o.field("MasterRecordId") != nil}, {"name", o.name}, {"queryable", !o.event},
		{"replicateable", write && !o.event}, {"retrieveable", !o.event}, {"triggerable", write}, {"undeletable", write && !o.event}, {"updateable", write && !o.event}}
	all = append(all, same(false, "activateable", "customSetting", "deepCloneable", "deprecatedAndHidden", "feedEnabled", "hasSubtypes", "isInterface", "isSubtype", "mruEnabled", "searchable")...)
	return append(append(all, same(nil, "associateEntityType", "associateParentEntity")...), pair{"urls", urls})
}

func (s *Org) describeShort(c *call) (*answer, error) {
	o, err := s.object(c)
	if err != nil {
		return nil, err
	}
	return ok(pairs{{"objectDescribe", s.brief(c, o)}, {"recentItems", []any{}}})
}

// describe leaves out what the user may not see, as Salesforce does.
func (s *Org) describe(c *call) (*answer, error) {
	o, err := s.object(c)
	if err != nil {
		return nil, err
	}
	fields, children := []pairs{}, []pairs{}
	for _, f := range o.fields {
		if s.hidden[o.name+"."+f.name] {
			continue
		}
		fields = append(fields, described(f))
	}
	for _, k := range o.children {
		children = append(children, pairs{{"cascadeDelete", true}, {"childSObject", k.object}, {"deprecatedAndHidden", false}, {"field", k.field},
			{"junctionIdListNames", []any{}}, {"junctionReferenceTo", []any{}}, {"relationshipName", k.relation}, {"restrictedDelete", false}})
	}
	at := "/services/data/" + c.version + "/sobjects/" + o.name
	d := s.brief(c, o)
	urls, _ := d[len(d)-1].value.(pairs)
	d[len(d)-1].value = append(urls, pairs{{"uiDetailTemplate", c.base() + "/{ID}"}, {"uiEditTemplate", c.base() + "/{ID}/e"}, {"uiNewRecord", c.base() + "/" + o.prefix + "/e"}}...)
	d = append(d, same(nil, "defaultImplementation", "extendedBy", "extendsInterfaces", "implementedBy", "implementsInterfaces", "listviewable", "lookupLayoutable", "networkScopeFieldName")...)
	master := pairs{{"active", true}, {"available", true}, {"defaultRecordTypeMapping", true}, {"developerName", "Master"}, {"master", true}, {"name", "Master"},
		{"recordTypeId", "012000000000000AAA"}, {"urls", pairs{{"layout", at + "/describe/layouts/012000000000000AAA"}}}}
	return ok(append(d, pairs{{"actionOverrides", []any{}}, {"childRelationships", children}, {"compactLayoutable", !o.setup}, {"fields", fields}, {"namedLayoutInfos", []any{}},
		{"recordTypeInfos", []pairs{master}}, {"searchLayoutable", !o.setup}, {"sobjectDescribeOption", "FULL"},
		{"supportedScopes", []pairs{{{"label", "All " + strings.ToLower(o.plural)}, {"name", "everything"}}}}}...))
}

// soapTypes are those of the kinds of fields that are no text.
var soapTypes = map[string]string{"id": "tns:ID", "reference": "tns:ID", "boolean": "xsd:boolean", "currency": "xsd:double", "double": "xsd:double", "percent": "xsd:double",
	"date": "xsd:date", "datetime": "xsd:dateTime", "address": "urn:address"}

// described is a field, with all members that orgs have.
func described(f *field) pairs {
	var compound, relation any
	if f.compound != "" {
		compound = f.compound
	}
	to := []string{}
	if f.parent != "" {
		relation, to = f.relation, []string{f.parent}
	}
	simple, number := f.kind != "address", soapTypes[f.kind] == "xsd:double"
	digits := map[bool]int{true: 18}[number]
	all := pairs{{"aggregatable", simple}, {"byteLength", 3 * f.length}, {"compoundFieldName", compound}, {"createable", !f.readOnly}, {"custom", strings.HasSuffix(f.name, "__c")},
		{"defaultedOnCreate", f.readOnly}, {"digits", 0}, {"filterable", simple}, {"groupable", simple && !number && f.kind != "datetime"}, {"idLookup", f.kind == "id"}, {"label", f.name},
		{"length", f.length}, {"name", f.name}, {"nameField", f.name == "Name"}, {"nillable", !f.required}, {"permissionable", !f.readOnly && !f.required}, {"picklistValues", []any{}},
		{"precision", digits}, {"referenceTo", to}, {"relationshipName", relation}, {"scale", digits / 9}, {"soapType", cmp.Or(soapTypes[f.kind], "xsd:string")}, {"sortable", simple},
		{"type", f.kind}, {"updateable", !f.readOnly}}
	all = append(all, same(false, "aiPredictionField", "autoNumber", "calculated", "cascadeDelete", "caseSensitive", "dependentPicklist", "deprecatedAndHidden", "displayLocationInDecimal",
		"encrypted", "externalId", "formulaTreatNullNumberAsZero", "highScaleNumber", "htmlFormatted", "namePointing", "polymorphicForeignKey", "queryByDistance",
		"restrictedDelete", "restrictedPicklist", "searchPrefilterable", "unique", "writeRequiresMasterRead")...)
	return append(all, same(nil, "calculatedFormula", "controllerName", "defaultValue", "defaultValueFormula", "extraTypeInfo", "filteredLookupInfo", "inlineHelpText", "mask", "maskType",
		"referenceTargetField", "relationshipOrder")...)
}
