package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// What the watcher did not look through for unknown tokens is swept when it is final, piece by piece, each once.
func TestASweepForUnknownTokens(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t)) // read to 100, with a horizon of 64
	m.Exec(t, `UPDATE chains SET max_range = 20 WHERE name = 'dev'`)
	m.Exec(t, `INSERT INTO coverage (chain, method, blocks) VALUES ('dev', 'any_token', '{[0,5),[30,31)}')`)
	order, contract := m.Order(t), storetest.Address()
	swept := func(block uint64, transfers ...payment.Transfer) []store.SweptTransfer {
		var found []store.SweptTransfer
		for i, transfer := range transfers {
			transfer.LogIndex = uint(i)
			found = append(found, store.SweptTransfer{Transfer: transfer, Block: payment.BlockRef{Number: block, Hash: storetest.Hash()}})
		}
		return found
	}
	var pieces []store.Interval
	for {
		piece, ok, err := m.DB.NextTokenSweep(t.Context(), storetest.Chain)
		require.NoError(t, err)
		if !ok {
			break
		}
		pieces = append(pieces, piece.Interval)
		found := append(swept(piece.First, spam(t, order, contract, 2)...), swept(piece.Last, pay(t, order, 25_000_000))...)
		for range 2 { // another process may do the same
			require.NoError(t, m.DB.RecordTokenSweep(t.Context(), piece, found))
		}
	}
	require.Equal(t, []store.Interval{{First: 5, Last: 24}, {First: 25, Last: 29}, {First: 31, Last: 36}}, pieces)
	require.Equal(t, [2]int{6, 6}, m.unknown(t, contract))
	require.Zero(t, m.count(t, `SELECT count(*) FROM payments`), "a token that has an asset is found by other means")
	require.Equal(t, 3, m.count(t, `SELECT count(*) FROM rescans WHERE cause = 'requested' AND from_block = to_block AND from_block IN (24, 29, 36)`),
		"which miss it, so its block is read again")
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM unknown_contracts`))

	m.Exec(t, `UPDATE cursors SET final_number = 38 WHERE chain = 'dev'`)
	piece, ok, err := m.DB.NextTokenSweep(t.Context(), storetest.Chain)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, store.Interval{First: 37, Last: 38}, piece.Interval, "what the chain calls final")
	m.Exec(t, `UPDATE chains SET any_token = false`)
	_, ok, err = m.DB.NextTokenSweep(t.Context(), storetest.Chain)
	require.NoError(t, err)
	require.False(t, ok)

	sweep := store.TokenSweep{Chain: storetest.Chain, Family: payment.FamilyEVM}
	page, after, err := m.DB.IssuedAddresses(t.Context(), sweep, "", 1)
	require.NoError(t, err)
	require.Equal(t, order.Address, page[0].Text())
	page, after, err = m.DB.IssuedAddresses(t.Context(), sweep, after, 1)
	require.NoError(t, err)
	require.Empty(t, page)
	require.Empty(t, after)
}

// TestWhatASweepFindsIsEvidence only where it is money that is not recorded: nobody can have blocks read again with play money, and what
// operators refuted, or what was next to nothing, was recorded.
func TestWhatASweepFindsIsEvidence(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		live   bool
		record func(t *testing.T, m *miner, transfer payment.Transfer) payment.BlockRef
		reads  int
	}{
		"missed": {reads: 1, record: func(t *testing.T, m *miner, _ payment.Transfer) payment.BlockRef {
			return m.record(t).BlockRef
		}},
		"test money at a live address": {live: true, record: func(t *testing.T, m *miner, transfer payment.Transfer) payment.BlockRef {
			return m.record(t, transfer).BlockRef
		}},
		"recorded": {record: func(t *testing.T, m *miner, transfer payment.Transfer) payment.BlockRef {
			return m.record(t, transfer).BlockRef
		}},
		"refuted": {record: func(t *testing.T, m *miner, transfer payment.Transfer) payment.BlockRef {
			block := m.record(t, transfer)
			without := shown(block)
			m.again(t, m.rescan(t, block.Number, block.Number, "look"), m.heard(without, without))
			require.Equal(t, []string{"refuted"}, m.reasons(t, transfer))
			return block.BlockRef
		}},
		"missed when its block came back": {reads: 1, record: func(t *testing.T, m *miner, transfer payment.Transfer) payment.BlockRef {
			below := m.tip
			block := m.record(t, transfer)
			m.rollback(t, below)
			_, err := m.rec.Record(t.Context(), m.session, m.batch(shown(block)))
			require.NoError(t, err)
			return block.BlockRef
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := storetest.New(t)
			b.EnableLive(t)
			m := mine(t, b)
			order := b.Order(t)
			if c.live {
				to := b.Order(t, storetest.OnLive, func(n *store.NewOrder) { n.Asset, n.Amount = "ETH", payment.AmountFromUint64(5000) })
				order.Address = to.Address
			}
			transfer := pay(t, order, 1)
			block := c.record(t, m, transfer)
			piece := store.TokenSweep{Chain: storetest.Chain, Family: payment.FamilyEVM, Interval: store.Interval{First: block.Number, Last: block.Number}}
			for range 2 {
				require.NoError(t, m.DB.RecordTokenSweep(t.Context(), piece, []store.SweptTransfer{{Transfer: transfer, Block: block}}))
			}
			require.Equal(t, c.reads, m.count(t, `SELECT count(*) FROM rescans WHERE request_id LIKE 'swept/%'`))
			require.Equal(t, c.reads, m.count(t, `SELECT count(*) FROM audit WHERE action = 'chain.rescan' AND request_id LIKE 'swept/%'`))
		})
	}
}

// What comes in test money to live addresses is none, and nobody looks for it: no node left out what is not recorded of it.
func TestASweepLooksOnlyForAddressesThatTakeTheMoney(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	b.EnableLive(t)
	live, test := b.Order(t, storetest.OnLive, func(n *store.NewOrder) { n.Asset, n.Amount = "ETH", payment.AmountFromUint64(5000) }), b.Order(t)
	swept := func(chain string) []string {
		page, _, err := b.DB.IssuedAddresses(t.Context(), store.TokenSweep{Chain: chain, Family: payment.FamilyEVM}, "", 10)
		require.NoError(t, err)
		texts := make([]string, len(page))
		for i, address := range page {
			texts[i] = address.Text()
		}
		return texts
	}
	require.Equal(t, []string{test.Address}, swept(storetest.Chain))
	require.ElementsMatch(t, []string{live.Address, test.Address}, swept(storetest.Live), "live money counts wherever it comes to")
}
