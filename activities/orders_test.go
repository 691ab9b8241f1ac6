package activities_test

import (
	"bytes"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/chain/hd"
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

const mnemonic = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"

// newOrders is a database with a wallet that addresses can be derived from.
func newOrders(t *testing.T) (*storetest.Bundle, *activities.Orders, hd.ExtendedPublicKey) {
	t.Helper()
	b := storetest.New(t)
	require.NoError(t, b.DB.RetireWallet(t.Context(), b.Wallet, storetest.By()))
	key, err := hd.AccountXPub(mnemonic, "")
	require.NoError(t, err)
	w := store.NewWallet{
		Wallet:      store.Wallet{ID: payment.NewXPubID(), Family: payment.FamilyEVM, Xpub: seal.NewSecret(key.Reveal()), Path: hd.AccountPath},
		Fingerprint: key.Fingerprint(),
	}
	w.MAC = w.Sign(b.Keys)
	require.NoError(t, b.DB.AddWallet(t.Context(), w, storetest.By()))
	b.Wallet = w.ID
	return b, &activities.Orders{Store: b.App, Keys: b.Keys, Log: discard()}, key
}

func TestAllocateGivesEachOrderAnAddressOfItsOwn(t *testing.T) {
	t.Parallel()
	b, orders, key := newOrders(t)
	const count = 20
	ids := make([]payment.OrderID, count)
	for i := range ids {
		ids[i] = b.Opening(t)
	}
	// Each order is allocated twice at once, as a local activity that was taken for dead would be.
	views := make([]process.OrderView, 2*count)
	var all sync.WaitGroup
	for i := range views {
		all.Go(func() {
			var err error
			views[i], err = orders.AllocateAddress(t.Context(), process.OrderInput{OrderID: ids[i%count]})
			require.NoError(t, err)
		})
	}
	all.Wait()
	derived := map[string]bool{}
	for index := range uint32(2 * count) {
		address, err := key.Derive(index)
		require.NoError(t, err)
		derived[address.Text()] = true
	}
	seen := map[string]bool{}
	for i := range count {
		require.Equal(t, views[i].Address, views[i+count].Address)
		require.Equal(t, payment.StateAwaitingPayment, views[i].State)
		require.True(t, derived[views[i].Address])
		require.False(t, seen[views[i].Address])
		seen[views[i].Address] = true
	}
}

func TestACustomersOrdersAreAllocatedOneAddress(t *testing.T) {
	t.Parallel()
	b, orders, key := newOrders(t)
	const count = 8
	ids := make([]payment.OrderID, count)
	for i := range ids {
		ids[i] = b.Opening(t, storetest.Of("ann"))
	}
	views, errs := make([]process.OrderView, 2*count), make([]error, 2*count)
	var all sync.WaitGroup
	for i := range views {
		all.Go(func() {
			views[i], errs[i] = orders.AllocateAddress(t.Context(), process.OrderInput{OrderID: ids[i%count]})
		})
	}
	all.Wait()
	seen := map[string]bool{}
	for i, view := range views {
		require.NoError(t, errs[i])
		seen[view.Address] = true
	}
	require.Len(t, seen, 1)
	index := storetest.Value[int64](t, b, `SELECT derivation_index FROM addresses`)
	address, err := key.Derive(uint32(index))
	require.NoError(t, err)
	require.True(t, seen[address.Text()])

	require.NoError(t, b.DB.RetireWallet(t.Context(), b.Wallet, storetest.By()))
	later, err := orders.AllocateAddress(t.Context(), process.OrderInput{OrderID: b.Opening(t, storetest.Of("ann"))})
	require.NoError(t, err)
	require.Equal(t, address.Text(), later.Address, "a retired wallet's addresses stay")
}

// An address that was swapped in the database reaches no order and no event.
func TestACustomersAddressIsDerivedAgain(t *testing.T) {
	t.Parallel()
	thief, err := hd.AccountXPub(mnemonic, "a thief's")
	require.NoError(t, err)
	for name, change := range map[string]string{
		"the address": `UPDATE addresses SET bytes = '\x00000000000000000000000000000000deadbeef' WHERE $1 <> ''`,
		"the index":   `UPDATE addresses SET derivation_index = derivation_index + 1 WHERE $1 <> ''`,
		"the wallet":  `UPDATE xpubs SET xpub = $1 WHERE retired_at IS NULL`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, orders, _ := newOrders(t)
			_, err := orders.AllocateAddress(t.Context(), process.OrderInput{OrderID: b.Opening(t, storetest.Of("ann"))})
			require.NoError(t, err)
			_, err = b.PG.Owner.Exec(t.Context(), change, thief.Reveal())
			require.NoError(t, err)
			id := b.Opening(t, storetest.Of("ann"))
			_, err = orders.AllocateAddress(t.Context(), process.OrderInput{OrderID: id})
			requireRefused(t, err, payment.CodeAddressesExhausted)
			require.Equal(t, "opening", storetest.Value[string](t, b, `SELECT state FROM orders WHERE id = $1`, id))
			require.Equal(t, 1, storetest.Value[int](t, b, `SELECT count(*) FROM events`))
		})
	}
}

