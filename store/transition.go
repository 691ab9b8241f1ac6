package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// orderRow is an order under the transaction's lock. Steps change its fields; apply and save write them.
type orderRow struct {
	sqlc.Order
	// assetRef and the rest below are what the row refers to, as it was when the lock was taken.
	assetRef  payment.Asset
	chainID   uint64
	blockTime time.Duration
	// required is what its payments have to reach: the chain's policy and the order's own, and the tiers once raiseOrders read them.
	required payment.ConfirmationPolicy
	tiered   bool // its chain has tiers
	// address is the zero Address until one is allocated.
	address payment.Address
}

func (o *orderRow) id() payment.OrderID { return payment.OrderID(o.ID) }

func (o *orderRow) state() payment.State { return payment.State(o.State) }

func (o *orderRow) labels() payment.Labels { return labelsOf(o.Labels) }

func labelsOf(texts []string) payment.Labels {
	labels := make([]payment.Label, len(texts))
	for i, text := range texts {
		labels[i] = payment.Label(text)
	}
	return payment.LabelsOf(labels...)
}

// lockOrders locks orders in the one order that everybody uses, and reads them. An order that does not exist is missing
// from the result.
func (t txn) lockOrders(ctx context.Context, ids []payment.OrderID) (map[payment.OrderID]*orderRow, error) {
	texts := make([]string, 0, len(ids))
	for _, id := range ids {
		texts = append(texts, string(id))
	}
	slices.Sort(texts)
	texts = slices.Compact(texts)
	rows, err := t.q.LockOrders(ctx, texts)
	if err != nil {
		return nil, fmt.Errorf("lock orders: %w", err)
	}
	return t.withContexts(ctx, rows)
}

// withContexts reads what orders refer to, in a statement after the one that read them: the address of an order whose lock
// was waited for is in it.
func (t txn) withContexts(ctx context.Context, rows []sqlc.Order) (map[payment.OrderID]*orderRow, error) {
	orders := make(map[payment.OrderID]*orderRow, len(rows))
	ids := make([]string, 0, len(rows))
	for _, row := range rows {
		orders[payment.OrderID(row.ID)] = &orderRow{Order: row}
		ids = append(ids, row.ID)
	}
	contexts, err := t.q.OrderContexts(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("read what orders refer to: %w", err)
	}
	for _, c := range contexts {
		if order := orders[payment.OrderID(c.ID)]; order != nil {
			if err := order.refer(c); err != nil {
				return nil, err
			}
		}
	}
	return orders, nil
}

// lockOrder locks one order. Error: CodeNotFound.
func (t txn) lockOrder(ctx context.Context, id payment.OrderID) (*orderRow, error) {
	orders, err := t.lockOrders(ctx, []payment.OrderID{id})
	if err != nil {
		return nil, err
	}
	if order := orders[id]; order != nil {
		return order, nil
	}
	return nil, payment.E(payment.CodeNotFound, "", "no such order")
}

func (o *orderRow) refer(c sqlc.OrderContextsRow) error {
	asset, err := assetOf(o.Chain, c.Family, c.Contract, c.Code, c.Decimals)
	if err != nil {
		return fmt.Errorf("asset of order %s: %w", o.ID, err)
	}
	o.assetRef = asset
	o.chainID, o.blockTime = uint64(c.ChainID), milliseconds(c.BlockTimeMs)
	o.required = policyOf(c.Confirmations, c.FinalityTag).Strongest(policyOf(o.Confirmations, o.FinalityTag))
	o.tiered = c.Tiered
	if c.Address != nil {
		if o.address, err = payment.AddressFromBytes(payment.Family(c.Family), c.Address); err != nil {
			return fmt.Errorf("address of order %s: %w", o.ID, err)
		}
	}
	return nil
}

// assetOf puts an asset together from its columns.
func assetOf(chain, family string, contract []byte, code string, decimals int16) (payment.Asset, error) {
	id := payment.NativeAsset(chain)
	if contract != nil {
		address, err := payment.AddressFromBytes(payment.Family(family), contract)
		if err != nil {
			return payment.Asset{}, err
		}
		id = payment.TokenAsset(chain, address)
	}
	return payment.Asset{ID: id, Symbol: code, Decimals: uint8(decimals)}, nil
}

func milliseconds(ms int32) time.Duration { return time.Duration(ms) * time.Millisecond }

// eventCause is what a trigger is about. It names the trigger's events, so the same cause has no second effect.
type eventCause struct {
	// PaymentID and Inclusion are set for triggers about a payment.
	PaymentID payment.PaymentID
	Inclusion int
	// RequestID is set for triggers that somebody asked for and that may come again with another request.
	RequestID string
}

