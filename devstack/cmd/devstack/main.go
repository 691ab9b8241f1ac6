// Command devstack runs all of Sluice on this machine: `make demo`, `make up` and `make down`.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/sluicepay/sluice/devstack/stack"
	"github.com/sluicepay/sluice/devstack/term"
)

type cli struct {
	Dir    string    `help:"State folder; .sluice in the checkout unless given." env:"SLUICE_STACK_DIR" placeholder:"PATH"`
	Binary string    `help:"A sluice command built before, to be used instead of building one." env:"SLUICE_STACK_BINARY" placeholder:"PATH"`
	Ports  portFlags `embed:""`

	Demo   demoCmd   `cmd:"" help:"Start everything, play three orders, and keep running until Ctrl-C."`
	Up     upCmd     `cmd:"" help:"Start everything in the background."`
	Down   downCmd   `cmd:"" help:"Stop what up or demo started; its state stays."`
	Status statusCmd `cmd:"" help:"Say where the running stack is."`
	Pay    payCmd    `cmd:"" help:"Pay an order of the running stack, as its payer would."`
	Run    runCmd    `cmd:"" hidden:"" help:"What up starts."`
}

type portFlags struct {
	PostgresPort   int `help:"Fix PostgreSQL's port." env:"SLUICE_STACK_POSTGRES_PORT" placeholder:"N"`
	TemporalPort   int `help:"Fix the port of Temporal's frontend." env:"SLUICE_STACK_TEMPORAL_PORT" placeholder:"N"`
	TemporalUIPort int `help:"Fix the port of Temporal's UI." name:"temporal-ui-port" env:"SLUICE_STACK_TEMPORAL_UI_PORT" placeholder:"N"`
	ChainHTTPPort  int `help:"Fix the chain node's RPC port." name:"chain-http-port" env:"SLUICE_STACK_CHAIN_HTTP_PORT" placeholder:"N"`
	ChainWSPort    int `help:"Fix the chain node's WebSocket port." name:"chain-ws-port" env:"SLUICE_STACK_CHAIN_WS_PORT" placeholder:"N"`
	Chain2HTTPPort int `help:"Fix the second chain node's RPC port." name:"chain2-http-port" env:"SLUICE_STACK_CHAIN2_HTTP_PORT" placeholder:"N"`
	Chain2WSPort   int `help:"Fix the second chain node's WebSocket port." name:"chain2-ws-port" env:"SLUICE_STACK_CHAIN2_WS_PORT" placeholder:"N"`
	WorkerPort     int `help:"Fix the port of the worker's health and metrics." env:"SLUICE_STACK_WORKER_PORT" placeholder:"N"`
	APIPort        int `help:"Fix the API's port." name:"api-port" env:"SLUICE_STACK_API_PORT" placeholder:"N"`
	ReceiverPort   int `help:"Fix the port of the demo's webhook receiver." env:"SLUICE_STACK_RECEIVER_PORT" placeholder:"N"`
}

func (f portFlags) ports() stack.Ports {
	return stack.Ports{
		Postgres: f.PostgresPort, Temporal: f.TemporalPort, TemporalUI: f.TemporalUIPort,
		ChainHTTP: f.ChainHTTPPort, ChainWS: f.ChainWSPort,
		Chain2HTTP: f.Chain2HTTPPort, Chain2WS: f.Chain2WSPort,
		Worker: f.WorkerPort, API: f.APIPort, Receiver: f.ReceiverPort,
	}
}

// config is the stack that the flags describe.
func (c *cli) config() (stack.Config, error) {
	repo, err := stack.FindRepo(".")
	if err != nil {
		return stack.Config{}, err
	}
	dir := c.Dir
	if dir == "" {
		dir = filepath.Join(repo, ".sluice")
	}
	return stack.Config{Dir: dir, Repo: repo, Binary: c.Binary, Ports: c.Ports.ports(), Durable: true}, nil
}

// errInterrupted ends a command that was told to stop before it was done.
var errInterrupted = errors.New("interrupted")

func main() { os.Exit(run()) }

func run() int {
	var c cli
	parsed := kong.Parse(&c,
		kong.Name("devstack"),
		kong.Description("All of Sluice on this machine's loopback address, with its state in one folder."),
		kong.UsageOnError())
	out := term.New(os.Stdout)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// The first signal stops everything in order. After it the default returns: a second one ends the process at once,
	// and the kernel its children.
	context.AfterFunc(ctx, stop)

	parsed.BindTo(ctx, (*context.Context)(nil))
	err := parsed.Run(&c, out)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errInterrupted):
		return 130
	default:
		out.Fail(err.Error())
		return 1
	}
}
