package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

// Payment is a payment as it was put into the database.
type Payment struct {
	ID        payment.PaymentID
	Inclusion int
	Chain     string
	TxHash    payment.Hash
	Position  uint32
	Asset     payment.AssetID
	Amount    payment.Amount
	To        payment.Address
	Block     payment.BlockRef
}

// Ref names the payment's inclusion.
func (p Payment) Ref() payment.InclusionRef {
	return payment.InclusionRef{Payment: p.ID, Inclusion: p.Inclusion}
}

// ReadTo sets the chain's cursor and says that every block up to it was read by its hash, for every asset.
func (b *Bundle) ReadTo(tb testing.TB, chain string, block uint64, at time.Time) {
	tb.Helper()
	b.Exec(tb, `INSERT INTO cursors (chain, block_number, block_hash, block_time, head_number) VALUES ($1, $2, $3, $4, $2)
		ON CONFLICT (chain) DO UPDATE SET block_number = $2, block_hash = $3, block_time = $4, head_number = $2, updated_at = now(), reported_at = now()`,
		chain, block, Bytes(32), at)
	b.Exec(tb, `INSERT INTO coverage (chain, method, contract, blocks, by_hash)
		SELECT $1::text, CASE WHEN contract IS NULL THEN 'native' ELSE 'token_logs' END, COALESCE(contract, ''),
		       int8multirange(int8range(0, $2::bigint, '[]')), int8multirange(int8range(0, $2::bigint, '[]'))
		  FROM assets WHERE chain = $1
		ON CONFLICT (chain, method, contract) DO UPDATE SET blocks = EXCLUDED.blocks, by_hash = EXCLUDED.by_hash`, chain, block)
}

// Pay records a transfer to the order's address, in block 101 now unless changed: payment, inclusion, and the order
// confirming if the money counts for it. It writes the rows that recording a block would, without events or wake-ups.
func (b *Bundle) Pay(tb testing.TB, order process.OrderView, amount uint64, change ...func(*Payment)) Payment {
	tb.Helper()
	to, err := payment.ParseAddress(payment.FamilyEVM, order.Address)
	require.NoError(tb, err)
	var asset payment.AssetID
	require.NoError(tb, asset.UnmarshalText([]byte(order.AssetID)))
	p := Payment{
		ID: payment.NewPaymentID(), Inclusion: 1, Chain: order.Chain, TxHash: Hash(), Asset: asset,
		Amount: payment.AmountFromUint64(amount), To: to,
		Block: payment.BlockRef{Number: 101, Hash: Hash(), Parent: Hash(), Time: time.Now().UTC().Truncate(time.Microsecond)},
	}
	for _, f := range change {
		f(&p)
	}
	tx, err := b.PG.Chain.Begin(tb.Context())
	require.NoError(tb, err)
	defer func() { _ = tx.Rollback(tb.Context()) }()
	_, err = tx.Exec(tb.Context(), `INSERT INTO payments (id, chain, tx_hash, native, position, address_id, order_id, merchant_id, mode,
			inclusion, status, first_included_at)
		SELECT $1, $2, $3, $4, $5, a.id, a.order_id, a.merchant_id, a.mode, 1, 'detected', $7 FROM addresses a WHERE a.bytes = $6`,
		p.ID, p.Chain, p.TxHash[:], p.Asset.IsNative(), p.Position, to.Bytes(), p.Block.Time)
	require.NoError(tb, err)
	_, err = tx.Exec(tb.Context(), insertInclusion, p.ID, 1, p.Chain, p.Block.Number, p.Block.Hash[:], p.Block.Time, p.Asset.String(),
		p.Amount.String(), Bytes(20), to.Bytes())
	require.NoError(tb, err)
	_, err = tx.Exec(tb.Context(), `UPDATE orders o SET state = 'confirming' FROM assets a
		WHERE o.id = $1 AND o.state = 'awaiting_payment' AND a.id = o.asset_id AND o.asset_id = $2 AND $3::numeric >= a.dust_below`,
		order.ID, p.Asset.String(), p.Amount.String())
	require.NoError(tb, err)
	require.NoError(tb, tx.Commit(tb.Context()))
	return p
}

