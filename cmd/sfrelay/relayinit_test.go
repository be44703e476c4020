package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	orgsandbox "sfrelay/shared/sandbox/org"
)

// newCheckout is one with the files that are written, as this repository has them. It is
// the working directory.
func newCheckout(t *testing.T) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, path := range []string{"go.mod", "template.yaml", "samconfig.toml", project + "namedCredentials", project + "externalClientApps", project + "platformEventChannelMembers"} {
		from := filepath.Join(here, "../..", path)
		info, err := os.Stat(from)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			err = os.CopyFS(filepath.Join(root, path), os.DirFS(from))
		} else {
			var text []byte
			if text, err = os.ReadFile(from); err == nil {
				err = errors.Join(os.WriteFile(filepath.Join(root, path), text, 0o640), os.Chmod(filepath.Join(root, path), 0o640)) // whatever the umask is
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(root)
	return root
}

func textOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var initFlags = []string{"relay", "init", "--org", "https://example.my.salesforce.com/", "--region", "us-west-2", "--account", "210987654321", "--stack-name", "sfrelay", "--stage", "production", "--email", "ada@example.com"}

func TestInitWritesTheFiles(t *testing.T) {
	root := newCheckout(t)
	t.Setenv("SALESFORCE_CREDENTIALS", "")
	before := textOf(t, "samconfig.toml")
	odd := filepath.Join(root, project, "platformEventChannelMembers", "Sfrelay_Events_chn_Stock__Return__e.platformEventChannelMember-meta.xml")
	if err := os.WriteFile(odd, []byte("<x/>"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, said := called(t, "n\n", initFlags...); code != notDone || !strings.Contains(said, "nothing was written") || !strings.Contains(out, "arn:aws:US-WEST-2:210987654321") || textOf(t, "samconfig.toml") != before {
		t.Fatalf("answered no: code %d, %s%s", code, out, said)
	}
	code, out, said := called(t, nobody, append(slices.Clone(initFlags), "--yes")...)
	if code != done || !strings.Contains(said, "SalesforceOrgs by hand") || strings.Contains(said, question) {
		t.Fatalf("code %d, %s%s", code, out, said)
	}
	for _, want := range []string{
		`- # region = "eu-west-2"`, `+ region = "us-west-2"`, `+   "SalesforceUrl=https://example.my.salesforce.com",`, `+   "Stage=production",`, "+     <endpoint>arn:aws:US-WEST-2:210987654321</endpoint>",
		"+     <contactEmail>ada@example.com</contactEmail>", "gets the name Sfrelay_Events_chn_Stock_Return_e.platformEventChannelMember-meta.xml",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("not shown: %s in\n%s", want, out)
		}
	}
	if _, err := os.Stat(strings.ReplaceAll(odd, "__", "_")); err != nil {
		t.Error(err)
	}
	if text := textOf(t, project+"namedCredentials/Sfrelay_AWS.namedCredential-meta.xml"); !strings.Contains(text, "<endpoint>arn:aws:US-WEST-2:210987654321</endpoint>") || strings.Count(text, "\n") != 12 {
		t.Errorf("%s", text)
	}
	if info, err := os.Stat("samconfig.toml"); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
	if code, out, said := called(t, nobody, append(slices.Clone(initFlags), "--yes")...); code != done || !strings.Contains(out, "written already") {
		t.Errorf("again: code %d, %s%s", code, out, said)
	}
}

// An org that can be asked says its id; a stack that accepts it already is left alone.
func TestInitAsksTheOrgForItsID(t *testing.T) {
	_, flags := relayWorld(t)
	org, credentials := flags[2], flags[4]
	back(t)
	newCheckout(t)
	args := append(slices.Clone(initFlags), "--yes", "--credentials", credentials, "--config-env", "test", "--stack-name", "sfrelay-test")
	args[3] = org
	if code, out, said := called(t, nobody, args...); code != done || !strings.Contains(out, `+   "SalesforceOrgs=`+orgsandbox.OrgID+`",`) || !strings.Contains(out, "+ [test.deploy.parameters]") || !strings.Contains(out, `+ stack_name = "sfrelay-test"`) {
		t.Errorf("code %d, %s%s", code, out, said)
	}
	text := strings.Replace(textOf(t, "samconfig.toml"), "SalesforceOrgs="+orgsandbox.OrgID, "SalesforceOrgs="+orgsandbox.OrgID[:15], 1) // as the console of an org shows it
	if err := os.WriteFile("samconfig.toml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, said := called(t, nobody, args...); code != done || !strings.Contains(out, "written already") {
		t.Errorf("again: code %d, %s%s", code, out, said)
	}
}

// back is the folder of this test, for what reads files of the repository.
func back(t *testing.T) {
	t.Helper()
	t.Chdir(testFolder)
}

var testFolder, _ = os.Getwd()

func TestInitAsksForWhatNoFlagSays(t *testing.T) {
	newCheckout(t)
	t.Setenv("AWS_REGION", "")
	t.Setenv("SALESFORCE_URL", "")
	t.Setenv("SALESFORCE_CREDENTIALS", "")
	if code, _, said := called(t, nobody, "relay", "init", "--yes", "--region", "us-west-2"); code != wrongUse || !strings.Contains(said, "add --org, --account, --stack-name, --stage, --email") {
		t.Errorf("nobody answers: code %d, %s", code, said)
	}
	code, out, said := called(t, "https://example.my.salesforce.com\nnowhere\nus-west-2\n210987654321\n\n\nada@example.com\ny\n", "relay", "init")
	if code != done || strings.Count(said, "AWS region, e.g. eu-west-2: ") != 2 || !strings.Contains(said, "stack [sfrelay]: ") || !strings.Contains(said, "[production]: ") || !strings.Contains(out, "arn:aws:US-WEST-2:210987654321") {
		t.Errorf("code %d, %s%s", code, out, said)
	}
	for flag, value := range map[string]string{"--region": "EU-WEST-2", "--account": "1234", "--org": "example", "--email": "ada<b>@x", "--stack-name": "1x", "--stage": "a b"} {
		args := slices.Clone(initFlags)
		args[slices.Index(args, flag)+1] = value
		if code, _, said := called(t, nobody, args...); code != wrongUse || !strings.Contains(said, flag+": want") {
			t.Errorf("%s %s: code %d, %s", flag, value, code, said)
		}
	}
	args := slices.Clone(initFlags)
	args[3] = "http://example.my.salesforce.com"
	if code, _, said := called(t, nobody, args...); code != wrongUse || !strings.Contains(said, "want https") {
		t.Errorf("code %d, %s", code, said)
	}
}

// A file of another form is left alone, and so are all others.
func TestInitRefusesOtherForms(t *testing.T) {
	for path, c := range map[string][2]string{
		"samconfig.toml": {"# parameter_overrides = [", "parameter_overrides = \"A=b\"\n# parameter_overrides = ["},
		project + "namedCredentials/Sfrelay_AWS.namedCredential-meta.xml": {"<endpoint>", "<endpoint>x</endpoint><endpoint>"},
		project + "externalClientApps/Sfrelay.eca-meta.xml":               {"contactEmail>", "contact>"},
	} {
		back(t)
		newCheckout(t)
		text := strings.ReplaceAll(textOf(t, path), c[0], c[1])
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, said := called(t, nobody, append(slices.Clone(initFlags), "--yes")...)
		if code != notDone || !strings.Contains(said, "by hand: ") || textOf(t, path) != text {
			t.Errorf("%s: code %d, %s", path, code, said)
		}
	}
}

// Setup writes the names of the buses where sam deploy reads them, and says them where it
// cannot.
func TestSetupNamesTheBusesInTheSettings(t *testing.T) {
	_, flags := relayWorld(t)
	back(t)
	newCheckout(t)
	setup := append([]string{"relay", "setup", "--yes"}, flags...)
	code, out, said := called(t, nobody, setup...)
	if code != done || !strings.Contains(said, "will be written into") || !strings.Contains(out, "Deploy the stack: make deploy\n") {
		t.Fatalf("code %d, %s%s", code, out, said)
	}
	text := textOf(t, "samconfig.toml")
	for _, name := range []string{"EventBusName", "ChangeBusName"} {
		if !strings.Contains(text, "\n  \""+name+"=aws.partner/salesforce.com/"+orgsandbox.OrgID+"/0YL") {
			t.Errorf("%s is not in\n%s", name, text)
		}
	}
	if code, out, said := called(t, nobody, setup...); code != done || !strings.Contains(out, "has the names of the buses\n") || textOf(t, "samconfig.toml") != text {
		t.Errorf("again: code %d, %s%s", code, out, said)
	}
	if code, out, said := called(t, nobody, append(setup, "--config-env", "test")...); code != done || !strings.Contains(out, "make deploy ENV=test") || !strings.HasPrefix(textOf(t, "samconfig.toml"), text) {
		t.Errorf("another environment: code %d, %s%s", code, out, said)
	}
	odd := "[default.deploy.parameters]\nparameter_overrides = \"A=b\"\n"
	if err := os.WriteFile("samconfig.toml", []byte(odd), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, said := called(t, nobody, setup...); code != notDone || !strings.Contains(out, `  "EventBusName=aws.partner/`) || !strings.Contains(said, "line 2") || textOf(t, "samconfig.toml") != odd {
		t.Errorf("another form: code %d, %s%s", code, out, said)
	}
}

func TestTheSandboxWritesNoSettings(t *testing.T) {
	_, flags := relayWorld(t)
	back(t)
	newCheckout(t)
	text := textOf(t, "samconfig.toml")
	if code, out, said := called(t, nobody, append([]string{"relay", "setup", "--sandbox"}, flags[1:]...)...); code != done || !strings.Contains(out, `  "EventBusName=aws.partner/`) || textOf(t, "samconfig.toml") != text {
		t.Errorf("code %d, %s%s", code, out, said)
	}
}
