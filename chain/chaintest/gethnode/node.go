package gethnode

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/eth"
	"github.com/ethereum/go-ethereum/eth/catalyst"
	"github.com/ethereum/go-ethereum/eth/ethconfig"
	"github.com/ethereum/go-ethereum/eth/filters"
	"github.com/ethereum/go-ethereum/eth/tracers"
	_ "github.com/ethereum/go-ethereum/eth/tracers/native" // registers callTracer and its siblings
	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/rpc"
)

// DefaultChainID is the chain id of a node whose Options name none.
const DefaultChainID = 1337

// Options describe a node. The zero value is an in-memory node with chain id
// 1337 on free ports that seals blocks on demand.
type Options struct {
	// ChainID is the EIP-155 chain id; 0 means DefaultChainID.
	ChainID uint64
	// Alloc are genesis balances in wei, beside the faucet's own.
	Alloc map[common.Address]*big.Int
	// BlockTime seals a block at this interval; 0 seals only on Node.Mine.
	BlockTime time.Duration
	// HTTPPort and WSPort are ports on 127.0.0.1; 0 takes a free one.
	HTTPPort, WSPort int
	// DataDir keeps the chain in this folder; empty keeps it in memory.
	DataDir string
	// LogRangeLimit refuses eth_getLogs over more blocks than this, as public
	// providers do; 0 means no limit.
	LogRangeLimit uint64
}

// Node is a running node. Its methods may be called concurrently.
type Node struct {
	opts   Options
	stack  *node.Node
	eth    *eth.Ethereum
	beacon *catalyst.SimulatedBeacon
	rpc    *rpc.Client

	// mu guards sealing and forking: the simulated beacon has no lock of its own.
	mu     sync.Mutex
	paused bool
	closed bool

	stop     chan struct{}
	loopDone chan struct{}
}

// Start builds and starts a node. It returns when the node's ports are open.
// The caller must Close it.
func Start(opts Options) (*Node, error) {
	if opts.ChainID == 0 {
		opts.ChainID = DefaultChainID
	}
	stack, err := node.New(nodeConfig(opts))
	if err != nil {
		return nil, fmt.Errorf("create node: %w", err)
	}
	n := &Node{opts: opts, stack: stack, stop: make(chan struct{}), loopDone: make(chan struct{})}
	if err := n.start(); err != nil {
		return nil, errors.Join(err, stack.Close())
	}
	go n.loop()
	return n, nil
}

func (n *Node) start() error {
	conf := ethConfig(n.opts)
	backend, err := eth.New(n.stack, conf)
	if err != nil {
		return fmt.Errorf("create chain: %w", err)
	}
	n.eth = backend
	n.stack.RegisterAPIs(tracers.APIs(backend.APIBackend))
	n.stack.RegisterAPIs([]rpc.API{{
		Namespace: "eth",
		Service: filters.NewFilterAPI(filters.NewFilterSystem(backend.APIBackend, filters.Config{
			LogQueryLimit: conf.LogQueryLimit,
			RangeLimit:    n.opts.LogRangeLimit,
		})),
	}})
	n.beacon, err = catalyst.NewSimulatedBeacon(0, common.Address{}, backend)
	if err != nil {
		return fmt.Errorf("create beacon: %w", err)
	}
	backend.SetSynced()
	if backend.BlockChain().CurrentBlock().Number.Sign() > 0 {
		if _, err := n.seal(); err != nil {
			return fmt.Errorf("seal first block after restart: %w", err)
		}
	}
	if err := n.stack.Start(); err != nil {
		return fmt.Errorf("start node: %w", err)
	}
	n.rpc = n.stack.Attach()
	return nil
}

func nodeConfig(opts Options) *node.Config {
	modules := []string{"eth", "net", "web3", "debug", "txpool"}
	conf := node.DefaultConfig
	conf.Name = "gethnode"
	conf.DataDir = opts.DataDir
	conf.UseLightweightKDF = true
	conf.IPCPath = ""
	conf.P2P = p2p.Config{NoDiscovery: true, NoDial: true, MaxPeers: 0}
	conf.HTTPHost, conf.HTTPPort, conf.HTTPModules = "127.0.0.1", opts.HTTPPort, modules
	conf.WSHost, conf.WSPort, conf.WSModules = "127.0.0.1", opts.WSPort, modules
	conf.WSOrigins = []string{"*"}
	return &conf
}

