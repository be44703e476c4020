package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"sfrelay/cmd/sfrelay/internal/scenario"
	"sfrelay/cmd/sfrelay/internal/stack"
	"sfrelay/cmd/sfrelay/internal/terminal"
	"sfrelay/shared/sandbox/door"
	"sfrelay/shared/sandbox/faults"
)

type sinksCommand struct {
	Sink  string        `arg:"" optional:"" enum:",billing,erp,receiver" default:"" help:"billing, erp or receiver; default: all."`
	Is    string        `arg:"" optional:"" name:"state" enum:",up,down,unavailable,throttled,slow,lost" default:"" help:"up; down: connections break; unavailable: 503; throttled: 429; slow: 5 s a request; lost: requests take effect and their answers get lost."`
	For   time.Duration `help:"How long; then it is up again. Without it until sinks … up." placeholder:"1m"`
	Fault bool          `name:"faults" help:"Show the faults that are switched on, too."`
	Dir   string        `name:"stack-dir" default:".cache/stack" type:"path" help:"Where the local stack keeps its state." hidden:""`
}

// Help is shown by sinks --help.
func (sinksCommand) Help() string {
	return "Shows what billing, ERP and the receiver of notifications of the local stack hold, and breaks or repairs them. " +
		"With --for it waits, and repairs the sink in the end, also after Ctrl-C. It knows no --aws: real sinks are never touched."
}

// switches are the faults of the words.
var switches = map[string]*faults.Fault{
	"up":                     nil,
	"down":                   {Kind: faults.Down, Times: -1},
	"unavailable":            {Kind: faults.Unavailable, Times: -1},
	string(faults.Throttled): {Kind: faults.Throttled, Times: -1},
	"slow":                   {Kind: faults.Latency, Times: -1, LatencyMS: 5000},
	"lost":                   {Kind: faults.LostResponse, Times: -1},
}

// Run implements kong's interface of a command.
func (c *sinksCommand) Run(ctx context.Context, s *screen) error {
	if c.For != 0 && (c.Is == "" || c.Is == "up" || c.For < 0) {
		return usageError{errors.New("--for is how long a sink is broken: sinks erp down --for 1m")}
	}
	st, err := stack.Open(c.Dir)
	if err != nil {
		return err
	}
	urls := map[string]string{"billing": st.StripeURL, "erp": st.ERPURL, "receiver": st.NotifyURL}
	d := sandboxes{key: st.SandboxKey, urls: urls}
	if c.Is != "" {
		return c.set(ctx, s, d)
	}
	for _, name := range []string{"billing", "erp", "receiver"} {
		if c.Sink == "" || c.Sink == name {
			if err := c.show(ctx, s.Out, d, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *sinksCommand) show(ctx context.Context, p *terminal.Printer, d sandboxes, name string) error {
	state, err := d.ask(ctx, http.MethodGet, name, "state", nil)
	if err != nil {
		return err
	}
	if err := scenario.PrintSink(p, name, state); err != nil {
		return err
	}
	list, err := d.ask(ctx, http.MethodGet, name, "faults", nil)
	if err != nil {
		return err
	}
	var on []faults.Fault
	_ = json.Unmarshal(list, &on) // shown as far as it can be read
	var kinds []string
	for _, f := range on {
		kinds = append(kinds, string(f.Kind))
	}
	if len(kinds) > 0 {
		p.Printf("%s is broken: %s. Repair it with: sfrelay sinks %s up\n", name, strings.Join(slices.Compact(kinds), ", "), name)
	} else if c.Fault {
		p.Printf("%s is up.\n", name)
	}
	return nil
}

// set breaks a sink or repairs it.
func (c *sinksCommand) set(ctx context.Context, s *screen, d sandboxes) error {
	if _, err := d.ask(ctx, http.MethodDelete, c.Sink, "faults", nil); err != nil {
		return err
	}
	fault := switches[c.Is]
	if fault == nil {
		s.Out.Printf("%s is up.\n", c.Sink)
		return nil
	}
	body, err := json.Marshal(fault)
	if err != nil {
		return err
	}
	if _, err := d.ask(context.WithoutCancel(ctx), http.MethodPost, c.Sink, "faults", body); err != nil { // an interruption must not leave it half told
		return err
	}
	if c.For == 0 {
		s.Out.Printf("%s is %s. Repair it with: sfrelay sinks %s up\n", c.Sink, c.Is, c.Sink)
		return nil
	}
	s.Out.Printf("%s is %s for %s; Ctrl-C repairs it at once.\n", c.Sink, c.Is, c.For)
	select {
	case <-ctx.Done():
	case <-time.After(c.For):
	}
	if _, err := d.ask(context.WithoutCancel(ctx), http.MethodDelete, c.Sink, "faults", nil); err != nil {
		return err
	}
	s.Out.Printf("%s is up.\n", c.Sink)
	return nil
}

// sandboxes are those of the local stack, with the key to what stands beside their APIs.
type sandboxes struct {
	key  string
	urls map[string]string
}

func (d sandboxes) ask(ctx context.Context, method, name, what string, body []byte) ([]byte, error) {
	if d.urls[name] == "" {
		return nil, fmt.Errorf("the local stack has no sandbox of %s: it was started with another", name)
	}
	req, err := http.NewRequestWithContext(ctx, method, d.urls[name]+"/_sandbox/"+what, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(door.KeyHeader, d.key)
	resp, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	const most = 64 << 20
	answer, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("the sandbox of %s answered %s: %s", name, resp.Status, answer)
	}
	return answer, err
}
