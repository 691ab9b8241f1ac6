package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAFindingIsListedAndSettled: by the owner's role, with a reason, once.
func TestAFindingIsListedAndSettled(t *testing.T) {
	b := setup(t)
	require.Contains(t, b.run("", "ledger", "findings").out, "every balance is explained")
	b.exec(`INSERT INTO chains (name, family, chain_id, display_name, block_time_ms, confirmations) VALUES ('dev', 'evm', 1337, 'dev', 1000, 3)`)
	b.exec(`INSERT INTO assets (id, chain, code, decimals) VALUES ('dev/native', 'dev', 'ETH', 18)`)
	ours := b.address(time.Now())
	b.exec(`INSERT INTO cursors (chain, block_number, block_hash, block_time) VALUES ('dev', 90, decode(repeat('aa', 32), 'hex'), now())`)
	b.exec(`INSERT INTO chain_blocks (chain, number, hash, parent_hash, block_time) VALUES ('dev', 90, decode(repeat('aa', 32), 'hex'), decode(repeat('bb', 32), 'hex'), now())`)
	b.exec(`SELECT ledger_post_finding('adr_a', 'dev/native', 0, 90, decode(repeat('aa', 32), 'hex'), 1500000000000000000)`)

	listed := b.run("", "ledger", "findings")
	require.Zero(t, listed.code, listed.err)
	row := strings.Fields(strings.Split(listed.out, "\n")[1])
	require.Equal(t, []string{"1", "1.5", "ETH", "(dev/native)", ours.Text()}, row[:5])
	require.Contains(t, listed.out, `customer "kim"  1-90`)
	require.Contains(t, listed.out, "in suspense")
	require.Contains(t, b.run("", "ledger", "findings", "--json").out, `"Amount":"1500000000000000000"`)

	settle := []string{"ledger", "settle-finding", "1", "--to", "merchant", "--request-id", "ticket-4711"}
	require.NotZero(t, b.run("", settle...).code, "no reason")
	require.NotZero(t, b.run("", "ledger", "settle-finding", "1", "--to", "custody", "--reason", "x").code)
	settle = append(settle, "--actor", "kim", "--reason", "the customer showed it")
	r := b.run("", settle...)
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.out, "finding 1: merchant")
	r = b.run("", settle...)
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.out, "done before")
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM audit WHERE action = 'ledger.settle_finding' AND actor = 'kim' AND request_id = 'ticket-4711'`))
	require.Contains(t, b.run("", "ledger", "findings").out, "every balance is explained")
	require.Contains(t, b.run("", "ledger", "findings", "--settled").out, "settled to merchant:available")
	require.Zero(t, b.run("", "ledger", "check").code)
	t.Setenv("SLUICE_MIGRATE_DATABASE_URL", b.pg.AppURL)
	require.Contains(t, b.run("", "ledger", "settle-finding", "1", "--to", "loss", "--reason", "x").err, "permission denied")
}

// TestAnAddressThatNoWalletDerivesIsFound: whoever writes somebody else's address into the database would be credited with what comes there, and
// every node would say that it is true.
func TestAnAddressThatNoWalletDerivesIsFound(t *testing.T) {
	b := setup(t)
	b.address(time.Now())
	r := b.run("", "ledger", "check")
	require.Zero(t, r.code, r.out)
	require.Contains(t, r.out, "1 addresses")
	_, err := b.pg.App.Exec(t.Context(), `INSERT INTO addresses (id, family, bytes, xpub_id, derivation_index, merchant_id, mode, customer_id)
		SELECT E'adr_b\x1b[2K', family, decode(repeat('cc', 20), 'hex'), xpub_id, 1, merchant_id, mode, 'eve' FROM addresses`)
	require.NoError(t, err, "the role that hands out addresses can")
	r = b.run("", "ledger", "check")
	require.Equal(t, exitFindings, r.code, r.out)
	require.Contains(t, r.out, `BROKEN address_is_its_wallets: "adr_b[2K: wallet xpb_`, "and its name wipes no line off the terminal")
	require.NotContains(t, r.out, "adr_a")
}
