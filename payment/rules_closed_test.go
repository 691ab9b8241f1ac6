package payment

import "testing"

func TestCancel(t *testing.T) {
	t.Parallel()
	expect(t, order(StateAwaitingPayment), TriggerCancel,
		outcome{StateCancelled, nil, []EventType{EventOrderCancelled}, ReasonCancelled})
	expect(t, order(StateAwaitingPayment, inTime(99), labelled(LabelUnderpaid)), TriggerCancel,
		outcome{StateCancelled, Labels{LabelUnderpaid}, []EventType{EventOrderCancelled}, ReasonCancelled})
}

func TestCancelIsRefusedWhileAPaymentIsLive(t *testing.T) {
	t.Parallel()
	for _, state := range unfulfilled() {
		expectRefusal(t, order(state, live(1)), TriggerCancel, CodePaymentLive, ReasonPaymentLive)
	}
}

func TestCancelIsRefusedWhenTheOrderIsClosed(t *testing.T) {
	t.Parallel()
	for state, reason := range map[State]Reason{
		StatePaid:    ReasonAlreadyPaid,
		StateExpired: ReasonAlreadyExpired, StateCancelled: ReasonAlreadyCancelled,
	} {
		expectRefusal(t, order(state), TriggerCancel, CodeOrderState, reason)
	}
}

func TestCancelIsRefusedWhenTheMoneyIsThere(t *testing.T) {
	t.Parallel()
	expectRefusal(t, order(StateAwaitingPayment, inTime(100)), TriggerCancel, CodeOrderState, ReasonMoneySuffices)
}

func TestExtendKeepsTheState(t *testing.T) {
	t.Parallel()
	for _, state := range unfulfilled() {
		expect(t, order(state, inTime(99), labelled(LabelUnderpaid, LabelLate)), TriggerExtend,
			outcome{state, Labels{LabelUnderpaid}, nil, ReasonExtended})
		expect(t, order(state, inTimeAndLate(0, 99), labelled(LabelUnderpaid, LabelLate)), TriggerExtend,
			outcome{state, Labels{LabelUnderpaid, LabelLate}, nil, ReasonExtended})
	}
}

func TestExtendMayBringLateMoneyIntoTime(t *testing.T) {
	t.Parallel()
	for _, state := range unfulfilled() {
		expect(t, order(state, inTime(100), labelled(LabelLate)), TriggerExtend,
			outcome{StatePaid, nil, []EventType{EventOrderPaid}, ReasonPaidInTime})
	}
}

func TestExtendRevivesNoClosedOrder(t *testing.T) {
	t.Parallel()
	for state, reason := range map[State]Reason{
		StatePaid: ReasonAlreadyPaid, StateExpired: ReasonAlreadyExpired, StateCancelled: ReasonAlreadyCancelled,
	} {
		expectRefusal(t, order(state), TriggerExtend, CodeOrderState, reason)
	}
}

func TestLateMoneyToAnExpiredOrder(t *testing.T) {
	t.Parallel()
	expect(t, order(StateExpired, inTimeAndLate(0, 99)), TriggerPaymentConfirmed, outcome{
		StateExpired, Labels{LabelLate, LabelUnderpaid}, []EventType{EventOrderUnderpaid}, ReasonShort,
	})
	expect(t, order(StateExpired, inTimeAndLate(0, 99), live(1)), TriggerPaymentConfirmed,
		outcome{StateExpired, Labels{LabelLate}, nil, ReasonMoreOnTheWay})
}

func TestCancelledNeverFulfilsByItself(t *testing.T) {
	t.Parallel()
	for _, policy := range []LatePolicy{LateFulfil, LateCreditOnly, LateHold} {
		for _, money := range []func(*OrderFacts){inTime(100), inTime(200), inTimeAndLate(0, 100), inTimeAndLate(10, 10)} {
			expect(t, order(StateCancelled, money, late(policy)), TriggerPaymentConfirmed,
				outcome{StateCancelled, Labels{LabelLate}, []EventType{EventPaymentLate}, ReasonMoneyAfterCancel})
		}
	}
}

func TestAReversalLeavesPaidPaid(t *testing.T) {
	t.Parallel()
	reversed := []EventType{EventPaymentReversed}
	expect(t, order(StatePaid), TriggerPaymentReversed,
		outcome{StatePaid, Labels{LabelReversed}, reversed, ReasonReversedShort})
	expect(t, order(StatePaid, inTime(99), labelled(LabelOverpaid)), TriggerPaymentReversed,
		outcome{StatePaid, Labels{LabelReversed}, reversed, ReasonReversedShort})
}

func TestAReversalOfASurplusLeavesNoShortfall(t *testing.T) {
	t.Parallel()
	reversed := []EventType{EventPaymentReversed}
	expect(t, order(StatePaid, inTime(100), labelled(LabelOverpaid)), TriggerPaymentReversed,
		outcome{StatePaid, nil, reversed, ReasonReversedCovered})
	expect(t, order(StatePaid, inTime(101), labelled(LabelOverpaid)), TriggerPaymentReversed,
		outcome{StatePaid, Labels{LabelOverpaid}, reversed, ReasonReversedCovered})
}

func TestANewCreditThatRestoresTheSumClearsReversed(t *testing.T) {
	t.Parallel()
	for _, policy := range []LatePolicy{LateFulfil, LateCreditOnly, LateHold} {
		expect(t, order(StatePaid, inTimeAndLate(0, 100), late(policy), labelled(LabelReversed)), TriggerPaymentConfirmed,
			outcome{StatePaid, nil, nil, ReasonRestored})
		expect(t, order(StatePaid, inTimeAndLate(0, 99), late(policy), labelled(LabelReversed)), TriggerPaymentConfirmed,
			outcome{StatePaid, Labels{LabelReversed}, nil, ReasonShort})
	}
}

