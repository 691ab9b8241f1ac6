package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// wellBelow is how far below the lowest head nodes are compared that do not show block 0: far enough that lagging ones agree,
// and near enough that pruned ones have it.
const wellBelow = 64

// askedNode is a node with what it told of itself. Errors name it by its position: its URL may hold a key.
type askedNode struct {
	*evm.Source

	number   int
	identity chain.Identity
	head     payment.BlockRef
	can      chain.Capabilities
}

// askNodes returns the genesis block, zero when no node shows it, and the newest block that all nodes have. All of them have to be on
// the chain, and between them do what watching needs.
func (e chainEnable) askNodes(
	ctx context.Context, c console, want store.Chain, known []payment.BlockRef,
) (genesis payment.Hash, head payment.BlockRef, err error) {
	nodes := make([]*askedNode, 0, len(e.RPC))
	for i, url := range e.RPC {
		node, err := askNode(ctx, url, want)
		if err != nil {
			return genesis, head, fmt.Errorf("--rpc number %d %w", i+1, err)
		}
		defer node.Close()
		node.number = i + 1
		nodes = append(nodes, node)
	}
	// One that is wrong must not set the start where the chain will not come.
	head = slices.MinFunc(nodes, func(a, b *askedNode) int { return cmp.Compare(a.head.Number, b.head.Number) }).head
	if genesis, err = sameChain(ctx, nodes, want.Genesis, known, head.Number); err != nil {
		return genesis, head, err
	}
	return genesis, head, enough(c, nodes)
}

// askNode asks one node who it is, whether it knows what the policy names, and what it can do.
func askNode(ctx context.Context, url string, want store.Chain) (*askedNode, error) {
	source, err := evm.New(evm.Options{URL: url})
	if err != nil {
		return nil, err
	}
	node := &askedNode{Source: source}
	if err := node.ask(ctx, want); err != nil {
		source.Close()
		return nil, err
	}
	return node, nil
}

func (n *askedNode) ask(ctx context.Context, want store.Chain) error {
	var err, headErr error
	if n.identity, err = n.Identity(ctx); err == nil && n.identity.ChainID != want.ChainID {
		return fmt.Errorf("is on chain id %d, not %d", n.identity.ChainID, want.ChainID)
	}
	n.head, headErr = n.Head(ctx, payment.TagNone)
	if err := errors.Join(err, headErr); err != nil {
		return fmt.Errorf("does not answer: %w", err)
	}
	if want.Policy.Tag != payment.TagNone {
		if _, err := n.Head(ctx, want.Policy.Tag); err != nil {
			return fmt.Errorf("does not know the tag %s; say what to wait for with --confirmations and --finality-tag: %w", want.Policy.Tag, err)
		}
	}
	if n.can, err = n.Probe(ctx); err != nil {
		return fmt.Errorf("does not answer when asked what it can do: %w", err)
	}
	return nil
}

// sameChain makes sure that nodes with one chain id are on one chain: by block 0, and those that do not show it by a block that was
// recorded, or else by one that the others name.
func sameChain(
	ctx context.Context, nodes []*askedNode, genesis payment.Hash, known []payment.BlockRef, lowest uint64,
) (payment.Hash, error) {
	pruned := slices.ContainsFunc(nodes, func(n *askedNode) bool { return n.identity.Genesis.IsZero() })
	if len(known) == 0 && len(nodes) > 1 && pruned {
		at := lowest - min(lowest/2, wellBelow) // not block 0, on a chain that is young
		common, err := nodes[0].HeaderByNumber(ctx, at)
		if err != nil {
			return genesis, fmt.Errorf("--rpc number 1 does not show block %d: %w", at, err)
		}
		known = []payment.BlockRef{common}
	}
	for _, node := range nodes {
		switch shown := node.identity.Genesis; {
		case shown.IsZero():
			if _, err := chain.Recognize(ctx, known, node.HeaderByNumber); err != nil {
				return genesis, fmt.Errorf("--rpc number %d does not show block 0, and cannot be told to be on this chain by another block: %w", node.number, err)
			}
		case genesis.IsZero():
			genesis = shown
		case shown != genesis:
			return genesis, fmt.Errorf("--rpc number %d has another genesis block than the others, or than the chain was enabled with", node.number)
		}
	}
	return genesis, nil
}

// enough says of each node what it cannot do, and refuses nodes of which none does something that watching needs.
func enough(c console, nodes []*askedNode) error {
	for _, node := range nodes {
		if lacks := node.can.Lacks(); lacks != "" {
			fmt.Fprintf(c.out, "--rpc number %d does not send %s: it is used for the rest\n", node.number, lacks)
		}
	}
	var missing []string
	for _, need := range chain.Needs() {
		if !slices.ContainsFunc(nodes, func(n *askedNode) bool { return n.can.Meets(need) }) {
			missing = append(missing, string(need))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("no node given sends %s: payments would not be found; name one that does with --rpc", strings.Join(missing, ", "))
	}
	return nil
}
