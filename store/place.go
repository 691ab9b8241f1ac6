package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/dbtype"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// placeMode says what a sighting may do to what is recorded already.
type placeMode uint8

const (
	// placeRecorded: the blocks are new; what they say is true from now on, unless it contradicts what is recorded.
	placeRecorded placeMode = iota
	// placeRescanned: the blocks were recorded before; they only add what was missed.
	placeRescanned
)

// placing is one transaction's work on a batch. All customers' addresses, orders and payments that it concerns are locked
// before the first change: in this order, each kind sorted.
type placing struct {
	txn
	turn  chainTurn
	mode  placeMode
	known map[identity]sqlc.PaymentsByTxRow
	// payable are the orders that payments to a customer's address may be for.
	payable map[string][]payment.OrderID
	// awaited are the payments to customers' addresses that left the chain, and whose place one that replaces them may take.
	awaited []sqlc.AwaitedSharesRow
	orders  map[payment.OrderID]*orderRow
	locked  map[string]sqlc.LockPaymentsRow
	// refuted are inclusions that operators contradict, lies what was refuted of the arrivals' payments before, ended the payments
	// whose inclusion ended for it.
	refuted  []sqlc.RecordedInBlocksRow
	lies     map[string][]sqlc.RefutedInclusionsRow
	ended    map[string]bool
	batch    Batch
	recorded Recorded
	// dust counts the payments begun that are dust.
	dust int64
}

// place records the arrivals of a batch, and lets go of dropped payments whose window to return ended with it.
// Errors: ErrContradiction, ErrHearsay, *UnresolvedError.
func (t txn) place(ctx context.Context, turn chainTurn, batch Batch, mode placeMode) (Recorded, error) {
	arrivals, err := t.arrivals(ctx, turn, batch, mode)
	if err != nil {
		return Recorded{}, err
	}
	if batch.hearsay {
		if missing, err := t.leavesOut(ctx, turn, batch); err != nil || missing {
			return Recorded{}, cmp.Or(err, ErrHearsay)
		}
	}
	slices.SortStableFunc(arrivals, inChainOrder)
	p := placing{txn: t, turn: turn, mode: mode, batch: batch, ended: map[string]bool{}}
	p.recorded.Matched = len(arrivals)
	if p.refuted, err = t.refutedBy(ctx, turn, batch); err != nil {
		return Recorded{}, err
	}
	arrivals = slices.DeleteFunc(arrivals, func(a arrival) bool { return batch.refutes(a.asRecorded()) })
	if err := p.findKnown(ctx, arrivals); err != nil {
		return Recorded{}, err
	}
	var returns []sqlc.EndedReturnsRow
	if mode == placeRecorded {
		returns, err = t.q.EndedReturns(ctx, sqlc.EndedReturnsParams{Chain: turn.chain, Number: turn.number})
		if err != nil {
			return Recorded{}, fmt.Errorf("look for payments that did not return: %w", err)
		}
	}
	if err := p.lock(ctx, arrivals, returns); err != nil {
		return Recorded{}, err
	}
	if err := p.refute(ctx); err != nil {
		return Recorded{}, err
	}
	for _, a := range arrivals {
		fresh, err := p.include(ctx, a)
		if err != nil {
			return Recorded{}, fmt.Errorf("record transfer %s/%d: %w", a.TxHash, a.Position, err)
		}
		if fresh {
			p.recorded.New++
		}
	}
	for _, row := range returns {
		if err := p.giveUp(ctx, row); err != nil {
			return Recorded{}, err
		}
	}
	if err := p.countDust(ctx); err != nil {
		return Recorded{}, err
	}
	return p.recorded, p.tellHeld(ctx, turn.chain, batch)
}

