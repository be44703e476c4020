package relay

import (
	"context"
	"encoding/xml"
	"net/http"
	"strings"
)

// Definition is what the Metadata API says of a platform event. REST and the Tooling API do
// not have the two settings.
type Definition struct {
	FullName        string `xml:"fullName"`
	EventType       string `xml:"eventType"`       // HighVolume
	PublishBehavior string `xml:"publishBehavior"` // PublishAfterCommit or PublishImmediately
}

// Definitions are those of the platform events that are there, ten names at most (Metadata
// API Developer Guide, "readMetadata()").
func (o *Org) Definitions(ctx context.Context, names []string) ([]Definition, error) {
	const what = "readMetadata CustomObject"
	status, answer, err := o.send(ctx, what, http.MethodPost, "/services/Soap/m/"+version, "text/xml", func(token string) []byte {
		var b strings.Builder
		text := func(s string) { _ = xml.EscapeText(&b, []byte(s)) } // a Builder fails never
		b.WriteString(`<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns="http://soap.sforce.com/2006/04/metadata"><s:Header><SessionHeader><sessionId>`)
		text(token)
		b.WriteString(`</sessionId></SessionHeader></s:Header><s:Body><readMetadata><type>CustomObject</type>`)
		for _, n := range names {
			b.WriteString("<fullNames>")
			text(n)
			b.WriteString("</fullNames>")
		}
		b.WriteString(`</readMetadata></s:Body></s:Envelope>`)
		return []byte(b.String())
	})
	if err != nil {
		return nil, err
	}
	var envelope struct {
		Fault struct {
			Code string `xml:"faultcode"`
			Says string `xml:"faultstring"`
		} `xml:"Body>Fault"`
		Records []Definition `xml:"Body>readMetadataResponse>result>records"`
	}
	if err := xml.Unmarshal(answer, &envelope); err != nil {
		return nil, &Refused{What: what, Code: statusText(status)}
	}
	if f := envelope.Fault; f.Code != "" || status >= 300 {
		_, says, _ := strings.Cut(f.Says, ": ")
		return nil, &Refused{What: what, Code: strings.TrimPrefix(f.Code, "sf:"), Message: says}
	}
	var there []Definition
	for _, d := range envelope.Records {
		if d.FullName != "" { // a name that is not there has an empty record
			there = append(there, d)
		}
	}
	return there, nil
}
