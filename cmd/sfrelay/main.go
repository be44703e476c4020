// Command sfrelay is what operators and developers of the relay use: it runs the
// whole pipeline on one machine, delivers events as EventBridge would, and looks
// after what failed.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"sfrelay/cmd/sfrelay/internal/account"
	"sfrelay/cmd/sfrelay/internal/terminal"
)

type commands struct {
	Run        runCommand        `cmd:"" help:"Play a scenario on a new local stack and compare the result with what the scenario expects."`
	Bulk       bulkCommand       `cmd:"" help:"Send a bulk load through a new local stack and compare what the sinks hold."`
	Send       sendCommand       `cmd:"" help:"Deliver events as EventBridge would."`
	Explain    explainCommand    `cmd:"" help:"Say what an event is, and which consumers take it."`
	Stack      stackCommand      `cmd:"" help:"The whole pipeline on this machine."`
	DLQ        dlqCommand        `cmd:"" name:"dlq" help:"List, show, redrive, drop, export and import what failed."`
	Record     recordCommand     `cmd:"" help:"Tell the story of a record: what each consumer knows of it, and which event set it."`
	Status     statusCommand     `cmd:"" help:"How many messages wait, and what became of changes, on one screen."`
	Tail       tailCommand       `cmd:"" help:"Watch what becomes of changes, as it happens."`
	Sinks      sinksCommand      `cmd:"" help:"Show what billing and ERP of the local stack hold, and break or repair them."`
	Whoami     whoamiCommand     `cmd:"" help:"Say who you are, and on which account and stack commands work."`
	Relay      relayCommand      `cmd:"" help:"Set up Event Relay between an org and AWS, and look after it."`
	Doctor     doctorCommand     `cmd:"" help:"Name what is wrong with the set-up of the relays; exit code 1 if anything is."`
	Sandbox    sandboxCommand    `cmd:"" help:"Serve the sandboxes of Stripe, the ERP, a receiver of notifications and Salesforce on loopback."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
	Completion completionCommand `cmd:"" help:"Print the script that completes commands and flags in your shell."`
}

// The exit codes; docs/reference/command-line.md has them.
const (
	done     = 0
	notDone  = 1
	wrongUse = 2
)

// screen is where commands write to, and where people answer them.
type screen struct {
	Out, Err *terminal.Printer
	In       *terminal.Input // nil: nobody answers
}

// where says first what a command works on: beside what machines read, not in it.
func (s *screen) where(at string, asJSON bool) {
	to := s.Out
	if asJSON {
		to = s.Err
	}
	to.Table(0, terminal.Row(at))
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], &screen{terminal.Open(os.Stdout), terminal.Open(os.Stderr), terminal.OpenInput(os.Stdin)})
	stop()
	os.Exit(code)
}

// run is one call of the program.
func run(ctx context.Context, args []string, s *screen) (code int) {
	var c commands
	over := false // --help has printed all there is
	k := kong.Must(&c,
		kong.Name("sfrelay"),
		kong.Description("Salesforce changes, relayed to EventBridge, reach billing and ERP once and in order."),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(s),
		kong.Writers(s.Out, s.Err),
		kong.Exit(func(int) { over = true }),
	)
	if len(args) == 1 && args[0] == "--version" { // a flag of record has that name, and kong takes each name once
		s.Out.Printf("%s\n", versionText())
		return done
	}
	if len(args) > 0 && args[0] == completeVerb {
		complete(s.Out, k.Model, args[1:])
		return done
	}
	parsed, err := k.Parse(args)
	if over {
		return done
	}
	if err != nil {
		s.Err.Error("sfrelay", err)
		s.Err.Printf("See: sfrelay%s --help\n", commandOf(err))
		return wrongUse
	}
	err = parsed.Run()
	if err == nil {
		err = s.Out.Err()
	}
	if err == nil {
		return done
	}
	if errors.Is(err, errNo) { // no mistake, and there is nothing to type next
		s.Err.Printf("Nothing was sent.\n")
		return notDone
	}
	s.Err.Error("sfrelay", account.Plainly(err))
	if errors.As(err, new(usageError)) {
		s.Err.Printf("See: %s --help\n", "sfrelay "+strings.Join(strings.Fields(parsed.Command())[:commandDepth(parsed)], " "))
		return wrongUse
	}
	return notDone
}

// usageError is a mistake in the command line that only the command itself can find.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// commandOf is the command whose arguments were wrong, as far as it was read.
func commandOf(err error) string {
	wrong, ok := errors.AsType[*kong.ParseError](err)
	if !ok || wrong.Context == nil {
		return ""
	}
	if node := wrong.Context.Selected(); node != nil {
		return " " + node.Path()
	}
	return ""
}

func commandDepth(c *kong.Context) int { return len(strings.Fields(c.Selected().Path())) }

type versionCommand struct{}

// version is set when make builds the command: the tag or commit of the checkout.
var version = "unknown"

func versionText() string {
	return strings.Join([]string{"sfrelay", version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}, " ")
}

// Run implements kong's interface of a command.
func (versionCommand) Run(s *screen) error {
	s.Out.Printf("%s\n", versionText())
	return nil
}