// findKnown reads the payments that the arrivals' transactions made before. Only the holder of the cursor changes a
// payment's place and owner, so what is read here stays true; its status does not, and is read again under its lock.
func (p *placing) findKnown(ctx context.Context, arrivals []arrival) error {
	p.known = make(map[identity]sqlc.PaymentsByTxRow)
	if len(arrivals) == 0 {
		return nil
	}
	var hashes [][]byte
	for _, a := range arrivals {
		hashes = append(hashes, a.TxHash[:])
	}
	rows, err := p.q.PaymentsByTx(ctx, sqlc.PaymentsByTxParams{Chain: p.turn.chain, TxHashes: hashes})
	if err != nil {
		return fmt.Errorf("look for known payments: %w", err)
	}
	for _, row := range rows {
		p.known[identity{payment.Hash(row.TxHash), row.Native, uint32(row.Position)}] = row
	}
	return p.findLies(ctx, rows)
}

// lock locks every order and payment that this transaction may change.
func (p *placing) lock(ctx context.Context, arrivals []arrival, returns []sqlc.EndedReturnsRow) error {
	if err := p.lockCustomers(ctx, arrivals); err != nil {
		return err
	}
	orders := slices.Concat(slices.Collect(maps.Values(p.payable))...)
	var payments []string
	add := func(order *string) {
		if order != nil {
			orders = append(orders, payment.OrderID(*order))
		}
	}
	for _, a := range arrivals {
		add(a.to.OrderID)
		if known, ok := p.known[a.identity()]; ok {
			add(known.OrderID)
			payments = append(payments, known.ID)
		}
	}
	for _, row := range returns {
		add(row.OrderID)
		payments = append(payments, row.ID)
	}
	for _, row := range p.awaited {
		add(&row.OrderID)
		payments = append(payments, row.ID)
	}
	for _, row := range p.refuted {
		add(row.OrderID)
		payments = append(payments, row.ID)
	}
	var err error
	p.orders, p.locked, err = p.lockAll(ctx, orders, payments)
	return err
}

// lockAll locks orders, then payments, each sorted.
func (t txn) lockAll(ctx context.Context, orders []payment.OrderID, payments []string) (
	map[payment.OrderID]*orderRow, map[string]sqlc.LockPaymentsRow, error,
) {
	locked := make(map[string]sqlc.LockPaymentsRow, len(payments))
	rows := map[payment.OrderID]*orderRow{}
	if len(orders) > 0 {
		var err error
		if rows, err = t.lockOrders(ctx, orders); err != nil {
			return nil, nil, err
		}
	}
	if len(payments) == 0 {
		return rows, locked, nil
	}
	list, err := t.q.LockPayments(ctx, payments)
	if err != nil {
		return nil, nil, fmt.Errorf("lock payments: %w", err)
	}
	for _, row := range list {
		locked[row.ID] = row
	}
	return rows, locked, nil
}

// include makes the arrival a canonical inclusion of its payment, and tells whether it was not one before.
func (p *placing) include(ctx context.Context, a arrival) (fresh bool, err error) {
	known, ok := p.known[a.identity()]
	switch {
	case p.batch.hearsay && !(ok && (a.recordedAs(known) || !known.Canonical && p.isLie(known, a))):
		return false, ErrHearsay
	case !ok:
		return true, p.begin(ctx, a)
	}
	if known.Canonical {
		if a.recordedAs(known) {
			return false, nil
		}
		if ended, err := p.moved(ctx, known, a); err != nil || !ended {
			return false, err
		}
	} else if p.isLie(known, a) && !p.batch.vouchesFor(a) {
		return false, p.shownAgain(ctx, known, a)
	}
	return true, p.again(ctx, known, a)
}

// recordedAs tells whether the arrival is the payment's newest inclusion itself.
func (a arrival) recordedAs(known sqlc.PaymentsByTxRow) bool {
	return a.says(sqlc.RefutedInclusionsRow{
		BlockHash: known.BlockHash, AssetID: known.AssetID, Amount: known.Amount, Recipient: known.Recipient, Sender: known.Sender,
	})
}

