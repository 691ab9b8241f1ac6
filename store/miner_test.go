package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// miner makes up a chain and records it through the real recorder.
type miner struct {
	*storetest.Bundle
	rec     *store.Recorder
	session store.ScanSession
	watch   store.Watch
	tip     payment.BlockRef
	// step is the time between two blocks.
	step time.Duration
}

// mine begins a session on the bundle's chain.
func mine(t *testing.T, b *storetest.Bundle) *miner { t.Helper(); return mineOn(t, b, storetest.Chain) }

func mineOn(t *testing.T, b *storetest.Bundle, chain string) *miner {
	t.Helper()
	b.ReadTo(t, chain, 100, time.Now().Add(-time.Minute)) // once more, for tokens that were added since
	m := &miner{Bundle: b, rec: store.NewRecorder(b.DB), step: time.Second}
	m.begin(t, chain)
	require.NotNil(t, m.watch.Cursor)
	m.tip = *m.watch.Cursor
	return m
}

func (m *miner) begin(t *testing.T, chain string) {
	t.Helper()
	var err error
	m.session, err = m.rec.Begin(t.Context(), chain)
	require.NoError(t, err)
	m.watch, err = m.rec.Watch(t.Context(), m.session)
	require.NoError(t, err)
}

// block makes the next block on the tip, and makes it the tip.
func (m *miner) block(transfers ...payment.Transfer) store.SeenBlock {
	block := store.SeenBlock{BlockRef: payment.BlockRef{
		Number: m.tip.Number + 1, Hash: storetest.Hash(), Parent: m.tip.Hash, Time: m.tip.Time.Add(m.step), TimeBasis: payment.TimeProven,
	}}
	for i, transfer := range transfers {
		transfer.TxIndex = uint(i)
		if !transfer.Native {
			transfer.LogIndex = uint(i)
		}
		block.Sightings = append(block.Sightings, store.Sighting{Transfer: transfer, Receipt: store.ReceiptRead})
	}
	m.tip = block.BlockRef
	return block
}

func (m *miner) batch(blocks ...store.SeenBlock) store.Batch {
	return store.Batch{Blocks: blocks, Native: m.watch.Native, Tokens: m.watch.Tokens, ByHash: true}
}

// record makes a block with the transfers and records it.
func (m *miner) record(t *testing.T, transfers ...payment.Transfer) store.SeenBlock {
	t.Helper()
	block := m.block(transfers...)
	_, err := m.rec.Record(t.Context(), m.session, m.batch(block))
	require.NoError(t, err)
	return block
}

// advance records n empty blocks.
func (m *miner) advance(t *testing.T, n int) {
	t.Helper()
	for range n {
		m.record(t)
	}
}

// rollback undoes what is above the block and makes it the tip.
func (m *miner) rollback(t *testing.T, to payment.BlockRef) {
	t.Helper()
	require.NoError(t, m.rec.Rollback(t.Context(), m.session, to))
	m.tip = to
}

// pay is a transfer of the order's own asset to its address.
func pay(t testing.TB, order process.OrderView, amount uint64, change ...func(*payment.Transfer)) payment.Transfer {
	t.Helper()
	to, err := payment.ParseAddress(payment.FamilyEVM, order.Address)
	require.NoError(t, err)
	var asset payment.AssetID
	require.NoError(t, asset.UnmarshalText([]byte(order.AssetID)))
	transfer := payment.Transfer{
		TxHash: storetest.Hash(), Native: asset.IsNative(), Contract: asset.Contract,
		From: storetest.Address(), To: to, Amount: payment.AmountFromUint64(amount),
	}
	for _, f := range change {
		f(&transfer)
	}
	return transfer
}

// seenPayment is a payment as it stands in the database.
type seenPayment struct {
	ID        payment.PaymentID
	Order     *payment.OrderID
	Inclusion int
	Status    string
	Credited  *int
	Returns   *int64
	FirstAt   time.Time
}

func (m *miner) payment(t *testing.T, transfer payment.Transfer) seenPayment {
	t.Helper()
	var p seenPayment
	err := m.PG.Owner.QueryRow(t.Context(), `SELECT id, order_id, inclusion, status, credited_inclusion, returns_by_block, first_included_at
		FROM payments WHERE chain = $4 AND tx_hash = $1 AND native = $2 AND position = $3`,
		transfer.TxHash[:], transfer.Native, transfer.Position, m.session.Chain).
		Scan(&p.ID, &p.Order, &p.Inclusion, &p.Status, &p.Credited, &p.Returns, &p.FirstAt)
	require.NoError(t, err)
	return p
}

func (m *miner) count(t *testing.T, sql string, args ...any) int {
	t.Helper()
	return storetest.Value[int](t, m.Bundle, sql, args...)
}

func (m *miner) state(t *testing.T, id payment.OrderID) payment.State {
	t.Helper()
	return payment.State(storetest.Value[string](t, m.Bundle, `SELECT state FROM orders WHERE id = $1`, id))
}

// events are the types of an order's events, in their order.
func (m *miner) events(t *testing.T, id payment.OrderID) []string {
	t.Helper()
	return storetest.Value[[]string](t, m.Bundle,
		`SELECT COALESCE(array_agg(type ORDER BY seq), '{}') FROM events WHERE order_id = $1`, id)
}

// wakeUps are the request ids in the outbox about a payment, without the payment's id, in the order they were written.
func (m *miner) wakeUps(t *testing.T, id payment.PaymentID) []string {
	t.Helper()
	return storetest.Value[[]string](t, m.Bundle,
		`SELECT COALESCE(array_agg(replace(request_id, $1 || '/', '') ORDER BY id), '{}') FROM outbox WHERE payment_id = $1`, string(id))
}

// dump is everything that recording may write, as one text: two equal dumps mean that nothing was written between them.
func (m *miner) dump(t *testing.T) string {
	t.Helper()
	return storetest.Value[string](t, m.Bundle, `SELECT concat_ws(E'\n',
		(SELECT string_agg(c::text, E'\n' ORDER BY c.chain) FROM cursors c),
		(SELECT string_agg(c::text, E'\n' ORDER BY c.chain, c.number) FROM chain_blocks c),
		(SELECT string_agg(c::text, E'\n' ORDER BY c.chain, c.method, c.contract) FROM coverage c),
		(SELECT string_agg(c::text, E'\n' ORDER BY c.id) FROM payments c),
		(SELECT string_agg(c::text, E'\n' ORDER BY c.payment_id, c.n) FROM inclusions c),
		(SELECT string_agg(c::text, E'\n' ORDER BY c.id) FROM orders c),
		(SELECT string_agg(c::text, E'\n' ORDER BY c.id) FROM outbox c),
		(SELECT string_agg(c::text, E'\n' ORDER BY c.id) FROM events c),
		(SELECT string_agg(c::text, E'\n' ORDER BY c.id) FROM reviews c),
		(SELECT string_agg(c::text, E'\n' ORDER BY c.id) FROM rescans c),
		(SELECT string_agg(c::text, E'\n' ORDER BY c.chain, c.number) FROM quarantined_blocks c),
		(SELECT string_agg(c::text, E'\n' ORDER BY c.id) FROM ledger_postings c),
		(SELECT string_agg(c::text, E'\n' ORDER BY c.name) FROM chains c))`)
}
