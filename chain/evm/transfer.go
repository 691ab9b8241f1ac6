package evm

import (
	"cmp"
	"slices"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// transferEvent is the signature whose Keccak-256 is the first topic of a Transfer.
const transferEvent = "Transfer(address,address,uint256)"

const (
	topicsOfTransfer = 3  // the event, from, to
	dataOfTransfer   = 32 // the amount
	addressPadding   = 12 // zero bytes before an address in a word
)

// skip says why a log or a transaction is no candidate. Empty: it is one.
type skip string

const (
	skipOtherEvent   skip = "other_event"   // not a Transfer
	skipShape        skip = "shape"         // a Transfer with other topics or data than ERC-20 has
	skipDirtyAddress skip = "dirty_address" // a topic that is no address
	skipZero         skip = "zero"          // moves nothing: address poisoning, or a plain call
	skipSelf         skip = "self"          // from an address to itself
	skipNoRecipient  skip = "no_recipient"  // creates a contract
)

// transferOfLog reads an ERC-20 Transfer out of a log. The position is left for the receipt.
func transferOfLog(l *rawLog, topic word) (payment.Transfer, skip) {
	if len(l.Topics) == 0 || l.Topics[0] != topic {
		return payment.Transfer{}, skipOtherEvent
	}
	if len(l.Topics) != topicsOfTransfer || len(l.Data) != dataOfTransfer {
		return payment.Transfer{}, skipShape
	}
	from, fromOK := addressOfWord(l.Topics[1])
	to, toOK := addressOfWord(l.Topics[2])
	if !fromOK || !toOK {
		return payment.Transfer{}, skipDirtyAddress
	}
	amount, err := payment.AmountFromBytes(l.Data)
	switch {
	case err != nil:
		return payment.Transfer{}, skipShape // cannot be: 32 bytes fit
	case amount.IsZero():
		return payment.Transfer{}, skipZero
	case from == to:
		return payment.Transfer{}, skipSelf
	}
	return payment.Transfer{
		TxHash:   l.TxHash,
		TxIndex:  uint(*l.TxIndex),
		Contract: l.Address.account,
		From:     from,
		To:       to,
		Amount:   amount,
		LogIndex: uint(*l.Index),
	}, ""
}

// transferOfTx reads the top-level value of a transaction, of whatever type. Some
// chains have transactions without a sender; those get the zero address.
func transferOfTx(tx *rawTx, index int) (payment.Transfer, skip) {
	switch {
	case tx.Value == nil || tx.Value.amount.IsZero():
		return payment.Transfer{}, skipZero
	case tx.To == nil:
		return payment.Transfer{}, skipNoRecipient
	}
	from := zeroAddress()
	if tx.From != nil {
		from = tx.From.account
	}
	if from == tx.To.account {
		return payment.Transfer{}, skipSelf
	}
	return payment.Transfer{
		TxHash:  tx.Hash,
		TxIndex: uint(index),
		Native:  true,
		From:    from,
		To:      tx.To.account,
		Amount:  tx.Value.amount,
	}, ""
}

func zeroAddress() payment.Address {
	return payment.Address{Family: payment.FamilyEVM, Raw: string(make([]byte, 20))}
}

func addressOfWord(w word) (payment.Address, bool) {
	for _, b := range w[:addressPadding] {
		if b != 0 {
			return payment.Address{}, false
		}
	}
	return payment.Address{Family: payment.FamilyEVM, Raw: string(w[addressPadding:])}, true
}

func wordOfAddress(a payment.Address) word {
	var w word
	copy(w[addressPadding:], a.Raw)
	return w
}

// candidates lists what filter asks for in a block without tracing it: native
// transfers out of its transactions and Transfers out of its logs. poisoned are the
// recipients of those that move nothing.
func (s *Source) candidates(b *block, logs []rawLog, filter watch) (found []chain.Candidate, poisoned []payment.Address) {
	if filter.native {
		for i := range b.txs {
			if transfer, skipped := transferOfTx(&b.txs[i], i); skipped == "" {
				found = append(found, chain.Candidate{Transfer: transfer})
			}
		}
	}
	for i := range logs {
		if !filter.any && !filter.tokens[logs[i].Address.account] {
			continue // a node that answers more than it was asked for
		}
		transfer, skipped := transferOfLog(&logs[i], s.topic)
		if skipped == "" {
			found = append(found, chain.Candidate{Transfer: transfer})
		} else if skipped == skipZero {
			to, _ := addressOfWord(logs[i].Topics[2])
			poisoned = append(poisoned, to)
		}
	}
	return found, poisoned
}

// inOrder sorts candidates as they are in the block: by transaction, native ones by
// position before logs by index.
func inOrder(found []chain.Candidate) []chain.Candidate {
	slices.SortStableFunc(found, func(a, b chain.Candidate) int {
		if order := cmp.Or(cmp.Compare(a.TxIndex, b.TxIndex), cmp.Compare(kind(a), kind(b))); order != 0 {
			return order
		}
		if a.Native {
			return cmp.Compare(a.Position, b.Position)
		}
		return cmp.Compare(a.LogIndex, b.LogIndex)
	})
	return found
}

// kind sorts the native transfers of a transaction before its logs.
func kind(c chain.Candidate) int {
	if c.Native {
		return 0
	}
	return 1
}

// watch is a chain.Filter made ready for look-ups.
type watch struct {
	native bool
	any    bool // Transfers of every contract, the tokens among them
	traces bool // internal transfers
	tokens map[payment.Address]bool
	order  []payment.Address // the tokens, sorted
}

func newWatch(filter chain.Filter) watch {
	normal := filter.Normal()
	w := watch{
		native: filter.Native, any: filter.AnyToken, traces: filter.Traces,
		tokens: make(map[payment.Address]bool, len(normal.Tokens)), order: normal.Tokens,
	}
	for _, token := range normal.Tokens {
		w.tokens[token] = true
	}
	return w
}

// watched leaves out the logs that were not asked for.
func (w watch) watched(logs []rawLog) []rawLog {
	return slices.DeleteFunc(slices.Clone(logs), func(l rawLog) bool { return !w.any && !w.tokens[l.Address.account] })
}