func TestNoAddressIsDerivedFromARowThatWasAltered(t *testing.T) {
	t.Parallel()
	b, orders, _ := newOrders(t)
	thief, err := hd.AccountXPub(mnemonic, "a thief's")
	require.NoError(t, err)
	_, err = b.PG.Owner.Exec(t.Context(), `UPDATE xpubs SET xpub = $2 WHERE id = $1`, b.Wallet, thief.Reveal())
	require.NoError(t, err)
	var out bytes.Buffer
	orders.Log = slog.New(slog.NewTextHandler(&out, nil))
	id := b.Opening(t)
	_, err = orders.AllocateAddress(t.Context(), process.OrderInput{OrderID: id})
	requireRefused(t, err, payment.CodeAddressesExhausted)
	require.NotContains(t, err.Error(), "xpub6")
	require.Contains(t, out.String(), string(b.Wallet))
	require.NotContains(t, out.String(), "xpub6")
}

func TestAllocationIsRefusedByCode(t *testing.T) {
	t.Parallel()
	b, orders, _ := newOrders(t)
	_, err := orders.AllocateAddress(t.Context(), process.OrderInput{OrderID: payment.NewOrderID()})
	requireRefused(t, err, payment.CodeNotFound)
	id := b.Opening(t)
	_, err = b.DB.LockWallets(t.Context(), storetest.By())
	require.NoError(t, err)
	_, err = orders.AllocateAddress(t.Context(), process.OrderInput{OrderID: id})
	requireRefused(t, err, payment.CodeAddressesExhausted)
}

func TestHandMadeRequestsGoThrough(t *testing.T) {
	t.Parallel()
	b, orders, _ := newOrders(t)
	ctx := t.Context()
	id := b.Order(t).ID
	by := storetest.By()

	extended, err := orders.ExtendOrder(ctx, process.ExtendInput{OrderID: id, By: by, RequestID: "r/extend", Seconds: 3600})
	require.NoError(t, err)
	require.Equal(t, process.OutcomeDone, extended.Outcome)
	again, err := orders.ExtendOrder(ctx, process.ExtendInput{OrderID: id, By: by, RequestID: "r/extend", Seconds: 3600})
	require.NoError(t, err)
	require.Equal(t, process.OutcomeAlreadyDone, again.Outcome)
	require.Equal(t, extended.Order.ExpiresAt, again.Order.ExpiresAt)

	require.NoError(t, orders.ParkOrder(ctx, process.ParkInput{OrderID: id, Step: process.StepConfirm, Reason: "mismatch", RequestID: "r/park/1"}))
	_, err = orders.ResolveOrder(ctx, process.ResolveInput{OrderID: id, By: by, RequestID: "r/retry", Move: process.MoveRetry})
	require.NoError(t, err)
	for range 2 {
		closed, err := orders.ResolveOrder(ctx, process.ResolveInput{OrderID: id, By: by, RequestID: "r/close", Move: process.MoveClose, Step: process.StepCallback})
		require.NoError(t, err)
		require.Equal(t, payment.StateAwaitingPayment, closed.Order.State)
	}
	require.Equal(t, "tester: callbacks.leave: a test", storetest.Value[string](t, b, `SELECT actor || ': ' || action || ': ' || reason FROM audit WHERE request_id = 'r/close'`),
		"the person is the one who did it")
	require.Zero(t, storetest.Value[int](t, b, `SELECT count(*)::int FROM orders WHERE blocked_step IS NOT NULL`))
	_, err = orders.ExpireOrder(ctx, process.OrderInput{OrderID: id})
	require.NoError(t, err, "not due is an outcome")
	for _, outcome := range []string{process.OutcomeDone, process.OutcomeAlreadyDone} {
		rescan, err := orders.RequestRescan(ctx, process.RescanInput{OrderID: id, By: by, RequestID: "r/rescan"})
		require.NoError(t, err)
		require.Equal(t, outcome, rescan.Outcome)
	}
	_, err = orders.RequestRescan(ctx, process.RescanInput{Chain: "none", By: by, RequestID: "r/none", To: 1})
	requireRefused(t, err, payment.CodeUnknownChain)

	cancelled, err := orders.CancelOrder(ctx, process.CancelInput{OrderID: id, By: by, RequestID: "r/cancel"})
	require.NoError(t, err)
	require.Equal(t, payment.StateCancelled, cancelled.Order.State)
	_, err = orders.ExtendOrder(ctx, process.ExtendInput{OrderID: id, By: by, RequestID: "r/extend/2", Seconds: 3600})
	requireRefused(t, err, payment.CodeOrderState)
	view, err := orders.ReadOrder(ctx, process.OrderInput{OrderID: id})
	require.NoError(t, err)
	require.Equal(t, payment.StateCancelled, view.State)
	callbacks, err := orders.ReadCallbacks(ctx, process.CallbackInput{OrderID: id})
	require.NoError(t, err)
	require.Equal(t, b.Merchant, callbacks.MerchantID)
	_, err = orders.Redeliver(ctx, process.RedeliverInput{OrderID: id, By: by, RequestID: "r/redeliver"})
	require.NoError(t, err)
}

