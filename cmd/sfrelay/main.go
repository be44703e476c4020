// Command sfrelay is what operators and developers of the relay use: it runs the
// whole pipeline on one machine, delivers events as EventBridge would, and looks
// after what failed.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/alecthomas/kong"
)

type commands struct {
	Run     runCommand     `cmd:"" help:"Play a scenario on a stack of its own and compare what came of it."`
	Send    sendCommand    `cmd:"" help:"Deliver events as EventBridge would."`
	Explain explainCommand `cmd:"" help:"Say what an event is, and who would take it."`
	Stack   stackCommand   `cmd:"" help:"The whole pipeline on this machine."`
	DLQ     dlqCommand     `cmd:"" name:"dlq" help:"Look after what failed."`
	Sandbox sandboxCommand `cmd:"" help:"Serve the sandboxes of Stripe and the ERP on loopback."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c commands
	k := kong.Parse(&c,
		kong.Name("sfrelay"),
		kong.Description("Salesforce changes, relayed to EventBridge, reach billing and ERP once and in order."),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err := k.Run(); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "sfrelay:", err)
		os.Exit(1)
	}
}

type versionCommand struct{}

// version is set when make builds the command: the tag or commit of the checkout.
var version = "unknown"

// Run implements kong's interface of a command.
func (versionCommand) Run() error {
	_, err := fmt.Println("sfrelay", version, runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
	return err
}