// says tells whether the arrival is the same transfer in the same block.
func (a arrival) says(row sqlc.RefutedInclusionsRow) bool {
	return bytes.Equal(row.BlockHash, a.block.Hash[:]) && row.AssetID == a.assetID && row.Amount.Amount == a.Amount &&
		bytes.Equal(row.Recipient, a.To.Bytes()) && bytes.Equal(row.Sender, a.From.Bytes())
}

func (p *placing) order(id *string) *orderRow {
	if id == nil {
		return nil
	}
	return p.orders[payment.OrderID(*id)]
}

// begin makes a payment with its first inclusion.
func (p *placing) begin(ctx context.Context, a arrival) error {
	id := string(payment.NewPaymentID())
	decided, err := p.allocate(ctx, "", a)
	if err != nil {
		return err
	}
	if decided != nil {
		a.to.OrderID = decided.order
	}
	err = p.q.InsertPayment(ctx, sqlc.InsertPaymentParams{
		ID: id, Chain: p.turn.chain, TxHash: a.TxHash[:], Native: a.Native, Position: int32(a.Position),
		AddressID: a.to.ID, OrderID: a.to.OrderID, MerchantID: a.to.MerchantID, Mode: a.to.Mode,
		FirstIncludedAt: p.firstTime(a),
	})
	if err != nil {
		return fmt.Errorf("insert payment: %w", err)
	}
	if err := p.keep(ctx, id, a, decided, false); err != nil {
		return err
	}
	if err := p.begun(ctx, id, 1, a); err != nil {
		return err
	}
	if p.isDust(a) {
		p.dust++
	}
	return p.letGo(ctx, decided)
}

// isDust tells whether the arrival is dust: in its order's own asset by what the order says, else by what the asset says today.
func (p *placing) isDust(a arrival) bool {
	if order := p.order(a.to.OrderID); order != nil && order.AssetID == a.assetID {
		return !a.counts(order)
	}
	return a.Amount.Less(a.dustBelow)
}

// countDust counts what was begun and is dust. The chain's cursor is this transaction's anyway, so nobody waits for that.
func (p *placing) countDust(ctx context.Context) error {
	if p.dust == 0 {
		return nil
	}
	if err := p.q.CountDust(ctx, sqlc.CountDustParams{Chain: p.turn.chain, N: p.dust}); err != nil {
		return fmt.Errorf("count dust: %w", err)
	}
	return nil
}

// again gives a known payment a new inclusion. Being mined again it may pay another amount, or another address of ours.
func (p *placing) again(ctx context.Context, known sqlc.PaymentsByTxRow, a arrival) error {
	id, n := known.ID, known.Inclusion+1
	decided, err := p.allocate(ctx, id, a)
	if err != nil {
		return err
	}
	if decided != nil {
		a.to.OrderID = decided.order
	}
	err = p.q.ReincludePayment(ctx, sqlc.ReincludePaymentParams{
		ID: id, Inclusion: n, AddressID: a.to.ID, OrderID: a.to.OrderID, MerchantID: a.to.MerchantID, Mode: a.to.Mode,
		FirstIncludedAt: p.firstTime(a),
	})
	if err != nil {
		return fmt.Errorf("include payment %s again: %w", id, err)
	}
	if err := p.keep(ctx, id, a, decided, true); err != nil {
		return err
	}
	if err := p.begun(ctx, id, n, a); err != nil {
		return err
	}
	p.returned(id)
	if err := p.letGo(ctx, decided); err != nil {
		return err
	}
	return p.lostFor(ctx, known, a)
}

// lostFor tells the order that waited for a payment's return when it came back as something that does not count for it:
// paid to another address, in another asset, or as dust.
func (p *placing) lostFor(ctx context.Context, known sqlc.PaymentsByTxRow, a arrival) error {
	order := p.order(known.OrderID)
	if order == nil || deref(known.OrderID) == deref(a.to.OrderID) && a.counts(order) {
		return nil
	}
	if err := p.tell(ctx, order, payment.TriggerPaymentDropped, known.ID, known.Inclusion); err != nil {
		return err
	}
	return p.wake(ctx, wakeUp{
		chain: p.turn.chain, signal: process.SignalPaymentDropped, paymentID: known.ID, inclusion: known.Inclusion,
		orderID: known.OrderID, kind: "changed",
	})
}

