package gethnode

import (
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// Errors of Mine and Reorg.
var (
	// ErrClosed: the node was closed.
	ErrClosed = errors.New("node is closed")
	// ErrNotSealed: the beacon built no block; the chain is as it was.
	ErrNotSealed = errors.New("no block was sealed")
	// ErrTooDeep: a fork below the genesis block was asked for.
	ErrTooDeep = errors.New("fork is deeper than the chain")
)

// Mine seals count blocks on the head and returns their hashes, oldest first.
// The first takes the pool's pending transactions, as far as they fit.
func (n *Node) Mine(count int) ([]common.Hash, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mine(count)
}

func (n *Node) mine(count int) ([]common.Hash, error) {
	hashes := make([]common.Hash, 0, count)
	for range count {
		if n.closed {
			return hashes, ErrClosed
		}
		hash, err := n.seal()
		if err != nil {
			return hashes, err
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}

// ReorgOptions say what a fork keeps and how long it grows.
type ReorgOptions struct {
	// Depth is how many blocks of the present chain are undone; at least 1.
	Depth int
	// Blocks is how many blocks replace them. Fewer than Depth leaves a head that
	// is lower than before; 0 only rewinds.
	Blocks int
	// Drop forgets the transactions of the undone blocks. Otherwise they return to
	// the pool and the first new block takes them again, after what Before sent.
	Drop bool
	// Before runs after the rewind and before the first new block, for example to
	// send a transaction that takes an undone one's nonce. It must not call Mine,
	// Reorg or Close.
	Before func() error
}

// Reorg replaces the newest blocks by others and returns the new ones' hashes,
// oldest first. Whoever looks in between sees the head at the common ancestor.
func (n *Node) Reorg(opts ReorgOptions) ([]common.Hash, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, ErrClosed
	}
	chain := n.eth.BlockChain()
	ancestor := chain.GetBlockByHash(n.Head().Hash())
	for range opts.Depth {
		if ancestor = chain.GetBlockByHash(ancestor.ParentHash()); ancestor == nil {
			return nil, ErrTooDeep
		}
	}
	// The beacon's own Fork refuses while transactions are pending. Setting the head
	// directly lets the pool take the undone transactions back, as it does in a real
	// reorg.
	if _, err := chain.SetCanonical(ancestor); err != nil {
		return nil, fmt.Errorf("rewind to block %d: %w", ancestor.NumberU64(), err)
	}
	if err := n.eth.TxPool().Sync(); err != nil {
		return nil, fmt.Errorf("sync pool: %w", err)
	}
	if opts.Drop {
		n.beacon.Rollback()
	}
	if opts.Before != nil {
		if err := opts.Before(); err != nil {
			return nil, err
		}
	}
	return n.mine(opts.Blocks)
}

// DropPending forgets every transaction that is waiting in the pool.
func (n *Node) DropPending() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.beacon.Rollback()
}

// seal builds one block on the current head. The caller holds mu, or is alone.
func (n *Node) seal() (common.Hash, error) {
	n.awaitPromotion()
	before := n.Head().Hash()
	hash := n.beacon.Commit()
	if hash == before {
		return common.Hash{}, ErrNotSealed
	}
	// Let the pool take notice before anybody asks it for a nonce.
	if err := n.eth.TxPool().Sync(); err != nil {
		return hash, fmt.Errorf("sync pool: %w", err)
	}
	if n.opts.DataDir != "" {
		// The database keeps the newest writes in memory until it is told to sync: a
		// killed process would lose the last blocks.
		if err := n.eth.ChainDb().SyncKeyValue(); err != nil {
			return hash, fmt.Errorf("sync block to disk: %w", err)
		}
	}
	return hash, nil
}

// Bounds of awaitPromotion.
const (
	promotionPoll = 200 * time.Microsecond
	promotionWait = 30 * time.Second
)

// awaitPromotion waits until the pool has made every transaction executable that
// can be. A new transaction waits in the pool's queue for a moment; if the reset
// that sealing begins with comes in between, the pool leaves the transaction there
// for another block. When time is up the block is sealed as things are.
func (n *Node) awaitPromotion() {
	deadline := time.NewTimer(promotionWait)
	defer deadline.Stop()
	poll := time.NewTicker(promotionPoll)
	defer poll.Stop()
	for n.promoting() {
		select {
		case <-deadline.C:
			return
		case <-poll.C:
		}
	}
}

func (n *Node) promoting() bool {
	pool := n.eth.TxPool()
	_, queued := pool.Content()
	for address, txs := range queued {
		if len(txs) > 0 && txs[0].Nonce() <= pool.PoolNonce(address) {
			return true
		}
	}
	return false
}
