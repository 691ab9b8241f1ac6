package payment

// LatePolicy says what money that came after the deadline may do.
type LatePolicy string

// The late policies.
const (
	// LateFulfil: late money fulfils the order when it suffices.
	LateFulfil LatePolicy = "fulfil"
	// LateCreditOnly: late money is credited and the order stays as it is.
	LateCreditOnly LatePolicy = "credit_only"
	// LateHold: late money is held until a person decides.
	LateHold LatePolicy = "hold"
)

// ParseLatePolicy returns CodeInvalidParameter for a word that is no late policy.
func ParseLatePolicy(s string) (LatePolicy, error) {
	switch p := LatePolicy(s); p {
	case LateFulfil, LateCreditOnly, LateHold:
		return p, nil
	default:
		return "", E(CodeInvalidParameter, "", "late policy must be fulfil, credit_only or hold")
	}
}

// PaymentPolicy says where a merchant's confirmed money goes first.
type PaymentPolicy string

// The payment policies.
const (
	// PaymentAvailable: confirmed money can be paid out at once.
	PaymentAvailable PaymentPolicy = "available"
	// PaymentHold: confirmed money is held until a person releases it.
	PaymentHold PaymentPolicy = "hold"
)

// ParsePaymentPolicy returns CodeInvalidParameter for a word that is no payment policy.
func ParsePaymentPolicy(s string) (PaymentPolicy, error) {
	switch p := PaymentPolicy(s); p {
	case PaymentAvailable, PaymentHold:
		return p, nil
	default:
		return "", E(CodeInvalidParameter, "", "payment policy must be available or hold")
	}
}

// Match says how a payment fits the order whose address it reached.
type Match string

// The ways to match.
const (
	// MatchOrder: the order's asset on the order's chain. The zero value.
	MatchOrder Match = ""
	// MatchWrongAsset: another asset on the order's chain.
	MatchWrongAsset Match = "wrong_asset"
	// MatchWrongNetwork: any asset on another chain.
	MatchWrongNetwork Match = "wrong_network"
	// MatchDust: too little of any asset to count at all.
	MatchDust Match = "dust"
)

// MatchOf compares what arrived with what the order asked for. Less than
// dustBelow, in base units of the asset that arrived, is dust: it is posted
// apart, fulfils nothing and holds nothing up.
func MatchOf(asked, arrived AssetID, amount, dustBelow Amount) Match {
	switch {
	case amount.Less(dustBelow):
		return MatchDust
	case asked == arrived:
		return MatchOrder
	case asked.Chain == arrived.Chain:
		return MatchWrongAsset
	default:
		return MatchWrongNetwork
	}
}

// Place is the account that a confirmed payment is posted to.
type Place string

// The places.
const (
	// PlaceAvailable: the merchant may pay it out.
	PlaceAvailable Place = "available"
	// PlaceHeld: it is the merchant's and waits for a decision.
	PlaceHeld Place = "held"
	// PlaceDust: too little to be worth an entry of the merchant's.
	PlaceDust Place = "dust"
)

// CreditFacts are what decides where a confirmed payment is posted.
type CreditFacts struct {
	PaymentPolicy PaymentPolicy
	LatePolicy    LatePolicy
	Match         Match
	OnTime        bool  // the payment itself, by the block time of its first canonical inclusion
	State         State // the order's, before this credit
}

// PlaceCredit says where a confirmed payment is posted and why. Every confirmed
// payment of an enabled asset is posted somewhere; a policy only decides
// whether it is available or held. Dust is neither. Money that the order did not ask for (late,
// in another asset, or after a cancellation) follows the late policy.
func PlaceCredit(f CreditFacts) (Place, Reason) {
	asked := f.OnTime && f.Match == MatchOrder && f.State != StateCancelled
	switch {
	case f.Match == MatchDust:
		return PlaceDust, ReasonDust
	case f.PaymentPolicy != PaymentAvailable:
		return PlaceHeld, ReasonHeldByPaymentPolicy
	case !asked && f.LatePolicy != LateFulfil && f.LatePolicy != LateCreditOnly:
		return PlaceHeld, ReasonHeldByLatePolicy
	default:
		return PlaceAvailable, ReasonAvailable
	}
}

// Tag names a chain's own statement of how final a block is.
type Tag string

// The tags.
const (
	// TagNone: the confirmation count alone decides.
	TagNone Tag = ""
	// TagSafe: the block must also be at or below the chain's safe block.
	TagSafe Tag = "safe"
	// TagFinalized: the block must also be at or below the chain's finalized block.
	TagFinalized Tag = "finalized"
)

// strength orders tags by how much they demand; unknown tags are below all.
func (t Tag) strength() int {
	switch t {
	case TagNone:
		return 0
	case TagSafe:
		return 1
	case TagFinalized:
		return 2
	default:
		return -1
	}
}

