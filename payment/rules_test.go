package payment

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// order makes the facts of an order of 100 base units that nobody has paid, with
// late money credited only; changes come on top.
func order(state State, changes ...func(*OrderFacts)) OrderFacts {
	f := OrderFacts{State: state, Due: AmountFromUint64(100), LatePolicy: LateCreditOnly}
	for _, change := range changes {
		change(&f)
	}
	return f
}

func inTime(n uint64) func(*OrderFacts) {
	return func(f *OrderFacts) { f.OnTimeCredited, f.Credited = AmountFromUint64(n), AmountFromUint64(n) }
}

// inTimeAndLate is money of which the second part came late.
func inTimeAndLate(before, after uint64) func(*OrderFacts) {
	return func(f *OrderFacts) {
		f.OnTimeCredited, f.Credited = AmountFromUint64(before), AmountFromUint64(before+after)
	}
}

func live(n int) func(*OrderFacts)          { return func(f *OrderFacts) { f.LivePayments, f.Awaited = n, n } }
func liveLate(n int) func(*OrderFacts)      { return func(f *OrderFacts) { f.LivePayments = n } }
func late(p LatePolicy) func(*OrderFacts)   { return func(f *OrderFacts) { f.LatePolicy = p } }
func match(m Match) func(*OrderFacts)       { return func(f *OrderFacts) { f.Match = m } }
func labelled(l ...Label) func(*OrderFacts) { return func(f *OrderFacts) { f.Labels = LabelsOf(l...) } }
func fulfilledFrom(n uint64) func(*OrderFacts) {
	return func(f *OrderFacts) { f.FulfilDue = AmountFromUint64(n) }
}
func timePassed(f *OrderFacts) { f.ChainTimePassed = true }
func allRead(f *OrderFacts)    { f.CoverageComplete = true }

// outcome is what a test expects of Next; zero fields expect nothing there.
type outcome struct {
	to     State
	labels Labels
	events []EventType
	reason Reason
}

func expect(t *testing.T, f OrderFacts, on Trigger, want outcome) {
	t.Helper()
	got, err := Next(f, on)
	require.NoError(t, err)
	require.Equal(t, want.to, got.To)
	require.ElementsMatch(t, want.labels, got.Labels)
	require.Equal(t, want.events, got.Events)
	require.Equal(t, want.reason, got.Reason)
	require.Equal(t, f.State, got.From)
	require.Equal(t, on, got.On)
	require.Equal(t, f.State != StatePaid && want.to == StatePaid, got.Fulfils())
	require.Equal(t, f.State != want.to, got.Moves())
}

func expectRefusal(t *testing.T, f OrderFacts, on Trigger, code Code, reason Reason) {
	t.Helper()
	got, err := Next(f, on)
	require.Equal(t, code, CodeOf(err), "%v", err)
	require.Equal(t, reason, ReasonOf(err))
	require.Equal(t, reason, got.Reason)
	require.Equal(t, f.State, got.To)
	require.ElementsMatch(t, f.Labels, got.Labels)
	require.Empty(t, got.Events)
	require.False(t, got.Moves())
}

// unfulfilled are the states in which an order waits for its money.
func unfulfilled() []State { return []State{StateAwaitingPayment, StateConfirming} }

// withAddress are all states but opening.
func withAddress() []State { return States()[1:] }

func TestAnOrderOpensWithItsAddress(t *testing.T) {
	t.Parallel()
	expect(t, order(StateOpening), TriggerAddressAllocated,
		outcome{StateAwaitingPayment, nil, []EventType{EventOrderCreated}, ReasonAddressReady})
	for _, state := range withAddress() {
		expectRefusal(t, order(state), TriggerAddressAllocated, CodeOrderState, ReasonHasAddress)
	}
}

func TestAnOrderWithoutAddressDoesNothingElse(t *testing.T) {
	t.Parallel()
	for _, on := range Triggers()[1:] {
		expectRefusal(t, order(StateOpening, live(1), inTime(100)), on, CodeOrderState, ReasonHasNoAddress)
	}
}

func TestDetectionBeginsConfirming(t *testing.T) {
	t.Parallel()
	for _, state := range unfulfilled() {
		want := outcome{StateConfirming, nil, []EventType{EventOrderPaymentDetected}, ReasonPaymentSeen}
		expect(t, order(state, live(1)), TriggerPaymentDetected, want)
		expect(t, order(state, live(1), timePassed), TriggerPaymentDetected, want) // late, while still open
	}
}

