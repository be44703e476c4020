package template_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// make deploy must refuse binaries of another architecture than the one that the
// environment of samconfig.toml deploys: an ELF header says it in e_machine, at
// offset 18 (System V ABI, "ELF Header": EM_X86_64 is 62, EM_AARCH64 is 183).
func TestDeployRefusesTheWrongArchitecture(t *testing.T) {
	slowDeploy(t)
	elf := func(machine byte) []byte {
		header := make([]byte, 64)
		copy(header, "\x7fELF\x02\x01\x01")
		header[18] = machine
		return header
	}
	const template = "Parameters:\n  Architecture:\n    Type: String\n    Default: arm64\n"
	const x86, arm = 62, 183
	for _, c := range []struct {
		name, config string
		binary       []byte
		refuses      string
	}{
		{"the template's default", "", elf(arm), ""},
		{"not the template's default", "", elf(x86), "built for x86_64, but Architecture=arm64 would be deployed; run: make deploy ARCH=arm64"},
		{"as configured", `parameter_overrides = ["EventBusName=b", "Architecture=x86_64"]`, elf(x86), ""},
		{"not as configured", `parameter_overrides = "EventBusName=b Architecture=x86_64"`, elf(arm), "run: make deploy ARCH=amd64"},
		{"not for Linux", "", []byte("\xcf\xfa\xed\xfe" + strings.Repeat("\x00", 60)), "built for another system"},
		{"nothing built", "", nil, "run: make deploy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkDeploy(t, "[default.deploy.parameters]\n"+c.config, template, c.binary, c.refuses)
		})
	}
}

// make deploy must refuse a reserved concurrency that the invocations of a buffer alone can
// use up: the events of the rules would be throttled.
func TestDeployRefusesTooLittleReservedConcurrency(t *testing.T) {
	slowDeploy(t)
	const template = "Parameters:\n  Architecture:\n    Type: String\n    Default: arm64\n"
	arm := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 57)...)
	arm[18] = 183
	for _, c := range []struct{ name, parameters, refuses string }{
		{"none", `"MaxConcurrency=50"`, ""},
		{"above the default", `"ReservedConcurrency=6"`, ""},
		{"the default", `"ReservedConcurrency=5"`, "ReservedConcurrency=5 is not above MaxConcurrency=5"},
		{"above, with more digits", `"ReservedConcurrency=10", "MaxConcurrency=9"`, ""},
		{"below, with more digits", `"ReservedConcurrency=9", "MaxConcurrency=10"`, "set ReservedConcurrency in samconfig.toml to 11 or more"},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkDeploy(t, "[default.deploy.parameters]\nparameter_overrides = ["+c.parameters+"]", template, arm, c.refuses)
		})
	}
}

// make deploy must refuse the name of a stack from which CloudFormation would have to cut
// the name of a rule: the queues would then not let that rule in.
func TestDeployRefusesLongStackNames(t *testing.T) {
	slowDeploy(t)
	const template = `Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
Parameters:
  Architecture: {Type: String, Default: arm64}
Resources:
  ANameThatIsLongButNotThatOfARuleOrRole: {Type: AWS::SQS::Queue}
  Fn::ForEach::Rules:
    - Consumer
    - [Short, TwentyCharactersLong]
    - ${Consumer}Rule: {Type: AWS::Events::Rule}
`
	// 64 characters less 24 of TwentyCharactersLongRule, 13 random ones and two hyphens.
	const most = 25
	arm := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 57)...)
	arm[18] = 183
	own, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config := func(length int) string {
		return "[default.global.parameters]\nstack_name = \"" + strings.Repeat("s", length) + "\""
	}
	for _, c := range []struct{ name, config, template, refuses string }{
		{"as long as can be", config(most), template, ""},
		{"a character more", config(most + 1), template, "has 26 characters: CloudFormation would cut it in the name of TwentyCharactersLongRule"},
		{"what to do", config(most + 1), template, "choose a name of at most 25 characters"},
		{"where it says so", config(most + 1), template, "the stack_name of environment default in samconfig.toml"},
		{"of sam deploy alone", strings.Replace(config(most+1), "global", "deploy", 1), template, "has 26 characters"},
		{"of another environment", strings.Replace(config(most+1), "default", "local", 1), template, ""},
		{"our own template", config(len("sfrelay-staging")), string(own), ""},
		{"our own template, too long", config(40), string(own), "in the name of OpportunityBillingChanges"},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkDeploy(t, c.config, c.template, arm, c.refuses)
		})
	}
}

