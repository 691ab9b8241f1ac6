package activities

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/chain/rpcpool"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// NodeStore is what Nodes needs of the store.
type NodeStore interface {
	GetChain(ctx context.Context, name string) (store.Chain, error)
	ListRPCEndpoints(ctx context.Context, chain string) ([]store.RPCEndpoint, error)
	KnownBlocks(ctx context.Context, chain string) ([]payment.BlockRef, error)
}

// Nodes opens the nodes that are configured for chains, a pool for each. URLs are opened here and go nowhere else.
type Nodes struct {
	store NodeStore
	keys  Opener
	log   *slog.Logger
	// fresh is how long a list of nodes is used before it is read again.
	fresh time.Duration
	now   func() time.Time
	open  func(family payment.Family, opts evm.Options) (rpcpool.Endpoint, error)

	mu     sync.Mutex
	chains map[string]*nodes
}

// nodes are those of one chain.
type nodes struct {
	*rpcpool.Pool

	mu   sync.Mutex
	read time.Time // when the list was read
}

// NewNodes makes an empty set of nodes. Close it.
func NewNodes(store NodeStore, keys Opener, log *slog.Logger) *Nodes {
	return &Nodes{store: store, keys: keys, log: log, fresh: 20 * time.Second, now: time.Now, open: openNode, chains: map[string]*nodes{}}
}

func openNode(family payment.Family, opts evm.Options) (rpcpool.Endpoint, error) {
	if family != payment.FamilyEVM {
		return nil, payment.E(payment.CodeUnknownChain, "", "chains of family %s cannot be read", family)
	}
	return evm.New(opts)
}

// Source implements Sources: the chain's nodes as one source. It stays valid while the list of nodes changes. Errors:
// CodeUnknownChain; chain.ErrUnavailable when no node is configured or none can be opened.
func (n *Nodes) Source(ctx context.Context, name string) (Source, error) {
	n.mu.Lock()
	p := n.chains[name]
	if p == nil {
		p = &nodes{Pool: rpcpool.New(rpcpool.Options{Chain: name, Log: n.log, Now: n.now})}
		n.chains[name] = p
	}
	n.mu.Unlock()
	if err := n.refresh(ctx, name, p); err != nil {
		return nil, err
	}
	return p.Pool, nil
}

// Stats tells how the pools of nodes are doing that were asked for so far.
func (n *Nodes) Stats() []rpcpool.Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	stats := make([]rpcpool.Stats, 0, len(n.chains))
	for _, name := range slices.Sorted(maps.Keys(n.chains)) {
		stats = append(stats, n.chains[name].Stats())
	}
	return stats
}

// refresh reads the list of nodes, unless that was done a moment ago. While the database is away, the old list is used.
func (n *Nodes) refresh(ctx context.Context, name string, p *nodes) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.read) < n.fresh && p.Size() > 0 {
		return nil
	}
	settings, err := n.store.GetChain(ctx, name)
	var endpoints []store.RPCEndpoint
	var known []payment.BlockRef
	if err == nil {
		endpoints, err = n.store.ListRPCEndpoints(ctx, name)
	}
	if err == nil {
		known, err = n.store.KnownBlocks(ctx, name)
	}
	if err != nil {
		if p.Size() > 0 && payment.CodeOf(err) == payment.CodeUnavailable {
			return nil
		}
		return err
	}
	p.read = time.Now()
	p.Set(rpcpool.Config{
		Identity: chain.Identity{ChainID: settings.ChainID, Genesis: settings.Genesis}, Known: known, BlockTime: settings.BlockTime,
	}, n.members(ctx, settings, endpoints, p))
	if p.Size() == 0 {
		return fmt.Errorf("chain %s has no node that can be used: %w", name, chain.ErrUnavailable)
	}
	return nil
}

// members opens what is new.
func (n *Nodes) members(ctx context.Context, settings store.Chain, endpoints []store.RPCEndpoint, p *nodes) []rpcpool.Member {
	members := make([]rpcpool.Member, 0, len(endpoints))
	for _, endpoint := range endpoints {
		m := rpcpool.Member{Key: memberKey(settings, endpoint), ID: endpoint.ID, Operator: endpoint.Operator, Weight: endpoint.Weight}
		if !p.Has(m.Key) {
			opened, err := n.endpoint(settings, endpoint)
			if err != nil {
				// The other nodes do without it. The error holds no URL: neither opening a seal nor parsing quotes one.
				n.log.ErrorContext(ctx, "a node cannot be used", "chain", settings.Name, "operator", endpoint.Operator, "node", endpoint.ID, "error", err)
				continue
			}
			m.Endpoint = opened
		}
		members = append(members, m)
	}
	return members
}

// memberKey changes with what an endpoint is opened with: then it is opened again.
func memberKey(settings store.Chain, endpoint store.RPCEndpoint) [32]byte {
	if settings.IgnoreBloom {
		return sha256.Sum256(append([]byte("no blooms "), endpoint.Fingerprint[:]...))
	}
	return endpoint.Fingerprint
}

func (n *Nodes) endpoint(settings store.Chain, endpoint store.RPCEndpoint) (rpcpool.Endpoint, error) {
	url, err := n.keys.Open(endpoint.URL, endpoint.URLPlace(settings.Name))
	if err != nil {
		return nil, err
	}
	opts := evm.Options{URL: string(url), IgnoreBloom: settings.IgnoreBloom}
	if endpoint.WSURL != nil {
		ws, err := n.keys.Open(*endpoint.WSURL, endpoint.WSURLPlace(settings.Name))
		if err != nil {
			return nil, err
		}
		opts.WSURL = string(ws)
	}
	return n.open(settings.Family, opts)
}

// Close drops all connections.
func (n *Nodes) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.chains {
		p.Close()
	}
}
