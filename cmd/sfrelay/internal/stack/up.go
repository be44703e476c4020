package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// Options say how a stack is to be. The zero value of a field is its default.
type Options struct {
	Dir  string // where state and logs lie
	Root string // the checkout: template.yaml, samconfig.toml, .ci/tools

	Mode    string        // DeliveryMode: direct or buffered
	Orgs    string        // SalesforceOrgs; the first one names the buses
	ERPURL  string        // another ERP than the sandbox
	Delay   time.Duration // before every call of DynamoDB and of the sandboxes
	Log     io.Writer
	Sandbox []string // command line that serves the sandboxes, see startSandbox
}

// TimeScale is the one factor by which the local stack shortens every wait of
// AWS and of the functions, Lambda's pauses between attempts included, so that
// they keep their proportions. How long work may take is not scaled.
const TimeScale = 1.0 / 30

// Lambda pauses one minute before the second attempt of an asynchronous event and
// two before the third (Lambda Developer Guide, "How Lambda handles errors and
// retries with asynchronous invocation").
const (
	firstPause  = time.Minute
	secondPause = 2 * time.Minute
)

// The trial buses are named as real ones are: aws.partner/salesforce.com/<org>/<channel>.
const (
	DefaultOrg    = "00D5f000005KcCnEAK"
	eventChannel  = "0YL000000000001GAA"
	changeChannel = "0YL000000000002GAA"
)

