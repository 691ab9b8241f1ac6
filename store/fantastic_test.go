package store_test

import (
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// mostThereCanBe is the largest amount.
func mostThereCanBe(t *testing.T) payment.Amount {
	t.Helper()
	most, err := payment.AmountFromBig(new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)))
	require.NoError(t, err)
	return most
}

// TestAShortfallAboveWhatThereCanBeStopsNoComparison: payments that a node made up sum up to anything.
func TestAShortfallAboveWhatThereCanBeStopsNoComparison(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order, other := m.Order(t), m.Order(t)
	huge := func(p *payment.Transfer) {
		p.Native, p.Contract, p.Amount = true, payment.Address{}, mostThereCanBe(t)
	}
	m.record(t, pay(t, order, 1, huge), pay(t, order, 1, huge))
	m.advance(t, 2*storetest.Confirmations)
	require.Equal(t, store.BalancesCompared{Findings: 1, Shortfalls: 1}, m.compare(t, map[string]uint64{other.Address: 10}))
	require.Equal(t, mostThereCanBe(t).String(), storetest.Value[string](t, m.Bundle, `SELECT max(shortfall)::text FROM balance_checks`))
	m.books(t, map[string]int{"custody": -10, "suspense:unattributed": 10})
}

// TestAFindingThatCannotBePostedStopsNoComparison: more than there can be, at an address that should hold less than nothing.
func TestAFindingThatCannotBePostedStopsNoComparison(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order, other := m.Order(t), m.Order(t)
	known := coin(t, order, 100)
	m.record(t, known)
	require.Equal(t, store.CreditDone, m.credit(t, known).Outcome)
	for _, sql := range []string{
		`INSERT INTO ledger_accounts (kind, asset_id) VALUES ('in_transit', 'dev/native')`,
		`INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount)
			SELECT 'sweep-1', 'internal', b.id, a.id, a.asset_id, 200000000 FROM ledger_accounts a, ledger_accounts b
			 WHERE a.kind = 'custody' AND b.kind = 'in_transit' AND a.asset_id = 'dev/native' AND b.asset_id = 'dev/native'`,
	} {
		_, err := m.PG.Owner.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	m.advance(t, 2*storetest.Confirmations)
	round, err := m.rec.BalancesDue(t.Context(), m.session, 100)
	require.NoError(t, err)
	seen := make([]payment.Amount, len(round.Addresses))
	for i, address := range round.Addresses {
		switch address.Text() {
		case order.Address:
			seen[i] = mostThereCanBe(t)
		case other.Address:
			seen[i] = payment.AmountFromUint64(10 * unit)
		}
	}
	result, err := m.rec.RecordBalances(t.Context(), m.session, round, seen)
	require.NoError(t, err)
	require.Equal(t, store.BalancesCompared{Findings: 1}, result)
	require.Equal(t, other.Address, m.open(t)[0].Address.Text())
}
