package activities

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/hd"
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

// OrderStore is what Orders needs of the store.
type OrderStore interface {
	BeginAllocation(ctx context.Context, id payment.OrderID) (store.Allocation, error)
	ReserveIndex(ctx context.Context, id payment.XPubID) (uint32, error)
	FinishAllocation(ctx context.Context, id payment.OrderID, wallet payment.XPubID, index uint32, address payment.Address) (process.OrderView, error)
	ReuseAddress(ctx context.Context, id payment.OrderID, derived payment.Address) (process.OrderView, error)
	ReadOrder(ctx context.Context, id payment.OrderID) (process.OrderView, error)
	ExpireOrder(ctx context.Context, id payment.OrderID) (process.ExpireResult, store.Wait, error)
	CancelOrder(ctx context.Context, in process.CancelInput) (process.OrderResult, error)
	ExtendOrder(ctx context.Context, in process.ExtendInput) (process.OrderResult, error)
	ResolveOrder(ctx context.Context, in process.ResolveInput) (process.OrderResult, error)
	ParkOrder(ctx context.Context, in process.ParkInput) error
	Redeliver(ctx context.Context, in process.RedeliverInput) (process.OrderResult, error)
	LeaveCallbacks(ctx context.Context, in process.LeaveInput) error
	ReadCallbacks(ctx context.Context, of process.Stream) (process.CallbackView, error)
	RequestRescan(ctx context.Context, chain string, blocks store.Interval, by process.By, requestID string) (store.Rescan, error)
	RequestOrderRescan(ctx context.Context, id payment.OrderID, blocks store.Interval, by process.By, requestID string) (store.Rescan, error)
	ReadReview(ctx context.Context, in process.ReviewInput) (process.ReviewView, error)
	ResolveReview(ctx context.Context, in process.ResolveReviewInput) (process.ReviewView, error)
}

// Orders are the activities that need the database and wallets, and nothing else. Each is one transaction, but for
// AllocateAddress, whose index is committed by itself.
type Orders struct {
	Store OrderStore
	Keys  seal.Keyring
	Log   *slog.Logger
}

// AllocateAddress gives the order its address, or returns the order if it has one. Refusals: not_found;
// addresses_exhausted when there is no usable wallet, its row was altered, or its index source is older than what it
// handed out.
func (o *Orders) AllocateAddress(ctx context.Context, in process.OrderInput) (process.OrderView, error) {
	view, err := o.allocate(ctx, in.OrderID)
	if payment.CodeOf(err) == payment.CodeStale { // the customer got his address from somebody faster: the order shares it
		view, err = o.allocate(ctx, in.OrderID)
	}
	return view, failure(ctx, o.Log, err)
}

func (o *Orders) allocate(ctx context.Context, id payment.OrderID) (process.OrderView, error) {
	allocation, err := o.Store.BeginAllocation(ctx, id)
	if err != nil {
		return process.OrderView{}, err
	}
	if allocation.Done != nil {
		return *allocation.Done, nil
	}
	if allocation.Known != nil {
		return o.reuse(ctx, id, *allocation.Known)
	}
	w := allocation.Wallet
	if err := o.authentic(ctx, w); err != nil {
		return process.OrderView{}, err
	}
	index, err := o.Store.ReserveIndex(ctx, w.ID)
	if err != nil {
		return process.OrderView{}, err
	}
	address, err := derive(w, index)
	if err != nil {
		return process.OrderView{}, err
	}
	return o.Store.FinishAllocation(ctx, id, w.ID, index, address)
}

// reuse gives the order its customer's address, after it was derived again from the wallet that it came from, retired or not.
func (o *Orders) reuse(ctx context.Context, id payment.OrderID, known store.Origin) (process.OrderView, error) {
	if err := o.authentic(ctx, known.Wallet); err != nil {
		return process.OrderView{}, err
	}
	address, err := derive(known.Wallet, known.Index)
	if err != nil {
		return process.OrderView{}, err
	}
	if address != known.Address || known.Wallet.Merchant != "" && known.Wallet.Merchant != known.Merchant {
		o.Log.ErrorContext(ctx, "a customer's address does not derive again; no order gets it", "order", id, "wallet", known.Wallet.ID)
		return process.OrderView{}, payment.E(payment.CodeAddressesExhausted, "", "the customer's address does not come from its wallet")
	}
	return o.Store.ReuseAddress(ctx, id, address)
}

// authentic checks that a wallet's row is the one that was imported. Error: CodeAddressesExhausted.
func (o *Orders) authentic(ctx context.Context, w store.Wallet) error {
	err := w.Verify(o.Keys)
	if err == nil {
		return nil
	}
	o.Log.ErrorContext(ctx, "a wallet's row is not the one that was imported: no address is derived from it", "wallet", w.ID, "error", err)
	return payment.Wrap(err, payment.CodeAddressesExhausted, "", "the wallet's row was altered, or its master key is missing")
}

// derive derives twice, from the text anew: an address that is shown to a payer must not depend on one run of the
// arithmetic.
func derive(w store.Wallet, index uint32) (payment.Address, error) {
	first, err := deriveOnce(w, index)
	if err != nil {
		return payment.Address{}, err
	}
	second, err := deriveOnce(w, index)
	if err != nil {
		return payment.Address{}, err
	}
	if first != second {
		return payment.Address{}, fmt.Errorf("deriving index %d of wallet %s twice gave two addresses", index, w.ID)
	}
	return first, nil
}

