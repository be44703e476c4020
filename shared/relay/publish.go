package relay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sfrelay/shared/salesforce"
)

// Field is one of an object, as describe says it.
type Field struct {
	Name              string
	Type              string
	Nillable          bool
	Createable        bool
	Updateable        bool
	DefaultedOnCreate bool
}

// Described are the fields that the user sees of an object.
func (o *Org) Described(ctx context.Context, object string) ([]Field, error) {
	var d struct{ Fields []Field }
	err := o.Call(ctx, "describe "+object, http.MethodGet, "sobjects/"+url.PathEscape(object)+"/describe", nil, &d)
	return d.Fields, publisher(object, err)
}

// Probe publishes a probe of a platform event under an id, which begins with
// salesforce.ProbePrefix, and returns its EventUuid.
func (o *Org) Probe(ctx context.Context, event, id string) (uuid string, err error) {
	const idField = "Event_Id__c"
	fields, err := o.Described(ctx, event)
	if err != nil {
		return "", err
	}
	values := map[string]any{}
	for _, f := range fields {
		switch {
		case f.Name == idField:
			values[f.Name] = id
		case strings.HasSuffix(f.Name, "__c") && !f.Nillable && f.Createable && !f.DefaultedOnCreate:
			values[f.Name] = salesforce.ProbeValue(f.Type)
		}
	}
	if values[idField] == nil {
		return "", fmt.Errorf("the event %s has no field %s, by which a probe is known; deploy salesforce/, or add the field in Setup, Platform Events", event, idField)
	}
	var answer struct {
		Success bool
		Errors  []struct{ StatusCode, Message string }
	}
	err = o.Call(ctx, "publish "+event, http.MethodPost, "sobjects/"+url.PathEscape(event), values, &answer)
	if err != nil {
		return "", publisher(event, err)
	}
	e := struct{ StatusCode, Message string }{StatusCode: "no success"}
	if len(answer.Errors) > 0 {
		e = answer.Errors[0]
	}
	if answer.Success { // the list holds the id
		return e.Message, nil
	}
	return "", publisher(event, &Refused{What: "publish " + event, Code: e.StatusCode, Message: e.Message})
}

// publisher names the permission set where Salesforce says that the user may not publish.
func publisher(event string, err error) error {
	no, ok := errors.AsType[*Refused](err)
	if !ok || no.Setting != "" {
		return err
	}
	if no.Denied() || no.Code == "NOT_FOUND" || no.Code == "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY" {
		named := *no
		named.Setting = "the user of the credentials: in Setup, Permission Sets, Sfrelay_Publisher, Manage Assignments give it the right to publish " + event
		return &named
	}
	return err
}

// Value is that of a field of a record.
func (o *Org) Value(ctx context.Context, object, id, field string) (any, error) {
	row := map[string]any{}
	err := o.Call(ctx, "read "+object, http.MethodGet, "sobjects/"+url.PathEscape(object)+"/"+url.PathEscape(id)+"?fields="+url.QueryEscape(field), nil, &row)
	return row[field], err
}

// Write sets a field of a record.
func (o *Org) Write(ctx context.Context, object, id, field string, value any) error {
	return o.Call(ctx, "write "+field+" of "+object, http.MethodPatch, "sobjects/"+url.PathEscape(object)+"/"+url.PathEscape(id), map[string]any{field: value}, nil)
}

// Relayed is when the relay sent its last event; zero where it says none.
func (one *One) Relayed() time.Time {
	at, _ := time.Parse("2006-01-02T15:04:05.000-0700", one.Feedback.LastRelayedEventTime)
	return at
}
