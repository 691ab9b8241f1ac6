package payment

import "strings"

// Reason names why a transition happened, why it was refused, or why money was
// put where it is. Every outcome has one; support reads them, and they appear in
// the audit log.
type Reason string

// Reasons of transitions that happen.
const (
	ReasonAddressReady        Reason = "address_ready"
	ReasonPaymentSeen         Reason = "payment_seen"
	ReasonDoesNotCount        Reason = "payment_does_not_count"
	ReasonDust                Reason = "dust"
	ReasonPaidInTime          Reason = "paid_in_time"
	ReasonPaidLate            Reason = "paid_late"
	ReasonLateDeclined        Reason = "late_money_does_not_fulfil"
	ReasonMoreOnTheWay        Reason = "more_payments_on_the_way"
	ReasonShort               Reason = "sum_is_short"
	ReasonNothingOnTheWay     Reason = "nothing_on_the_way"
	ReasonNothingChanges      Reason = "nothing_changes"
	ReasonWrongAsset          Reason = "wrong_asset"
	ReasonWrongNetwork        Reason = "wrong_network"
	ReasonSurplus             Reason = "more_than_due"
	ReasonRestored            Reason = "sum_restored"
	ReasonReversedShort       Reason = "reversal_leaves_sum_short"
	ReasonReversedCovered     Reason = "reversal_leaves_enough"
	ReasonMoneyAfterCancel    Reason = "money_after_cancellation"
	ReasonDeadlinePassed      Reason = "deadline_passed"
	ReasonCancelled           Reason = "cancelled_on_request"
	ReasonExtended            Reason = "deadline_extended"
	ReasonFulfilledByHand     Reason = "fulfilled_by_hand"
	ReasonShortfallAccepted   Reason = "shortfall_accepted_by_hand"
	ReasonAvailable           Reason = "available_at_once"
	ReasonHeldByPaymentPolicy Reason = "held_by_payment_policy"
	ReasonHeldByLatePolicy    Reason = "held_by_late_policy"
)

// Reasons of refusals.
const (
	ReasonHasNoAddress     Reason = "has_no_address_yet"
	ReasonHasAddress       Reason = "has_its_address"
	ReasonNoLongerLive     Reason = "payment_is_no_longer_live"
	ReasonNoLongerCredited Reason = "payment_is_not_credited"
	ReasonPaymentLive      Reason = "payment_is_live"
	ReasonDeadlineAhead    Reason = "chain_time_before_deadline"
	ReasonUnreadBlocks     Reason = "unread_blocks_before_deadline"
	ReasonMoneySuffices    Reason = "confirmed_money_suffices"
	ReasonAlreadyPaid      Reason = "already_paid"
	ReasonAlreadyExpired   Reason = "already_expired"
	ReasonAlreadyCancelled Reason = "already_cancelled"
)

// Text prints the reason as words.
func (r Reason) Text() string { return strings.ReplaceAll(string(r), "_", " ") }