func ethConfig(opts Options) *ethconfig.Config {
	conf := ethconfig.Defaults
	conf.Genesis = Genesis(opts.ChainID, opts.Alloc)
	conf.SyncMode = ethconfig.FullSync
	conf.NoPruning = true
	conf.StateScheme = rawdb.HashScheme
	conf.TransactionHistory = 0 // index every transaction
	conf.LogNoHistory = true    // search logs without an index: always current, also right after a reorg
	conf.TxPool.NoLocals = true
	conf.DatabaseCache, conf.TrieCleanCache, conf.TrieDirtyCache, conf.SnapshotCache = 32, 16, 16, 0
	return &conf
}

// loop seals a block every BlockTime. It owns the timer instead of the simulated
// beacon, whose own loop takes no lock and may still be sealing after its Stop.
func (n *Node) loop() {
	defer close(n.loopDone)
	if n.opts.BlockTime <= 0 {
		return
	}
	ticker := time.NewTicker(n.opts.BlockTime)
	defer ticker.Stop()
	for {
		select {
		case <-n.stop:
			return
		case <-ticker.C:
			n.tick()
		}
	}
}

func (n *Node) tick() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.paused || n.closed {
		return
	}
	// A failed seal is not fatal: the next tick builds on whatever the head is then.
	_, _ = n.seal()
}

// Pause stops sealing by time; Mine and Reorg go on working.
func (n *Node) Pause() { n.setPaused(true) }

// Resume undoes Pause.
func (n *Node) Resume() { n.setPaused(false) }

func (n *Node) setPaused(paused bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.paused = paused
}

// HTTPURL is the JSON-RPC address over HTTP.
func (n *Node) HTTPURL() string { return n.stack.HTTPEndpoint() }

// WSURL is the JSON-RPC address over WebSocket.
func (n *Node) WSURL() string { return n.stack.WSEndpoint() }

// ChainID is the chain id the node answers with.
func (n *Node) ChainID() uint64 { return n.opts.ChainID }

// RPC is a client attached inside the process. It is closed with the node.
func (n *Node) RPC() *rpc.Client { return n.rpc }

// Genesis is the hash of block 0.
func (n *Node) Genesis() common.Hash { return n.eth.BlockChain().Genesis().Hash() }

// Head is the header of the current head block.
func (n *Node) Head() *types.Header { return n.eth.BlockChain().CurrentBlock() }

// BlockByNumber is a block of the canonical chain, nil when there is none.
func (n *Node) BlockByNumber(number uint64) *types.Block {
	return n.eth.BlockChain().GetBlockByNumber(number)
}

// HeaderByHash is the header of a block, canonical or not, nil when there is none.
func (n *Node) HeaderByHash(hash common.Hash) *types.Header {
	return n.eth.BlockChain().GetHeaderByHash(hash)
}

// PendingTransactions counts the transactions that the next block could take.
func (n *Node) PendingTransactions() int {
	_ = n.eth.TxPool().Sync()
	count := 0
	pending, _ := n.eth.TxPool().Pending(txpool.PendingFilter{})
	for _, txs := range pending {
		count += len(txs)
	}
	return count
}

// Payer signs with the faucet key, which holds 2^120 wei at genesis.
func (n *Node) Payer(ctx context.Context) (*Payer, error) {
	return NewPayer(ctx, n.rpc, FaucetKey())
}

// Close seals what is pending when blocks are sealed by time, stops the node and
// releases its ports and its folder. It may be called more than once.
func (n *Node) Close() error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil
	}
	n.closed = true
	if n.opts.BlockTime > 0 && !n.paused && n.opts.DataDir != "" && n.PendingTransactions() > 0 {
		_, _ = n.seal()
	}
	n.mu.Unlock()
	close(n.stop)
	<-n.loopDone
	n.rpc.Close()
	return errors.Join(n.beacon.Stop(), n.stack.Close())
}
