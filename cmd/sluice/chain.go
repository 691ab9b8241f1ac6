package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

type chainCommands struct {
	Enable  chainEnable  `cmd:"" help:"Add a network with its nodes, its native coin and the tokens of the catalogue, or change its settings; with its name alone, take orders on it again."`
	Disable chainDisable `cmd:"" help:"Take no new orders on a network. It is watched, and its money credited, as before."`
	RPC     rpcCommands  `cmd:"" name:"rpc" help:"A network's nodes."`
	Catalog chainCatalog `cmd:"" help:"List the networks that need no more than the URLs of their nodes."`
	List    chainList    `cmd:"" help:"List networks, and how far each was read."`
	Pause   chainPause   `cmd:"" help:"Read and credit nothing more on a network until it is unpaused."`
	Unpause chainUnpause `cmd:"" help:"Go on where a paused network stopped."`
	Resume  chainResume  `cmd:"" help:"End a halt: credit a network's payments again."`
	Trace   chainTrace   `cmd:"" help:"Look for internal transfers, where a node can; that is how a network begins."`
	Untrace chainUntrace `cmd:"" help:"Look for no internal transfers on a network: traces may cost too much."`

	AnyToken   chainAnyToken   `cmd:"" help:"Look for transfers of tokens that nobody enabled, or stop that."`
	Bloom      chainBloom      `cmd:"" help:"Look at the bloom filters of a network's blocks, or do not where they are wrong."`
	AcceptHole chainAcceptHole `cmd:"" help:"Let orders expire across a block that cannot be read. It is still tried again."`

	Tier     tierCommands     `cmd:"" help:"Confirmations that larger amounts need."`
	Evidence evidenceCommands `cmd:"" help:"Evidence that larger amounts need."`
	Deadline chainDeadline    `cmd:"" help:"Set when a payment that is not confirmed is reviewed."`
}

type chainEnable struct {
	Name     string   `arg:"" help:"The name that orders use, such as ethereum."`
	RPCFile  string   `name:"rpc-file" placeholder:"FILE" help:"File with a node a line: its URL, then, if there are, its WebSocket URL and operator=NAME; - is standard input."`
	RPC      []string `name:"rpc" sep:"none" help:"URL of a node that needs no key; may be given several times."`
	WS       []string `name:"ws" sep:"none" help:"WebSocket URL beside each --rpc, in the same order."`
	Operator []string `help:"Who runs each node, in the same order; one name stands for all. Default: the domain in the node's URL."`

	// What a network is. The catalogue knows these for its own.
	Family         string         `enum:"evm" default:"evm" help:"How its addresses and transactions look (${enum})."`
	ChainID        *uint64        `name:"chain-id" help:"The network's own number; the nodes are asked for it."`
	Mode           string         `enum:",test,live" default:"" help:"Whether its money is play money (test) or money (live), for ever. Known of the catalogue's networks, public test networks and development chains."`
	NativeSymbol   *string        `help:"Code of the native coin, such as ETH."`
	NativeDecimals *uint8         `help:"Decimals of the native coin. Default: 18."`
	BlockTime      *time.Duration `help:"Usual time between blocks."`
	Confirmations  *uint64        `help:"Blocks that a payment must have, its own being the first."`

	// What is left out keeps what is set; the first time, it takes the catalogue's value or else the default.
	DisplayName *string        `help:"For people. Default: the name."`
	FinalityTag *string        `help:"Also wait for this tag (safe or finalized; empty for none). Default: none."`
	Horizon     *uint64        `help:"How many blocks deep a reorganisation is undone by itself. Default: 256."`
	MaxRange    *uint64        `help:"Most blocks in one request when catching up. Default: 500."`
	MaxLag      *time.Duration `help:"A watcher further behind than this counts as lagging. Default: 10m."`
	DustBelow   *string        `help:"Native amounts below this are dust (decimal). Default: about a cent for a coin of the catalogue, else 0."`
	StartBlock  *uint64        `help:"First block watched, taken the first time only. Default: when the oldest address was made, else now."`
	NoTokens    bool           `help:"Leave the catalogue's tokens out."`
	audited
}

// Run asks every node which chain it is and what it can do before anything is written. The catalogue's tokens and tiers come last: what cannot be had is left
// out, and the chain is enabled all the same; the same command again does what is missing, and nothing else.
func (e chainEnable) Run(ctx context.Context, c console) error {
	if e.onlyName() {
		return e.again(ctx, c)
	}
	e, err := e.withNodes(c.in)
	if err == nil {
		err = e.check()
	}
	if err != nil {
		return err
	}
	return withAdmin(ctx, e.audited, func(a admin) error {
		plan, err := e.plan(ctx, a.db)
		if err != nil {
			return err
		}
		known, err := a.db.KnownBlocks(ctx, e.Name)
		if err != nil {
			return err
		}
		genesis, head, err := e.askNodes(ctx, c, plan.chain, known)
		if err != nil {
			return err
		}
		plan.chain.Genesis = genesis
		if plan.fresh {
			if plan.chain.StartBlock, err = e.startBlock(ctx, a.db, head); err != nil {
				return err
			}
		}
		operators := e.operators()
		if err := a.db.EnableChain(ctx, plan.chain, plan.native, e.endpoints(a.keys, operators), a.by); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s is enabled: %s mode, chain id %d, %s, watched from block %d, %d nodes of %s; workers pick it up within a minute\n",
			e.Name, plan.chain.Mode, plan.chain.ChainID, policyWords(plan.chain.Policy), plan.chain.StartBlock, len(e.RPC), operatorsText(operators))
		if err := e.tellDemand(ctx, c, a); err != nil {
			return err
		}
		return e.applyCatalog(ctx, c, a, plan)
	})
}

// again lets a chain that is known take orders again.
func (e chainEnable) again(ctx context.Context, c console) error {
	return withAdmin(ctx, e.audited, func(a admin) error {
		err := a.db.SetChainOrders(ctx, e.Name, true, a.by)
		if payment.CodeOf(err) == payment.CodeUnknownChain {
			return &exitError{code: 2, message: "there is no chain " + e.Name + " yet: give its nodes with --rpc-file or --rpc"}
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(c.out, e.Name, takesAgain)
		return nil
	})
}

func (e chainEnable) check() error {
	switch {
	case len(e.RPC) == 0:
		return &exitError{code: 2, message: "give the network's nodes with --rpc-file or --rpc"}
	case len(e.WS) > 0 && len(e.WS) != len(e.RPC):
		return errors.New("give one --ws for each --rpc, or none")
	case len(e.Operator) > 1 && len(e.Operator) != len(e.RPC):
		return errors.New("give one --operator for each --rpc, or one for all")
	case e.FinalityTag != nil && !slices.Contains([]string{"", string(payment.TagSafe), string(payment.TagFinalized)}, *e.FinalityTag):
		return &exitError{code: 2, message: "--finality-tag is safe, finalized or empty"}
	}
	return nil
}

func (e chainEnable) endpoints(keys *seal.Keyring, operators []string) []store.RPCEndpoint {
	endpoints := make([]store.RPCEndpoint, len(e.RPC))
	for i, url := range e.RPC {
		endpoint := store.RPCEndpoint{Operator: operators[i], Fingerprint: sha256.Sum256([]byte(url))}
		endpoint.URL = keys.Seal([]byte(url), endpoint.URLPlace(e.Name))
		if i < len(e.WS) && e.WS[i] != "" {
			ws := keys.Seal([]byte(e.WS[i]), endpoint.WSURLPlace(e.Name))
			endpoint.WSURL = &ws
		}
		endpoints[i] = endpoint
	}
	return endpoints
}
