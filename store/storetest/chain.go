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

// ReadTo sets the chain's cursor and says that every block up to it was read, for every asset.
func (b *Bundle) ReadTo(t testing.TB, chain string, block uint64, at time.Time) {
	t.Helper()
	b.Exec(t, `INSERT INTO cursors (chain, block_number, block_hash, block_time, head_number) VALUES ($1, $2, $3, $4, $2)
		ON CONFLICT (chain) DO UPDATE SET block_number = $2, block_hash = $3, block_time = $4, head_number = $2, updated_at = now()`,
		chain, block, Bytes(32), at)
	b.Exec(t, `INSERT INTO coverage (chain, method, contract, blocks)
		SELECT $1::text, CASE WHEN contract IS NULL THEN 'native' ELSE 'token_logs' END, COALESCE(contract, ''),
		       int8multirange(int8range(0, $2::bigint, '[]'))
		  FROM assets WHERE chain = $1
		ON CONFLICT (chain, method, contract) DO UPDATE SET blocks = EXCLUDED.blocks`, chain, block)
}

// Pay records a transfer to the order's address, in block 101 now unless changed: payment, inclusion, and the order
// confirming if the money counts for it. It writes the rows that recording a block would, without events or wake-ups.
func (b *Bundle) Pay(t testing.TB, order process.OrderView, amount uint64, change ...func(*Payment)) Payment {
	t.Helper()
	to, err := payment.ParseAddress(payment.FamilyEVM, order.Address)
	require.NoError(t, err)
	var asset payment.AssetID
	require.NoError(t, asset.UnmarshalText([]byte(order.AssetID)))
	p := Payment{
		ID: payment.NewPaymentID(), Inclusion: 1, Chain: order.Chain, TxHash: Hash(), Asset: asset,
		Amount: payment.AmountFromUint64(amount), To: to,
		Block: payment.BlockRef{Number: 101, Hash: Hash(), Parent: Hash(), Time: time.Now().UTC().Truncate(time.Microsecond)},
	}
	for _, f := range change {
		f(&p)
	}
	tx, err := b.PG.App.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), `INSERT INTO payments (id, chain, tx_hash, native, position, address_id, order_id, merchant_id, mode,
			inclusion, status, first_included_at)
		SELECT $1, $2, $3, $4, $5, a.id, a.order_id, a.merchant_id, a.mode, 1, 'detected', $7 FROM addresses a WHERE a.bytes = $6`,
		p.ID, p.Chain, p.TxHash[:], p.Asset.IsNative(), p.Position, to.Bytes(), p.Block.Time)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), insertInclusion, p.ID, 1, p.Chain, p.Block.Number, p.Block.Hash[:], p.Block.Time, p.Asset.String(),
		p.Amount.String(), Bytes(20), to.Bytes())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `UPDATE orders o SET state = 'confirming' FROM assets a
		WHERE o.id = $1 AND o.state = 'awaiting_payment' AND a.id = o.asset_id AND o.asset_id = $2 AND $3::numeric >= a.dust_below`,
		order.ID, p.Asset.String(), p.Amount.String())
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	return p
}

const insertInclusion = `INSERT INTO inclusions (payment_id, n, chain, block_number, block_hash, block_time, tx_index, log_index,
		asset_id, amount, sender, recipient)
	VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, $8::numeric, $9, $10)`

// Drop ends the payment's inclusion as a reorganisation would, for a payment that is not credited. It may come back until
// the chain is past returnsBy.
func (b *Bundle) Drop(t testing.TB, p Payment, returnsBy uint64) {
	t.Helper()
	b.Exec(t, `UPDATE inclusions SET canonical = false, ended_at = now(), end_reason = 'reorg' WHERE payment_id = $1 AND n = $2`, p.ID, p.Inclusion)
	b.Exec(t, `UPDATE payments SET status = 'dropped', dropped_at = now(), returns_by_block = $2 WHERE id = $1`, p.ID, returnsBy)
}

// Reinclude mines the payment again in another block. Its time on the chain stays the first one.
func (b *Bundle) Reinclude(t testing.TB, p Payment, change ...func(*Payment)) Payment {
	t.Helper()
	p.Inclusion++
	p.Block = payment.BlockRef{Number: p.Block.Number + 1, Hash: Hash(), Parent: Hash(), Time: p.Block.Time.Add(time.Second)}
	for _, f := range change {
		f(&p)
	}
	b.Exec(t, `UPDATE inclusions SET canonical = false, ended_at = now(), end_reason = 'reorg' WHERE payment_id = $1 AND canonical`, p.ID)
	b.Exec(t, insertInclusion, p.ID, p.Inclusion, p.Chain, p.Block.Number, p.Block.Hash[:], p.Block.Time, p.Asset.String(),
		p.Amount.String(), Bytes(20), p.To.Bytes())
	b.Exec(t, `UPDATE payments SET status = 'detected', inclusion = $2, credited_inclusion = NULL, dropped_at = NULL,
		returns_by_block = NULL WHERE id = $1`, p.ID, p.Inclusion)
	return p
}

// Exec runs a statement as the application role.
func (b *Bundle) Exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	_, err := b.PG.App.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

// Value reads one value as the owner.
func Value[T any](t testing.TB, b *Bundle, sql string, args ...any) T {
	t.Helper()
	var v T
	require.NoError(t, b.PG.Owner.QueryRow(t.Context(), sql, args...).Scan(&v))
	return v
}

// Credit credits the payment as a receipt check would that saw what was recorded.
func (b *Bundle) Credit(t testing.TB, p Payment, change ...func(*store.CreditInput)) store.CreditResult {
	t.Helper()
	in := store.CreditInput{PaymentID: p.ID, Inclusion: p.Inclusion, BlockHash: p.Block.Hash, Amount: p.Amount}
	for _, f := range change {
		f(&in)
	}
	result, err := b.DB.Credit(t.Context(), in)
	require.NoError(t, err)
	return result
}

// Paid creates an order and pays it.
func (b *Bundle) Paid(t testing.TB, change ...func(*store.NewOrder)) (process.OrderView, Payment) {
	t.Helper()
	n := b.NewOrder(change...)
	order := b.Order(t, func(o *store.NewOrder) { *o = n })
	amount, ok := n.Amount.Uint64()
	require.True(t, ok)
	p := b.Pay(t, order, amount)
	result := b.Credit(t, p)
	require.Equal(t, store.CreditDone, result.Outcome)
	require.Equal(t, payment.StatePaid, result.Order.State)
	return *result.Order, p
}

// CheckBooks fails the test unless the ledger is right.
func (b *Bundle) CheckBooks(t testing.TB) store.LedgerReport {
	t.Helper()
	report, err := b.DB.LedgerCheck(t.Context())
	require.NoError(t, err)
	require.Empty(t, report.Findings)
	return report
}
