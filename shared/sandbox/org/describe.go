package orgsandbox

import (
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
	return ok(append(all, pair{"identity", c.base() + "/id/" + OrgID + "/" + UserID}))
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

func (s *Org) brief(c *call, o *object) pairs {
	at := "/services/data/" + c.version + "/sobjects/" + o.name
	urls := pairs{{"sobject", at}, {"describe", at + "/describe"}, {"rowTemplate", at + "/{ID}"}}
	write := !o.setup
	return pairs{{"activateable", false}, {"createable", write}, {"custom", strings.Contains(o.name, "__")}, {"deletable", write && !o.event}, {"keyPrefix", o.prefix},
		{"label", o.label}, {"labelPlural", o.plural}, {"layoutable", write}, {"name", o.name}, {"queryable", !o.event}, {"replicateable", write && !o.event},
		{"retrieveable", !o.event}, {"searchable", false}, {"undeletable", write && !o.event}, {"updateable", write && !o.event}, {"urls", urls}}
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
		var compound, relation any
		if f.compound != "" {
			compound = f.compound
		}
		to := []string{}
		if f.parent != "" {
			relation, to = f.relation, []string{f.parent}
		}
		fields = append(fields, pairs{{"aggregatable", f.kind != "address"}, {"calculated", false}, {"compoundFieldName", compound}, {"createable", !f.readOnly},
			{"custom", strings.HasSuffix(f.name, "__c")}, {"filterable", f.kind != "address"}, {"label", f.name}, {"length", f.length}, {"name", f.name}, {"nillable", !f.required},
			{"referenceTo", to}, {"relationshipName", relation}, {"sortable", f.kind != "address"}, {"type", f.kind}, {"unique", false}, {"updateable", !f.readOnly}})
	}
	for _, k := range o.children {
		children = append(children, pairs{{"cascadeDelete", true}, {"childSObject", k.object}, {"deprecatedAndHidden", false}, {"field", k.field}, {"relationshipName", k.relation}})
	}
	d := s.brief(c, o)
	return ok(append(d[:len(d)-1:len(d)-1], pair{"fields", fields}, pair{"childRelationships", children}, pair{"recordTypeInfos", []any{}}, d[len(d)-1]))
}
