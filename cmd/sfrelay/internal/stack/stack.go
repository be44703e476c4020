// Package stack runs the whole pipeline on one machine: the real template, built
// and deployed by the real SAM CLI, on ministack, an AWS emulator, which runs the
// real binaries of the functions as host processes.
//
// It speaks HTTPS on loopback only, because the queues' policies refuse anything
// else, and enforces the functions' roles. Endpoint, certificate and credentials
// live in a profile file of their own; nothing of the reader's AWS settings is
// read or passed on, so that no slip can reach a real account. Every stack has keys of
// its own, in files that only its owner can read; without them the emulator, which runs
// code, lets nobody in (door.py).
//
// What it cannot show: EventBridge's own retries (package bus plays EventBridge),
// throttled asynchronous events, expiry, point-in-time recovery, alarms, metrics.
package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/smithy-go/logging"

	"sfrelay/shared/awsclient"
)

const (
	// Name of the CloudFormation stack, as samconfig.toml says for [local].
	Name = "sfrelay"
	// Region of the stack, as samconfig.toml says for [local].
	Region = "us-east-1"
	// Account is the emulator's own.
	Account = "000000000000"

	profile = "sfrelay-local" // samconfig.toml, [local]
	bucket  = "sfrelay-local" // samconfig.toml, [local]
)

// Stack is a local stack that was started, as its state file describes it.
type Stack struct {
	dir       string
	notifyKey string // of the sandbox's webhook, until the stack has it
	orgSecret string // the credentials for the sandbox's org, until the stack has them

	Endpoint   string        `json:"endpoint"`
	StripeURL  string        `json:"stripeUrl,omitempty"`
	ERPURL     string        `json:"erpUrl,omitempty"`
	NotifyURL  string        `json:"notifyUrl,omitempty"`
	OrgURL     string        `json:"orgUrl,omitempty"`
	SandboxKey string        `json:"sandboxKey"` // of what the sandboxes have below /_sandbox/
	EventBus   string        `json:"eventBus"`
	ChangeBus  string        `json:"changeBus"`
	Orgs       string        `json:"orgs"`
	Mode       string        `json:"mode"`
	TimeScale  float64       `json:"timeScale"`
	Delay      time.Duration `json:"delay,omitempty"` // before every call of DynamoDB and of the sandboxes
	Deployed   bool          `json:"deployed"`
	Emulator   Process       `json:"emulator"`
	Sandbox    Process       `json:"sandbox"`
	Since      time.Time     `json:"since"`
}

// ErrDown is returned by Open where no stack runs.
var ErrDown = errors.New("the local stack is not running; start it with make up")

// Open finds the running stack whose state lies in dir.
func Open(dir string) (*Stack, error) {
	s, err := load(dir)
	if err != nil {
		return nil, err
	}
	if !s.Emulator.alive() || !s.Sandbox.alive() || !s.Deployed {
		return nil, ErrDown
	}
	return s, nil
}

func load(dir string) (*Stack, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrDown
	}
	if err != nil {
		return nil, err
	}
	s := &Stack{dir: dir}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("%s: %w; delete it", s.file("state.json"), err)
	}
	return s, nil
}

// save writes the state so that it is whole or absent, also when killed.
func (s *Stack) save() error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	tmp := s.file("state.json.new")
	if err := write(tmp, append(b, '\n')); err != nil {
		return err
	}
	return os.Rename(tmp, s.file("state.json"))
}

func (s *Stack) file(name string) string { return filepath.Join(s.dir, name) }

// Down ends the stack in dir and forgets it; one that does not run is no error.
func Down(ctx context.Context, dir string) error {
	s, err := load(dir)
	if errors.Is(err, ErrDown) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.Down(ctx)
}

// Down ends the processes of the stack and deletes its state. Logs stay.
func (s *Stack) Down(ctx context.Context) error {
	if err := errors.Join(s.Emulator.stop(ctx), s.Sandbox.stop(ctx)); err != nil {
		return err
	}
	for _, name := range []string{"state.json", "aws-config", "ca.pem", "cert.pem", "key.pem", samLocalEnv, samLocalTemplate, "tmp"} {
		if err := os.RemoveAll(s.file(name)); err != nil {
			return err
		}
	}
	return nil
}

// Config is the AWS configuration that reaches this stack and nothing else.
func (s *Stack) Config(ctx context.Context) (aws.Config, error) {
	ca, err := os.Open(s.file("ca.pem"))
	if err != nil {
		return aws.Config{}, err
	}
	defer ca.Close()
	// No HTTP/2: after many requests on one connection the emulator was seen to let the
	// next one wait for ever.
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.ForceAttemptHTTP2 = false
		t.Protocols = new(http.Protocols)
		t.Protocols.SetHTTP1(true)
		t.TLSClientConfig.NextProtos = nil
	})
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithHTTPClient(client),
		config.WithLogger(logging.Nop{}), // it warns of every connection that the emulator closes
		config.WithSharedConfigFiles([]string{s.file("aws-config")}),
		config.WithSharedCredentialsFiles([]string{}),
		config.WithSharedConfigProfile(profile),
		config.WithRegion(Region),
		config.WithBaseEndpoint(s.Endpoint),
		config.WithCustomCABundle(ca),
		config.WithEC2IMDSClientEnableState(imds.ClientDisabled),
	)
	// What a receive found stays hidden if its answer is lost. No service's own time-outs are needed on loopback.
	cfg.HTTPClient = awsclient.OwnBody(cfg.HTTPClient)
	return cfg, err
}

// Env is what other tools need to work on the stack: the SAM CLI, the AWS CLI, any SDK.
func (s *Stack) Env() []string {
	return []string{
		"AWS_CONFIG_FILE=" + s.file("aws-config"),
		"AWS_SHARED_CREDENTIALS_FILE=/dev/null",
		"AWS_PROFILE=" + profile,
		"AWS_REGION=" + Region,
		"AWS_ENDPOINT_URL=" + s.Endpoint,
		"AWS_CA_BUNDLE=" + s.file("ca.pem"),
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

// writeProfile writes the file that says the stack's keys; that of sam local invoke says them, too.
func (s *Stack) writeProfile(key, secret string) error {
	text := strings.Join([]string{
		"# Written by sfrelay stack up. Credentials of this local stack, good for nothing else.",
		"[profile " + profile + "]",
		"region = " + Region,
		"endpoint_url = " + s.Endpoint,
		"ca_bundle = " + s.file("ca.pem"),
		"aws_access_key_id = " + key,
		"aws_secret_access_key = " + secret,
		"",
	}, "\n")
	return write(s.file("aws-config"), []byte(text))
}
