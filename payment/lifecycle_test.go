package payment

import (
	"testing"

	"pgregory.net/rapid"
)

// modelPayment is a payment in the life of a modelled order.
type modelPayment struct {
	amount uint64
	onTime bool
	status PaymentStatus // "" before it is seen
	window bool          // dropped, and still expected back
}

func (p modelPayment) live() bool {
	return p.status == StatusDetected || p.status == StatusDropped && p.window
}

// life plays an order the way a store does: change a payment, read the facts,
// ask the table, write what it says.
type life struct {
	state      State
	labels     Labels
	policy     LatePolicy
	fulfilDue  uint64
	payments   []modelPayment
	timePassed bool
	allRead    bool
	byHand     bool
	events     map[EventType]int
}

func (l *life) facts() OrderFacts {
	f := OrderFacts{
		State: l.state, Labels: l.labels, LatePolicy: l.policy,
		Due: AmountFromUint64(100), FulfilDue: AmountFromUint64(l.fulfilDue),
		ChainTimePassed: l.timePassed, CoverageComplete: l.allRead,
	}
	var credited, onTime uint64
	for _, p := range l.payments {
		if p.live() {
			f.LivePayments++
			if p.onTime {
				f.Awaited++
			}
		}
		if p.status == StatusCredited {
			credited += p.amount
			if p.onTime {
				onTime += p.amount
			}
		}
	}
	f.Credited, f.OnTimeCredited = AmountFromUint64(credited), AmountFromUint64(onTime)
	return f
}

// fire applies a trigger and returns whether the table accepted it.
func (l *life) fire(t *rapid.T, on Trigger) bool {
	d, err := Next(l.facts(), on)
	if CodeOf(err) == CodeInternal || CodeOf(err) == CodeStale {
		t.Fatalf("%s on %+v: %v", on, l.facts(), err)
	}
	if err != nil {
		return false
	}
	if l.state == StatePaid && d.To != StatePaid {
		t.Fatal("paid is sticky")
	}
	l.byHand = l.byHand || on == TriggerResolveManual
	l.state, l.labels = d.To, d.Labels
	for _, event := range d.Events {
		l.events[event]++
	}
	return true
}

// paymentStep moves one payment along and tells the order.
func (l *life) paymentStep(t *rapid.T) {
	p := &l.payments[rapid.IntRange(0, len(l.payments)-1).Draw(t, "payment")]
	switch {
	case p.status == "":
		p.onTime = !l.timePassed
		p.status = StatusDetected
		l.mustFire(t, TriggerPaymentDetected)
	case p.status == StatusDetected && rapid.Bool().Draw(t, "confirms"):
		p.status = StatusCredited
		l.mustFire(t, TriggerPaymentConfirmed)
	case p.status == StatusDetected:
		p.status, p.window = StatusDropped, true
		l.mustFire(t, TriggerPaymentDropped)
	case p.status == StatusCredited:
		p.status, p.window = StatusDropped, true
		l.mustFire(t, TriggerPaymentReversed)
	case p.window && rapid.Bool().Draw(t, "gives up"):
		p.window = false
		l.mustFire(t, TriggerPaymentDropped)
	default: // it is mined again, and keeps the time of its first block
		p.status, p.window = StatusDetected, false
		l.mustFire(t, TriggerPaymentDetected)
	}
}

func (l *life) mustFire(t *rapid.T, on Trigger) {
	if !l.fire(t, on) {
		t.Fatalf("%s must always be accepted: %+v", on, l.facts())
	}
}

func (l *life) requestStep(t *rapid.T) {
	switch rapid.IntRange(0, 9).Draw(t, "request") {
	case 0:
		l.fire(t, TriggerCancel)
	case 1:
		l.fire(t, TriggerResolveManual)
	case 2:
		if l.state.Open() {
			l.timePassed = false
			for i := range l.payments {
				l.payments[i].onTime = l.payments[i].onTime || l.payments[i].status != ""
			}
			l.mustFire(t, TriggerExtend)
		}
	case 3:
		l.timePassed = true
	case 4:
		l.allRead = !l.allRead
	default:
		l.fire(t, TriggerExpire)
	}
}