// key is the deterministic name of one event.
func (c eventCause) key(order payment.OrderID, on payment.Trigger, event payment.EventType) string {
	switch {
	case c.PaymentID != "":
		return fmt.Sprintf("%s/%d/%s/%s", c.PaymentID, c.Inclusion, on, event)
	case c.RequestID != "":
		return fmt.Sprintf("%s/%s/%s/%s", order, on, c.RequestID, event)
	default:
		return fmt.Sprintf("%s/%s/%s", order, on, event)
	}
}

// apply asks the state table what the trigger does to the locked order, and writes it: state, labels, times, events and
// their callbacks. The facts are read here, so postings and payments must be written before.
//
// A refusal is the table's own error (CodeOrderState, CodePaymentLive, CodeChainLagging, CodeStale, with its
// payment.ReasonOf) and changes nothing; the decision then holds the order as it is.
func (t txn) apply(ctx context.Context, order *orderRow, on payment.Trigger, cause eventCause) (payment.Decision, error) {
	facts, about, err := t.facts(ctx, order, on, cause)
	if err != nil {
		return payment.Decision{}, err
	}
	decision, err := payment.Next(facts, on)
	if err != nil {
		return decision, err
	}
	order.State = string(decision.To)
	order.Labels = order.Labels[:0:0]
	for _, label := range decision.Labels {
		order.Labels = append(order.Labels, string(label))
	}
	if err := t.save(ctx, order); err != nil {
		return decision, err
	}
	for _, eventType := range decision.Events {
		err := t.writeEvent(ctx, order, newEvent{
			Type: eventType, Key: cause.key(order.id(), on, eventType), Received: facts.Credited, Payment: about,
		})
		if err != nil {
			return decision, err
		}
	}
	return decision, nil
}

// facts gathers what the table decides by. For expire, the chain's position is read first and the payments in a later
// statement: every payment recorded up to that position is then among them.
func (t txn) facts(ctx context.Context, order *orderRow, on payment.Trigger, cause eventCause) (payment.OrderFacts, *inclusionRow, error) {
	f := payment.OrderFacts{
		State: order.state(), Labels: order.labels(),
		Due: order.Amount.Amount, FulfilDue: order.FulfilAmount.Amount,
		LatePolicy: payment.LatePolicy(order.LatePolicy),
	}
	if on == payment.TriggerExpire {
		position, err := t.chainPosition(ctx, order)
		if err != nil {
			return f, nil, err
		}
		f.ChainTimePassed, f.CoverageComplete = position.passed(order.ExpiresAt), position.complete()
	}
	money, err := t.money(ctx, order)
	if err != nil {
		return f, nil, err
	}
	f.Credited, f.OnTimeCredited = money.credited, money.onTime
	f.LivePayments, f.Awaited = money.live, money.awaited
	if cause.PaymentID == "" {
		return f, nil, nil
	}
	about, err := t.inclusion(ctx, cause.PaymentID, cause.Inclusion)
	if err != nil {
		return f, nil, err
	}
	f.Match = about.match(order)
	if order.LateUntil != nil && about.FirstIncludedAt.After(*order.LateUntil) && f.LatePolicy == payment.LateFulfil {
		f.LatePolicy = payment.LateCreditOnly // the window in which the order itself takes late money is over
	}
	return f, about, nil
}

// orderMoney is what has arrived for an order and what may still come of what was seen.
type orderMoney struct {
	credited, onTime payment.Amount
	// live payments are seen and not confirmed, or left the chain a moment ago. The awaited ones of them came on time.
	live, awaited int
	// awaitedOnChain of the awaited ones are on the chain; returnsBy is the block after which the others are not waited for any more.
	awaitedOnChain int
	returnsBy      int64
}

func (t txn) money(ctx context.Context, order *orderRow) (orderMoney, error) {
	row, err := t.q.OrderMoney(ctx, sqlc.OrderMoneyParams{
		OrderID: order.ID, AssetID: order.AssetID, ExpiresAt: order.ExpiresAt, DustBelow: order.DustBelow,
	})
	if err != nil {
		return orderMoney{}, fmt.Errorf("sum up the money of order %s: %w", order.ID, err)
	}
	return orderMoney{
		credited: row.Credited.Amount, onTime: row.CreditedOnTime.Amount,
		live: int(row.Live), awaited: int(row.Awaited), awaitedOnChain: int(row.AwaitedOnChain), returnsBy: row.ReturnsBy,
	}, nil
}

