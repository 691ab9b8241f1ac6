// Command sluice is the one binary of the engine: the API, the workers, migrations and the operator's commands.
//
// Configuration comes from the environment; `sluice <command> --help` names what each command reads. Commands that
// print something for another program take --json. Exit codes: 0 done, 1 failed, 2 called wrongly, 3 the check found
// something (ledger check; master-key reseal; chain enable, when a token is not what the catalogue says).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/sluicepay/sluice/internal/redact"
)

type cli struct {
	API     apiCommand     `cmd:"" name:"api" help:"Serve the HTTP API."`
	Worker  workerCommand  `cmd:"" help:"Run workflows, activities, watchers and the outbox relay."`
	Migrate migrateCommand `cmd:"" help:"Bring the database schema up to this release, as the owner role."`

	Wallet   walletCommands   `cmd:"" help:"Extended public keys that payment addresses are derived from."`
	Merchant merchantCommands `cmd:"" help:"Merchants."`
	Endpoint endpointCommands `cmd:"" help:"Where merchants receive callbacks."`
	Key      keyCommands      `cmd:"" help:"API keys."`
	Chain    chainCommands    `cmd:"" help:"Networks and their RPC endpoints."`
	Token    tokenCommands    `cmd:"" help:"Tokens that orders may ask for."`
	Ledger   ledgerCommands   `cmd:"" help:"The books."`

	Order     orderCommands     `cmd:"" help:"Orders, for support."`
	Payment   paymentCommands   `cmd:"" help:"Payments, for support."`
	Review    reviewCommands    `cmd:"" help:"Money that needs a person."`
	Callback  callbackCommands  `cmd:"" help:"Callbacks and their attempts."`
	Audit     auditCommands     `cmd:"" help:"What was done by hand."`
	MasterKey masterKeyCommands `cmd:"" name:"master-key" help:"The keys that seal secrets and authenticate wallets."`
}

// console is where commands read and write; tests give their own.
type console struct {
	in       io.Reader
	out, err io.Writer
}

// exitError carries an exit code other than 1. Its message may be empty.
type exitError struct {
	code    int
	message string
}

func (e *exitError) Error() string { return e.message }

func main() {
	os.Exit(run(os.Args[1:], console{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

func run(args []string, c console) int {
	// The first signal asks; a second one, after stop() has restored the default, ends at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	exited := -1
	parser, err := kong.New(&cli{},
		kong.Name("sluice"),
		kong.Description("A crypto payment engine. See docs/operations.md."),
		kong.Writers(c.out, c.err),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(c),
	)
	if err != nil {
		panic(err) // the command structs themselves are wrong; any test finds it
	}
	command, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		fmt.Fprintln(c.err, "sluice:", maskArguments(err.Error(), args))
		return 2
	}
	if err := command.Run(); err != nil {
		var exit *exitError
		code := 1
		if errors.As(err, &exit) {
			code = exit.code
		}
		if message := err.Error(); message != "" {
			fmt.Fprintln(c.err, "sluice:", message)
		}
		return code
	}
	return 0
}

// longestWord is the longest argument that a message may repeat: longer than commands, shorter than keys and tokens.
const longestWord = 15

// maskArguments takes out of the parser's message what it repeats of the values it was given: one in the wrong place may be a
// secret, and what commands say often ends in a log.
func maskArguments(message string, args []string) string {
	var values []string
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") {
			_, arg, _ = strings.Cut(arg, "=")
		}
		for _, value := range append(strings.Split(arg, ","), arg) {
			if len(value) > longestWord {
				values = append(values, value, strings.Trim(strconv.Quote(value), `"`))
			}
		}
	}
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	for _, value := range values {
		message = strings.ReplaceAll(message, value, redact.Mask)
	}
	return message
}