// checkDeploy runs the check of make deploy on a directory with these files; refuses is
// empty where it has to accept them.
func checkDeploy(t *testing.T, config, template string, binary []byte, refuses string) {
	t.Helper()
	files := map[string][]byte{
		"samconfig.toml":      []byte("version = 0.1\n" + config + "\n"),
		"build/template.yaml": []byte(template),
	}
	if binary != nil {
		files["build/Function/bootstrap"] = binary
	}
	out, err := runScript(t, &fakeAWS{}, files, nil, "check-deploy.py", "default", "build")
	if (err != nil) != (refuses != "") || !strings.Contains(out, refuses) {
		t.Errorf("%v: %s; want %q", err, out, refuses)
	}
}

// A stack that is deployed again finds the table of the one before, or make deploy refuses
// to make an empty one beside it.
func TestDeployRefusesASecondTable(t *testing.T) {
	slowDeploy(t)
	const (
		template = "Parameters:\n  Architecture:\n    Type: String\n    Default: arm64\n"
		guard    = `"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"DeletionProtectionEnabled":true`
		old      = "sfrelay-GuardTable-1A2B3C"
		restored = "restored"
		existing = `"ExistingGuardTable=` + old + `"`
	)
	arm := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 57)...)
	arm[18] = 183
	live := map[string]string{"ExistingGuardTable": ""}
	for _, c := range []struct {
		name      string
		aws       fakeAWS
		overrides string
		env       []string
		refuses   string // empty: it has to accept
		says      string
	}{
		{name: "the first deployment"},
		{name: "tables of others", aws: fakeAWS{tables: map[string]string{"sfrelay-test-GuardTable-1": guard, "sfrelay2-GuardTable-1": guard}}},
		{name: "a retained table", aws: fakeAWS{tables: map[string]string{old: guard}}, refuses: "Write into parameter_overrides of [default.deploy.parameters] in samconfig.toml:\n  " + existing},
		{name: "two of them", aws: fakeAWS{tables: map[string]string{old: guard, old + "2": guard}}, refuses: "one of:\n  " + existing + "\n"},
		{name: "on purpose", aws: fakeAWS{tables: map[string]string{old: guard}}, env: []string{"NEW_TABLE=yes"}},
		{name: "not quite on purpose", aws: fakeAWS{tables: map[string]string{old: guard}}, env: []string{"NEW_TABLE="}, refuses: existing},
		{name: "an update of the stack that made it", aws: fakeAWS{parameters: live, made: old, tables: map[string]string{old: guard}}},
		{name: "a stack whose first deployment failed", aws: fakeAWS{parameters: live, tables: map[string]string{old: guard}}, refuses: existing},
		{name: "with the retained table", aws: fakeAWS{tables: map[string]string{old: guard}}, overrides: existing, says: old + " lacks what the template gives to its own table; run: aws dynamodb update-continuous-backups --table-name " + old},
		{name: "without its time to live", aws: fakeAWS{tables: map[string]string{old: guard}}, overrides: existing, says: "update-time-to-live --table-name " + old + " --time-to-live-specification Enabled=true,AttributeName=x"},
		{name: "unprotected", aws: fakeAWS{tables: map[string]string{old: strings.Replace(guard, "true", "false", 1)}}, overrides: existing, says: "update-table --table-name " + old + " --deletion-protection-enabled"},
		{name: "a table that is not there", overrides: existing, refuses: "no such table in this region"},
		{name: "a table of something else", aws: fakeAWS{tables: map[string]string{old: `"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]`}}, overrides: existing, refuses: "is no guard table"},
		{name: "an update that says nothing keeps what the stack has", aws: fakeAWS{parameters: map[string]string{"ExistingGuardTable": restored}, tables: map[string]string{restored: guard}}},
		{name: "leaving a restored table for an empty one", aws: fakeAWS{parameters: map[string]string{"ExistingGuardTable": restored}, tables: map[string]string{restored: guard}}, overrides: `'ExistingGuardTable=""'`, refuses: `"ExistingGuardTable=restored"`},
		{name: "from its own table to a restored one", aws: fakeAWS{parameters: live, made: old, tables: map[string]string{old: guard, restored: guard}}, overrides: `"ExistingGuardTable=restored"`},
		{name: "nobody may look", aws: fakeAWS{denies: true}, refuses: "cannot be asked"},
		{name: "nobody may look, on purpose", aws: fakeAWS{denies: true}, env: []string{"NEW_TABLE=yes"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := runScript(t, &c.aws, map[string][]byte{
				"samconfig.toml":           []byte("version = 0.1\n[default.global.parameters]\nstack_name = \"sfrelay\"\n[default.deploy.parameters]\nparameter_overrides = [" + c.overrides + "]\n"),
				"build/template.yaml":      []byte(template),
				"build/Function/bootstrap": arm,
			}, c.env, "check-deploy.py", "default", "build")
			if (err != nil) != (c.refuses != "") || !strings.Contains(out, c.refuses) || !strings.Contains(out, c.says) {
				t.Errorf("%v: %s; want %q", err, out, c.refuses+c.says)
			}
		})
	}
}

