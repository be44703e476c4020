// Package relaymonitor is the function that asks on a schedule how the relays do, in the org
// and in EventBridge, because a relay that stopped is silent.
package relaymonitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"sfrelay/shared/awsclient"
	"sfrelay/shared/config"
	"sfrelay/shared/guard/dynamo"
	"sfrelay/shared/relay"
	"sfrelay/shared/telemetry"
)

// Main serves the schedule until the process is stopped.
func Main() {
	m, err := newMonitor(context.Background(), config.NewReader(os.LookupEnv))
	if err != nil {
		slog.New(slog.NewJSONHandler(os.Stdout, nil)).Error("the function cannot start", "error", err.Error())
		os.Exit(1)
	}
	lambda.Start(m.run)
}

// monitor is the function.
type monitor struct {
	org    *relay.Org
	events *eventbridge.Client
	items  relay.Table
	table  string
	buses  map[string]string // of the stack, by its parameters; an empty one is not watched
	log    *telemetry.Log
	now    func() time.Time
}

func newMonitor(ctx context.Context, r *config.Reader) (*monitor, error) {
	m := &monitor{table: r.Required("GUARD_TABLE", "the name of the guard table"), now: time.Now,
		buses: map[string]string{"EventBusName": r.Optional("EVENT_BUS", ""), "ChangeBusName": r.Optional("CHANGE_BUS", "")}}
	if m.buses["EventBusName"] == "" && m.buses["ChangeBusName"] == "" {
		r.Check("EVENT_BUS", errors.New("name one bus, here or in CHANGE_BUS"))
	}
	m.log = telemetry.New(os.Stdout, r.Optional("SERVICE_NAME", "sfrelay"), slog.LevelInfo).InStage(r.Optional("STAGE", ""))
	address := r.URL("SALESFORCE_URL", "the My Domain address of the org")
	secret := r.Required("SALESFORCE_SECRET", "the ARN of the secret with the credentials for the org")
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithHTTPClient(awsclient.HTTPClient()))
	if err != nil {
		return nil, fmt.Errorf("AWS configuration: %w", err)
	}
	if address != "" {
		m.org, err = relay.NewOrg(address, awsclient.Secret(secretsmanager.NewFromConfig(cfg), secret))
		r.Check("SALESFORCE_URL", err)
	}
	m.events, m.items = eventbridge.NewFromConfig(cfg), dynamo.NewClient(cfg)
	return m, r.Err()
}

// asksFor is how long a run asks at most: less than the function's time-out, so that what was
// not answered is said.
const asksFor = time.Minute

// run is one run of the schedule. It leaves one line for each relay and one for the org. It
// never fails: what it could not see is in the lines, and its metrics ring the alarm.
func (m *monitor) run(ctx context.Context, _ json.RawMessage) error {
	ctx, cancel := context.WithTimeout(ctx, asksFor)
	defer cancel()
	m.ask(ctx).Write(m.log)
	return nil
}

func (m *monitor) ask(ctx context.Context) *Report {
	now := m.now().UTC()
	r := &Report{At: now}
	v, err := relay.LookAtStates(ctx, m.org, now)
	if err != nil {
		r.Refused = "NO_ANSWER"
		if no, ok := errors.AsType[*relay.Refused](err); ok {
			r.Refused, r.Setting = no.Code, no.Setting
		}
		v = unknown(now, r.Refused)
	} else if r.Pause, err = relay.Announced(ctx, m.items, m.table, v.OrgID); err != nil {
		r.Unseen = append(r.Unseen, "whether a pause was announced: "+err.Error())
	}
	r.seen(v, m.buses)
	for i := range r.Relays {
		r.Relays[i].arrives(relay.SourceOf(ctx, m.events, r.Relays[i].Bus))
	}
	return r
}

// unknown is the view of an org that says nothing.
func unknown(now time.Time, code string) *relay.View {
	v := &relay.View{At: now}
	v.Miss("allocations", errors.New(code))
	v.Miss("relays", errors.New(code))
	for _, k := range relay.Kinds {
		v.Relays = append(v.Relays, &relay.One{Name: k.Name, Kind: k})
	}
	return v
}
