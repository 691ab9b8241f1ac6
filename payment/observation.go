package payment

import (
	"fmt"
	"time"
)

// BlockRef names a block by number and hash, with its parent and its time.
type BlockRef struct {
	Number uint64
	Hash   Hash
	Parent Hash
	// Time is the block's own timestamp, UTC. From a source it is what was said, on TimeBasis; what is recorded is the believed time.
	Time      time.Time
	TimeBasis TimeBasis
}

// Transfer is money that moved inside a block, as a chain source saw it.
//
// (chain, TxHash, Position) is the identity of the payment it becomes: it
// survives a reorganisation that mines the transaction again, which LogIndex
// does not.
type Transfer struct {
	TxHash   Hash
	TxIndex  uint
	Position uint32  // token: position of its log in the transaction's complete receipt; native: 0 is the top-level value, n the n-th internal frame
	Native   bool    // the chain's own coin; Contract is then the zero Address
	Contract Address // the token's contract
	From     Address
	To       Address
	Amount   Amount // base units, greater than zero
	LogIndex uint   // block-wide, as the node reports it; 0 for native
}

// Asset names what moved, on the given chain.
func (t Transfer) Asset(chain string) AssetID {
	if t.Native {
		return NativeAsset(chain)
	}
	return TokenAsset(chain, t.Contract)
}

// Block is a block with the transfers that were looked for in it.
type Block struct {
	BlockRef
	Transfers []Transfer
}

// InclusionRef names one inclusion of a payment: its n-th place in a block. A
// new inclusion begins whenever the payment's canonicity or content changes, so
// credit, reversal and second credit have different keys.
type InclusionRef struct {
	Payment   PaymentID
	Inclusion int // from 1
}

// Key is the idempotency key of one effect of this inclusion, such as "credit".
func (r InclusionRef) Key(kind string) string {
	return fmt.Sprintf("%s/%d/%s", r.Payment, r.Inclusion, kind)
}