func TestExpiryWaitsForTheChainsClock(t *testing.T) {
	t.Parallel()
	b, orders, _ := newOrders(t)
	id := b.Order(t).ID
	b.Exec(t, `UPDATE orders SET expires_at = now() - interval '1 second' WHERE id = $1`, id)
	_, err := orders.ExpireOrder(t.Context(), process.OrderInput{OrderID: id})
	requireWaiting(t, err, time.Second, 30*time.Second, "chain_time_before_deadline")
	b.ReadTo(t, storetest.Chain, 200, time.Now().Add(time.Minute))
	result, err := orders.ExpireOrder(t.Context(), process.OrderInput{OrderID: id})
	require.NoError(t, err)
	require.Equal(t, process.ExpireExpired, result.Outcome)
}

func TestReviewsGoThrough(t *testing.T) {
	t.Parallel()
	b, orders, _ := newOrders(t)
	paid := b.Pay(t, b.Order(t), 1_000_000)
	in := process.ReviewInput{PaymentID: paid.ID, Inclusion: 1, Cause: process.CauseStuck}
	view, err := orders.ReadReview(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, "open", view.Status)
	_, err = orders.ResolveReview(t.Context(), process.ResolveReviewInput{Review: in, By: storetest.By(), RequestID: "r/hold", Move: process.MoveRelease})
	requireRefused(t, err, payment.CodeOrderState)
	_, err = orders.ReadReview(t.Context(), process.ReviewInput{PaymentID: "pay_none", Inclusion: 1, Cause: process.CauseStuck})
	requireRefused(t, err, payment.CodeNotFound)
}

func TestADatabaseThatIsAwayIsRetried(t *testing.T) {
	t.Parallel()
	b, orders, _ := newOrders(t)
	b.App.Close()
	_, err := orders.ReadOrder(t.Context(), process.OrderInput{OrderID: payment.NewOrderID()})
	requireRetried(t, err)
}

func TestFinalCodes(t *testing.T) {
	t.Parallel()
	for _, code := range []payment.Code{payment.CodeUnavailable, payment.CodeInternal, payment.CodeStale, payment.CodeChainLagging} {
		require.False(t, activities.Final(code), code)
	}
	for _, code := range []payment.Code{payment.CodeNotFound, payment.CodeOrderState, payment.CodePaymentLive, payment.CodeAddressesExhausted} {
		require.True(t, activities.Final(code), code)
	}
	require.False(t, activities.Final(payment.CodeOf(errors.New("x"))))
}
