package salesforce_test

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"testing"

	"sfrelay/shared/salesforce"
)

// A probe of each event fits its definition: it has all required fields, its id is no longer
// than the field, and the consumers know it for a probe.
func TestEveryEventCanBeProbed(t *testing.T) {
	const id = salesforce.ProbePrefix + "0123456789abcdef0123"
	kinds := map[string]string{"Text": "string", "LongTextArea": "textarea", "Number": "double", "DateTime": "datetime", "Date": "date", "Checkbox": "boolean"}
	objects, err := filepath.Glob("force-app/main/default/objects/*__e")
	if err != nil || len(objects) < 3 {
		t.Fatalf("%d events, %v", len(objects), err)
	}
	for _, object := range objects {
		event := filepath.Base(object)
		files, err := filepath.Glob(filepath.Join("force-app/main/default/objects", event, "fields", "*.xml"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d fields, %v", event, len(files), err)
		}
		payload := map[string]any{"CreatedDate": "2026-11-27T09:00:00.000Z"}
		for _, file := range files {
			var f struct {
				Name     string `xml:"fullName"`
				Type     string `xml:"type"`
				Required bool   `xml:"required"`
				Length   int    `xml:"length"`
			}
			text, err := os.ReadFile(file)
			if err == nil {
				err = xml.Unmarshal(text, &f)
			}
			if err != nil || kinds[f.Type] == "" {
				t.Fatalf("%s: type %q, %v", file, f.Type, err)
			}
			switch {
			case f.Name == "Event_Id__c":
				payload[f.Name] = id
				if len(id) > f.Length {
					t.Errorf("%s: %d characters are too few for a probe", file, f.Length)
				}
			case f.Required:
				payload[f.Name] = salesforce.ProbeValue(kinds[f.Type])
			default:
				payload[f.Name] = nil
			}
		}
		text, _ := json.Marshal(map[string]any{"id": "e1", "detail-type": event, "source": "aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f000000CabWGAS", "detail": map[string]any{"payload": payload}})
		if e, err := salesforce.Decode(text, salesforce.Options{}); err != nil || !e.Probe || e.ProbeID != id {
			t.Errorf("%s: %+v, %v", event, e, err)
		}
	}
}
