package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"sfrelay/cmd/sfrelay/internal/stack"
	"sfrelay/shared/sandbox/door"
	erpsandbox "sfrelay/shared/sandbox/erp"
	stripesandbox "sfrelay/shared/sandbox/stripe"
)

type sandboxCommand struct {
	Stripe string `default:"127.0.0.1:0" help:"Loopback address of the Stripe sandbox."`
	ERP    string `name:"erp" default:"127.0.0.1:0" help:"Loopback address of the ERP sandbox."`
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
	key := stack.NewKey()
	at := map[string]string{"stripe": "http://" + billing.Addr().String(), "erp": "http://" + ledger.Addr().String(), "key": key}
	if c.JSON {
		if err := out.Out.JSON(at); err != nil {
			return err
		}
	} else {
		out.Out.Printf("Stripe %s\nERP    %s\nKey    %s, for /_sandbox/… in the header %s\nEnd with Ctrl-C.\n", at["stripe"], at["erp"], key, door.KeyHeader)
	}
	servers := []*http.Server{
		{Handler: door.Before(stripeSandbox(), billing.Addr(), key), ReadHeaderTimeout: 10 * time.Second},
		{Handler: door.Before(erpSandbox(), ledger.Addr(), key), ReadHeaderTimeout: 10 * time.Second},
	}
	failed := make(chan error, len(servers))
	for i, l := range []net.Listener{billing, ledger} {
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
