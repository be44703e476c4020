package samconfig_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"sfrelay/cmd/sfrelay/internal/samconfig"
)

const (
	events  = "aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f0001000019GAA"
	changes = "aws.partner/salesforce.com/00D5f000005KcCnEAK/0YL5f0001000031GAA"
)

func buses() []samconfig.Parameter {
	return []samconfig.Parameter{{Name: "EventBusName", Value: events}, {Name: "ChangeBusName", Value: changes}}
}

func apply(t *testing.T, text string, e samconfig.Edit) string {
	t.Helper()
	got, err := samconfig.Apply(text, e)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := samconfig.Apply(got, e); err != nil || again != got {
		t.Errorf("a second time: %v\n%s", err, strings.Join(samconfig.Changes(got, again), "\n"))
	}
	return got
}

// The file of this repository: the comment becomes the list, and all else stays.
func TestTheCommentBecomesTheList(t *testing.T) {
	text, err := os.ReadFile("../../../../samconfig.toml")
	if err != nil {
		t.Fatal(err)
	}
	e := samconfig.Edit{Environment: "default", Region: "eu-west-2", Parameters: buses()}
	got := apply(t, string(text), e)
	want := []string{
		`- # region = "eu-west-2"`, `- # parameter_overrides = [`, `- #   "EventBusName=aws.partner/salesforce.com/<org id>/<channel of the platform events>",`,
		`- #   "ChangeBusName=aws.partner/salesforce.com/<org id>/<channel of the change events>",`,
		`+ region = "eu-west-2"`, `+ parameter_overrides = [`, `+   "EventBusName=` + events + `",`, `+   "ChangeBusName=` + changes + `",`, `- # ]`, `+ ]`,
	}
	if lines := samconfig.Changes(string(text), got); !slices.Equal(lines, want) {
		t.Errorf("%s", strings.Join(lines, "\n"))
	}
	if v := samconfig.Value(got, "default", "EventBusName"); v != events {
		t.Errorf("%q", v)
	}
	if v := samconfig.Value(got, "default", "StripeSecret"); v != "" {
		t.Errorf("a comment is taken for a value: %q", v)
	}
}

func TestEntriesOfAListThatCounts(t *testing.T) {
	const head = "[default.deploy.parameters]\n"
	for name, c := range map[string][2]string{
		"replaced, with its comment": {
			head + "parameter_overrides = [\n  \"EventBusName=old\", # mine\n  \"ErpUrl=https://erp.example.com\"\n]\n",
			head + "parameter_overrides = [\n  \"EventBusName=" + events + "\", # mine\n  \"ErpUrl=https://erp.example.com\"\n]\n",
		},
		"the last one keeps its missing comma": {
			head + "parameter_overrides = [\n    \"EventBusName=old\"\n]\n",
			head + "parameter_overrides = [\n    \"EventBusName=" + events + "\"\n]\n",
		},
		"added as the first one": {
			head + "parameter_overrides = [ # ours\n  \"ErpUrl=https://erp.example.com\"\n  ]\n",
			head + "parameter_overrides = [ # ours\n  \"EventBusName=" + events + "\",\n  \"ErpUrl=https://erp.example.com\"\n  ]\n",
		},
		"in the place of its comment, after one without a comma": {
			head + "parameter_overrides = [\n  \"ErpUrl=https://erp.example.com\" # x\n  # \"EventBusName=<bus>\", # y\n]\n",
			head + "parameter_overrides = [\n  \"ErpUrl=https://erp.example.com\", # x\n  \"EventBusName=" + events + "\", # y\n]\n",
		},
		"no list yet": {
			head + "resolve_s3 = true\n# of the next table\n\n[other.deploy.parameters]\nregion = \"x\"\n",
			head + "resolve_s3 = true\nparameter_overrides = [\n  \"EventBusName=" + events + "\",\n]\n# of the next table\n\n[other.deploy.parameters]\nregion = \"x\"\n",
		},
		"an old list as a comment beside it": {
			head + "# parameter_overrides = [\n#   \"EventBusName=a\",\n# ]\nparameter_overrides = [\n]\n",
			head + "# parameter_overrides = [\n#   \"EventBusName=a\",\n# ]\nparameter_overrides = [\n  \"EventBusName=" + events + "\",\n]\n",
		},
		"an old list as a comment behind it": {
			head + "parameter_overrides = [\n]\n# parameter_overrides = [\n#   \"EventBusName=a\",\n# ]\n",
			head + "parameter_overrides = [\n  \"EventBusName=" + events + "\",\n]\n# parameter_overrides = [\n#   \"EventBusName=a\",\n# ]\n",
		},
		"lines that end as Windows ends them": {
			"[default.deploy.parameters]\r\nparameter_overrides = [\r\n]\r\n",
			"[default.deploy.parameters]\r\nparameter_overrides = [\r\n  \"EventBusName=" + events + "\",\r\n]\r\n",
		},
	} {
		if got := apply(t, c[0], samconfig.Edit{Environment: "default", Parameters: buses()[:1]}); got != c[1] {
			t.Errorf("%s:\n%s", name, got)
		}
	}
}

