package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"sfrelay/cmd/sfrelay/internal/stack"
	"sfrelay/shared/sandbox/door"
	erpsandbox "sfrelay/shared/sandbox/erp"
	orgsandbox "sfrelay/shared/sandbox/org"
	stripesandbox "sfrelay/shared/sandbox/stripe"
)

type sandboxCommand struct {
	Stripe string `default:"127.0.0.1:0" help:"Loopback address of the Stripe sandbox."`
	ERP    string `name:"erp" default:"127.0.0.1:0" help:"Loopback address of the ERP sandbox."`
	Org    string `default:"127.0.0.1:0" help:"Loopback address of the Salesforce sandbox."`
	OrgTLS string `name:"org-tls" placeholder:"FILE" type:"path" help:"Serve the Salesforce sandbox by TLS and write its certificate to FILE."`
	Delay  delay  `placeholder:"DURATION" help:"Let every request to any wait for so long first, e.g. 300ms; 1s at most."`
	JSON   bool   `name:"json" help:"Print the addresses and the key as one line of JSON."`
}

func (c *sandboxCommand) Run(ctx context.Context, out *screen) error {
	billing, err := listenLoopback(c.Stripe)
	if err != nil {
		return err
	}
	ledger, err := listenLoopback(c.ERP)
	if err != nil {
		return err
	}
	crm, err := listenLoopback(c.Org)
	if err != nil {
		return err
	}
	key := stack.NewKey()
	at := map[string]string{"stripe": "http://" + billing.Addr().String(), "erp": "http://" + ledger.Addr().String(), "org": "http://" + crm.Addr().String(), "key": key}
	if c.OrgTLS != "" {
		at["org"] = "https://" + crm.Addr().String()
		if crm, err = secured(crm, c.OrgTLS); err != nil {
			return err
		}
	}
	if c.JSON {
		if err := out.Out.JSON(at); err != nil {
			return err
		}
	} else {
		out.Out.Printf("Stripe %s\nERP    %s\nOrg    %s\nKey    %s, for /_sandbox/… in the header %s\nEnd with Ctrl-C.\n", at["stripe"], at["erp"], at["org"], key, door.KeyHeader)
	}
	wait := func() { time.Sleep(time.Duration(c.Delay)) }
	servers := []*http.Server{
		{Handler: door.Before(door.Delayed(stripeSandbox(), wait), billing.Addr(), key), ReadHeaderTimeout: 10 * time.Second},
		{Handler: door.Before(door.Delayed(erpSandbox(), wait), ledger.Addr(), key), ReadHeaderTimeout: 10 * time.Second},
		{Handler: door.Before(door.Delayed(orgsandbox.New(orgsandbox.Options{}), wait), crm.Addr(), key), ReadHeaderTimeout: 10 * time.Second},
	}
	failed := make(chan error, len(servers))
	for i, l := range []net.Listener{billing, ledger, crm} {
		go func() { failed <- servers[i].Serve(l) }()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	for _, s := range servers {
		err = errors.Join(err, s.Close())
	}
	return err
}

// secured speaks TLS over a listener and writes its certificate, which is no secret.
func secured(l net.Listener, file string) (net.Listener, error) {
	l, certificate, err := orgsandbox.Secure(l)
	if err != nil {
		return nil, err
	}
	return l, os.WriteFile(file, certificate, 0o600)
}

// delay is how long calls are held up. More than a second would meet the time-outs of the
// functions' clients, which is another trial.
type delay time.Duration

// UnmarshalText reads a duration as Go writes them.
func (d *delay) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 || v > time.Second {
		return fmt.Errorf("%q is no delay of at most a second; write e.g. 300ms", text)
	}
	*d = delay(v)
	return nil
}

// listenLoopback refuses addresses that others on the network could reach.
func listenLoopback(addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w; write it as 127.0.0.1:PORT", addr, err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("address %q is not on loopback; write it as 127.0.0.1:PORT", addr)
	}
	return net.Listen("tcp", addr)
}

func stripeSandbox() http.Handler {
	return stripesandbox.New(stripesandbox.Options{Key: stack.StripeKey})
}

func erpSandbox() http.Handler { return erpsandbox.New(erpsandbox.Options{Key: stack.ERPKey}) }