func TestDetectionMovesNoClosedOrder(t *testing.T) {
	t.Parallel()
	for _, state := range []State{StatePaid, StateExpired, StateCancelled} {
		expect(t, order(state, live(1), inTime(100)), TriggerPaymentDetected,
			outcome{state, nil, []EventType{EventOrderPaymentDetected}, ReasonPaymentSeen})
	}
}

func TestDetectionOfWhatIsGoneIsStale(t *testing.T) {
	t.Parallel()
	for _, state := range withAddress() {
		expectRefusal(t, order(state), TriggerPaymentDetected, CodeStale, ReasonNoLongerLive)
	}
}

func TestPaidInTime(t *testing.T) {
	t.Parallel()
	for _, state := range unfulfilled() {
		for _, policy := range []LatePolicy{LateFulfil, LateCreditOnly, LateHold} {
			expect(t, order(state, inTime(100), late(policy)), TriggerPaymentConfirmed,
				outcome{StatePaid, nil, []EventType{EventOrderPaid}, ReasonPaidInTime})
		}
	}
}

func TestPaidInTimeThoughTimerAlreadyFired(t *testing.T) {
	t.Parallel()
	expect(t, order(StateConfirming, inTime(100), timePassed, allRead), TriggerPaymentConfirmed,
		outcome{StatePaid, nil, []EventType{EventOrderPaid}, ReasonPaidInTime})
}

func TestPaidInTimeWhileMoreIsOnItsWay(t *testing.T) {
	t.Parallel()
	expect(t, order(StateConfirming, inTime(100), live(2)), TriggerPaymentConfirmed,
		outcome{StatePaid, nil, []EventType{EventOrderPaid}, ReasonPaidInTime})
}

func TestPaidInPartsClearsUnderpaid(t *testing.T) {
	t.Parallel()
	expect(t, order(StateConfirming, inTime(100), labelled(LabelUnderpaid)), TriggerPaymentConfirmed,
		outcome{StatePaid, nil, []EventType{EventOrderPaid}, ReasonPaidInTime})
}

func TestPaidLateWhenThePolicyFulfils(t *testing.T) {
	t.Parallel()
	for _, state := range []State{StateAwaitingPayment, StateConfirming, StateExpired} {
		expect(t, order(state, inTimeAndLate(40, 60), late(LateFulfil), labelled(LabelUnderpaid)), TriggerPaymentConfirmed,
			outcome{StatePaid, Labels{LabelLate}, []EventType{EventOrderPaidLate}, ReasonPaidLate})
	}
}

func TestLateMoneyDoesNotFulfilUnderOtherPolicies(t *testing.T) {
	t.Parallel()
	for _, policy := range []LatePolicy{LateCreditOnly, LateHold} {
		for _, state := range unfulfilled() {
			expect(t, order(state, inTimeAndLate(0, 150), late(policy)), TriggerPaymentConfirmed,
				outcome{StateAwaitingPayment, Labels{LabelLate}, []EventType{EventPaymentLate}, ReasonLateDeclined})
			expect(t, order(state, inTimeAndLate(0, 150), late(policy), live(1)), TriggerPaymentConfirmed,
				outcome{StateConfirming, Labels{LabelLate}, []EventType{EventPaymentLate}, ReasonMoreOnTheWay})
		}
		expect(t, order(StateExpired, inTimeAndLate(0, 150), late(policy)), TriggerPaymentConfirmed,
			outcome{StateExpired, Labels{LabelLate}, []EventType{EventPaymentLate}, ReasonLateDeclined})
	}
}

func TestMoneyInTimeStillFulfilsAfterLateMoney(t *testing.T) {
	t.Parallel()
	// The late payment was confirmed first; the one in time completes the sum.
	expect(t, order(StateConfirming, inTimeAndLate(100, 100), labelled(LabelLate)), TriggerPaymentConfirmed, outcome{
		StatePaid, Labels{LabelOverpaid}, []EventType{EventOrderPaid, EventOrderOverpaid}, ReasonPaidInTime,
	})
}

func TestMoneyInTimeFulfilsAnExpiredOrder(t *testing.T) {
	t.Parallel()
	// It was mined in time, dropped, given up, and mined again after the order closed.
	expect(t, order(StateExpired, inTime(100), late(LateHold)), TriggerPaymentConfirmed,
		outcome{StatePaid, nil, []EventType{EventOrderPaid}, ReasonPaidInTime})
}