// What has another form is refused with the line to write, and nothing is written.
func TestOtherFormsAreRefused(t *testing.T) {
	const head = "[default.deploy.parameters]\n"
	for text, want := range map[string]string{
		head + "parameter_overrides = \"A=b C=d\"\n":               `"EventBusName=…", in parameter_overrides of [default.deploy.parameters]`,
		head + "parameter_overrides = [\"A=b\", \"C=d\"]\n":        "is no list with one entry in each line",
		head + "parameter_overrides = [\n  \"A=b\", \"C=d\",\n]\n": "line 3",
		head + "parameter_overrides = [\n  \"A=b\",\n":             "has no end",
		head + "[[x]]\nparameter_overrides = '''\n":                "several lines",
		"[default.build.parameters]\nparallel = true\n":            "no table [default.deploy.parameters]",
		"":                                     "no environment default to copy",
		head + "region = 'eu-west-2'\n":        `write by hand: region = "eu-west-2"`,
		head + "  region = \"eu-west-1\" \n\n": `write by hand: region = "eu-west-2"`,
	} {
		if got, err := samconfig.Apply(text, samconfig.Edit{Environment: "default", Region: "eu-west-2", Parameters: buses()}); err == nil || got != "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v\n%s", text, err, got)
		}
	}
	for _, e := range []samconfig.Edit{
		{Environment: "a.b"}, {Environment: "default", Region: `x"`}, {Environment: "default", Parameters: []samconfig.Parameter{{Name: "A", Value: "a b"}}}, {Environment: "default", Parameters: []samconfig.Parameter{{Name: "A=", Value: "a"}}},
	} {
		if _, err := samconfig.Apply(head, e); err == nil {
			t.Errorf("%+v is written", e)
		}
	}
}

// Environments do not inherit from each other, so another one begins as a copy; what
// belongs to one stack is not copied.
func TestAnotherEnvironment(t *testing.T) {
	text := "[default.global.parameters]\nstack_name = \"sfrelay\"\n\n[default.build.parameters]\nparallel = true\n\n[default.deploy.parameters]\nresolve_s3 = true\nregion = \"eu-west-2\"\n" +
		"# mine\nparameter_overrides = [\n  \"StripeSecret=arn\",\n]\nfail_on_empty_changeset = false\n\n# The local one.\n[local.deploy.parameters]\nregion = \"us-east-1\"\n"
	got := apply(t, text, samconfig.Edit{Environment: "test", StackName: "sfrelay-test", Region: "eu-west-1", Parameters: buses()[:1]})
	want := text + "\n[test.global.parameters]\nstack_name = \"sfrelay-test\"\n\n[test.build.parameters]\nparallel = true\n\n[test.deploy.parameters]\nregion = \"eu-west-1\"\nresolve_s3 = true\nfail_on_empty_changeset = false\n" +
		"parameter_overrides = [\n  \"EventBusName=" + events + "\",\n]\n"
	if got != want {
		t.Errorf("%s", strings.Join(samconfig.Changes(want, got), "\n"))
	}
}
