package activities

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// NodeStore is what Nodes needs of the store.
type NodeStore interface {
	GetChain(ctx context.Context, name string) (store.Chain, error)
	ListRPCEndpoints(ctx context.Context, chain string) ([]store.RPCEndpoint, error)
}

// Nodes opens the nodes that are configured for chains. URLs are opened here and go nowhere else.
type Nodes struct {
	store NodeStore
	keys  Opener
	log   *slog.Logger
	// fresh is how long a list of nodes is used before it is read again.
	fresh time.Duration
	now   func() time.Time
	open  func(family payment.Family, opts evm.Options) (node, error)

	mu     sync.Mutex
	chains map[string]*pool
}

// node is one endpoint.
type node interface {
	Source
	Close()
}

// NewNodes makes an empty set of nodes. Close it.
func NewNodes(store NodeStore, keys Opener, log *slog.Logger) *Nodes {
	return &Nodes{store: store, keys: keys, log: log, fresh: 30 * time.Second, now: time.Now, open: openNode, chains: map[string]*pool{}}
}

func openNode(family payment.Family, opts evm.Options) (node, error) {
	if family != payment.FamilyEVM {
		return nil, payment.E(payment.CodeUnknownChain, "", "chains of family %s cannot be read", family)
	}
	return evm.New(opts)
}

// Source implements Sources: the chain's nodes as one source, which uses the next node when one fails. It stays valid
// while the list of nodes changes. Errors: CodeUnknownChain; chain.ErrUnavailable when no node is configured or none can be
// opened.
func (n *Nodes) Source(ctx context.Context, name string) (Source, error) {
	n.mu.Lock()
	p := n.chains[name]
	if p == nil {
		p = &pool{now: n.now}
		n.chains[name] = p
	}
	n.mu.Unlock()
	if err := n.refresh(ctx, name, p); err != nil {
		return nil, err
	}
	return p, nil
}

// refresh reads the list of nodes, unless that was done a moment ago. While the database is away, the old list is used.
func (n *Nodes) refresh(ctx context.Context, name string, p *pool) error {
	p.refreshing.Lock()
	defer p.refreshing.Unlock()
	if time.Since(p.read) < n.fresh && p.size() > 0 {
		return nil
	}
	settings, err := n.store.GetChain(ctx, name)
	var endpoints []store.RPCEndpoint
	if err == nil {
		endpoints, err = n.store.ListRPCEndpoints(ctx, name)
	}
	if err != nil {
		if p.size() > 0 && payment.CodeOf(err) == payment.CodeUnavailable {
			return nil
		}
		return err
	}
	p.read = time.Now()
	p.set(chain.Identity{ChainID: settings.ChainID, Genesis: settings.Genesis}, 10*settings.BlockTime, n.members(ctx, settings, endpoints, p))
	if p.size() == 0 {
		return fmt.Errorf("chain %s has no node that can be used: %w", name, chain.ErrUnavailable)
	}
	return nil
}

// members opens what is new and keeps what is known.
func (n *Nodes) members(ctx context.Context, settings store.Chain, endpoints []store.RPCEndpoint, p *pool) []*member {
	members := make([]*member, 0, len(endpoints))
	for _, endpoint := range endpoints {
		if known := p.member(endpoint.Fingerprint); known != nil {
			members = append(members, known)
			continue
		}
		opened, err := n.member(settings, endpoint)
		if err != nil {
			// The other nodes do without it. The error holds no URL: neither opening a seal nor parsing quotes one.
			n.log.ErrorContext(ctx, "a node cannot be used", "chain", settings.Name, "operator", endpoint.Operator, "node", endpoint.ID, "error", err)
			continue
		}
		members = append(members, opened)
	}
	return members
}

func (n *Nodes) member(settings store.Chain, endpoint store.RPCEndpoint) (*member, error) {
	url, err := n.keys.Open(endpoint.URL, endpoint.URLPlace(settings.Name))
	if err != nil {
		return nil, err
	}
	opts := evm.Options{URL: string(url)}
	if endpoint.WSURL != nil {
		ws, err := n.keys.Open(*endpoint.WSURL, endpoint.WSURLPlace(settings.Name))
		if err != nil {
			return nil, err
		}
		opts.WSURL = string(ws)
	}
	opened, err := n.open(settings.Family, opts)
	if err != nil {
		return nil, err
	}
	return &member{node: opened, id: endpoint.Fingerprint}, nil
}

// Close drops all connections.
func (n *Nodes) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.chains {
		p.set(chain.Identity{}, 0, nil)
	}
}
