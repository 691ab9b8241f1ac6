package store_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// owner is the store as the role that owns the ledger.
func (m *miner) owner(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), m.PG.OwnerURL, store.Options{MaxConns: 2, StatementTimeout: await.Broken})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

// found is a miner with an order, at whose address 1000 are there that nobody knows of. They came in the block that it returns, and
// the comparison is so deep that it stays.
func found(t *testing.T) (m *miner, order process.OrderView, unseen payment.BlockRef, finding store.BalanceFinding) {
	t.Helper()
	m = mine(t, storetest.New(t))
	order = m.Order(t)
	unseen = m.record(t).BlockRef
	m.advance(t, 2*storetest.Confirmations)
	require.Equal(t, store.BalancesCompared{Findings: 1}, m.compare(t, map[string]uint64{order.Address: 1000}))
	return m, order, unseen, m.open(t)[0]
}

func (m *miner) open(t *testing.T) []store.BalanceFinding {
	t.Helper()
	list, err := m.DB.ListFindings(t.Context(), false, 100)
	require.NoError(t, err)
	return list
}

// prove reads a block once more, and the transfer is in it.
func (m *miner) prove(t *testing.T, block payment.BlockRef, transfers ...payment.Transfer) {
	t.Helper()
	seen := store.SeenBlock{BlockRef: block}
	for _, transfer := range transfers {
		seen.Sightings = append(seen.Sightings, store.Sighting{Transfer: transfer, Receipt: store.ReceiptRead})
	}
	rescan := m.rescan(t, block.Number, block.Number, "look"+block.Hash.String()+transfers[0].TxHash.String())
	_, err := m.rec.RecordRescan(t.Context(), m.session, rescan, m.batch(seen))
	require.NoError(t, err)
}

// TestAFindingIsSettledByHand: once, by the owner of the ledger alone, and without new custody.
func TestAFindingIsSettledByHand(t *testing.T) {
	t.Parallel()
	for to, account := range map[store.FindingDestination]string{
		store.FindingMerchant: "merchant:available", store.FindingDust: "dust", store.FindingFees: "fees", store.FindingLoss: "loss",
	} {
		t.Run(string(to), func(t *testing.T) {
			t.Parallel()
			m, order, _, finding := found(t)
			require.Equal(t, order.Address, finding.Address.Text())
			require.Equal(t, order.ID, finding.Order)
			require.Equal(t, m.Merchant, finding.Merchant)
			require.Equal(t, payment.AmountFromUint64(1000*unit), finding.Amount)

			_, err := m.DB.SettleFinding(t.Context(), finding.ID, to, storetest.By(), "settle")
			require.ErrorContains(t, err, "permission denied", "the application may not")
			owner := m.owner(t)
			for _, repeated := range []bool{false, true} {
				already, err := owner.SettleFinding(t.Context(), finding.ID, to, storetest.By(), "settle")
				require.NoError(t, err)
				require.Equal(t, repeated, already)
			}
			m.books(t, map[string]int{"custody": -1000, "suspense:unattributed": 0, account: 1000})
			require.Empty(t, m.open(t))
			settled, err := m.DB.ListFindings(t.Context(), true, 100)
			require.NoError(t, err)
			require.Equal(t, account, settled[0].SettledTo)
			require.Equal(t, 1, m.count(t, `SELECT count(*) FROM audit WHERE action = 'ledger.settle_finding' AND subject = ($1::bigint)::text AND actor = 'tester'
				AND detail ->> 'to' = $2 AND detail ->> 'amount' = '1000000000'`, finding.ID, string(to)))

			_, err = owner.SettleFinding(t.Context(), finding.ID, store.FindingWithdraw, storetest.By(), "settle")
			require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(err), "the request was another one")
			_, err = owner.SettleFinding(t.Context(), finding.ID, to, storetest.By(), "")
			require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(err), "twice")
			m.books(t, map[string]int{account: 1000})

			m.advance(t, 1)
			m.count(t, `WITH x AS (UPDATE balance_checks SET agreed_block = -1 RETURNING 1) SELECT count(*)::int FROM x`) // so that somebody is due
			require.Equal(t, store.BalancesCompared{}, m.compare(t, map[string]uint64{order.Address: 1000}), "it is there, and known")
		})
	}
}

