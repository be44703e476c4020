package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/bus"
	"sfrelay/functions"
	"sfrelay/shared/salesforce"
)

const partnerSource = "aws.partner/salesforce.com/"

// probes are one event of every kind that the consumers of a stack take, and that says
// nothing: it tries rules, permissions, functions and logs, and no sink hears of it. A
// consumer that is switched off gets none.
func probes(at *account.Account, now time.Time) ([]bus.Event, error) {
	if len(at.Orgs) == 0 {
		return nil, fmt.Errorf("the stack has no SalesforceOrgs to send a probe for; deploy it with make deploy")
	}
	var events []bus.Event
	var types []string
	for _, def := range functions.All(functions.Ports{}) {
		description := def.Describe()
		if slices.Contains(at.Off, description.Name) {
			continue // no rule would take it
		}
		for _, s := range description.Sources {
			name := at.Outputs["EventBus"]
			if s.Kind == salesforce.CDC {
				name = at.Outputs["ChangeBus"]
			}
			if name == "" || slices.Contains(types, s.DetailType) {
				continue
			}
			types = append(types, s.DetailType)
			e, err := probe(s.DetailType, sourceOf(name, at.Orgs[0]), now)
			if err != nil {
				return nil, err
			}
			events = append(events, e)
		}
	}
	if len(events) == 0 {
		return nil, fmt.Errorf("the stack names no bus; set EventBusName or ChangeBusName and deploy")
	}
	return events, nil
}

// sourceOf is what the events of a bus have as source: a partner bus is called like it.
func sourceOf(busName, org string) string {
	if strings.HasPrefix(busName, partnerSource) {
		return busName
	}
	return partnerSource + org + "/probe"
}

func probe(detailType, source string, now time.Time) (bus.Event, error) {
	e := bus.Event{ID: uuid.NewString(), Source: source, DetailType: detailType}
	var err error
	e.JSON, err = json.Marshal(map[string]any{
		"version": "0", "id": e.ID, "detail-type": detailType, "source": source, "time": now.UTC().Format(time.RFC3339),
		"resources": []string{}, "detail": map[string]any{"probe": true, "payload": map[string]any{}},
	})
	return e, err
}
