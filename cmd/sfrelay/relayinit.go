package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sfrelay/cmd/sfrelay/internal/samconfig"
	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/shared/relay"
)

const project = "salesforce/force-app/main/default/"

type relayInit struct {
	configFlags
	Org         string `env:"SALESFORCE_URL" placeholder:"URL" help:"My Domain address of the org."`
	Region      string `env:"AWS_REGION" placeholder:"NAME" help:"AWS region of the stack."`
	Account     string `placeholder:"NUMBER" help:"AWS account of the stack."`
	StackName   string `name:"stack-name" placeholder:"NAME" help:"Name of the CloudFormation stack."`
	Stage       string `placeholder:"NAME" help:"What the stack is for, e.g. production or test."`
	Email       string `placeholder:"ADDRESS" help:"E-mail address that the org shows as the contact of the app."`
	Credentials string `env:"SALESFORCE_CREDENTIALS" type:"path" placeholder:"FILE" help:"File with the credentials of the org. With it the org is asked for its id."`
	Yes         bool   `help:"Write the files without the question."`
}

// Help is shown by relay init --help.
func (relayInit) Help() string {
	return "It asks for what no flag says, shows what it will change, and writes salesforce/ and samconfig.toml of the checkout. All else in these files stays as it is."
}

// prompt is one thing that init has to know.
type prompt struct {
	flag, what string
	value      *string
	form       *regexp.Regexp
	otherwise  func() string // proposed; nil: nothing
}

func (c *relayInit) answers() []prompt {
	stack := func() string {
		if c.ConfigEnv == "default" {
			return "sfrelay"
		}
		return "sfrelay-" + c.ConfigEnv
	}
	stage := func() string {
		if c.ConfigEnv == "default" {
			return "production"
		}
		return c.ConfigEnv
	}
	return []prompt{
		{"--org", "My Domain address of the org, e.g. https://example.my.salesforce.com", &c.Org, regexp.MustCompile(`^https?://[A-Za-z0-9.:-]+/?$`), nil},
		{"--region", "AWS region, e.g. eu-west-2", &c.Region, regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`), nil},
		{"--account", "AWS account, 12 digits", &c.Account, regexp.MustCompile(`^[0-9]{12}$`), nil},
		{"--stack-name", "name of the CloudFormation stack", &c.StackName, regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`), stack},
		{"--stage", "stage, e.g. production or test", &c.Stage, regexp.MustCompile(`^[a-z][a-z0-9-]{0,29}$`), stage},
		{"--email", "e-mail address of whom the org names as the app's contact", &c.Email, regexp.MustCompile(`^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+$`), nil},
	}
}

// ask gets what no flag says from whoever sits there.
func (c *relayInit) ask(ctx context.Context, out *screen) error {
	var missing []string
	for _, a := range c.answers() {
		switch {
		case *a.value == "":
			missing = append(missing, a.flag)
		case !a.form.MatchString(*a.value):
			return usageError{fmt.Errorf("%s: want %s", a.flag, a.what)}
		}
	}
	if len(missing) > 0 && !out.In.Live() {
		return usageError{fmt.Errorf("standard input is no terminal where somebody could be asked; add %s", strings.Join(missing, ", "))}
	}
	for _, a := range c.answers() {
		const most = 3
		for try := 0; !a.form.MatchString(*a.value); try++ {
			if try == most {
				return usageError{fmt.Errorf("%s: want %s", a.flag, a.what)}
			}
			proposed := ""
			if a.otherwise != nil {
				proposed = a.otherwise()
				out.Err.Printf("%s [%s]: ", a.what, proposed)
			} else {
				out.Err.Printf("%s: ", a.what)
			}
			line, err := out.In.Line(ctx)
			if err != nil {
				out.Err.Printf("\n")
				return usageError{fmt.Errorf("%s: want %s", a.flag, a.what)}
			}
			if *a.value = strings.TrimSpace(line); *a.value == "" {
				*a.value = proposed
			}
		}
	}
	c.Org = strings.TrimRight(c.Org, "/")
	_, err := relay.NewOrg(c.Org, nil)
	if err != nil {
		return usageError{err}
	}
	return nil
}