// Up starts a stack in o.Dir, or finds the one that runs there. What an earlier
// run left behind half started is ended first.
func Up(ctx context.Context, o Options) (*Stack, error) {
	if s, err := Open(o.Dir); err == nil {
		return s, s.refit(ctx, o)
	}
	if err := Down(ctx, o.Dir); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	if err := ownDir(dir); err != nil {
		return nil, err
	}
	if err := ownDir(filepath.Join(dir, "tmp")); err != nil {
		return nil, err
	}
	tools, err := output(ctx, o.Root, ".ci/tools", "python")
	if err != nil {
		return nil, err
	}

	s := &Stack{dir: dir, Mode: or(o.Mode, "direct"), Orgs: or(o.Orgs, DefaultOrg), TimeScale: TimeScale, Delay: o.Delay, Since: time.Now().UTC()}
	if s.firstOrg() == "" {
		return nil, fmt.Errorf("SALESFORCE_ORGS=%s: the first one is not the id of an org; it has 15 or 18 letters and digits and begins with 00D", s.Orgs)
	}
	s.EventBus = "aws.partner/salesforce.com/" + s.firstOrg() + "/" + eventChannel
	s.ChangeBus = "aws.partner/salesforce.com/" + s.firstOrg() + "/" + changeChannel
	if err := s.bringUp(ctx, o, tools); err != nil { // leave nothing running behind an error
		return nil, errors.Join(err, s.Down(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// bringUp builds beside what it starts, then deploys.
func (s *Stack) bringUp(ctx context.Context, o Options, tools string) error {
	built := make(chan error, 1)
	go func() { built <- s.sam(ctx, o, tools, "build", "--build-dir", s.file("build")) }()
	secrets, err := s.startServers(ctx, o, tools)
	if err := errors.Join(err, <-built); err != nil {
		return err
	}
	if err := s.sam(ctx, o, tools, "deploy", s.deployArgs(secrets)...); err != nil {
		return err
	}
	if err := errors.Join(s.finishTable(ctx), s.writeSAMLocal(ctx)); err != nil {
		return err
	}
	s.Deployed = true
	return s.save()
}

func (s *Stack) startServers(ctx context.Context, o Options, tools string) (secretARNs, error) {
	if err := s.startEmulator(ctx, tools); err != nil {
		return secretARNs{}, err
	}
	if err := s.startSandbox(ctx, o); err != nil {
		return secretARNs{}, err
	}
	cfg, err := s.Config(ctx)
	if err != nil {
		return secretARNs{}, err
	}
	if err := createBucket(ctx, cloudformation.NewFromConfig(cfg)); err != nil {
		return secretARNs{}, err
	}
	secrets, err := createSecrets(ctx, secretsmanager.NewFromConfig(cfg), s.notifyKey, s.orgSecret)
	if err != nil {
		return secretARNs{}, err
	}
	return secrets, s.setUpRelays(ctx, eventbridge.NewFromConfig(cfg))
}

// refit deploys the running stack again where it was asked for with another delivery mode.
// It says no where more would have to change.
func (s *Stack) refit(ctx context.Context, o Options) error {
	switch {
	case o.Orgs != "" && o.Orgs != s.Orgs:
		return fmt.Errorf("the running stack has SALESFORCE_ORGS=%s; end it first with: make down", s.Orgs)
	case o.ERPURL != "" && o.ERPURL != s.ERPURL:
		return fmt.Errorf("the running stack has ERP_URL=%s; end it first with: make down", s.ERPURL)
	case o.Mode == "" || o.Mode == s.Mode:
		return nil
	}
	cfg, err := s.Config(ctx)
	if err != nil {
		return err
	}
	if err := switchMode(ctx, cloudformation.NewFromConfig(cfg), o.Mode); err != nil {
		return fmt.Errorf("switch to DELIVERY_MODE=%s: %w", o.Mode, err)
	}
	s.Mode = o.Mode
	return errors.Join(s.save(), s.writeSAMLocal(ctx))
}

// switchMode updates the CloudFormation stack with another DeliveryMode and all else as it
// is. SAM does it by a change set, in which the emulator sees no change: it compares
// templates, and no parameters.
func switchMode(ctx context.Context, client *cloudformation.Client, mode string) error {
	described, err := client.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(Name)})
	if err != nil {
		return err
	}
	in := &cloudformation.UpdateStackInput{
		StackName: aws.String(Name), UsePreviousTemplate: aws.Bool(true),
		Capabilities: []cftypes.Capability{cftypes.CapabilityCapabilityIam, cftypes.CapabilityCapabilityAutoExpand},
	}
	for _, p := range described.Stacks[0].Parameters {
		p = cftypes.Parameter{ParameterKey: p.ParameterKey, UsePreviousValue: aws.Bool(true)}
		if aws.ToString(p.ParameterKey) == "DeliveryMode" {
			p.UsePreviousValue, p.ParameterValue = nil, &mode
		}
		in.Parameters = append(in.Parameters, p)
	}
	if _, err := client.UpdateStack(ctx, in); err != nil {
		return err
	}
	updated := cloudformation.NewStackUpdateCompleteWaiter(client, func(o *cloudformation.StackUpdateCompleteWaiterOptions) {
		o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second
	})
	return updated.Wait(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(Name)}, time.Minute)
}

// startSandbox runs the command that serves the sandboxes and reads where they listen: the
// first line it prints is
// {"stripe":"http://…","erp":"http://…","notify":"http://…","notifySecret":"whsec_…","org":"http://…","orgClientId":"…","orgClientSecret":"…","key":"…"}.
func (s *Stack) startSandbox(ctx context.Context, o Options) error {
	command := o.Sandbox
	if s.Delay > 0 {
		command = append(slices.Clone(command), "--delay", s.Delay.String())
	}
	command = append(slices.Clone(command), "--org-id", s.firstOrg(), "--relay-to", s.dir)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.file("tmp"), "TMPDIR=" + s.file("tmp")}
	log := s.file("sandbox.log")
	var err error
	if s.Sandbox, err = spawn(cmd, log); err != nil {
		return err
	}
	if err := s.save(); err != nil {
		return err
	}
	const tries, pause = 300, 50 * time.Millisecond
	for range tries {
		b, err := os.ReadFile(log)
		if err != nil {
			return err
		}
		if line, _, whole := bytes.Cut(b, []byte("\n")); whole {
			var at struct{ Stripe, ERP, Notify, NotifySecret, Org, OrgClientID, OrgClientSecret, Key string }
			if err := json.Unmarshal(line, &at); err != nil {
				return fmt.Errorf("the sandbox did not start; see %s", log)
			}
			s.StripeURL, s.ERPURL, s.NotifyURL, s.SandboxKey = at.Stripe, or(o.ERPURL, at.ERP), at.Notify, at.Key
			s.notifyKey, s.OrgURL = at.NotifySecret, at.Org
			secret, err := json.Marshal(map[string]string{"clientId": at.OrgClientID, "clientSecret": at.OrgClientSecret})
			s.orgSecret = string(secret)
			return errors.Join(err, s.save()) // door.py reads where the org is
		}
		if !s.Sandbox.alive() {
			break
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	return fmt.Errorf("the sandbox did not start; see %s", log)
}

// OrgSecret is the name of the secret with the credentials for the sandbox of the org.
const OrgSecret = "sfrelay/org"

type secretARNs struct{ stripe, erp, notify, org string }

// The keys that the sandboxes take.
const (
	StripeKey = "test-key"
	ERPKey    = "test-key"
)

// createBucket makes the bucket for what sam deploy uploads, beside sam build: with
// resolve_s3 sam deploy would make one by a stack of its own first.
func createBucket(ctx context.Context, client *cloudformation.Client) error {
	const name, most = "sfrelay-artifacts", time.Minute
	_, err := client.CreateStack(ctx, &cloudformation.CreateStackInput{
		StackName:    aws.String(name),
		TemplateBody: aws.String(`{"Resources": {"Artifacts": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "` + bucket + `"}}}}`),
	})
	// The answer to the first try may have been lost.
	if exists := (*cftypes.AlreadyExistsException)(nil); err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("bucket %s: %w", bucket, err)
	}
	made := cloudformation.NewStackCreateCompleteWaiter(client, func(o *cloudformation.StackCreateCompleteWaiterOptions) {
		o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second
	})
	if err := made.Wait(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(name)}, most); err != nil {
		return fmt.Errorf("bucket %s: %w", bucket, err)
	}
	return nil
}