// Whoever deletes the stack is told with which lines it comes back, and leaves nothing in a
// buffer without knowing.
func TestUndeploySaysHowToComeBack(t *testing.T) {
	slowDeploy(t)
	config := []byte("version = 0.1\n[test.global.parameters]\nstack_name = \"sfrelay\"\n")
	outputs := map[string]string{
		"GuardTable": "sfrelay-GuardTable-1A2B3C", "FailureBucket": "sfrelay-failurebucket-4d5e6f", "FailureQueueUrl": "https://queue/failure",
		"DeliveryQueueUrl": "https://queue/delivery", "InventoryErpBufferUrl": "https://queue/inventory", "CustomerErpBufferUrl": "https://queue/customer",
	}
	for _, c := range []struct {
		name    string
		aws     fakeAWS
		env     []string
		refuses bool
		says    []string
	}{
		{name: "empty buffers", aws: fakeAWS{outputs: outputs, counts: map[string]int{"https://queue/failure": 3}}, says: []string{
			"[test.deploy.parameters]", `"ExistingGuardTable=sfrelay-GuardTable-1A2B3C"`, `"ExistingFailureBucket=sfrelay-failurebucket-4d5e6f"`,
			"sfrelay dlq list --aws --queue-url https://queue/failure (about 3 messages)", "--queue-url https://queue/delivery (about 0 messages)",
		}},
		{name: "a full buffer", aws: fakeAWS{outputs: outputs, counts: map[string]int{"https://queue/inventory": 7, "https://queue/customer": 1}}, refuses: true, says: []string{
			"CustomerErpBuffer: about 1 message\n", "InventoryErpBuffer: about 7 messages", "make undeploy LEAVE_MESSAGES=yes",
		}},
		{name: "given up", aws: fakeAWS{outputs: outputs, counts: map[string]int{"https://queue/inventory": 7}}, env: []string{"LEAVE_MESSAGES=yes"}, says: []string{
			"Given up with the buffers:\n  InventoryErpBuffer: about 7 messages", "ExistingGuardTable=",
		}},
		{name: "no stack", refuses: true, says: []string{"no stack sfrelay"}},
		{name: "nobody may look", aws: fakeAWS{denies: true}, refuses: true, says: []string{"cannot be asked"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := runScript(t, &c.aws, map[string][]byte{"samconfig.toml": config}, c.env, "check-undeploy.py", "test")
			if (err != nil) != c.refuses {
				t.Errorf("%v: %s", err, out)
			}
			for _, says := range c.says {
				if !strings.Contains(out, says) {
					t.Errorf("it does not say %q:\n%s", says, out)
				}
			}
		})
	}
}

// slowDeploy leaves out what starts make and Python many times, in the quick loop.
func slowDeploy(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts make many times; run it without -short")
	}
}
