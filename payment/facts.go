package payment

// OrderFacts are what a transition depends on, read in the transaction that
// writes its outcome, with the order and its payments locked.
//
// Sums count confirmed, unreversed payments in the order's own asset (Match ==
// MatchOrder), including the one that a payment_confirmed is about and without
// the one that a payment_reversed is about.
type OrderFacts struct {
	State  State
	Labels Labels

	// Due is what the order asks for, in base units; greater than zero.
	Due Amount
	// FulfilDue is Due less the merchant's tolerance for underpayment: the sum
	// that fulfils the order. Zero means no tolerance. Never above Due.
	FulfilDue Amount
	// Credited is the sum of all counted payments.
	Credited Amount
	// OnTimeCredited is the part of Credited whose first canonical inclusion has a
	// block time at or before the deadline.
	OnTimeCredited Amount

	// LivePayments counts the payments in the order's asset that were seen and are
	// neither confirmed nor given up. A dropped or reversed payment stays live for
	// one confirmation window, because it usually comes back.
	LivePayments int
	// Awaited counts those of them that came on time: the money that keeps an order from being expired or cancelled. Nothing
	// else does, or anybody could keep an order open for ever.
	Awaited int

	// ChainTimePassed: the recorded chain time is past the deadline.
	ChainTimePassed bool
	// CoverageComplete: every block up to the deadline was read, without a hole.
	CoverageComplete bool

	LatePolicy LatePolicy
	// Match is about the payment that the trigger is about; it is ignored for
	// triggers that are about none.
	Match Match
}

// FulfilsAt is the sum that fulfils the order: FulfilDue, or Due without tolerance.
func (f OrderFacts) FulfilsAt() Amount {
	if f.FulfilDue.IsZero() {
		return f.Due
	}
	return f.FulfilDue
}

// Fulfilled tells whether the order counts as paid. It is sticky: a reversal
// does not change it.
func (f OrderFacts) Fulfilled() bool { return f.State == StatePaid }

// Shortfall is what is missing to Due, or zero.
func (f OrderFacts) Shortfall() Amount { return f.Due.SubFloor(f.Credited) }

// Surplus is what was credited beyond Due, or zero.
func (f OrderFacts) Surplus() Amount { return f.Credited.SubFloor(f.Due) }

// check refuses facts that contradict each other. They come from a defect in
// whoever read them, and deciding on them could fulfil an order for nothing.
func (f OrderFacts) check() error {
	var problem string
	switch {
	case !knownState(f.State):
		problem = "unknown state"
	case f.Due.IsZero():
		problem = "due amount is zero"
	case f.Due.Less(f.FulfilDue):
		problem = "fulfilling amount is above the due amount"
	case f.Credited.Less(f.OnTimeCredited):
		problem = "credited in time is above credited"
	case f.LivePayments < 0:
		problem = "negative number of live payments"
	case f.Awaited < 0 || f.Awaited > f.LivePayments:
		problem = "payments awaited are not among the live ones"
	case f.LatePolicy != LateFulfil && f.LatePolicy != LateCreditOnly && f.LatePolicy != LateHold:
		problem = "unknown late policy"
	case !knownMatch(f.Match):
		problem = "unknown match"
	default:
		return nil
	}
	return E(CodeInternal, "", "order facts contradict each other: %s", problem)
}

func knownState(s State) bool {
	_, err := ParseState(string(s))
	return err == nil
}

func knownMatch(m Match) bool {
	switch m {
	case MatchOrder, MatchWrongAsset, MatchWrongNetwork, MatchDust:
		return true
	default:
		return false
	}
}

// sum is the one of five cases that the confirmed money of an order is in.
type sum int

const (
	sumNone         sum = iota // nothing is credited
	sumShort                   // something is, and too little
	sumLateDeclined            // enough only with late money, which the policy does not let fulfil
	sumLate                    // enough with late money, and the policy lets it fulfil
	sumOnTime                  // enough in time
)

func (f OrderFacts) sum() sum {
	switch {
	case f.Credited.IsZero():
		return sumNone
	case f.Credited.Less(f.FulfilsAt()):
		return sumShort
	case !f.OnTimeCredited.Less(f.FulfilsAt()):
		return sumOnTime
	case f.LatePolicy == LateFulfil:
		return sumLate
	default:
		return sumLateDeclined
	}
}

