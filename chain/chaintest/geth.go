package chaintest

import (
	"crypto/ecdsa"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest/gethnode"
	"github.com/sluicepay/sluice/payment"
)

// Geth is a Bench on a go-ethereum node.
type Geth struct {
	Node   *gethnode.Node
	source Source
	payer  *gethnode.Payer

	token, other, caller common.Address
	actors               [2]common.Address
}

var _ Bench = (*Geth)(nil)

// NewGeth starts a node with two tokens and a caller contract, all minted.
func NewGeth(t *testing.T, open Open) *Geth {
	t.Helper()
	node, err := gethnode.Start(gethnode.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, node.Close()) })
	payer, err := node.Payer(t.Context())
	require.NoError(t, err)
	g := &Geth{Node: node, payer: payer}
	g.deploy(t)
	g.source = open(t, node.HTTPURL(), node.WSURL())
	t.Cleanup(g.source.Close)
	return g
}

func (g *Geth) deploy(t *testing.T) {
	t.Helper()
	var err error
	g.token, _, err = g.payer.DeployToken(t.Context(), gethnode.TokenOptions{Symbol: "USDC", Decimals: 6})
	require.NoError(t, err)
	g.other, _, err = g.payer.DeployToken(t.Context(), gethnode.TokenOptions{Symbol: "USDT", Decimals: 6, NoReturn: true})
	require.NoError(t, err)
	g.caller, _, err = g.payer.DeployCaller(t.Context())
	require.NoError(t, err)
	for i := range g.actors {
		g.actors[i], _, err = g.payer.DeployActor(t.Context())
		require.NoError(t, err)
	}
	g.seal(t)
	for _, token := range []common.Address{g.token, g.other} {
		for _, owner := range []common.Address{g.caller, g.payer.Address()} {
			_, err := g.payer.Mint(t.Context(), token, owner, big.NewInt(1_000_000_000_000))
			require.NoError(t, err)
		}
	}
	g.seal(t)
	require.Zero(t, g.Node.PendingTransactions())
}

func (g *Geth) seal(t *testing.T) *types.Block {
	t.Helper()
	_, err := g.Node.Mine(1)
	require.NoError(t, err)
	return g.Node.BlockByNumber(g.Node.Head().Number.Uint64())
}

// Source implements Bench.
func (g *Geth) Source() Source { return g.source }

// Token implements Bench.
func (g *Geth) Token() payment.Address { return fromCommon(g.token) }

// Other implements Bench.
func (g *Geth) Other() payment.Address { return fromCommon(g.other) }

// Caller implements Bench.
func (g *Geth) Caller() payment.Address { return fromCommon(g.caller) }

// Actor implements Bench.
func (g *Geth) Actor(i int) payment.Address { return fromCommon(g.actors[i]) }

// Payer implements Bench.
func (g *Geth) Payer() payment.Address { return fromCommon(g.payer.Address()) }

// Delegate mines a block in which the account of a key takes the code of a contract.
func (g *Geth) Delegate(t *testing.T, owner *ecdsa.PrivateKey, code payment.Address) payment.BlockRef {
	t.Helper()
	_, err := g.payer.Delegate(t.Context(), owner, *toCommon(code))
	require.NoError(t, err)
	block := g.seal(t)
	require.Len(t, block.Transactions(), 1)
	return refOf(block.Header())
}

// Run mines a block in which the payer calls an account with a script and a value.
func (g *Geth) Run(t *testing.T, at payment.Address, wei uint64, script ...Act) Mined {
	t.Helper()
	hash, err := g.payer.Send(t.Context(), gethnode.Tx{
		To: toCommon(at), Value: new(big.Int).SetUint64(wei), Data: gethnode.ActorData(acts(script)...), Gas: 1_000_000,
	})
	require.NoError(t, err)
	return Mined{BlockRef: refOf(g.seal(t).Header()), Txs: []payment.Hash{payment.Hash(hash)}}
}

// Mine implements Bench.
func (g *Geth) Mine(t *testing.T, txs ...Tx) Mined {
	t.Helper()
	hashes := make([]payment.Hash, len(txs))
	for i, tx := range txs {
		hash, err := g.payer.Send(t.Context(), g.transaction(tx))
		require.NoError(t, err)
		hashes[i] = payment.Hash(hash)
	}
	block := g.seal(t)
	require.Len(t, block.Transactions(), len(txs), "the node did not mine every transaction")
	for i, tx := range block.Transactions() {
		require.Equal(t, hashes[i], payment.Hash(tx.Hash()), "the node mined in another order")
	}
	return Mined{BlockRef: refOf(block.Header()), Txs: hashes}
}

