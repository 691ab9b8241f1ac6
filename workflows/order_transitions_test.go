package workflows

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// Every row of the state table, as a run meets it: the trigger reaches the workflow on the way it takes in life, the
// transaction behind it decides by the row, and the run shows the row's outcome, asks for no more than it must, and ends
// when the order's state lets it.
func TestEveryTransitionOfTheTable(t *testing.T) {
	t.Parallel()
	table := payment.Table()
	require.NotEmpty(t, table)
	for i, row := range table {
		t.Run(fmt.Sprintf("%02d %s %s %s", i, row.From, row.On, row.Reason), func(t *testing.T) {
			t.Parallel()
			runTransition(t, row)
		})
	}
}

const transitionAt = 10 * time.Minute

func runTransition(t *testing.T, row payment.Transition) {
	t.Helper()
	w := newWorld(t)
	w.truth.State = row.From
	if row.From == payment.StatePaid {
		// A paid order's run is open while its callbacks are on the way.
		w.put(otherPayment, 1, payment.StatusDetected)
	}
	var told *answer
	trigger := triggers(w, row, &told)
	if row.On == payment.TriggerAddressAllocated && row.From == payment.StateOpening {
		trigger()
	} else {
		w.at(transitionAt, trigger)
	}
	w.at(transitionAt+2*testLifetime, func() {
		require.Equal(t, string(row.To), w.state().Status)
		require.Equal(t, string(row.To), w.attributes["OrderStatus"])
		require.ElementsMatch(t, w.truth.Labels, w.state().Order.Labels)
		if row.Refuse != "" && told != nil {
			require.True(t, told.rejected || told.completed)
			require.Equal(t, row.Refuse, told.code())
		}
		if row.Refuse == "" && told != nil {
			require.NoError(t, told.err)
		}
	})
	w.at(transitionAt+3*testLifetime, w.pay)
	w.runsWell()
	require.Equal(t, payment.StatePaid, payment.State(w.state().Status))
}

// triggers returns how a row's trigger comes to pass, and sets up what the transaction behind it answers.
func triggers(w *world, row payment.Transition, told **answer) func() {
	// The others answer so that nothing but the trigger moves the order.
	settled := w.settle
	w.settle = func(in process.SettleInput) (process.SettleResult, error) {
		if in.PaymentID == otherPayment {
			return process.SettleResult{}, waits(transitionAt * 2)
		}
		return settled(in)
	}
	w.expire = func() (process.ExpireOutcome, error) { return "", waits(time.Hour) }
	happen := func() {
		w.truth.State = row.To
		w.truth.Labels = payment.LabelsOf(w.truth.Labels...).Apply(row.Add, row.Remove)
	}
	w.move = func(string, any) error {
		if row.Refuse != "" {
			return refuse(row.Refuse)
		}
		happen()
		return nil
	}
	switch row.On {
	case payment.TriggerAddressAllocated:
		// Of an order that has an address, allocating returns the one it has: the row's refusal is the store's own.
		w.allocate = func() error { w.truth.State = row.To; return nil }
		return func() {}
	case payment.TriggerPaymentDetected:
		return func() { happen(); w.wake() }
	case payment.TriggerPaymentDropped, payment.TriggerPaymentReversed:
		return func() {
			happen()
			w.env.SignalWorkflow(process.SignalPaymentDropped, process.PaymentSignal{PaymentID: testPayment, Inclusion: 1})
		}
	case payment.TriggerPaymentConfirmed:
		return confirmed(w, row, happen)
	case payment.TriggerExpire:
		return expires(w, row, happen)
	case payment.TriggerCancel:
		return func() { *told = w.update(process.UpdateCancel, process.CancelRequest{By: somebody}) }
	case payment.TriggerExtend:
		return func() {
			*told = w.update(process.UpdateExtend, process.ExtendRequest{By: somebody, Seconds: 3 * 60 * 60})
		}
	case payment.TriggerResolveManual:
		w.truth.Labels = reversedIf(slices.Contains(row.Guard, payment.IfReversed))
		return func() {
			*told = w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveMarkPaid})
		}
	default:
		w.t.Fatalf("no way is known for trigger %s", row.On)
		return nil
	}
}

func reversedIf(reversed bool) []payment.Label {
	if reversed {
		return []payment.Label{payment.LabelReversed}
	}
	return nil
}

func confirmed(w *world, row payment.Transition, happen func()) func() {
	others := w.settle
	w.settle = func(in process.SettleInput) (process.SettleResult, error) {
		if in.PaymentID != testPayment {
			return others(in)
		}
		w.settled(testPayment, payment.StatusCredited)
		if row.Refuse != "" {
			// The credit met facts that had changed; the next attempt finds that there is nothing left to do.
			return process.SettleResult{Outcome: process.SettleAlready, Inclusion: 1}, nil
		}
		happen()
		return process.SettleResult{Outcome: process.SettleCredited, Inclusion: 1}, nil
	}
	return func() {
		if row.From == payment.StateOpening {
			return
		}
		w.put(testPayment, 1, payment.StatusDetected)
		w.wake()
	}
}

// expires lets the order's own timer do it.
func expires(w *world, row payment.Transition, happen func()) func() {
	w.expire = func() (process.ExpireOutcome, error) {
		switch row.Refuse {
		case payment.CodePaymentLive:
			return process.ExpireLive, nil
		case payment.CodeChainLagging:
			return "", waits(time.Hour)
		case payment.CodeOrderState:
			return process.ExpireOver, nil
		default:
		}
		happen()
		return process.ExpireExpired, nil
	}
	return func() {}
}