// position is how far an order's chain is recorded.
type position struct{ sqlc.ChainPositionRow }

func (p position) passed(deadline *time.Time) bool {
	return p.BlockTime != nil && deadline != nil && p.BlockTime.After(*deadline)
}

func (p position) complete() bool { return p.read() && !p.Untraced && !p.Ranged }

// read tells whether every block was read; some may not have been traced yet, or read by hash.
func (p position) read() bool { return p.Covered && !p.Quarantined }

// coverageMethodToken and coverageMethodNative are the ways of reading that find an order's payments.
const (
	coverageMethodToken  = "token_logs"
	coverageMethodNative = "native"
)

func (t txn) chainPosition(ctx context.Context, order *orderRow) (position, error) {
	method, contract := coverageMethodNative, []byte{}
	if !order.assetRef.ID.IsNative() {
		method, contract = coverageMethodToken, order.assetRef.ID.Contract.Bytes()
	}
	row, err := t.q.ChainPosition(ctx, sqlc.ChainPositionParams{
		Chain: order.Chain, BirthBlock: order.BirthBlock, ExpiresAt: order.ExpiresAt, Method: method, Contract: contract,
	})
	if err != nil {
		return position{}, fmt.Errorf("read the position of chain %s: %w", order.Chain, err)
	}
	return position{row}, nil
}

// save writes the fields of the order that change during its life.
func (t txn) save(ctx context.Context, order *orderRow) error {
	state := order.state()
	row, err := t.q.SaveOrder(ctx, sqlc.SaveOrderParams{
		ID: order.ID, State: order.State, Labels: order.Labels, AddressID: order.AddressID,
		ExpiresAt: order.ExpiresAt, LateUntil: order.LateUntil, BirthBlock: order.BirthBlock,
		Fulfilled: state == payment.StatePaid, Closed: !state.Open(),
	})
	if err != nil {
		return fmt.Errorf("save order %s: %w", order.ID, err)
	}
	order.UpdatedAt, order.PaidAt, order.ClosedAt = row.UpdatedAt, row.PaidAt, row.ClosedAt
	return nil
}

// inclusionRow is one inclusion of a payment, with its asset.
type inclusionRow struct {
	sqlc.PaymentInclusionsRow
	asset payment.Asset
	// required is the chain's policy, raised by the tiers that the amount at stake reaches.
	required payment.ConfirmationPolicy
}

// inclusion reads one inclusion of a payment. Error: CodeNotFound.
func (t txn) inclusion(ctx context.Context, id payment.PaymentID, n int) (*inclusionRow, error) {
	number := int32(n)
	rows, err := t.inclusions(ctx, []string{string(id)}, &number)
	if err != nil {
		return nil, err
	}
	if row := rows[string(id)]; row != nil {
		return row, nil
	}
	return nil, payment.E(payment.CodeNotFound, "", "no such inclusion of a payment")
}

// inclusions reads one inclusion of each payment by payment id: the given one, or the newest.
func (t txn) inclusions(ctx context.Context, ids []string, n *int32) (map[string]*inclusionRow, error) {
	rows, err := t.q.PaymentInclusions(ctx, sqlc.PaymentInclusionsParams{Ids: ids, Inclusion: n})
	if err != nil {
		return nil, fmt.Errorf("read payments: %w", err)
	}
	found := make(map[string]*inclusionRow, len(rows))
	for _, row := range rows {
		asset, err := assetOf(row.Chain, row.Family, row.Contract, row.Code, row.Decimals)
		if err != nil {
			return nil, fmt.Errorf("asset of payment %s: %w", row.ID, err)
		}
		found[row.ID] = &inclusionRow{
			PaymentInclusionsRow: row, asset: asset, required: policyOf(row.Confirmations, row.FinalityTag),
		}
	}
	return found, t.raiseInclusions(ctx, found)
}

// accountDust is the kind of account that dust is posted to.
const accountDust = "dust"

// match says how the payment fits the order. What is dust in the order's own asset was settled when the order was made; in
// another asset, today's threshold says it. Once the payment is posted, where it went decides.
func (p *inclusionRow) match(order *orderRow) payment.Match {
	threshold := p.DustBelow.Amount
	if p.asset.ID == order.assetRef.ID {
		threshold = order.DustBelow.Amount
	}
	if p.CreditedTo != nil {
		if *p.CreditedTo == accountDust {
			return payment.MatchDust
		}
		threshold = payment.Amount{}
	}
	return payment.MatchOf(order.assetRef.ID, p.asset.ID, p.Amount.Amount, threshold)
}
