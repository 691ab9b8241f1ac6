package chain

import (
	"context"

	"github.com/sluicepay/sluice/payment"
)

// Verifier compares a recorded inclusion with what the chain says now. It is
// what crediting goes by.
type Verifier interface {
	// CheckInclusion asks one node, in one go, for the inclusion's receipt, for the
	// canonical block at its height and for the heads. Of the tags safe and finalized
	// it asks only for the one demanded. Contradicting answers are ErrInconsistent; that
	// the inclusion does not hold is an Outcome, not an error. A verifier of several
	// operators asks as many as the demanded evidence takes, and returns ErrDisagreement
	// when they contradict each other; Check says what evidence there is, which may be
	// less than was demanded.
	CheckInclusion(ctx context.Context, inclusion Inclusion, demand Demand) (Check, error)
}

// Demand is what a check has to find out.
type Demand struct {
	Tag      payment.Tag      // the tag whose block is asked for
	Evidence payment.Evidence // the least that is wished for
}

// Inclusion is a transfer's recorded place and content.
type Inclusion struct {
	BlockNumber uint64
	BlockHash   payment.Hash
	TxHash      payment.Hash
	Native      bool
	Position    uint32
	Contract    payment.Address // the zero Address for native
	From        payment.Address
	To          payment.Address
	Amount      payment.Amount // base units
}

// Check is what the chain said.
type Check struct {
	Outcome Outcome
	// Heads are the node's newest blocks, as far as they were asked for. Set in every
	// Outcome.
	Heads payment.Heads
	// Depth is the number of confirmations, the inclusion's own block counting as the
	// first; 0 unless Included.
	Depth uint64
	// Evidence says what the outcome rests on; EvidenceNone unless Included.
	Evidence payment.Evidence
	// Operators are those that said so, sorted; at least one when the verifier knows
	// whom it asked.
	Operators []string
}

// Outcome names how a recorded inclusion compares with the chain.
type Outcome string

// How an inclusion can compare with the chain.
const (
	// Included: the block is canonical and holds exactly the recorded transfer.
	Included Outcome = "included"
	// NodeBehind: the node has not reached the block yet.
	NodeBehind Outcome = "node_behind"
	// NotCanonical: another block is canonical at this height, or the transaction is in
	// another block now.
	NotCanonical Outcome = "not_canonical"
	// MissingReceipt: the block is canonical and the node has no receipt for the
	// transaction.
	MissingReceipt Outcome = "missing_receipt"
	// Reverted: the transaction is there and failed.
	Reverted Outcome = "reverted"
	// ContentChanged: the transaction is there and moves something else at this
	// position.
	ContentChanged Outcome = "content_changed"
)