func TestWhoSettlesAFindingSaysWhy(t *testing.T) {
	t.Parallel()
	m, _, _, finding := found(t)
	owner := m.owner(t)
	for name, try := range map[string]struct {
		id   int64
		to   store.FindingDestination
		by   process.By
		code payment.Code
	}{
		"no reason":   {finding.ID, store.FindingLoss, process.By{Actor: "kim"}, payment.CodeInvalidParameter},
		"no actor":    {finding.ID, store.FindingLoss, process.By{Reason: "x"}, payment.CodeInvalidParameter},
		"to custody":  {finding.ID, "custody", storetest.By(), payment.CodeInvalidParameter},
		"no finding":  {finding.ID + 1, store.FindingLoss, storetest.By(), payment.CodeNotFound},
		"still there": {finding.ID, store.FindingWithdraw, storetest.By(), payment.CodeStale},
	} {
		_, err := owner.SettleFinding(t.Context(), try.id, try.to, try.by, "")
		require.Equal(t, try.code, payment.CodeOf(err), name)
	}
	m.Exec(t, `UPDATE chains SET halted_at = now(), halted_reason = 'x' WHERE name = 'dev'`)
	_, err := owner.SettleFinding(t.Context(), finding.ID, store.FindingMerchant, storetest.By(), "")
	require.Equal(t, payment.CodeChainHalted, payment.CodeOf(err))
	m.books(t, map[string]int{"custody": -1000, "suspense:unattributed": 1000})
	require.Zero(t, m.count(t, `SELECT count(*) FROM audit WHERE action = 'ledger.settle_finding'`))
}

// TestAPaymentTakesBackWhatWasSettled: the merchant has the money once, whoever gave it first.
func TestAPaymentTakesBackWhatWasSettled(t *testing.T) {
	t.Parallel()
	m, order, unseen, finding := found(t)
	_, err := m.owner(t).SettleFinding(t.Context(), finding.ID, store.FindingMerchant, storetest.By(), "")
	require.NoError(t, err)
	m.books(t, map[string]int{"custody": -1000, "merchant:available": 1000})

	hidden := coin(t, order, 700)
	m.prove(t, unseen, hidden)
	before := m.total(t)
	require.Equal(t, store.CreditDone, m.credit(t, hidden).Outcome)
	require.Equal(t, before, m.total(t))
	m.books(t, map[string]int{"custody": -1000, "suspense:unattributed": 0, "merchant:available": 1000})
	require.Equal(t, 300*unit, m.count(t, `SELECT settled::bigint FROM balance_findings`))
	require.Zero(t, m.count(t, `SELECT count(*) FROM reviews WHERE cause = 'negative_balance'`))

	// Of the rest there is nothing to settle twice, and a reorganisation takes all of it back.
	m.rollback(t, payment.BlockRef{Number: unseen.Number - 1, Hash: unseen.Parent, Time: unseen.Time})
	m.books(t, map[string]int{"custody": 0, "suspense:unattributed": 0, "merchant:available": 0})
}

