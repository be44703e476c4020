package orgsandbox_test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	orgsandbox "sfrelay/shared/sandbox/org"
)

const (
	channelFile = "platformEventChannels/Mine__chn.platformEventChannel"
	memberFile  = "platformEventChannelMembers/Mine_chn_AccountChangeEvent.platformEventChannelMember"
	relayFile   = "eventRelays/Mine.eventRelay"
	dataChannel = "<PlatformEventChannel><channelType>data</channelType><label>m</label></PlatformEventChannel>"
)

func aMember(channel, event string) string {
	return "<PlatformEventChannelMember><eventChannel>" + channel + "</eventChannel><selectedEntity>" + event + "</selectedEntity></PlatformEventChannelMember>"
}

func aRelay(state string) string {
	return "<EventRelayConfig><eventChannel>Mine__chn</eventChannel><state>" + state + "</state></EventRelayConfig>"
}

func zipped(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(files[name]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// deployed deploys by REST and by SOAP. It returns the whole answer of the one, and the
// problems that the other says.
func (t *trial) deployed(files map[string]string) (string, []string) {
	t.Helper()
	archive := zipped(t.T, files)
	status, made := t.post(data+"/metadata/deployRequest", "--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\nContent-Type: application/zip\r\n\r\n"+string(archive)+"\r\n--b--\r\n")
	if status != 201 {
		t.Fatalf("%d %s", status, made)
	}
	_, rest := t.get("/metadata/deployRequest/" + member[string](t, made, "id"))
	soap := func(operation, body string) string {
		_, text := t.post("/services/Soap/m/66.0", `<e:Envelope xmlns:e="x"><e:Header><SessionHeader><sessionId>`+t.token+`</sessionId></SessionHeader></e:Header><e:Body><`+operation+`>`+body+`</`+operation+`></e:Body></e:Envelope>`)
		return text
	}
	id := regexp.MustCompile(`<id>([^<]+)<`).FindStringSubmatch(soap("deploy", "<ZipFile>"+base64.StdEncoding.EncodeToString(archive)+"</ZipFile>"))
	var problems []string
	text := soap("checkDeployStatus", "<asyncProcessId>"+id[1]+"</asyncProcessId>")
	for _, m := range regexp.MustCompile(`<problem>([^<]+)</problem>`).FindAllStringSubmatch(text, -1) {
		problems = append(problems, strings.ReplaceAll(m[1], "&#39;", "'"))
	}
	if failed := strings.Contains(text, "<status>Failed</status>"); failed != (len(problems) > 0) || strings.Count(text, "<componentFailures>") != len(problems) {
		t.Errorf("%s", text)
	}
	return rest, problems
}

func TestDeploymentsAreJudged(t *testing.T) {
	good := map[string]string{channelFile: dataChannel, memberFile: aMember("Mine__chn", "AccountChangeEvent"), relayFile: aRelay("STOP"),
		"package.xml": "<Package><types><members>*</members><name>EventRelayConfig</name></types></Package>"}
	with := func(files map[string]string) map[string]string {
		all := maps.Clone(good)
		maps.Copy(all, files)
		return all
	}
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"a good one": {good, nil},
		"events of the package": {with(map[string]string{"objects/Own__e.object": "<CustomObject/>", "objects/Thing__c.object": "<CustomObject/>",
			"platformEventChannels/E__chn.platformEventChannel":                     "<PlatformEventChannel><channelType>event</channelType></PlatformEventChannel>",
			"platformEventChannelMembers/E_chn_Own_e.platformEventChannelMember":    aMember("E__chn", "Own__e"),
			"platformEventChannelMembers/Mine_chn_Thing.platformEventChannelMember": aMember("Mine__chn", "Thing__ChangeEvent")}), nil},
		"all states":        {with(map[string]string{"eventRelays/A.eventRelay": aRelay("RUN"), "eventRelays/B.eventRelay": aRelay("PAUSE"), "eventRelays/C.eventRelay": aRelay("DELETE")}), nil},
		"an unknown type":   {with(map[string]string{"package.xml": "<Package><types><name>EventRelay</name></types></Package>"}), []string{"Unknown type name 'EventRelay' specified in package.xml"}},
		"an unknown folder": {with(map[string]string{"relays/Mine.eventRelay": aRelay("STOP")}), []string{"Unknown folder: relays"}},
		"an unknown state":  {with(map[string]string{relayFile: aRelay("STOPPED")}), []string{"'STOPPED' is not a valid value for the enum 'EventRelayConfigState'"}},
		"no channel":        {with(map[string]string{memberFile: aMember("Yours__chn", "AccountChangeEvent")}), []string{"The event channel Yours__chn does not exist"}},
		"no event":          {with(map[string]string{memberFile: aMember("Mine__chn", "NopeChangeEvent")}), []string{"The selected entity NopeChangeEvent does not exist"}},
		"a namespace": {with(map[string]string{"platformEventChannelMembers/Mine_chn_A__e.platformEventChannelMember": aMember("Mine__chn", "ContactChangeEvent")}),
			[]string{"Cannot create a component with namespace: Mine_chn_A. Components can be created only with the organization's own namespace"}},
		"both kinds in one channel": {with(map[string]string{"platformEventChannelMembers/Mine_chn_S.platformEventChannelMember": aMember("Mine__chn", "Cloud_Customer_Sync__e")}),
			[]string{"The selected entity Cloud_Customer_Sync__e can't be a member of the channel Mine__chn of the type data"}},
		"no XML": {with(map[string]string{relayFile: "state: STOP"}), []string{"Error parsing file: EOF"}},
		"two mistakes": {with(map[string]string{relayFile: aRelay("STOPPED"), memberFile: aMember("Yours__chn", "AccountChangeEvent")}),
			[]string{"'STOPPED' is not a valid value for the enum 'EventRelayConfigState'", "The event channel Yours__chn does not exist"}},
	} {
		w := start(t, orgsandbox.Options{})
		rest, problems := w.deployed(c.files)
		if !slices.Equal(problems, c.want) {
			t.Errorf("%s: %q, want %q", name, problems, c.want)
		}
		result := member[map[string]any](t, rest, "deployResult")
		want := map[bool]string{true: "Succeeded", false: "Failed"}[len(c.want) == 0]
		if result["status"] != want || result["success"] != (len(c.want) == 0) || result["numberComponentErrors"] != float64(len(c.want)) || result["numberComponentsTotal"] != float64(len(c.files)) {
			t.Errorf("%s: %s", name, rest)
		}
		for i, f := range result["details"].(map[string]any)["componentFailures"].([]any) {
			m := f.(map[string]any)
			if m["problem"] != c.want[i] || m["problemType"] != "Error" || m["success"] != false || m["fileName"] == "" || m["fullName"] == "" {
				t.Errorf("%s: %v", name, m)
			}
		}
	}
}

// What the org has already is there for the next deployment.
func TestADeploymentMeetsWhatIsThere(t *testing.T) {
	w := start(t, orgsandbox.Options{})
	if _, problems := w.deployed(map[string]string{memberFile: aMember("Mine__chn", "AccountChangeEvent")}); len(problems) != 1 {
		t.Errorf("%q", problems)
	}
	if status, text := w.post(data+"/tooling/sobjects/PlatformEventChannel", `{"FullName":"Mine__chn","Metadata":{"channelType":"data","label":"m"}}`); status != 201 {
		t.Fatal(text)
	}
	if _, problems := w.deployed(map[string]string{memberFile: aMember("Mine__chn", "AccountChangeEvent")}); len(problems) != 0 {
		t.Errorf("%q", problems)
	}
}
