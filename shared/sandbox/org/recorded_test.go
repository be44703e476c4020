package orgsandbox_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	orgsandbox "sfrelay/shared/sandbox/org"
)

// recording is an answer of an org that somebody published, and what the sandbox is asked
// for it (testdata/recorded, with the licences).
type recording struct {
	Name, Source string
	Ask          string // method and path below /services/data/v66.0, or of the host where it begins with /services
	Send         json.RawMessage
	Anonymous    bool   // without a session
	Mode         string // more: the sandbox's objects may have more members; fewer: they may have fewer; first: its lists are compared as far as the recorded ones go
	Status       int    // 0: it was not recorded
	Recorded     any
}

// The sandbox answers as orgs did: the same members with values of the same types, ids of
// the same length, times in the same form, and errors word for word.
func TestAnswersAreAsRecorded(t *testing.T) {
	text, err := os.ReadFile("testdata/recorded/answers.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []recording
	if err := json.Unmarshal(text, &all); err != nil || len(all) < 25 {
		t.Fatal(len(all), err)
	}
	for _, r := range all {
		t.Run(r.Name, func(t *testing.T) {
			tr := start(t, orgsandbox.Options{})
			status, got := tr.recorded(r)
			if r.Status != 0 && status != r.Status {
				t.Errorf("%d, recorded was %d: %s", status, r.Status, got)
			}
			var answer any
			if err := json.Unmarshal([]byte(got), &answer); err != nil {
				t.Fatalf("%v: %s", err, got)
			}
			c := comparison{mode: r.Mode}
			c.compare("", r.Recorded, answer)
			for _, d := range c.differences {
				t.Errorf("%s (%s)", d, r.Source)
			}
		})
	}
}

// recorded asks what a recording was asked for.
func (t *trial) recorded(r recording) (int, string) {
	method, path, _ := strings.Cut(r.Ask, " ")
	if !strings.HasPrefix(path, "/services") {
		path = data + path
	}
	body := string(r.Send)
	switch {
	case strings.HasSuffix(path, "/token"):
		c := t.org.Credentials()
		if body == `"bad"` {
			return t.post(path, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {"none"}}.Encode())
		}
		return t.post(path, url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ConsumerKey}, "client_secret": {c.ConsumerSecret}}.Encode())
	case r.Anonymous:
		t.token = "ended"
	case strings.Contains(path, "{job}"):
		_, job := t.post(data+"/jobs/query", `{"operation":"query","query":"SELECT Id FROM Account"}`)
		path = strings.Replace(path, "{job}", member[string](t.T, job, "id"), 1)
	case strings.Contains(path, "PlatformEventChannel"):
		t.post(data+"/tooling/sobjects/PlatformEventChannel", `{"FullName":"A__chn","Metadata":{"channelType":"data","label":"A"}}`)
	case r.Name == "first page of a query":
		for i := range 2100 {
			if _, err := t.org.Insert("Contact", map[string]any{"LastName": fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return t.ask(method, path, body)
}

// comparison collects how an answer differs from a recorded one.
type comparison struct {
	mode        string
	differences []string
}

func (c *comparison) differ(at, format string, args ...any) {
	c.differences = append(c.differences, fmt.Sprintf("at %q: ", at)+fmt.Sprintf(format, args...))
}

// compare takes null for a value of any type: what is empty in one org is not in another.
func (c *comparison) compare(at string, recorded, got any) {
	if recorded == nil || got == nil {
		return
	}
	if reflect.TypeOf(recorded) != reflect.TypeOf(got) {
		c.differ(at, "%T, recorded was %T", got, recorded)
		return
	}
	switch r := recorded.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		for _, name := range keysOf(r, g) {
			was, recorded := r[name]
			is, there := g[name]
			switch {
			case recorded && there:
				c.compare(at+"/"+name, was, is)
			case recorded && c.mode != "fewer":
				c.differ(at, "%s is missing", name)
			case there && c.mode != "more":
				c.differ(at, "%s was not recorded", name)
			}
		}
	case []any:
		g, _ := got.([]any)
		if len(r) > 0 && len(g) == 0 {
			c.differ(at, "an empty list")
		}
		most := 30 // more of them are alike
		if c.mode == "first" {
			most = len(r)
		}
		for i := range min(len(g), most) {
			if len(r) > 0 {
				c.compare(fmt.Sprintf("%s/%d", at, i), r[min(i, len(r)-1)], g[i])
			}
		}
	case string:
		c.text(at, r, got.(string))
	}
}

var (
	idForm   = regexp.MustCompile(`^[a-zA-Z0-9]{15}([a-zA-Z0-9]{3})?$`)
	timeForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT`)
	digit    = regexp.MustCompile(`\d`)
	anID     = regexp.MustCompile(`/[a-zA-Z0-9]{15}([a-zA-Z0-9]{3})?(/|$)`)
)

// text compares two texts by what they are.
func (c *comparison) text(at, recorded, got string) {
	name := at[strings.LastIndexByte(at, '/')+1:]
	u, err := url.Parse(recorded)
	switch {
	case slices.Contains([]string{"message", "errorCode", "error", "state", "contentType", "concurrencyMode", "lineEnding", "columnDelimiter"}, name):
		if got != recorded {
			c.differ(at, "%q, recorded was %q", got, recorded)
		}
	case strings.HasSuffix(strings.ToLower(name), "id") && idForm.MatchString(recorded):
		// Of the keys of 15 characters that old recordings have, orgs have long made 18.
		if len(got) != 18 || !idForm.MatchString(got) || name != "Id" && name != "id" && got[:3] != recorded[:3] {
			c.differ(at, "the id %s, recorded was %s", got, recorded)
		}
	case timeForm.MatchString(recorded):
		if digit.ReplaceAllString(got, "0") != digit.ReplaceAllString(recorded, "0") {
			c.differ(at, "the time %s, recorded was %s", got, recorded)
		}
	case err == nil && strings.HasPrefix(recorded, "/services/data/"):
		if len(strings.Split(got, "/")) != len(strings.Split(recorded, "/")) || !strings.HasPrefix(got, "/services/data/") ||
			anID.MatchString(recorded) != anID.MatchString(got) {
			c.differ(at, "the path %s, recorded was %s", got, recorded)
		}
	case err == nil && u.Host != "":
		if g, err := url.Parse(got); err != nil || g.Host == "" || len(strings.Split(g.Path, "/")) != len(strings.Split(u.Path, "/")) {
			c.differ(at, "the address %s, recorded was %s", got, recorded)
		}
	}
}

func keysOf(maps ...map[string]any) (names []string) {
	for _, m := range maps {
		for name := range m {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// The comparison refuses what it is there for.
func TestTheComparisonRefuses(t *testing.T) {
	const good = `{"id":"750ak000009AVi5AAG","createdById":"005ak000005hvjJAAQ","at":"2024-09-09T13:08:34.000+0000","url":"/services/data/v66.0/sobjects/Account/001ak00000OKNPHAA5","n":1.5,"list":[{"a":"x"}],
		"message":"entity is deleted","host":"https://example.my.salesforce.com/id/1/2","none":null}`
	for change, says := range map[string]string{
		`"id":"750ak000009AVi5AAG"`:                                        `"id":"750ak000009AVi5AAGX"`,
		`"createdById":"005ak000005hvjJAAQ"`:                               `"createdById":"006ak000005hvjJAAQ"`,
		`"at":"2024-09-09T13:08:34.000+0000"`:                              `"at":"2024-09-09T13:08:34Z"`,
		`"url":"/services/data/v66.0/sobjects/Account/001ak00000OKNPHAA5"`: `"url":"/services/data/v66.0/Account/001ak00000OKNPHAA5"`,
		`"n":1.5`:                       `"n":"1.5"`,
		`{"a":"x"}`:                     `{"b":"x"}`,
		`[{"a":"x"}]`:                   `[]`,
		`"message":"entity is deleted"`: `"message":"entity was deleted"`,
		`"host":"https://example.my.salesforce.com/id/1/2"`: `"host":"/id/1/2"`,
		`,"none":null`: ``,
		`"n":1.5,`:     `"n":1.5,"more":true,`,
	} {
		var recorded, got any
		changed := strings.Replace(good, change, says, 1)
		if err := json.Unmarshal([]byte(good), &recorded); err != nil || changed == good {
			t.Fatal(change, err)
		}
		if err := json.Unmarshal([]byte(changed), &got); err != nil {
			t.Fatal(change, err)
		}
		c := comparison{}
		if c.compare("", recorded, got); len(c.differences) == 0 {
			t.Errorf("%s for %s is not noticed", says, change)
		}
		c = comparison{}
		if c.compare("", recorded, recorded); len(c.differences) != 0 {
			t.Errorf("%q of the same", c.differences)
		}
	}
}