// Condition is one named test of the facts. Guards are made of conditions, so
// the table reads, and is drawn, without knowing any code.
type Condition string

// Conditions on the payment that the trigger is about.
const (
	IfMatching     Condition = "payment is in the order's asset"
	IfNotMatching  Condition = "payment does not count for the order"
	IfDust         Condition = "payment is dust"
	IfWrongAsset   Condition = "payment is in another asset"
	IfWrongNetwork Condition = "payment is on another network"
)

// Conditions on the confirmed sum.
const (
	IfNothing      Condition = "nothing credited"
	IfShort        Condition = "sum is short"
	IfLateDeclined Condition = "sum suffices only with late money, policy declines it"
	IfLate         Condition = "sum suffices with late money, policy accepts it"
	IfOnTime       Condition = "sum in time suffices"
	IfCovered      Condition = "sum suffices"
	IfNotCovered   Condition = "sum does not suffice"
	IfFulfilling   Condition = "sum fulfils the order"
	IfNotEnough    Condition = "sum does not fulfil the order"
	IfOver         Condition = "sum is above due"
	IfNotOver      Condition = "sum is at most due"
	IfLateMoney    Condition = "part of the sum is late"
	IfAllOnTime    Condition = "all of the sum is in time"
)

// Conditions on what is under way, on the clock and on the labels.
const (
	IfLive        Condition = "a payment is live"
	IfNoneLive    Condition = "no payment is live"
	IfAwaited     Condition = "a payment on time is live"
	IfNoneAwaited Condition = "no payment on time is live"
	IfTimePassed  Condition = "chain time is past the deadline"
	IfTimeAhead   Condition = "chain time is not past the deadline"
	IfAllRead     Condition = "every block to the deadline was read"
	IfHole        Condition = "a block to the deadline was not read"
	IfReversed    Condition = "order is labelled reversed"
	IfNotReversed Condition = "order is not labelled reversed"
)

// Holds tests the condition. An unknown condition never holds.
func (c Condition) Holds(f OrderFacts) bool {
	switch c {
	case IfMatching:
		return f.Match == MatchOrder
	case IfNotMatching:
		return f.Match != MatchOrder
	case IfDust:
		return f.Match == MatchDust
	case IfWrongAsset:
		return f.Match == MatchWrongAsset
	case IfWrongNetwork:
		return f.Match == MatchWrongNetwork
	case IfLive:
		return f.LivePayments > 0
	case IfNoneLive:
		return f.LivePayments == 0
	case IfAwaited:
		return f.Awaited > 0
	case IfNoneAwaited:
		return f.Awaited == 0
	case IfTimePassed:
		return f.ChainTimePassed
	case IfTimeAhead:
		return !f.ChainTimePassed
	case IfAllRead:
		return f.CoverageComplete
	case IfHole:
		return !f.CoverageComplete
	case IfReversed:
		return f.Labels.Has(LabelReversed)
	case IfNotReversed:
		return !f.Labels.Has(LabelReversed)
	default:
		return c.holdsForSum(f)
	}
}

func (c Condition) holdsForSum(f OrderFacts) bool {
	switch c {
	case IfNothing:
		return f.sum() == sumNone
	case IfShort:
		return f.sum() == sumShort
	case IfLateDeclined:
		return f.sum() == sumLateDeclined
	case IfLate:
		return f.sum() == sumLate
	case IfOnTime:
		return f.sum() == sumOnTime
	case IfCovered:
		return f.sum() >= sumLateDeclined
	case IfNotCovered:
		return f.sum() < sumLateDeclined
	case IfFulfilling:
		return f.sum() >= sumLate
	case IfNotEnough:
		return f.sum() < sumLate
	case IfOver:
		return f.Due.Less(f.Credited)
	case IfNotOver:
		return !f.Due.Less(f.Credited)
	case IfLateMoney:
		return f.OnTimeCredited.Less(f.Credited)
	case IfAllOnTime:
		return f.OnTimeCredited == f.Credited
	default:
		return false
	}
}
