package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/doctor"
	"sfrelay/cmd/sfrelay/internal/relaysetup"
	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/shared/relay"
	orgsandbox "sfrelay/shared/sandbox/org"
)

type relayCommand struct {
	Init     relayInit     `cmd:"" help:"Ask for org, region and account, and write them into salesforce/ and samconfig.toml."`
	Plan     relayPlan     `cmd:"" help:"Say which steps are left, which permissions they take, and whether the org's allocation is enough."`
	Setup    relaySetup    `cmd:"" help:"Make or complete channels, credential and relays, associate their sources with buses, and start them."`
	Status   relayStatus   `cmd:"" help:"Say how both relays do, in Salesforce and in EventBridge."`
	Verify   relayVerify   `cmd:"" help:"Publish a probe of each platform event in the org, and see it arrive at each consumer."`
	Start    relayStart    `cmd:"" help:"Set both relays to RUN."`
	Pause    relayPause    `cmd:"" help:"Set both relays to PAUSE: they keep their position for 72 hours. --for announces it, so that no alarm rings."`
	Teardown relayTeardown `cmd:"" help:"Delete relays, channels, credential and buses."`
}

// relaySides are both sides of the relays.
type relaySides struct {
	Org         string `env:"SALESFORCE_URL" placeholder:"URL" help:"My Domain address of the org."`
	Credentials string `env:"SALESFORCE_CREDENTIALS" type:"path" placeholder:"FILE" help:"File with the credentials of the org, in the form of the secret SALESFORCE_SECRET."`
	Account     string `name:"account" placeholder:"NUMBER" help:"AWS account that the relays lead to."`
	AWS         bool   `name:"aws" help:"Work on the region and credentials of your AWS environment."`
	StackName   string `name:"stack-name" default:"sfrelay" help:"Name of the CloudFormation stack."`
	Sandbox     bool   `help:"Work on the org sandbox at --org, which plays EventBridge's side too."`
	StackDir    string `name:"stack-dir" default:".cache/stack" type:"path" help:"Where the local stack keeps its state." hidden:""`
}

// joined are both sides, open.
type joined struct {
	org    *relay.Org
	events *eventbridge.Client
	place  relay.Place
	at     *account.Account // asks before it changes anything
	name   string           // of the stack
}

// credentialsIn reads a file when the org is asked for the first time.
func credentialsIn(file string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		text, err := os.ReadFile(file)
		return string(text), err
	}
}

func (f *relaySides) open(ctx context.Context) (*joined, error) {
	switch {
	case !f.AWS && !f.Sandbox && f.Org == "":
		return f.local(ctx)
	case f.AWS == f.Sandbox:
		return nil, usageError{errors.New("say where to work: --aws, or --sandbox with the address of sfrelay sandbox in --org; without an org it is the local stack")}
	case f.Org == "" || f.Credentials == "":
		return nil, usageError{errors.New("say the org: --org with its My Domain address, and --credentials")}
	}
	org, err := relay.NewOrg(f.Org, credentialsIn(f.Credentials))
	if err != nil {
		return nil, usageError{err}
	}
	if f.Sandbox {
		return f.sandbox(org)
	}
	flags := account.Flags{AWS: true, StackName: f.StackName}
	at, err := flags.Open(ctx)
	if err != nil { // before the first deployment there is no stack
		if at, err = flags.Bare(ctx, "no stack "+f.StackName+" yet"); err != nil {
			return nil, err
		}
	}
	number := f.Account
	if m := regexp.MustCompile(`account ([0-9]{12})`).FindStringSubmatch(at.Where); m != nil {
		number = cmp.Or(number, m[1])
	}
	if !regexp.MustCompile(`^[0-9]{12}$`).MatchString(number) {
		return nil, usageError{errors.New("--account: want the 12 digits of the AWS account that the relays lead to")}
	}
	return &joined{org, eventbridge.NewFromConfig(at.Config), relay.Place{Region: at.Config.Region, Account: number, Orgs: at.Orgs}, at, f.StackName}, nil
}

// sandbox is EventBridge as the org sandbox plays it. It is never asked elsewhere than on
// loopback, and knows no credentials.
func (f *relaySides) sandbox(org *relay.Org) (*joined, error) {
	u, err := url.Parse(f.Org)
	if err != nil || u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback() {
		return nil, usageError{errors.New("--sandbox: want an address on loopback in --org, as sfrelay sandbox prints it")}
	}
	events := eventbridge.New(eventbridge.Options{
		Region: orgsandbox.Region, BaseEndpoint: aws.String(strings.TrimRight(f.Org, "/") + "/aws"), Credentials: credentials.NewStaticCredentialsProvider("sandbox", "sandbox", ""),
	})
	where := "org sandbox, account " + orgsandbox.Account + ", region " + orgsandbox.Region
	return &joined{org, events, relay.Place{Region: orgsandbox.Region, Account: cmp.Or(f.Account, orgsandbox.Account)}, &account.Account{Where: where}, ""}, nil
}

// stack is the CloudFormation stack behind the relays, nil where there is none.
func (j *joined) stack() *doctor.Stack {
	if len(j.at.Outputs) == 0 {
		return nil
	}
	consumers := account.Consumers(j.at.Outputs)
	return &doctor.Stack{
		Config: j.at.Config, Name: j.name, Parameters: j.at.Params, Outputs: j.at.Outputs, Consumers: consumers, Off: j.at.Off,
		ByTarget: func(arn string) string { return account.ByTarget(consumers, arn) },
	}
}

// setup is a Setup that tells each step with its time.
func (j *joined) setup(out *screen) *relaysetup.Setup {
	const pause = 15 * time.Second // a state takes minutes
	return &relaysetup.Setup{Org: j.org, Events: j.events, Place: j.place, Now: time.Now,
		Say:  func(step, what string, took time.Duration) { showStep(out, step, what, took) },
		Wait: func(ctx context.Context) error { return wait(ctx, pause) }}
}

func showStep(out *screen, step, what string, took time.Duration) {
	out.Out.Table(0, terminal.Row(fmt.Sprintf("%-24s", step), fmt.Sprintf("%6.2fs", took.Seconds()), what))
}

// agreed opens both sides and asks, where they are real, whether to go on.
func (f *relaySides) agreed(ctx context.Context, out *screen, c consent, plan string) (*joined, error) {
	j, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	return j, out.ask(ctx, j.at, c, false, func() (string, error) { return plan + " in the org " + f.Org + ".", nil })
}

type relayTeardown struct {
	relaySides
	consent
}

func (c *relayTeardown) Run(ctx context.Context, out *screen) error {
	j, err := c.agreed(ctx, out, c.consent, "Both relays, their channels, the credential and the buses will be deleted; the relays forget their positions,")
	if err != nil {
		return err
	}
	return j.setup(out).Teardown(ctx)
}
