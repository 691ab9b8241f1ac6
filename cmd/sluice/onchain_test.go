package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/evm"
)

// TestLedgerCheckOnChainExitsWithThreeWhenTheChainDiffers: money that nobody recorded, and then a finding about it.
func TestLedgerCheckOnChainExitsWithThreeWhenTheChainDiffers(t *testing.T) {
	b := setup(t)
	geth := chaintest.NewGeth(t, func(t *testing.T, httpURL, _ string) chaintest.Source {
		t.Helper()
		source, err := evm.New(evm.Options{URL: httpURL})
		require.NoError(t, err)
		return source
	})
	r := b.run("", "chain", "enable", "dev", "--chain-id", fmt.Sprint(geth.Node.ChainID()), "--native-symbol", "ETH", "--block-time", "1s",
		"--confirmations", "3", "--rpc", geth.Node.HTTPURL(), "--operator", "acme")
	require.Zero(t, r.code, r.err)
	r = b.run("", "ledger", "check", "--on-chain")
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.err, "nothing was recorded yet")

	ours := b.address(time.Now())
	block := geth.Mine(t, chaintest.Native{To: ours, Amount: 1_500_000_000_000_000_000})
	b.exec(fmt.Sprintf(`UPDATE cursors SET block_number = %d, block_hash = '\x%x', block_time = now()`, block.Number, block.Hash[:]))
	r = b.run("", "ledger", "check", "--on-chain")
	require.Equal(t, exitFindings, r.code, r.err)
	require.Contains(t, r.out, "dev DIFFERS from the books: 1 addresses")
	require.Contains(t, r.out, "on chain 1.5, custody 0 (of it findings 0), not posted yet 0, difference 1.5")
	require.Contains(t, r.out, "DIFFERS "+ours.Text())

	b.exec(fmt.Sprintf(`INSERT INTO chain_blocks (chain, number, hash, parent_hash, block_time) VALUES ('dev', %d, '\x%x', '\x%x', now())`,
		block.Number, block.Hash[:], block.Parent[:]))
	b.exec(fmt.Sprintf(`SELECT ledger_post_finding('adr_a', 'dev/native', 0, %d, '\x%x', 1500000000000000000)`, block.Number, block.Hash[:]))
	r = b.run("", "ledger", "check", "--on-chain", "--chain", "dev")
	require.Zero(t, r.code, r.out)
	require.Contains(t, r.out, "on chain 1.5, custody 1.5 (of it findings 1.5), not posted yet 0, difference 0")
	r = b.run("", "ledger", "check", "--on-chain", "--json")
	require.Zero(t, r.code, r.out)
	require.Contains(t, r.out, `"Difference":0`)

	// A payment that only the database knows.
	b.exec(fmt.Sprintf(`BEGIN;
		INSERT INTO payments (id, chain, tx_hash, native, position, address_id, merchant_id, mode, inclusion, status, first_included_at)
		SELECT 'pay_x', 'dev', decode(repeat('ab', 32), 'hex'), true, 0, id, merchant_id, mode, 1, 'detected', now() FROM addresses;
		INSERT INTO inclusions (payment_id, n, chain, block_number, block_hash, block_time, tx_index, asset_id, amount, sender, recipient)
		SELECT 'pay_x', 1, 'dev', %d, '\x%x', now(), 0, 'dev/native', 5, bytes, bytes FROM addresses;
		INSERT INTO allocations (payment_id, address_id, asset_id) SELECT 'pay_x', id, 'dev/native' FROM addresses;
		COMMIT`, block.Number, block.Hash[:]))
	r = b.run("", "ledger", "check")
	require.Zero(t, r.code, r.out)
	require.Contains(t, r.out, "UNVERIFIABLE without nodes: payments 1, open findings 1")
	r = b.run("", "ledger", "check", "--on-chain")
	require.Equal(t, exitFindings, r.code, r.out)
	require.Contains(t, r.out, "NOT THERE pay_x/1: 5 base units of dev/native (missing_receipt)")
	require.NotZero(t, b.run("", "ledger", "check", "--on-chain", "--chain", "nowhere").code)
}
