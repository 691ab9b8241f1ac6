package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest"
)

func TestTiersByCommand(t *testing.T) {
	b := setup(t)
	node := chaintest.NewFake(t, nil)
	b.enable(node)
	require.Zero(t, b.run("", "token", "add", "--chain", "dev", "--contract", node.Token().Text(), "--code", "USDC", "--decimals", "6", "--outside-catalog", "a test").code)
	tier := []string{"chain", "tier", "set", "dev", "--asset", "USDC"}
	r := b.run("", append(tier, "--from", "1000.5", "--confirmations", "12", "--reason", "large")...)
	require.Zero(t, r.code, r.err)
	r = b.run("", "chain", "tier", "set", "dev", "--from", "5", "--confirmations", "6")
	require.Zero(t, r.code, r.err)
	require.Equal(t, "any amount  3 confirmations\nany asset from 5  6 confirmations\nUSDC from 1000.5  12 confirmations\n",
		b.run("", "chain", "tier", "list", "dev").out)
	require.Equal(t, 2, b.count(`SELECT count(*)::int FROM audit WHERE action = 'chain.tier.set' AND actor <> ''`))
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM confirmation_tiers WHERE from_amount = 1000500000`))

	require.Equal(t, 1, b.run("", append(tier, "--from", "0.0000001", "--confirmations", "12")...).code, "too precise")
	require.Equal(t, 1, b.run("", "chain", "tier", "set", "dev", "--from", "0.5", "--confirmations", "6").code, "whole coins only")
	require.Equal(t, 1, b.run("", "chain", "tier", "set", "dev", "--asset", "EURC", "--from", "1", "--confirmations", "6").code)
	require.Equal(t, 1, b.run("", "chain", "tier", "set", "nowhere", "--from", "1", "--confirmations", "6").code)
	require.Equal(t, 2, b.run("", append(tier, "--from", "1", "--confirmations", "6", "--tag", "justified")...).code)
	require.Zero(t, b.run("", "chain", "tier", "remove", "dev", "--from", "5").code)
	require.Equal(t, 1, b.run("", "chain", "tier", "remove", "dev", "--from", "5").code)
	require.NotContains(t, b.run("", "chain", "tier", "list", "dev").out, "any asset")
}

// Payments would wait for ever for a tag that no node knows.
func TestATagThatNoNodeKnowsIsRefused(t *testing.T) {
	b := setup(t)
	node := chaintest.NewFake(t, nil)
	b.enable(node)
	set := []string{"chain", "tier", "set", "dev", "--from", "5", "--confirmations", "6", "--tag", "finalized"}
	r := b.run("", set...)
	require.Zero(t, r.code, r.err)
	node.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if a.Method == "eth_getBlockByNumber" && string(a.Params[0]) == `"finalized"` {
			a.Error = &chaintest.RPCError{Code: -32602, Message: "invalid block tag"}
		}
	}})
	r = b.run("", append(set, "--reason", "again")...)
	require.Equal(t, 1, r.code)
	require.Contains(t, r.err, "finalized")
	require.NotContains(t, r.err, node.URL())
}

func TestEvidenceByCommand(t *testing.T) {
	b := setup(t)
	b.enable(chaintest.NewFake(t, nil))
	r := b.run("", "chain", "evidence", "set", "dev", "agreed", "--asset", "ETH", "--from", "0.5")
	require.Zero(t, r.code, r.err)
	require.Zero(t, b.run("", "chain", "evidence", "set", "dev", "proven", "--from", "100").code)
	require.Zero(t, b.run("", "chain", "evidence", "limit", "dev", "--asset", "ETH", "--amount", "2").code)
	require.Equal(t, "any amount  single\nany asset from 100  proven\nETH from 0.5  agreed\nETH  up to 2 in an hour on one operator's word, all assets together\n",
		b.run("", "chain", "evidence", "list", "dev").out)
	require.Equal(t, 2, b.run("", "chain", "evidence", "set", "dev", "certain", "--from", "1").code)
	require.Zero(t, b.run("", "chain", "evidence", "remove", "dev", "--asset", "ETH", "--from", "0.5", "--reason", "a test").code)
	require.Zero(t, b.run("", "chain", "evidence", "limit", "dev", "--asset", "ETH", "--amount", "0").code)
	require.Equal(t, "any amount  single\nany asset from 100  proven\n", b.run("", "chain", "evidence", "list", "dev").out)
	require.Equal(t, 5, b.count(`SELECT count(*)::int FROM audit WHERE action LIKE 'chain.evidence.%'`))
}

func TestTheDeadlineOfPaymentsByCommand(t *testing.T) {
	b := setup(t)
	b.enable(chaintest.NewFake(t, nil))
	require.Zero(t, b.run("", "chain", "deadline", "dev", "--after", "12h").code)
	require.Equal(t, 43_200, b.count(`SELECT settle_after_seconds FROM chains`))
	require.Zero(t, b.run("", "chain", "deadline", "dev", "--after", "0").code)
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM chains WHERE settle_after_seconds IS NULL`))
	require.Equal(t, 1, b.run("", "chain", "deadline", "dev", "--after", "1s").code)
}