// check holds the order against what must be true between any two steps.
func (l *life) check(t *rapid.T) {
	f := l.facts()
	enough := !f.Credited.Less(f.FulfilsAt())
	enoughInTime := !f.OnTimeCredited.Less(f.FulfilsAt())
	paid := l.state == StatePaid
	for rule, broken := range map[string]bool{
		"confirming means that a payment is live":       l.state == StateConfirming && f.LivePayments == 0,
		"awaiting_payment means that none is":           l.state == StateAwaitingPayment && f.LivePayments > 0,
		"an open order whose money came in time":        l.state.Open() && enoughInTime,
		"an open order whose late money suffices":       l.state.Open() && enough && l.policy == LateFulfil,
		"one paid event in a life":                      l.events[EventOrderPaid]+l.events[EventOrderPaidLate] > 1,
		"paid without a paid event":                     paid && l.events[EventOrderPaid]+l.events[EventOrderPaidLate] == 0,
		"a paid event without paid":                     !paid && l.events[EventOrderPaid]+l.events[EventOrderPaidLate] > 0,
		"overpaid means a surplus on a paid order":      l.labels.Has(LabelOverpaid) != (paid && f.Due.Less(f.Credited)),
		"a paid order that lost its money says so":      paid && !l.byHand && !enough && !l.labels.Has(LabelReversed),
		"reversed is cleared when the sum is whole":     paid && enough && l.labels.Has(LabelReversed),
		"manual is said of what a person did":           l.labels.Has(LabelManual) != l.byHand,
		"underpaid is said of too little, not enough":   l.labels.Has(LabelUnderpaid) && enough && !l.byHand,
		"an awaiting order with some money is labelled": l.state == StateAwaitingPayment && !f.Credited.IsZero() && !enough && !l.labels.Has(LabelUnderpaid),
		"expired and cancelled happen once":             l.events[EventOrderExpired]+l.events[EventOrderCancelled] > 1,
	} {
		if broken {
			t.Fatalf("%s: %+v", rule, f)
		}
	}
}

// A life of random payments, reorganisations, clocks and requests never breaks
// a rule between any two steps.
func TestLifeOfAnOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := &life{
			state:     StateOpening,
			policy:    rapid.SampledFrom([]LatePolicy{LateFulfil, LateCreditOnly, LateHold}).Draw(t, "policy"),
			fulfilDue: rapid.SampledFrom([]uint64{0, 95, 100}).Draw(t, "fulfils at"),
			events:    map[EventType]int{},
		}
		for _, amount := range rapid.SliceOfN(rapid.SampledFrom([]uint64{1, 5, 40, 55, 60, 94, 95, 100, 150}), 1, 4).Draw(t, "amounts") {
			l.payments = append(l.payments, modelPayment{amount: amount})
		}
		l.mustFire(t, TriggerAddressAllocated)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			if rapid.IntRange(0, 2).Draw(t, "kind") > 0 {
				l.paymentStep(t)
			} else {
				l.requestStep(t)
			}
			l.check(t)
		}
	})
}

// Whatever happened, an order whose payments have all settled in time and
// suffice is paid, whenever and in whatever order they were confirmed, unless it
// was cancelled before.
func TestNoMoneyInTimeIsMissed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := &life{state: StateOpening, policy: LateHold, events: map[EventType]int{}}
		l.mustFire(t, TriggerAddressAllocated)
		parts := rapid.SampledFrom([][]uint64{{100}, {50, 50}, {99, 1}, {40, 40, 40}}).Draw(t, "parts")
		for _, amount := range parts {
			l.payments = append(l.payments, modelPayment{amount: amount, onTime: true, status: StatusDetected})
		}
		l.mustFire(t, TriggerPaymentDetected)
		l.timePassed, l.allRead = true, true
		order := rapid.Permutation([]int{0, 1, 2}[:len(parts)]).Draw(t, "order")
		for _, i := range order {
			l.fire(t, TriggerExpire) // the timer keeps firing
			l.payments[i].status = StatusCredited
			l.mustFire(t, TriggerPaymentConfirmed)
		}
		if l.state != StatePaid || l.events[EventOrderPaid] != 1 || l.events[EventOrderExpired] != 0 {
			t.Fatalf("the order ended %s with %v", l.state, l.events)
		}
	})
}
