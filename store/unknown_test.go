package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// spam makes transfers of a contract that nobody enabled to the order's address.
func spam(t testing.TB, order process.OrderView, contract payment.Address, n int) []payment.Transfer {
	t.Helper()
	transfers := make([]payment.Transfer, n)
	for i := range transfers {
		transfers[i] = pay(t, order, 7, func(x *payment.Transfer) { x.Contract = contract })
	}
	return transfers
}

// seeAll makes the next block, in which transfers of every contract were looked for. Nobody read the receipts of those that are not
// among the session's tokens.
func (m *miner) seeAll(transfers ...payment.Transfer) store.SeenBlock {
	block := m.block(transfers...)
	block.AnyToken = true
	asked := map[payment.Address]bool{}
	for _, token := range m.watch.Tokens {
		asked[token] = true
	}
	for i, seen := range block.Sightings {
		if !seen.Native && !asked[seen.Contract] {
			block.Sightings[i].Receipt = store.ReceiptUnread
		}
	}
	return block
}

func (m *miner) recordBlocks(t testing.TB, blocks ...store.SeenBlock) {
	t.Helper()
	_, err := m.rec.Record(t.Context(), m.session, m.batch(blocks...))
	require.NoError(t, err)
}

// unknown is what is kept and what is counted of a contract.
func (m *miner) unknown(t *testing.T, contract payment.Address) [2]int {
	t.Helper()
	return [2]int{
		m.count(t, `SELECT count(*) FROM unknown_transfers WHERE contract = $1`, contract.Bytes()),
		m.count(t, `SELECT COALESCE(sum(transfers), 0)::int FROM unknown_contracts WHERE contract = $1`, contract.Bytes()),
	}
}

// What is sent in tokens that nobody enabled is no money: the first hundred transfers of a contract are kept, the others counted, each
// once however often its block is read.
func TestTokensThatNobodyEnabledAreCounted(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	require.True(t, m.watch.AnyToken)
	order, contract, other := m.Order(t), storetest.Address(), storetest.Address()
	block := m.seeAll(append(spam(t, order, contract, 103), spam(t, order, other, 2)...)...)
	m.recordBlocks(t, block)
	require.Equal(t, [2]int{100, 103}, m.unknown(t, contract))
	require.Equal(t, [2]int{2, 2}, m.unknown(t, other))
	require.Zero(t, m.count(t, `SELECT count(*) FROM payments`))
	require.Equal(t, []string{"order.created"}, m.events(t, order.ID))

	m.recordBlocks(t, block)
	_, err := m.rec.RecordRescan(t.Context(), m.session, store.OpenRescan{}, m.batch(block))
	require.NoError(t, err)
	require.Equal(t, [2]int{100, 103}, m.unknown(t, contract), "read again, not received again")
	m.recordBlocks(t, m.seeAll(spam(t, order, contract, 5)...), m.seeAll(spam(t, order, other, 99)...))
	require.Equal(t, [2]int{100, 108}, m.unknown(t, contract))
	require.Equal(t, [2]int{100, 101}, m.unknown(t, other))

	list, err := m.DB.UnknownContracts(t.Context(), storetest.Chain, 10)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, contract, list[0].Contract)
	require.EqualValues(t, 108, list[0].Transfers)
	require.EqualValues(t, 1, list[0].Addresses)
	counts, err := m.DB.StrangeCounts(t.Context())
	require.NoError(t, err)
	require.Equal(t, store.StrangeCounts{Chain: "dev", UnknownTransfers: 209, UnknownContracts: 2}, counts[0])
}