// counts tells whether the arrival at the order's address is money that it asked for.
func (a arrival) counts(order *orderRow) bool {
	return a.assetID == order.AssetID && !a.Amount.Less(order.DustBelow.Amount)
}

// begun writes the inclusion, moves the order and wakes whoever waits.
func (p *placing) begun(ctx context.Context, id string, n int32, a arrival) error {
	params := sqlc.InsertInclusionParams{
		PaymentID: id, N: n, Chain: p.turn.chain,
		BlockNumber: int64(a.block.Number), BlockHash: a.block.Hash[:], BlockTime: a.block.Time, TxIndex: int32(a.TxIndex),
		AssetID: a.assetID, Amount: dbtype.Of(a.Amount), Sender: a.From.Bytes(), Recipient: a.To.Bytes(),
	}
	if !a.Native {
		logIndex := int32(a.LogIndex)
		params.LogIndex = &logIndex
	}
	if err := p.q.InsertInclusion(ctx, params); err != nil {
		return fmt.Errorf("insert inclusion %d of payment %s: %w", n, id, err)
	}
	if err := p.tell(ctx, p.order(a.to.OrderID), payment.TriggerPaymentDetected, id, n); err != nil {
		return err
	}
	return p.wake(ctx, wakeUp{
		chain: p.turn.chain, signal: process.SignalPaymentSeen, paymentID: id, inclusion: n, orderID: a.to.OrderID, kind: "seen",
	})
}

// giveUp stops waiting for a dropped payment to return.
func (p *placing) giveUp(ctx context.Context, row sqlc.EndedReturnsRow) error {
	changed, err := p.q.GiveUpReturn(ctx, row.ID)
	if err != nil {
		return fmt.Errorf("give up on payment %s: %w", row.ID, err)
	}
	if changed == 0 {
		return nil // it returned in this very batch
	}
	if err := p.tell(ctx, p.order(row.OrderID), payment.TriggerPaymentDropped, row.ID, row.Inclusion); err != nil {
		return err
	}
	return p.wake(ctx, wakeUp{
		chain: p.turn.chain, signal: process.SignalPaymentDropped, paymentID: row.ID, inclusion: row.Inclusion,
		orderID: row.OrderID, kind: "given_up",
	})
}

// tell applies a trigger about a payment to its order, if it has one. An order that does not take the news, because the
// state table refuses it or because something in the order itself is broken, must not keep the chain from being recorded:
// the money is written down, the order stays as it is, and it is looked at again when the payment is settled. Only errors
// of the database are returned.
func (t txn) tell(ctx context.Context, order *orderRow, on payment.Trigger, paymentID string, inclusion int32) error {
	if order == nil {
		return nil
	}
	before := *order
	savepoint, err := t.raw.Begin(ctx)
	if err != nil {
		return fmt.Errorf("set a savepoint: %w", err)
	}
	within := txn{q: t.q.WithTx(savepoint), raw: savepoint, log: t.log}
	_, err = within.apply(ctx, order, on, eventCause{PaymentID: payment.PaymentID(paymentID), Inclusion: int(inclusion)})
	if err == nil {
		return savepoint.Commit(ctx)
	}
	if ctx.Err() != nil || sqlState(err) != "" || unavailable(err) {
		return fmt.Errorf("tell order %s: %w", order.ID, err)
	}
	*order = before
	level := slog.LevelError
	if payment.ReasonOf(err) != "" {
		level = slog.LevelWarn
	}
	t.log.Log(ctx, level, "order does not take the news of its payment",
		"order", order.ID, "payment", paymentID, "inclusion", inclusion, "trigger", string(on), "error", err)
	return savepoint.Rollback(ctx)
}
