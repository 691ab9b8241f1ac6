package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/hd"
	"github.com/sluicepay/sluice/payment"
)

// enable runs chain enable with what it needs, and more.
func (b *bench) enable(node *chaintest.Fake, more ...string) {
	b.Helper()
	r := b.run("", append([]string{
		"chain", "enable", "dev", "--chain-id", "1337", "--native-symbol", "ETH", "--block-time", "1s", "--confirmations", "3",
		"--rpc", node.URL(), "--operator", "acme",
	}, more...)...)
	require.Zero(b, r.code, r.err)
}

func TestSettingsThatAreNotGivenAreKept(t *testing.T) {
	b := setup(t)
	node := chaintest.NewFake(t, nil)
	b.enable(node, "--display-name", "Dev net", "--finality-tag", "safe", "--horizon", "64", "--max-range", "50", "--max-lag", "1m",
		"--dust-below", "0.5", "--ws", "ws://127.0.0.1:1")
	token := []string{"token", "add", "--chain", "dev", "--contract", node.Token().Text(), "--code", "USDC", "--decimals", "6",
		"--outside-catalog", "made for this test"}
	r := b.run("", append(token, "--dust-below", "0.01", "--tolerance", "0.02")...)
	require.Zero(t, r.code, r.err)
	kept := func() bool {
		return b.count(`SELECT (SELECT count(*) FROM chains WHERE display_name = 'Dev net' AND finality_tag = 'safe' AND horizon = 64
				AND max_range = 50 AND max_lag_seconds = 60)::int
			+ (SELECT count(*) FROM assets WHERE code = 'ETH' AND dust_below = 500000000000000000)::int
			+ (SELECT count(*) FROM assets WHERE code = 'USDC' AND dust_below = 10000 AND tolerance = 20000)::int
			+ (SELECT count(*) FROM rpc_endpoints WHERE ws_url IS NOT NULL)::int`) == 4
	}
	require.True(t, kept())

	b.enable(node)
	require.Zero(t, b.run("", token...).code)
	require.True(t, kept(), "nothing was given")

	b.enable(node, "--finality-tag", "", "--dust-below", "0")
	require.Zero(t, b.run("", append(token, "--tolerance", "0")...).code)
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM chains WHERE finality_tag IS NULL AND horizon = 64`))
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM assets WHERE code = 'ETH' AND dust_below = 0`))
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM assets WHERE code = 'USDC' AND dust_below = 10000 AND tolerance = 0`))
	require.Equal(t, 2, b.run("", "chain", "enable", "dev", "--chain-id", "1337", "--native-symbol", "ETH", "--block-time", "1s",
		"--confirmations", "3", "--rpc", node.URL(), "--operator", "acme", "--finality-tag", "latest").code)
}

func TestANewChainIsWatchedFromTheOldestAddress(t *testing.T) {
	node := chaintest.NewFake(t, nil)
	then := node.MineBlocks(40)
	head := node.MineBlocks(60)
	for name, c := range map[string]struct {
		address *time.Time
		flags   []string
		start   uint64
	}{
		"no address":                           {start: head.Number},
		"an address":                           {address: &then.Time, start: then.Number},
		"block 0, asked for":                   {flags: []string{"--start-block", "0"}, start: 0},
		"asked for, whatever the address says": {address: &then.Time, flags: []string{"--start-block", "7"}, start: 7},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			if c.address != nil {
				b.address(c.address.Add(clockSkew))
			}
			b.enable(node, c.flags...)
			require.EqualValues(t, c.start, b.count(`SELECT start_block::int FROM chains`))
		})
	}
}

// address records that an address was made at a time, the first one of a wallet.
func (b *bench) address(made time.Time) payment.Address {
	b.Helper()
	merchant := b.object("", "merchant", "create", "--name", "Shop")["merchant_id"]
	xpub := b.object("", "wallet", "new")["xpub"]
	wallet := b.object(xpub+"\n", "wallet", "import")["wallet_id"]
	key, err := hd.ParseXPub(xpub)
	require.NoError(b, err)
	address, err := key.Derive(0)
	require.NoError(b, err)
	b.exec(fmt.Sprintf(`INSERT INTO addresses (id, family, bytes, xpub_id, derivation_index, merchant_id, mode, customer_id, created_at)
		VALUES ('adr_a', 'evm', '\x%x', '%s', 0, '%s', 'test', 'kim', '%s')`,
		address.Bytes(), wallet, merchant, made.Format(time.RFC3339Nano)))
	return address
}

// What money on a chain is worth is known, or asked, and never changed.
func TestAChainsModeIsForEver(t *testing.T) {
	b := setup(t)
	node := chaintest.NewFake(t, nil)
	b.enable(node)
	require.Contains(t, b.run("", "chain", "list").out, "dev  test  watched")
	again := func(mode string) result {
		return b.run("", "chain", "enable", "dev", "--mode", mode, "--rpc", node.URL(), "--operator", "acme")
	}
	require.Zero(t, again("test").code)
	r := again("live")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.err, "another chain id, genesis or mode")
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM chains WHERE mode = 'test'`))

	unknown := []string{
		"chain", "enable", "x", "--native-symbol", "X", "--block-time", "1s", "--confirmations", "1", "--rpc", node.URL(), "--chain-id", "4242",
	}
	r = b.run("", unknown...)
	require.Equal(t, 2, r.code)
	require.Contains(t, r.err, "give --mode")
	for id, mode := range map[string]string{"1": "test", "11155111": "live"} {
		r = b.run("", append(unknown[:len(unknown)-1:len(unknown)-1], id, "--mode", mode)...)
		require.Equal(t, 2, r.code)
		require.Contains(t, r.err, "--mode: chain id "+id+" is of ")
	}
}