func TestShortWithOthersLiveStaysConfirming(t *testing.T) {
	t.Parallel()
	for _, state := range unfulfilled() {
		expect(t, order(state, inTime(99), live(1)), TriggerPaymentConfirmed,
			outcome{StateConfirming, nil, nil, ReasonMoreOnTheWay})
		expect(t, order(state, inTimeAndLate(50, 49), live(1)), TriggerPaymentConfirmed,
			outcome{StateConfirming, Labels{LabelLate}, nil, ReasonMoreOnTheWay})
	}
}

func TestShortWithNoneLiveIsUnderpaid(t *testing.T) {
	t.Parallel()
	for _, state := range unfulfilled() {
		expect(t, order(state, inTime(99)), TriggerPaymentConfirmed,
			outcome{StateAwaitingPayment, Labels{LabelUnderpaid}, []EventType{EventOrderUnderpaid}, ReasonShort})
		expect(t, order(state, inTimeAndLate(50, 49)), TriggerPaymentConfirmed, outcome{
			StateAwaitingPayment, Labels{LabelUnderpaid, LabelLate}, []EventType{EventOrderUnderpaid}, ReasonShort,
		})
	}
}

func TestToleranceLowersWhatFulfils(t *testing.T) {
	t.Parallel()
	expect(t, order(StateConfirming, inTime(95), fulfilledFrom(95)), TriggerPaymentConfirmed,
		outcome{StatePaid, nil, []EventType{EventOrderPaid}, ReasonPaidInTime})
	expect(t, order(StateConfirming, inTime(94), fulfilledFrom(95)), TriggerPaymentConfirmed,
		outcome{StateAwaitingPayment, Labels{LabelUnderpaid}, []EventType{EventOrderUnderpaid}, ReasonShort})
	expect(t, order(StateConfirming, inTime(100), fulfilledFrom(95)), TriggerPaymentConfirmed,
		outcome{StatePaid, nil, []EventType{EventOrderPaid}, ReasonPaidInTime})
}

func TestToleranceDoesNotLowerWhatIsOverpaid(t *testing.T) {
	t.Parallel()
	expect(t, order(StatePaid, inTime(100), fulfilledFrom(95)), TriggerPaymentConfirmed,
		outcome{StatePaid, nil, nil, ReasonRestored})
	expect(t, order(StatePaid, inTime(101), fulfilledFrom(95)), TriggerPaymentConfirmed,
		outcome{StatePaid, Labels{LabelOverpaid}, []EventType{EventOrderOverpaid}, ReasonSurplus})
}

func TestOverpaidOnArrival(t *testing.T) {
	t.Parallel()
	expect(t, order(StateConfirming, inTime(101)), TriggerPaymentConfirmed, outcome{
		StatePaid, Labels{LabelOverpaid}, []EventType{EventOrderPaid, EventOrderOverpaid}, ReasonPaidInTime,
	})
	expect(t, order(StateExpired, inTimeAndLate(0, 101), late(LateFulfil)), TriggerPaymentConfirmed, outcome{
		StatePaid, Labels{LabelLate, LabelOverpaid}, []EventType{EventOrderPaidLate, EventOrderOverpaid}, ReasonPaidLate,
	})
}

func TestOverpaidAfterwards(t *testing.T) {
	t.Parallel()
	expect(t, order(StatePaid, inTimeAndLate(100, 1)), TriggerPaymentConfirmed,
		outcome{StatePaid, Labels{LabelOverpaid}, []EventType{EventOrderOverpaid}, ReasonSurplus})
}

func TestLastDropReturnsToAwaiting(t *testing.T) {
	t.Parallel()
	expect(t, order(StateConfirming), TriggerPaymentDropped,
		outcome{StateAwaitingPayment, nil, nil, ReasonNothingOnTheWay})
}

func TestDropWithOthersLiveStaysConfirming(t *testing.T) {
	t.Parallel()
	expect(t, order(StateConfirming, live(1), inTime(40)), TriggerPaymentDropped,
		outcome{StateConfirming, nil, nil, ReasonMoreOnTheWay})
}