func (g *Geth) transaction(tx Tx) gethnode.Tx {
	switch tx := tx.(type) {
	case Native:
		return gethnode.Tx{To: toCommon(tx.To), Value: new(big.Int).SetUint64(tx.Amount), Gas: 100_000}
	case FailingToken:
		return gethnode.Tx{To: toCommon(tx.Token), Gas: 200_000, Data: transferData(TokenTransfer{Token: tx.Token, To: tx.To, Amount: TooMuch})}
	case FailingNative:
		return gethnode.Tx{To: toCommon(tx.Token), Value: new(big.Int).SetUint64(tx.Amount), Gas: 100_000}
	case TokenTransfer:
		return gethnode.Tx{To: toCommon(tx.Token), Data: transferData(tx), Gas: 200_000}
	case Multi:
		var calls []gethnode.Call
		for _, part := range tx {
			calls = append(calls, gethnode.Call{To: *toCommon(part.Token), Data: transferData(part)})
		}
		return gethnode.Tx{To: &g.caller, Data: gethnode.CallerData(calls...), Gas: 2_000_000}
	case Script:
		return gethnode.Tx{To: &g.actors[0], Value: new(big.Int).SetUint64(tx.Value), Data: gethnode.ActorData(acts(tx.Acts)...), Gas: 3_000_000}
	case RawLog:
		topics := make([]common.Hash, len(tx.Topics))
		for i, topic := range tx.Topics {
			topics[i] = common.Hash(topic)
		}
		return gethnode.Tx{To: toCommon(tx.Token), Data: gethnode.EmitLogData(topics, tx.Data), Gas: 200_000}
	case Deploy:
		return gethnode.Tx{Data: []byte{0}, Gas: 200_000} // STOP: a contract without code
	default:
		panic("chaintest: unknown kind of transaction")
	}
}

func acts(list []Act) []gethnode.Act {
	out := make([]gethnode.Act, len(list))
	for i, act := range list {
		out[i] = gethnode.Act{Kind: act.Kind, To: common.BytesToAddress(act.To.Bytes()), Value: new(big.Int).SetUint64(act.Value)}
		switch {
		case act.Kind != gethnode.ActCreate && act.Kind != gethnode.ActCreate2:
			out[i].Data = gethnode.ActorData(acts(act.Acts)...)
		case !act.To.IsZero():
			out[i].Data = gethnode.DestroyedAtOnce(out[i].To)
		}
	}
	return out
}

func transferData(tx TokenTransfer) []byte {
	return gethnode.TransferData(*toCommon(tx.To), new(big.Int).SetUint64(tx.Amount))
}

// Reorg implements Bench.
func (g *Geth) Reorg(t *testing.T, depth, count int, keep Keep) []payment.BlockRef {
	t.Helper()
	hashes, err := g.Node.Reorg(gethnode.ReorgOptions{Depth: depth, Blocks: count, Drop: keep == DropTxs})
	require.NoError(t, err)
	require.Len(t, hashes, count)
	if keep == DropTxs {
		g.payer.ForgetNonce()
	}
	refs := make([]payment.BlockRef, count)
	for i, hash := range hashes {
		refs[i] = refOf(g.Node.HeaderByHash(hash))
	}
	return refs
}

func refOf(h *types.Header) payment.BlockRef {
	return payment.BlockRef{
		Number: h.Number.Uint64(),
		Hash:   payment.Hash(h.Hash()),
		Parent: payment.Hash(h.ParentHash),
		Time:   time.Unix(int64(h.Time), 0).UTC(), //nolint:gosec // the node's own clock
		// Its headers are those that are known here.
		TimeBasis: payment.TimeProven,
	}
}

func fromCommon(a common.Address) payment.Address {
	return payment.Address{Family: payment.FamilyEVM, Raw: string(a.Bytes())}
}

func toCommon(a payment.Address) *common.Address {
	address := common.BytesToAddress(a.Bytes())
	return &address
}
