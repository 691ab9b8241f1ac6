package stack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Facts about the development chains and their database that everything else refers to. The chains are as alike as real ones:
// one address is valid on both, and so are the codes of their assets.
const (
	ChainName     = "dev"
	ChainID       = 31337
	NativeSymbol  = "ETH"
	TokenCode     = "USDC"
	TokenDecimals = 6
	Database      = "sluice"

	SecondName = "dev2"
	SecondID   = 31338
	// SecondDecimals are the second chain's token's: the same token has others there, as happens on real networks.
	SecondDecimals = 18
)

// Endpoint is where Sluice is told to reach a chain.
type Endpoint struct {
	RPC string
	// WS may be empty, for all of a chain's endpoints or for none.
	WS       string
	Operator string
}

// Config says what a stack is made of. Only Dir and Repo are required.
type Config struct {
	// Dir is the state folder.
	Dir string
	// Repo is the checkout whose sluice command is built and run; see FindRepo. Not needed when Binary is given.
	Repo string
	// Binary is a sluice command built before; empty builds Repo's into Repo/.build.
	Binary string
	// Ports fixes single ports; a zero one is the one used last, or a free one.
	Ports Ports
	// BlockTime is the development chains'; 0 means one second. Negative seals blocks only when a node is told to.
	BlockTime time.Duration
	// Confirmations is the chains' policy; 0 means 3.
	Confirmations int
	// Durable makes PostgreSQL wait for the disk, so that the state survives a crash of the whole machine.
	Durable bool
	// NoUI leaves Temporal's web UI out.
	NoUI bool
	// Endpoints replaces a chain's endpoints that Sluice is told, for instance by a proxy that can fail; nil keeps them, and
	// so does an answer of none.
	Endpoints func(chain, rpc, ws string) []Endpoint
	// TemporalSettings override the Temporal server's dynamic configuration, by key.
	TemporalSettings map[string]any
	// Env is added to every sluice command's environment, as KEY=value; WorkerEnv and APIEnv to one program's only.
	Env, WorkerEnv, APIEnv []string
	// Progress is told about every step; nil discards it. Calls never overlap.
	Progress func(Event)
}

// Event is one step of starting or stopping.
type Event struct {
	// Part is what the step is about, for instance "postgres".
	Part string `json:"part"`
	// Done is false when a step begins and true when it has succeeded.
	Done bool `json:"done"`
	// Detail is an address or a remark; at the beginning it may explain why a step takes long.
	Detail string `json:"detail,omitempty"`
	// Took is how long a finished step took.
	Took time.Duration `json:"took,omitempty"`
}

func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, errors.New("stack: Config.Dir is empty")
	}
	if c.Repo == "" && c.Binary == "" {
		return c, errors.New("stack: neither Config.Repo nor Config.Binary is given")
	}
	if c.BlockTime == 0 {
		c.BlockTime = time.Second
	}
	if c.Confirmations == 0 {
		c.Confirmations = 3
	}
	if c.Progress == nil {
		c.Progress = func(Event) {}
	}
	var err error
	// Children have other working directories.
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return c, fmt.Errorf("resolve the state folder: %w", err)
	}
	return c, nil
}

// mainModule is the first line of the go.mod that marks a checkout.
const mainModule = "module github.com/sluicepay/sluice\n"

// FindRepo returns the checkout that dir lies in.
func FindRepo(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for here := dir; ; here = filepath.Dir(here) {
		content, err := os.ReadFile(filepath.Join(here, "go.mod"))
		if err == nil && len(content) >= len(mainModule) && string(content[:len(mainModule)]) == mainModule {
			return here, nil
		}
		if here == filepath.Dir(here) {
			return "", fmt.Errorf("%s is not inside a checkout of Sluice", dir)
		}
	}
}