func TestLastDropLeavesUnderpaid(t *testing.T) {
	t.Parallel()
	// One part was confirmed while the other, now dropped, was still live.
	expect(t, order(StateConfirming, inTime(40)), TriggerPaymentDropped,
		outcome{StateAwaitingPayment, Labels{LabelUnderpaid}, []EventType{EventOrderUnderpaid}, ReasonShort})
}

func TestLastDropLeavesLateMoneyDeclined(t *testing.T) {
	t.Parallel()
	expect(t, order(StateConfirming, inTimeAndLate(0, 100), labelled(LabelLate)), TriggerPaymentDropped,
		outcome{StateAwaitingPayment, Labels{LabelLate}, nil, ReasonLateDeclined})
}

func TestARepeatedDropHasNoSecondEffect(t *testing.T) {
	t.Parallel()
	expect(t, order(StateAwaitingPayment, inTime(40), labelled(LabelUnderpaid)), TriggerPaymentDropped,
		outcome{StateAwaitingPayment, Labels{LabelUnderpaid}, nil, ReasonNothingChanges})
	for _, state := range []State{StatePaid, StateExpired, StateCancelled} {
		expect(t, order(state), TriggerPaymentDropped, outcome{state, nil, nil, ReasonNothingChanges})
	}
}

func TestExpiryWaitsForLivePayments(t *testing.T) {
	t.Parallel()
	for _, state := range unfulfilled() {
		expectRefusal(t, order(state, live(1), timePassed, allRead), TriggerExpire, CodePaymentLive, ReasonPaymentLive)
	}
}

// Anybody can send a little after the deadline, again and again.
func TestLateMoneyOnItsWayHoldsNothing(t *testing.T) {
	t.Parallel()
	for _, state := range unfulfilled() {
		expect(t, order(state, liveLate(3), timePassed, allRead), TriggerExpire,
			outcome{StateExpired, nil, []EventType{EventOrderExpired}, ReasonDeadlinePassed})
		expect(t, order(state, liveLate(3), timePassed, allRead), TriggerCancel,
			outcome{StateCancelled, nil, []EventType{EventOrderCancelled}, ReasonCancelled})
	}
}

func TestExpiryWaitsForTheChainsClock(t *testing.T) {
	t.Parallel()
	for _, state := range unfulfilled() {
		expectRefusal(t, order(state, allRead), TriggerExpire, CodeChainLagging, ReasonDeadlineAhead)
	}
}

func TestExpiryWaitsForUnreadBlocks(t *testing.T) {
	t.Parallel()
	for _, state := range unfulfilled() {
		expectRefusal(t, order(state, timePassed), TriggerExpire, CodeChainLagging, ReasonUnreadBlocks)
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	for _, state := range unfulfilled() {
		expect(t, order(state, timePassed, allRead), TriggerExpire,
			outcome{StateExpired, nil, []EventType{EventOrderExpired}, ReasonDeadlinePassed})
		expect(t, order(state, timePassed, allRead, inTime(99), labelled(LabelUnderpaid)), TriggerExpire,
			outcome{StateExpired, Labels{LabelUnderpaid}, []EventType{EventOrderExpired}, ReasonDeadlinePassed})
		expect(t, order(state, timePassed, allRead, inTimeAndLate(0, 100), labelled(LabelLate)), TriggerExpire,
			outcome{StateExpired, Labels{LabelLate}, []EventType{EventOrderExpired}, ReasonDeadlinePassed})
	}
}

func TestAnOrderWhoseMoneyIsThereNeverExpires(t *testing.T) {
	t.Parallel()
	for _, state := range unfulfilled() {
		expect(t, order(state, timePassed, allRead, inTime(100)), TriggerExpire,
			outcome{StatePaid, nil, []EventType{EventOrderPaid}, ReasonPaidInTime})
		expect(t, order(state, timePassed, allRead, inTimeAndLate(0, 100), late(LateFulfil)), TriggerExpire,
			outcome{StatePaid, Labels{LabelLate}, []EventType{EventOrderPaidLate}, ReasonPaidLate})
	}
}

func TestOnlyOpenOrdersExpire(t *testing.T) {
	t.Parallel()
	for state, reason := range map[State]Reason{
		StatePaid: ReasonAlreadyPaid, StateExpired: ReasonAlreadyExpired, StateCancelled: ReasonAlreadyCancelled,
	} {
		expectRefusal(t, order(state, timePassed, allRead), TriggerExpire, CodeOrderState, reason)
	}
}