// MaxConfirmations is the most that a policy or an order can ask for: more is a
// mistake that would leave the order confirming for days.
const MaxConfirmations = 100_000

// ConfirmationPolicy says when a payment counts: a number of blocks, and
// optionally the chain's own word on finality. Both must hold.
type ConfirmationPolicy struct {
	Confirmations uint64 `json:"confirmations"` // the payment's own block is the first
	Tag           Tag    `json:"tag,omitempty"`
}

// Validate returns CodeInvalidParameter for a policy that would credit a payment
// unseen, ask for more than MaxConfirmations, or name an unknown tag.
func (p ConfirmationPolicy) Validate() error {
	switch {
	case p.Tag.strength() < 0:
		return E(CodeInvalidParameter, "confirmations", "tag must be empty, safe or finalized")
	case p.Confirmations == 0:
		return E(CodeInvalidParameter, "confirmations", "at least one confirmation is needed")
	case p.Confirmations > MaxConfirmations:
		return E(CodeInvalidParameter, "confirmations", "at most %d confirmations can be asked for", MaxConfirmations)
	}
	return nil
}

// Raise returns the policy with an order's own wish applied. Zero and "" wish
// for nothing. It returns CodeConfirmationsTooLow when the wish is weaker than
// the policy in either part, and CodeInvalidParameter when it is not a policy.
func (p ConfirmationPolicy) Raise(wish ConfirmationPolicy) (ConfirmationPolicy, error) {
	raised := p
	if wish.Confirmations != 0 {
		raised.Confirmations = wish.Confirmations
	}
	if wish.Tag != TagNone {
		raised.Tag = wish.Tag
	}
	if err := raised.Validate(); err != nil {
		return ConfirmationPolicy{}, err
	}
	if raised.Confirmations < p.Confirmations || raised.Tag.strength() < p.Tag.strength() {
		return ConfirmationPolicy{}, E(CodeConfirmationsTooLow, "confirmations",
			"an order may ask for more confirmations than the policy's %d, not fewer", p.Confirmations)
	}
	return raised, nil
}

// Heads are the numbers of a chain's newest blocks, by how final they are. A
// tag that the chain does not know stays 0 and is never reached.
type Heads struct {
	Latest    uint64
	Safe      uint64
	Finalized uint64
}

// Depth is the number of confirmations of a block: 1 when it is the latest, 0
// when it is not there yet.
func (h Heads) Depth(block uint64) uint64 {
	if block > h.Latest {
		return 0
	}
	return h.Latest - block + 1
}

// Met tells whether a payment in the given canonical block counts.
func (p ConfirmationPolicy) Met(block uint64, heads Heads) bool {
	return p.Confirmations > 0 && heads.Depth(block) >= p.Confirmations && p.tagMet(block, heads)
}

func (p ConfirmationPolicy) tagMet(block uint64, heads Heads) bool {
	switch p.Tag {
	case TagNone:
		return true
	case TagSafe:
		return heads.Safe > 0 && block <= heads.Safe
	case TagFinalized:
		return heads.Finalized > 0 && block <= heads.Finalized
	default:
		return false
	}
}

// Missing is the number of blocks still to come until the count is reached. It
// says nothing about the tag.
func (p ConfirmationPolicy) Missing(block uint64, heads Heads) uint64 {
	if depth := heads.Depth(block); depth > 0 {
		return p.Confirmations - min(depth, p.Confirmations)
	}
	return block - heads.Latest + p.Confirmations - min(1, p.Confirmations)
}

// basisPoints is one whole in basis points.
const basisPoints = 10_000

// maxToleranceShare is the part of a due amount that a tolerance can be at most: one half.
const maxToleranceShare = 2

// FulfilAmount is the sum that fulfils an order: what is due, less the larger of
// two tolerances for underpayment, one absolute in base units and one in basis
// points of the due amount (rounded down). At least half of what is due is always
// asked for: a tolerance forgives a rounding or a fee, and one in base units that
// is large for a small order must not give the order away. It returns CodeInvalidParameter above 10,000 basis points
// and CodeInvalidAmount when due is zero.
func FulfilAmount(due, tolerance Amount, toleranceBPS uint32) (Amount, error) {
	if due.IsZero() {
		return Amount{}, E(CodeInvalidAmount, "", "amount is zero")
	}
	if toleranceBPS > basisPoints {
		return Amount{}, E(CodeInvalidParameter, "", "tolerance is above %d basis points", basisPoints)
	}
	relative := due.mulDiv(uint64(toleranceBPS), basisPoints)
	most := due.mulDiv(1, maxToleranceShare)
	return due.SubFloor(tolerance.Max(relative).Min(most)), nil
}