const insertInclusion = `INSERT INTO inclusions (payment_id, n, chain, block_number, block_hash, block_time, tx_index, log_index,
		asset_id, amount, sender, recipient)
	VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, $8::numeric, $9, $10)`

// Drop ends the payment's inclusion as a reorganisation would, for a payment that is not credited. It may come back until
// the chain is past returnsBy.
func (b *Bundle) Drop(tb testing.TB, p Payment, returnsBy uint64) {
	tb.Helper()
	b.Exec(tb, `UPDATE inclusions SET canonical = false, ended_at = now(), end_reason = 'reorg' WHERE payment_id = $1 AND n = $2`, p.ID, p.Inclusion)
	b.Exec(tb, `UPDATE payments SET status = 'dropped', dropped_at = now(), returns_by_block = $2 WHERE id = $1`, p.ID, returnsBy)
}

// Reinclude mines the payment again in another block. Its time on the chain stays the first one.
func (b *Bundle) Reinclude(tb testing.TB, p Payment, change ...func(*Payment)) Payment {
	tb.Helper()
	p.Inclusion++
	p.Block = payment.BlockRef{Number: p.Block.Number + 1, Hash: Hash(), Parent: Hash(), Time: p.Block.Time.Add(time.Second)}
	for _, f := range change {
		f(&p)
	}
	b.Exec(tb, `UPDATE inclusions SET canonical = false, ended_at = now(), end_reason = 'reorg' WHERE payment_id = $1 AND canonical`, p.ID)
	b.Exec(tb, insertInclusion, p.ID, p.Inclusion, p.Chain, p.Block.Number, p.Block.Hash[:], p.Block.Time, p.Asset.String(),
		p.Amount.String(), Bytes(20), p.To.Bytes())
	b.Exec(tb, `UPDATE payments SET status = 'detected', inclusion = $2, credited_inclusion = NULL, dropped_at = NULL,
		returns_by_block = NULL WHERE id = $1`, p.ID, p.Inclusion)
	return p
}

// Exec runs a statement as the chain worker's role.
func (b *Bundle) Exec(tb testing.TB, sql string, args ...any) {
	tb.Helper()
	_, err := b.PG.Chain.Exec(tb.Context(), sql, args...)
	require.NoError(tb, err)
}

// Value reads one value as the owner.
func Value[T any](tb testing.TB, b *Bundle, sql string, args ...any) T {
	tb.Helper()
	var v T
	require.NoError(tb, b.PG.Owner.QueryRow(tb.Context(), sql, args...).Scan(&v))
	return v
}

// Credit credits the payment as a receipt check would that saw what was recorded.
func (b *Bundle) Credit(tb testing.TB, p Payment, change ...func(*store.CreditInput)) store.CreditResult {
	tb.Helper()
	in := store.CreditInput{PaymentID: p.ID, Inclusion: p.Inclusion, BlockHash: p.Block.Hash, Amount: p.Amount}
	for _, f := range change {
		f(&in)
	}
	result, err := b.DB.Credit(tb.Context(), in)
	require.NoError(tb, err)
	return result
}

// Paid creates an order and pays it.
func (b *Bundle) Paid(tb testing.TB, change ...func(*store.NewOrder)) (process.OrderView, Payment) {
	tb.Helper()
	n := b.NewOrder(change...)
	order := b.Order(tb, func(o *store.NewOrder) { *o = n })
	amount, ok := n.Amount.Uint64()
	require.True(tb, ok)
	p := b.Pay(tb, order, amount)
	result := b.Credit(tb, p)
	require.Equal(tb, store.CreditDone, result.Outcome)
	require.Equal(tb, payment.StatePaid, result.Order.State)
	return *result.Order, p
}

// CheckBooks fails the test unless the ledger is right.
func (b *Bundle) CheckBooks(tb testing.TB) store.LedgerReport {
	tb.Helper()
	report, err := b.DB.LedgerCheck(tb.Context())
	require.NoError(tb, err)
	require.Empty(tb, report.Findings)
	return report
}
