package chain

import (
	"context"
	"slices"
	"strings"

	"github.com/sluicepay/sluice/payment"
)

// Source reads one chain. Implementations may be called concurrently, bound
// every call by a timeout of their own beside the context, and return the
// ReasonErrors of this package. See the package comment for what an answer
// promises.
type Source interface {
	// Identity tells which chain this is.
	Identity(ctx context.Context) (Identity, error)

	// Head is the newest block for TagNone, or the newest that the chain itself calls
	// safe or finalized. It may be lower than it was before: nodes lag. It returns
	// ErrUnsupported for a tag that the node does not know, and ErrBlockUnknown while
	// there is no such block yet.
	Head(ctx context.Context, tag payment.Tag) (payment.BlockRef, error)

	// HeaderByNumber is the block at this height in the chain that the node holds for
	// canonical now. It returns ErrBlockUnknown when the node has none.
	HeaderByNumber(ctx context.Context, number uint64) (payment.BlockRef, error)

	// HeaderByHash is the block with this hash, canonical or not. It returns
	// ErrBlockUnknown when the node has none, which is also how nodes that forget
	// reorganised blocks answer for those.
	HeaderByHash(ctx context.Context, hash payment.Hash) (payment.BlockRef, error)

	// BlockByHash reads all of filter in one block. It returns ErrBlockUnknown like
	// HeaderByHash, and ErrInconsistent when the node's parts contradict each other.
	BlockByHash(ctx context.Context, hash payment.Hash, filter Filter) (Block, error)

	// Range reads all of filter in the canonical blocks from..to, both included, and
	// returns every one of them, ascending and linked by parent hashes. It returns
	// ErrBlockUnknown when the node has not all of them, ErrReorged when the chain
	// changed meanwhile, and ErrRangeTooLarge when the node wants smaller bites; a
	// range of one block may be refused too, BlockByHash is the way then. What a range
	// does not show may be there all the same: nodes answer from an index that has holes,
	// or stop at so many logs without a word.
	Range(ctx context.Context, from, to uint64, filter Filter) ([]Block, error)

	// BlocksByHash reads the same as Range, each block by itself: its logs are asked for by its hash, or taken from all of
	// its receipts where these prove the block, never from an index over several blocks. Transfers of contracts that are not
	// named are not looked for. Errors are those of Range.
	BlocksByHash(ctx context.Context, from, to uint64, filter Filter) ([]Block, error)

	// Resolve completes candidates of one block from their receipts and returns them
	// in the same order, none Unresolved. It returns ErrReceiptMissing while the node
	// lacks a receipt, and ErrReorged when a transaction is in another block now.
	Resolve(ctx context.Context, block payment.BlockRef, candidates []Candidate) ([]Candidate, error)

	// SubscribeHeads returns a channel that receives when there may be a new block, and
	// goes on, reconnecting, until ctx ends. It is a convenience: a value may be
	// missing, late or without cause, so callers poll as well. A source that cannot
	// be told returns nil, a channel that never receives. It does not block.
	SubscribeHeads(ctx context.Context) <-chan struct{}
}

// Identity is what tells one chain from another, with the blocks that are known of it: see Recognize.
type Identity struct {
	ChainID uint64
	Genesis payment.Hash // the hash of block 0; zero when the node does not show it: many do not keep old blocks
}

// Filter says what is looked for in a block. The zero value looks for nothing.
type Filter struct {
	Native bool              // top-level transfers of the chain's own coin
	Tokens []payment.Address // Transfer logs of these contracts

	// The rest is read where the node can, and Block says whether it was. What is lacking is no error.

	// AnyToken: Transfer logs of every other contract as well.
	AnyToken bool
	// Traces: internal transfers of the chain's own coin. They are resolved already.
	Traces bool
}

// Normal returns the filter with its tokens sorted and each named once.
func (f Filter) Normal() Filter {
	tokens := slices.Clone(f.Tokens)
	slices.SortFunc(tokens, compareAddresses)
	return Filter{Native: f.Native, Tokens: slices.Compact(tokens), AnyToken: f.AnyToken, Traces: f.Traces}
}

func compareAddresses(a, b payment.Address) int {
	if c := strings.Compare(string(a.Family), string(b.Family)); c != 0 {
		return c
	}
	return strings.Compare(a.Raw, b.Raw)
}

// Block is a block with the candidates that a Filter found in it.
type Block struct {
	payment.BlockRef
	Candidates []Candidate // by transaction index, native by position before logs, logs by log index
	// AnyToken and Traced tell whether these parts of the filter were asked for and read in full.
	AnyToken, Traced bool
	// Poisoned are the recipients of Transfer logs that move nothing, of the contracts that were asked for, one for each log.
	// They are no candidates, and only there to be counted.
	Poisoned []payment.Address
}

// Candidate is a transfer found in a block, before or after its receipt was read.
// Zero amounts and transfers from an address to itself move nothing and are not
// candidates.
type Candidate struct {
	payment.Transfer
	Resolution Resolution
}

// Resolution says what a receipt has said about a candidate.
type Resolution uint8

// What a receipt can say.
const (
	// Unresolved: no receipt was read. A token's Position is not known; a native
	// transfer's transaction may have failed.
	Unresolved Resolution = iota
	// Resolved: the transaction succeeded and Position is known.
	Resolved
	// Void: the transaction failed, so nothing moved.
	Void
)

// String names the resolution for logs.
func (r Resolution) String() string {
	switch r {
	case Unresolved:
		return "unresolved"
	case Resolved:
		return "resolved"
	case Void:
		return "void"
	default:
		return "unknown"
	}
}

// TokenReader reads what a token's contract says about itself.
type TokenReader interface {
	// TokenMeta reads a contract at the newest block. It returns ErrNoToken when there
	// is no code, or decimals() does not answer with a number up to 255. A missing or
	// strange symbol is no error.
	TokenMeta(ctx context.Context, contract payment.Address) (TokenMeta, error)
}

// TokenMeta is what a token's contract says about itself.
type TokenMeta struct {
	Decimals uint8
	// Symbol is text from a stranger: valid UTF-8 without control and bidirectional
	// characters, at most 32 runes, perhaps empty, and never proof of anything.
	Symbol   string
	CodeHash payment.Hash // Keccak-256 of the code at the address; of the proxy when it is one
	// Implementation is a hash over what a proxy stands for, its address and its code; zero for a contract that is no
	// proxy, as far as the usual storage slots say.
	Implementation payment.Hash
	Deprecated     bool // the contract says that it has a successor
}