// Run implements kong's interface of a command.
func (c *relayInit) Run(ctx context.Context, out *screen) error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	root, err := c.checkout(dir, os.Getuid())
	if err != nil {
		return err
	}
	out.Out.Table(0, terminal.Row("checkout", root))
	if err := c.ask(ctx, out); err != nil {
		return err
	}
	edits, err := c.edits(ctx, out, root)
	if err != nil {
		return err
	}
	if len(edits) == 0 {
		out.Out.Printf("All of it is written already.\n")
		return nil
	}
	showEdits(out, edits)
	if !c.Yes {
		if !out.In.Live() {
			return usageError{errors.New("standard input is no terminal where somebody could agree to it; to write the files without a question add --yes")}
		}
		if err := out.confirm(ctx); err != nil {
			return errors.New("nothing was written")
		}
	}
	for _, e := range edits {
		if err := e.write(root); err != nil {
			return err
		}
	}
	out.Out.Printf("\nDeploy the project: cd salesforce && sf project deploy start --source-dir force-app\nSet up the relays:  sfrelay relay setup --aws\n")
	return nil
}

// edits are those that change something.
func (c *relayInit) edits(ctx context.Context, out *screen, root string) ([]edit, error) {
	credential, err := element(root, project+"namedCredentials/"+relay.CredentialName+".namedCredential-meta.xml", "endpoint", relay.Place{Region: c.Region, Account: c.Account}.Endpoint())
	if err != nil {
		return nil, err
	}
	app, err := element(root, project+"externalClientApps/Sfrelay.eca-meta.xml", "contactEmail", c.Email)
	if err != nil {
		return nil, err
	}
	members, err := legalNames(root)
	if err != nil {
		return nil, err
	}
	parameters, err := c.parameters(ctx, out, root)
	if err != nil {
		return nil, err
	}
	sam, err := settings(root, samconfig.Edit{Environment: c.ConfigEnv, StackName: c.StackName, Region: c.Region, Parameters: parameters})
	if err != nil {
		return nil, err
	}
	all := append(members, credential, app, sam)
	return slices.DeleteFunc(all, func(e edit) bool { return e.renamed == "" && e.before == e.after }), nil
}

// parameters are those of the stack that follow from the answers. The org's id is among
// them where the org can be asked.
func (c *relayInit) parameters(ctx context.Context, out *screen, root string) ([]samconfig.Parameter, error) {
	all := []samconfig.Parameter{{Name: "SalesforceUrl", Value: c.Org}, {Name: "Stage", Value: c.Stage}}
	id, err := c.orgID(ctx)
	if err != nil {
		out.Err.Printf("The org was not asked for its id (%v); write it into SalesforceOrgs by hand, or give --credentials.\n", err)
		return all, nil
	}
	text, err := os.ReadFile(filepath.Join(root, configFile))
	if err != nil {
		return nil, err
	}
	accepted := strings.FieldsFunc(samconfig.Value(string(text), c.ConfigEnv, "SalesforceOrgs"), func(r rune) bool { return r == ',' })
	if !slices.ContainsFunc(accepted, func(o string) bool { return len(o) >= 15 && o[:15] == id[:15] }) {
		all = append(all, samconfig.Parameter{Name: "SalesforceOrgs", Value: id})
	}
	return all, nil
}

func (c *relayInit) orgID(ctx context.Context) (string, error) {
	if c.Credentials == "" {
		return "", errors.New("no --credentials")
	}
	org, err := relay.NewOrg(c.Org, credentialsIn(c.Credentials))
	if err != nil {
		return "", err
	}
	rows, err := relay.Rows[struct{ ID string }](ctx, org, "SELECT Id FROM Organization")
	if err == nil && (len(rows) != 1 || len(rows[0].ID) < 15) {
		err = errors.New("it names no id")
	}
	if err != nil {
		return "", err
	}
	return rows[0].ID, nil
}