// What is kept is of blocks that are canonical.
func TestTokensThatNobodyEnabledAcrossAReorganisation(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order, contract := m.Order(t), storetest.Address()
	transfers := spam(t, order, contract, 3)
	m.recordBlocks(t, m.seeAll(transfers[0]))
	ancestor := m.tip
	lost := m.seeAll(transfers[1:]...)
	m.recordBlocks(t, lost)
	require.Equal(t, [2]int{3, 3}, m.unknown(t, contract))
	m.rollback(t, ancestor)
	require.Equal(t, [2]int{1, 1}, m.unknown(t, contract))
	m.recordBlocks(t, m.seeAll(transfers[1:]...)) // mined again in another block
	require.Equal(t, [2]int{3, 3}, m.unknown(t, contract))
	m.rollback(t, ancestor)
	m.recordBlocks(t, lost) // and the first one after all
	require.Equal(t, [2]int{3, 3}, m.unknown(t, contract))
}

// A hundred thousand logs of a spam contract in one block cost a hundred rows, and hold up no payment beside them.
func TestAFloodOfATokenThatNobodyEnabled(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order, contract := m.Order(t), storetest.Address()
	const flood = 100_000
	transfers := make([]payment.Transfer, 0, flood+1)
	one := spam(t, order, contract, 1)[0]
	for range flood {
		transfers = append(transfers, one) // from one transaction: nobody reads its receipt, so positions are not known
	}
	transfers = append(transfers, pay(t, order, 25_000_000))
	block := m.seeAll(transfers...)
	m.recordBlocks(t, block)
	require.Equal(t, [2]int{100, flood}, m.unknown(t, contract))
	require.Equal(t, payment.StateConfirming, m.state(t, order.ID))
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM payments`))
}

// A token that is enabled later is read back: what was counted becomes money.
func TestATokenThatIsEnabledLater(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order, contract := m.Order(t), storetest.Address()
	block := m.seeAll(spam(t, order, contract, 2)...)
	m.recordBlocks(t, block)
	require.Equal(t, [2]int{2, 2}, m.unknown(t, contract))

	require.NoError(t, m.DB.AddToken(t.Context(), store.NewAsset{
		ID: payment.TokenAsset(storetest.Chain, contract), Code: "LATE", Decimals: 6,
	}, storetest.By()))
	// One more block, read before the token was known: its receipt is missing, so it is left to the backfill.
	between := m.seeAll(spam(t, order, contract, 1)...)
	m.recordBlocks(t, between)
	require.Zero(t, m.count(t, `SELECT count(*) FROM payments`))

	m.begin(t, storetest.Chain)
	require.Contains(t, m.watch.Tokens, contract)
	require.NotEmpty(t, m.watch.Rescans, "the blocks are to be read again")
	for _, again := range []store.SeenBlock{block, between} {
		for i := range again.Sightings {
			again.Sightings[i].Receipt = store.ReceiptRead
		}
		again.AnyToken = false
		_, err := m.rec.RecordRescan(t.Context(), m.session, m.watch.Rescans[0], m.batch(again))
		require.NoError(t, err)
	}
	require.Equal(t, 3, m.count(t, `SELECT count(*) FROM payments WHERE order_id = $1`, order.ID))
	list, err := m.DB.UnknownContracts(t.Context(), "", 10)
	require.NoError(t, err)
	require.Empty(t, list, "it is known now")
}

// Transfers of nothing are counted, once, and are nothing else.
func TestTransfersOfNothingAreCounted(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	to, err := payment.ParseAddress(payment.FamilyEVM, order.Address)
	require.NoError(t, err)
	block := m.seeAll()
	block.Poisoned = []payment.Address{to, storetest.Address(), to}
	m.recordBlocks(t, block)
	m.recordBlocks(t, block)
	_, err = m.rec.RecordRescan(t.Context(), m.session, store.OpenRescan{}, m.batch(block))
	require.NoError(t, err)
	require.Equal(t, 2, m.count(t, `SELECT poisonings::int FROM cursors WHERE chain = 'dev'`))
	require.Zero(t, m.count(t, `SELECT count(*) FROM payments`)+m.count(t, `SELECT count(*) FROM unknown_transfers`))
	require.Equal(t, []string{"order.created"}, m.events(t, order.ID))
}