func createSecrets(ctx context.Context, client *secretsmanager.Client, notifyKey, orgSecret string) (arns secretARNs, err error) {
	create := func(name, value string) (string, error) {
		out, err := client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &name, SecretString: &value})
		if err == nil {
			return *out.ARN, nil
		}
		// The answer to the first try may have been lost; the emulator does not know the token of the second.
		if exists := (*types.ResourceExistsException)(nil); errors.As(err, &exists) {
			if made, again := client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &name}); again == nil {
				return *made.ARN, nil
			}
		}
		return "", fmt.Errorf("secret %s: %w", name, err)
	}
	for _, secret := range []struct {
		arn         *string
		name, value string
	}{
		{&arns.stripe, "sfrelay/stripe", StripeKey}, {&arns.erp, "sfrelay/erp", ERPKey},
		{&arns.notify, "sfrelay/notify", notifyKey}, {&arns.org, OrgSecret, orgSecret},
	} {
		if *secret.arn, err = create(secret.name, secret.value); err != nil {
			return secretARNs{}, err
		}
	}
	return arns, nil
}

// operators are who may send into the queues beside EventBridge: whoever uses the stack's
// credentials, and the functions, whose sessions the emulator does not know by their roles.
var operators = []string{"arn:aws:iam::" + Account + ":root", "arn:aws:sts::" + Account + ":assumed-role/" + Name + "-*"}

func (s *Stack) deployArgs(secrets secretARNs) []string {
	parameters := map[string]string{
		"EventBusName":     s.EventBus,
		"ChangeBusName":    s.ChangeBus,
		"SalesforceOrgs":   s.Orgs,
		"Stage":            "local",
		"SalesforceUrl":    s.OrgURL,
		"SalesforceSecret": secrets.org,
		"StripeSecret":     secrets.stripe,
		"StripeApiBase":    s.StripeURL,
		"ErpUrl":           s.ERPURL,
		"ErpSecret":        secrets.erp,
		"NotifyUrl":        s.NotifyURL,
		"NotifySecret":     secrets.notify,
		"NotifyFields":     "Email",
		"DeliveryMode":     s.Mode,
		"Architecture":     architecture(),
		"TimeScale":        strconv.FormatFloat(s.TimeScale, 'f', 6, 64),
		"Monitoring":       "core",
		"Operators":        strings.Join(operators, ","),
	}
	args := []string{"--template-file", filepath.Join(s.file("build"), "template.yaml"), "--parameter-overrides"}
	for name, value := range parameters {
		args = append(args, fmt.Sprintf("ParameterKey=%s,ParameterValue=%q", name, value))
	}
	return args
}

// samProgram is what the script sam does. But for the few seconds that it lives, a
// garbage collector only costs it a quarter of its time; it parses the template ten
// times, for which PyYAML has a parser in C; and what it zips goes no farther than
// loopback.
const samProgram = `
import gc, os, sys, yaml, zlib
os.umask(0o077)
gc.disable()
zlib.Z_DEFAULT_COMPRESSION = zlib.Z_BEST_SPEED
yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
from samcli.cli.main import cli
sys.exit(cli(prog_name="sam"))`

// sam runs the SAM CLI with the environment [local] of samconfig.toml.
func (s *Stack) sam(ctx context.Context, o Options, tools, verb string, args ...string) error {
	args = append([]string{"-c", samProgram, verb, "--config-file", filepath.Join(o.Root, "samconfig.toml"), "--config-env", "local"}, args...)
	cmd := exec.CommandContext(ctx, filepath.Join(tools, "python"), args...)
	cmd.Dir = o.Root
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(withoutAWS(os.Environ()), s.Env()...)
	cmd.Env = append(cmd.Env,
		"SAM_CLI_TELEMETRY=0",
		"SAM_CLI_POLL_DELAY=0.3",
		"__SAM_CLI_APP_DIR="+s.file("sam"),         // nothing in the reader's home
		"TMPDIR="+s.file("tmp"),                    // nor where others could have made it
		"OS="+runtime.GOOS, "ARCH="+runtime.GOARCH, // the emulator runs the binaries on this machine,
		"LOCAL_STACK=1", // and make local has built them with the flags that this asks for
	)
	log, err := create(s.file("sam-" + verb + ".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return &samError{err, verb, log.Name(), tail(log.Name(), 15)}
	}
	return nil
}

// withoutAWS drops the reader's AWS settings and those of make.
func withoutAWS(env []string) []string {
	var kept []string
	for _, kv := range env {
		if !strings.HasPrefix(kv, "AWS_") && !strings.HasPrefix(kv, "MAKE") && !strings.HasPrefix(kv, "MFLAGS") {
			kept = append(kept, kv)
		}
	}
	return kept
}

// samError says why with the end of the log of a sam command.
type samError struct {
	err       error
	verb, log string
	last      []string
}

func (e *samError) Error() string { return strings.Join(e.Lines(), "\n") }
func (e *samError) Unwrap() error { return e.err }

// Lines are those of the message.
func (e *samError) Lines() []string {
	return append([]string{fmt.Sprintf("sam %s failed: %v; its last lines follow, the rest is in %s", e.verb, e.err, e.log)}, e.last...)
}

func tail(file string, lines int) []string {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	return all[max(0, len(all)-lines):]
}

func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(dir, name), args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %s", name, strings.TrimSpace(stderr.String()+" "+err.Error()))
	}
	return strings.TrimSpace(string(out)), nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
