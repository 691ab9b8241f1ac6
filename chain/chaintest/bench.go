package chaintest

import (
	"math"
	"testing"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest/gethnode"
	"github.com/sluicepay/sluice/payment"
)

// Source is all that can be asked of one endpoint.
type Source interface {
	chain.Source
	chain.TokenReader
	chain.Verifier
	Close()
}

// Open makes a source for an endpoint. wsURL is "" where there is none. The bench
// closes the source.
type Open func(t *testing.T, httpURL, wsURL string) Source

// Bench is a chain under a test's control.
type Bench interface {
	// Source reads this chain.
	Source() Source
	// Token and Other are two tokens with 6 decimals and the symbols USDC and USDT.
	Token() payment.Address
	Other() payment.Address
	// Caller is a contract that makes calls; it is the sender of the parts of a Multi,
	// and holds tokens for that.
	Caller() payment.Address
	// Actor is one of two contracts that a Script runs on, 0 or 1.
	Actor(i int) payment.Address
	// Payer is the sender of everything else.
	Payer() payment.Address
	// Mine makes one block of these transactions, in this order.
	Mine(t *testing.T, txs ...Tx) Mined
	// Reorg replaces the newest depth blocks by count others. The transactions of the
	// undone blocks are in the first new one when keep is set, and in none otherwise.
	Reorg(t *testing.T, depth, count int, keep Keep) []payment.BlockRef
}

// Keep says what becomes of the transactions of undone blocks.
type Keep bool

// The two fates of a transaction in a reorganisation.
const (
	DropTxs Keep = false
	KeepTxs Keep = true
)

// Mined is a block with the hashes of its transactions.
type Mined struct {
	payment.BlockRef
	Txs []payment.Hash
}

// Tx is a transaction to mine: one of the types below.
type Tx interface{ tx() }

// Native sends wei from the payer.
type Native struct {
	To     payment.Address
	Amount uint64
}

// FailingNative sends wei from the payer to the token's contract, which refuses: the
// transaction is in the block, carries a value, and moved nothing.
type FailingNative struct {
	Token  payment.Address
	Amount uint64
}

// FailingToken moves more of a token than the payer has: it reverts, and is in the block.
type FailingToken struct {
	Token payment.Address
	To    payment.Address
}

// TokenTransfer moves a token from the payer.
type TokenTransfer struct {
	Token  payment.Address
	To     payment.Address
	Amount uint64 // base units
}

// Multi makes several token transfers from the caller contract in one transaction.
type Multi []TokenTransfer

// RawLog makes a token's contract emit a log of any shape.
type RawLog struct {
	Token  payment.Address
	Topics []payment.Hash
	Data   []byte
}

// Deploy creates a contract, sending it no value.
type Deploy struct{}

// Script sends wei to Actor(0) and makes it do things.
type Script struct {
	Value uint64
	Acts  []Act
}

// Act is one thing that an actor does.
type Act struct {
	Kind gethnode.ActKind
	// To is called, or gets what a created contract holds when that destroys itself at
	// once. The zero address creates a contract that stays.
	To    payment.Address
	Value uint64 // wei; TooMuch is more than anybody has
	Acts  []Act  // what To does, when it is an actor
}

// TooMuch is a value that no actor has.
const TooMuch = math.MaxUint64

func (Script) tx()        {}
func (Native) tx()        {}
func (FailingNative) tx() {}
func (FailingToken) tx()  {}
func (TokenTransfer) tx() {}
func (Multi) tx()         {}
func (RawLog) tx()        {}
func (Deploy) tx()        {}

// Account is a test address: the same for the same number, and not the zero address.
func Account(n byte) payment.Address {
	raw := make([]byte, 20)
	raw[0], raw[19] = 0xac, n
	return payment.Address{Family: payment.FamilyEVM, Raw: string(raw)}
}

// Topic is an address as a log has it.
func Topic(a payment.Address) payment.Hash {
	var h payment.Hash
	copy(h[12:], a.Raw)
	return h
}