// TestWhatWasSettledAndPaidOutIsReviewed: a payment that goes to the held account takes back what was available and is gone.
func TestWhatWasSettledAndPaidOutIsReviewed(t *testing.T) {
	t.Parallel()
	b := storetest.New(t, func(n *store.NewMerchant) { n.PaymentPolicy = payment.PaymentHold })
	m := mine(t, b)
	order := m.Order(t)
	unseen := m.record(t).BlockRef
	m.advance(t, 2*storetest.Confirmations)
	require.Equal(t, store.BalancesCompared{Findings: 1}, m.compare(t, map[string]uint64{order.Address: 700}))
	_, err := m.owner(t).SettleFinding(t.Context(), m.open(t)[0].ID, store.FindingMerchant, storetest.By(), "")
	require.NoError(t, err)
	_, err = m.PG.Owner.Exec(t.Context(), `INSERT INTO ledger_accounts (kind, asset_id) VALUES ('in_transit', 'dev/native')`)
	require.NoError(t, err)
	_, err = m.PG.Owner.Exec(t.Context(), `INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount)
		SELECT 'payout-1', 'manual', a.id, b.id, a.asset_id, 700000000 FROM ledger_accounts a, ledger_accounts b
		 WHERE a.kind = 'merchant:available' AND b.kind = 'in_transit' AND a.asset_id = 'dev/native'`)
	require.NoError(t, err)
	hidden := coin(t, order, 700)
	m.prove(t, unseen, hidden)
	require.Equal(t, store.CreditDone, m.credit(t, hidden).Outcome)
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM reviews WHERE cause = 'negative_balance'`))
	require.Equal(t, -700*unit, m.count(t, `SELECT balance::bigint FROM ledger_balances WHERE kind = 'merchant:available' AND asset_id = 'dev/native'`))
	require.Equal(t, 700*unit, m.count(t, `SELECT balance::bigint FROM ledger_balances WHERE kind = 'merchant:held' AND asset_id = 'dev/native'`))
}

// TestAFindingThatAPaymentExplainsIsNotSettled: it is on its way to its merchant already.
func TestAFindingThatAPaymentExplainsIsNotSettled(t *testing.T) {
	t.Parallel()
	m, order, unseen, finding := found(t)
	hidden := coin(t, order, 1000)
	m.prove(t, unseen, hidden)
	owner := m.owner(t)
	for _, to := range []store.FindingDestination{store.FindingMerchant, store.FindingWithdraw} {
		_, err := owner.SettleFinding(t.Context(), finding.ID, to, storetest.By(), "")
		require.Equal(t, payment.CodePaymentLive, payment.CodeOf(err))
	}
	require.Equal(t, store.CreditDone, m.credit(t, hidden).Outcome)
	_, err := owner.SettleFinding(t.Context(), finding.ID, store.FindingMerchant, storetest.By(), "")
	require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(err))
	m.books(t, map[string]int{"custody": -1000, "merchant:available": 1000, "suspense:unattributed": 0})
}

// TestAFindingThatIsNotThereIsWithdrawn: only when a comparison after it says so, and from where it was settled to.
func TestAFindingThatIsNotThereIsWithdrawn(t *testing.T) {
	t.Parallel()
	for _, settled := range []bool{false, true} {
		m, order, unseen, finding := found(t)
		owner := m.owner(t)
		if settled {
			_, err := owner.SettleFinding(t.Context(), finding.ID, store.FindingMerchant, storetest.By(), "")
			require.NoError(t, err)
		}
		withdraw := func() error {
			_, err := owner.SettleFinding(t.Context(), finding.ID, store.FindingWithdraw, storetest.By(), "")
			return err
		}
		require.Equal(t, payment.CodeStale, payment.CodeOf(withdraw()))
		m.advance(t, 1)
		require.Equal(t, store.BalancesCompared{Shortfalls: 1}, m.compare(t, map[string]uint64{order.Address: 1}))
		require.Equal(t, payment.CodeStale, payment.CodeOf(withdraw()), "a part of it is there")
		if !settled {
			_, err := owner.SettleFinding(t.Context(), finding.ID, store.FindingMerchant, storetest.By(), "")
			require.Equal(t, payment.CodeStale, payment.CodeOf(err), "and a part is not")
		}
		m.advance(t, 1)
		require.Equal(t, store.BalancesCompared{Shortfalls: 1}, m.compare(t, nil))
		m.Exec(t, `UPDATE balance_checks SET checked_at = now() - interval '2 hours' WHERE checked_at IS NOT NULL`)
		require.Equal(t, payment.CodeStale, payment.CodeOf(withdraw()), "that was a while ago")
		m.advance(t, 1)
		require.Equal(t, store.BalancesCompared{Shortfalls: 1}, m.compare(t, nil))
		require.NoError(t, withdraw())
		m.books(t, map[string]int{"custody": 0, "suspense:unattributed": 0, "merchant:available": 0})
		require.Zero(t, m.count(t, `SELECT count(*) FROM balance_checks WHERE shortfall > 0`))
		require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(withdraw()))

		// Should it be there after all, it is one finding again, and the payment that it was consumes that.
		m.advance(t, 1)
		require.Equal(t, store.BalancesCompared{Findings: 1}, m.compare(t, map[string]uint64{order.Address: 1000}))
		hidden := coin(t, order, 1000)
		m.prove(t, unseen, hidden)
		require.Equal(t, store.CreditDone, m.credit(t, hidden).Outcome)
		m.books(t, map[string]int{"custody": -1000, "suspense:unattributed": 0, "merchant:available": 1000})
	}
}

// TestTheCheckSeesASettlementThatNobodyMade: postings by hand are about findings, and a finding's settlement is what was moved.
func TestTheCheckSeesASettlementThatNobodyMade(t *testing.T) {
	t.Parallel()
	m, _, _, finding := found(t)
	_, err := m.owner(t).SettleFinding(t.Context(), finding.ID, store.FindingLoss, storetest.By(), "")
	require.NoError(t, err)
	m.books(t, map[string]int{"loss": 1000})
	_, err = m.PG.Owner.Exec(t.Context(), `INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount)
		SELECT 'finding/forged', 'manual', debit_account, credit_account, asset_id, 1 FROM ledger_postings WHERE key LIKE '%/settled'`)
	require.NoError(t, err)
	_, err = m.PG.Owner.Exec(t.Context(), `UPDATE balance_findings SET settled = settled - 1`)
	require.NoError(t, err)
	report, err := m.DB.LedgerCheck(t.Context())
	require.NoError(t, err)
	rules := map[string]int{}
	for _, f := range report.Findings {
		rules[f.Rule]++
	}
	require.Equal(t, map[string]int{store.RuleKinds: 1, store.RuleFindings: 1}, rules)
}

// TestSettlingAndProvingAtOnce: whichever comes first, the money is there once and its merchant has it once.
func TestSettlingAndProvingAtOnce(t *testing.T) {
	t.Parallel()
	for range 5 {
		m, order, unseen, finding := found(t)
		owner, hidden := m.owner(t), coin(t, order, 1000)
		settled := make(chan error, 1)
		go func() {
			_, err := owner.SettleFinding(context.WithoutCancel(t.Context()), finding.ID, store.FindingMerchant, storetest.By(), "")
			settled <- err
		}()
		m.prove(t, unseen, hidden)
		require.Equal(t, store.CreditDone, m.credit(t, hidden).Outcome)
		if err := <-settled; err != nil {
			require.Contains(t, []payment.Code{payment.CodePaymentLive, payment.CodeInvalidParameter}, payment.CodeOf(err))
		}
		m.books(t, map[string]int{"custody": -1000, "suspense:unattributed": 0, "merchant:available": 1000})
	}
}