func TestAReversalOfAnUnfulfilledOrder(t *testing.T) {
	t.Parallel()
	reversed := []EventType{EventPaymentReversed}
	for _, state := range []State{StateAwaitingPayment, StateConfirming, StateExpired, StateCancelled} {
		quiet, busy := StateAwaitingPayment, StateConfirming
		if !state.Open() {
			quiet, busy = state, state
		}
		expect(t, order(state, labelled(LabelUnderpaid)), TriggerPaymentReversed,
			outcome{quiet, Labels{LabelReversed}, reversed, ReasonReversedShort})
		expect(t, order(state, inTime(40)), TriggerPaymentReversed,
			outcome{quiet, Labels{LabelReversed, LabelUnderpaid}, reversed, ReasonReversedShort})
		expect(t, order(state, inTimeAndLate(0, 100)), TriggerPaymentReversed,
			outcome{quiet, nil, reversed, ReasonReversedCovered})
		// The reversed payment may come back, so it is live for a while.
		expect(t, order(state, live(1)), TriggerPaymentReversed,
			outcome{busy, Labels{LabelReversed}, reversed, ReasonReversedShort})
	}
}

func TestStrangersNeverMoveAnOrder(t *testing.T) {
	t.Parallel()
	for _, state := range withAddress() {
		for m, want := range map[Match]outcome{
			MatchWrongAsset:   {state, Labels{LabelWrongAsset}, []EventType{EventPaymentMismatched}, ReasonWrongAsset},
			MatchWrongNetwork: {state, Labels{LabelWrongNetwork}, []EventType{EventPaymentMismatched}, ReasonWrongNetwork},
			MatchDust:         {state, nil, nil, ReasonDust},
		} {
			f := order(state, match(m), live(1), inTime(40))
			expect(t, f, TriggerPaymentConfirmed, want)
			expect(t, f, TriggerPaymentDetected, outcome{state, nil, nil, ReasonDoesNotCount})
			expect(t, f, TriggerPaymentReversed,
				outcome{state, nil, []EventType{EventPaymentReversed}, ReasonDoesNotCount})
		}
	}
}

func TestAConfirmationWithoutCreditIsStale(t *testing.T) {
	t.Parallel()
	for _, state := range withAddress() {
		expectRefusal(t, order(state), TriggerPaymentConfirmed, CodeStale, ReasonNoLongerCredited)
	}
}

func TestAPersonMayFulfilAnyOrder(t *testing.T) {
	t.Parallel()
	for state, event := range map[State]EventType{
		StateAwaitingPayment: EventOrderPaid, StateConfirming: EventOrderPaid,
		StateExpired: EventOrderPaidLate, StateCancelled: EventOrderPaidLate,
	} {
		expect(t, order(state), TriggerResolveManual,
			outcome{StatePaid, Labels{LabelManual}, []EventType{event}, ReasonFulfilledByHand})
		expect(t, order(state, inTime(99), labelled(LabelUnderpaid, LabelReversed)), TriggerResolveManual,
			outcome{StatePaid, Labels{LabelManual, LabelUnderpaid}, []EventType{event}, ReasonFulfilledByHand})
		expect(t, order(state, inTimeAndLate(0, 101), labelled(LabelLate)), TriggerResolveManual, outcome{
			StatePaid, Labels{LabelManual, LabelLate, LabelOverpaid},
			[]EventType{event, EventOrderOverpaid}, ReasonFulfilledByHand,
		})
	}
}

func TestAPersonMayAcceptAReversal(t *testing.T) {
	t.Parallel()
	expect(t, order(StatePaid, labelled(LabelReversed)), TriggerResolveManual,
		outcome{StatePaid, Labels{LabelManual}, nil, ReasonShortfallAccepted})
	expectRefusal(t, order(StatePaid, inTime(100)), TriggerResolveManual, CodeOrderState, ReasonAlreadyPaid)
}

// Money that suffices is neither too little nor missing, whether or not it
// fulfils the order.
func TestASumThatSufficesClearsUnderpaidAndReversed(t *testing.T) {
	t.Parallel()
	before := labelled(LabelUnderpaid, LabelReversed)
	enough := inTimeAndLate(40, 60)
	for _, state := range unfulfilled() {
		expect(t, order(state, enough, before, live(1)), TriggerPaymentConfirmed,
			outcome{StateConfirming, Labels{LabelLate}, []EventType{EventPaymentLate}, ReasonMoreOnTheWay})
		expect(t, order(state, enough, before), TriggerPaymentConfirmed,
			outcome{StateAwaitingPayment, Labels{LabelLate}, []EventType{EventPaymentLate}, ReasonLateDeclined})
		expect(t, order(state, inTime(100), before), TriggerPaymentConfirmed,
			outcome{StatePaid, nil, []EventType{EventOrderPaid}, ReasonPaidInTime})
	}
	expect(t, order(StateExpired, enough, before), TriggerPaymentConfirmed,
		outcome{StateExpired, Labels{LabelLate}, []EventType{EventPaymentLate}, ReasonLateDeclined})
	expect(t, order(StateCancelled, enough, before), TriggerPaymentConfirmed,
		outcome{StateCancelled, Labels{LabelLate}, []EventType{EventPaymentLate}, ReasonMoneyAfterCancel})
	expect(t, order(StatePaid, enough, before), TriggerPaymentConfirmed,
		outcome{StatePaid, nil, nil, ReasonRestored})
	expect(t, order(StatePaid, inTime(101), before), TriggerPaymentConfirmed,
		outcome{StatePaid, Labels{LabelOverpaid}, []EventType{EventOrderOverpaid}, ReasonSurplus})
}
