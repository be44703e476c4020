package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"sfrelay/shared/sandbox/door"
)

// Outage is the time between a fault of a sandbox and its removal.
type Outage struct {
	Sink   string // billing, erp, receiver, or org, which is no sink
	Lasted time.Duration
	Calls  int // that the sandbox got meanwhile
}

// sandbox breaks or repairs a sink, or the org.
func (p *play) sandbox(ctx context.Context, step *Step) error {
	url := p.sandboxURL(step.Sandbox) + "/_sandbox/faults"
	method, body := http.MethodDelete, []byte(nil)
	if len(step.Fault) > 0 {
		method, body = http.MethodPost, step.Fault
	}
	if _, err := p.ask(ctx, method, url, body); err != nil {
		return err
	}
	return p.noteOutage(ctx, step)
}

// outage is one that lasts.
type outage struct {
	since time.Time
	calls int // that the sandbox had got before
}

// noteOutage counts what a sink is asked while it is broken.
func (p *play) noteOutage(ctx context.Context, step *Step) error {
	b, err := p.ask(ctx, http.MethodGet, p.sandboxURL(step.Sandbox)+"/_sandbox/state", nil)
	if err != nil {
		return err
	}
	var state struct {
		Requests []struct{} `json:"requests"`
	}
	if err := json.Unmarshal(b, &state); err != nil {
		return fmt.Errorf("the state of %s: %w", step.Sandbox, err)
	}
	began, lasts := p.outages[step.Sandbox]
	switch {
	case len(step.Fault) > 0 && !lasts:
		p.outages[step.Sandbox] = outage{time.Now(), len(state.Requests)}
	case len(step.Fault) == 0 && lasts:
		delete(p.outages, step.Sandbox)
		p.result.Outages = append(p.result.Outages, Outage{step.Sandbox, time.Since(began.since), len(state.Requests) - began.calls})
	}
	return nil
}

func (p *play) sandboxURL(name string) string {
	switch name {
	case "billing":
		return p.Stack.StripeURL
	case "receiver":
		return p.Stack.NotifyURL
	case "org":
		return p.Stack.OrgURL
	default:
		return p.Stack.ERPURL
	}
}

func (p *play) ask(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(door.KeyHeader, p.Stack.SandboxKey)
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	const most = 64 << 20
	answer, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s %s", method, url, resp.Status, answer)
	}
	return answer, nil
}
