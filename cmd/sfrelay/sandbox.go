package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
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
	webhooksandbox "sfrelay/shared/sandbox/webhook"
)

type sandboxCommand struct {
	Stripe string `default:"127.0.0.1:0" help:"Loopback address of the Stripe sandbox."`
	ERP    string `name:"erp" default:"127.0.0.1:0" help:"Loopback address of the ERP sandbox."`
	Notify string `default:"127.0.0.1:0" help:"Loopback address of the sandbox of a receiver of notifications."`
	Org    string `default:"127.0.0.1:0" help:"Loopback address of the Salesforce sandbox."`
	OrgID  string `name:"org-id" placeholder:"ID" help:"Id of the org of the Salesforce sandbox."`
	OrgTLS string `name:"org-tls" placeholder:"FILE" type:"path" help:"Serve the Salesforce sandbox by TLS and write its certificate to FILE."`
	Delay  delay  `placeholder:"DURATION" help:"Let every request to any of them wait for so long first, e.g. 300ms; 1s at most."`
	// RelayTo is how stack up calls it.
	RelayTo string `name:"relay-to" type:"path" hidden:"" help:"Directory of the local stack whose buses the relays of the org lead to."`
	JSON    bool   `name:"json" help:"Print the addresses, the key, the receiver's signing secret and the credentials for the org as one line of JSON."`
}

func (c *sandboxCommand) Run(ctx context.Context, out *screen) error {
	var at [4]net.Listener // Stripe, ERP, receiver, org
	for i, address := range []string{c.Stripe, c.ERP, c.Notify, c.Org} {
		l, err := listenLoopback(address)
		if err != nil {
			return err
		}
		at[i] = l
	}
	secret := newSigningSecret()
	receiver, err := webhooksandbox.New(webhooksandbox.Options{Secrets: []string{secret}})
	if err != nil {
		return err
	}
	key := stack.NewKey()
	if c.OrgTLS != "" {
		if at[3], err = secured(at[3], c.OrgTLS); err != nil {
			return err
		}
	}
	org, err := c.org()
	if err != nil {
		return err
	}
	if err := c.print(out, at, key, secret, org.Credentials()); err != nil {
		return err
	}
	if c.RelayTo != "" {
		buses, err := toBuses(ctx, c.RelayTo)
		if err != nil {
			return err
		}
		go relayEvents(ctx, org, buses, out.Err)
	}
	wait := func() { time.Sleep(time.Duration(c.Delay)) }
	var servers []*http.Server
	failed := make(chan error, len(at))
	for i, h := range []http.Handler{stripeSandbox(), erpSandbox(), receiver, c.behindTheStack(org)} {
		s := &http.Server{Handler: door.Before(door.Delayed(h, wait), at[i].Addr(), key), ReadHeaderTimeout: 10 * time.Second}
		servers = append(servers, s)
		go func() { failed <- s.Serve(at[i]) }()
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

func (c *sandboxCommand) print(out *screen, at [4]net.Listener, key, secret string, org orgsandbox.Credentials) error {
	url := func(i int) string {
		if i == 3 && c.OrgTLS != "" {
			return "https://" + at[i].Addr().String()
		}
		return "http://" + at[i].Addr().String()
	}
	if c.JSON {
		return out.Out.JSON(map[string]string{
			"stripe": url(0), "erp": url(1), "notify": url(2), "org": url(3), "key": key, "notifySecret": secret,
			"orgClientId": org.ConsumerKey, "orgClientSecret": org.ConsumerSecret,
		})
	}
	out.Out.Printf("Stripe %s\nERP    %s\nNotify %s, with the signing secret %s\nOrg    %s\nKey    %s, for /_sandbox/… in the header %s\nEnd with Ctrl-C.\n",
		url(0), url(1), url(2), secret, url(3), key, door.KeyHeader)
	return nil
}

// newSigningSecret is one that nobody can guess, in the form of Standard Webhooks.
func newSigningSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails: the process would have ended
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
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