func deriveOnce(w store.Wallet, index uint32) (payment.Address, error) {
	var deriver chain.AddressDeriver
	switch w.Family {
	case payment.FamilyEVM:
		key, err := hd.ParseXPub(w.Xpub.Reveal())
		if err != nil {
			return payment.Address{}, fmt.Errorf("wallet %s: %w", w.ID, err)
		}
		deriver = key
	default:
		return payment.Address{}, payment.E(payment.CodeAddressesExhausted, "", "addresses of family %s cannot be derived", w.Family)
	}
	address, err := deriver.Derive(index)
	if err != nil {
		return payment.Address{}, fmt.Errorf("derive index %d of wallet %s: %w", index, w.ID, err)
	}
	return address, nil
}

// ReadOrder reads the order as it is. Refusal: not_found.
func (o *Orders) ReadOrder(ctx context.Context, in process.OrderInput) (process.OrderView, error) {
	view, err := o.Store.ReadOrder(ctx, in.OrderID)
	return view, failure(ctx, o.Log, err)
}

// ExpireOrder closes the order once the chain's own clock allows; until then it waits. Refusals: not_found, order_state.
func (o *Orders) ExpireOrder(ctx context.Context, in process.OrderInput) (process.ExpireResult, error) {
	result, wait, err := o.Store.ExpireOrder(ctx, in.OrderID)
	if err == nil && wait.Needed() {
		err = waiting(wait.Delay, "not yet: %s", wait.Reason)
	}
	return result, failure(ctx, o.Log, err)
}

// CancelOrder gives the order up. Refusals: not_found, payment_live, order_state.
func (o *Orders) CancelOrder(ctx context.Context, in process.CancelInput) (process.OrderResult, error) {
	result, err := o.Store.CancelOrder(ctx, in)
	return result, failure(ctx, o.Log, err)
}

// ExtendOrder moves the order's deadline. Refusals: not_found, order_state, invalid_expiry.
func (o *Orders) ExtendOrder(ctx context.Context, in process.ExtendInput) (process.OrderResult, error) {
	result, err := o.Store.ExtendOrder(ctx, in)
	return result, failure(ctx, o.Log, err)
}

// ResolveOrder writes a person's decision down and carries it out. Refusals: not_found, order_state.
func (o *Orders) ResolveOrder(ctx context.Context, in process.ResolveInput) (process.OrderResult, error) {
	if in.Move == process.MoveClose {
		result, err := o.leave(ctx, in)
		return result, failure(ctx, o.Log, err)
	}
	result, err := o.Store.ResolveOrder(ctx, in)
	return result, failure(ctx, o.Log, err)
}

// leave writes down who left parked callbacks of an order or payment as they are. Nothing else changes.
func (o *Orders) leave(ctx context.Context, in process.ResolveInput) (process.OrderResult, error) {
	err := o.Store.LeaveCallbacks(ctx, process.LeaveInput{OrderID: in.OrderID, PaymentID: in.PaymentID, By: in.By, RequestID: in.RequestID})
	if err != nil || in.PaymentID != "" {
		return process.OrderResult{Outcome: process.OutcomeDone}, err
	}
	view, err := o.Store.ReadOrder(ctx, in.OrderID)
	return process.OrderResult{Outcome: process.OutcomeDone, Order: view}, err
}

// ParkOrder records where the order's process waits for a person. Refusal: not_found.
func (o *Orders) ParkOrder(ctx context.Context, in process.ParkInput) error {
	return failure(ctx, o.Log, o.Store.ParkOrder(ctx, in))
}

// Redeliver puts parked callbacks back to the beginning of their schedule. Refusals: not_found, order_state.
func (o *Orders) Redeliver(ctx context.Context, in process.RedeliverInput) (process.OrderResult, error) {
	result, err := o.Store.Redeliver(ctx, in)
	return result, failure(ctx, o.Log, err)
}

// ReadCallbacks reads what the order or payment still has to tell. Refusal: not_found.
func (o *Orders) ReadCallbacks(ctx context.Context, in process.CallbackInput) (process.CallbackView, error) {
	view, err := o.Store.ReadCallbacks(ctx, in.Stream())
	return view, failure(ctx, o.Log, err)
}

// RequestRescan asks the chain's watcher to read blocks again. Refusals: not_found, unknown_chain, invalid_parameter,
// order_state.
func (o *Orders) RequestRescan(ctx context.Context, in process.RescanInput) (process.RescanResult, error) {
	blocks := store.Interval{First: in.From, Last: in.To}
	var rescan store.Rescan
	var err error
	if in.OrderID != "" {
		rescan, err = o.Store.RequestOrderRescan(ctx, in.OrderID, blocks, in.By, in.RequestID)
	} else {
		rescan, err = o.Store.RequestRescan(ctx, in.Chain, blocks, in.By, in.RequestID)
	}
	result := process.RescanResult{Outcome: process.OutcomeDone, From: rescan.From, To: rescan.To}
	if rescan.Again {
		result.Outcome = process.OutcomeAlreadyDone
	}
	return result, failure(ctx, o.Log, err)
}

// ReadReview reads a review, opening it if its workflow was started for money that needs one. Refusal: not_found.
func (o *Orders) ReadReview(ctx context.Context, in process.ReviewInput) (process.ReviewView, error) {
	view, err := o.Store.ReadReview(ctx, in)
	return view, failure(ctx, o.Log, err)
}

// ResolveReview carries a decision out. Refusals: not_found, order_state, chain_halted, asset_halted.
func (o *Orders) ResolveReview(ctx context.Context, in process.ResolveReviewInput) (process.ReviewView, error) {
	view, err := o.Store.ResolveReview(ctx, in)
	return view, failure(ctx, o.Log, err)
}
