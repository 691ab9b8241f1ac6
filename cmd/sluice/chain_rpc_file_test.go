package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest"
)

const devFlags = "chain enable dev --chain-id 1337 --native-symbol ETH --block-time 1s --confirmations 3"

func TestURLsThatMayHoldAKeyComeFromAFile(t *testing.T) {
	b := setup(t)
	node := chaintest.NewFake(t, nil)
	withKey := node.URL() + "/v2/0123456789abcdef?token=s3cret"
	for _, args := range [][]string{
		{"--rpc", withKey}, {"--rpc", "http://user:s3cret@127.0.0.1:1"}, {"--rpc", "http://127.0.0.1:1?s3cret"},
		{"--rpc", node.URL(), "--ws", "ws://127.0.0.1:1/s3cret"}, {"--rpc", "http://%zz/s3cret"},
	} {
		r := b.run("", append(strings.Fields(devFlags), args...)...)
		require.Equal(t, 2, r.code, args)
		require.Contains(t, r.err, "--rpc-file")
		require.NotContains(t, r.err+r.out, "s3cret")
	}
	require.Zero(t, b.count(`SELECT count(*)::int FROM chains`))

	file := filepath.Join(t.TempDir(), "nodes")
	require.NoError(t, os.WriteFile(file, []byte("# ours\n\n"+withKey+" wss://127.0.0.1:1/s3cret operator=acme\n"+elsewhere(node)+"\n"), 0o600))
	for _, input := range []string{"", withKey + " wss://127.0.0.1:1/s3cret operator=acme\r\n"} {
		from := file
		if input != "" {
			from = "-"
		}
		r := b.run(input, append(strings.Fields(devFlags), "--rpc-file", from)...)
		require.Zero(t, r.code, r.err)
		require.NotContains(t, r.err+r.out, "s3cret")
	}
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM rpc_endpoints WHERE operator = 'acme' AND ws_url IS NOT NULL`), "the same again is the same node")
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM rpc_endpoints WHERE operator = 'localhost' AND ws_url IS NULL`))

	for name, text := range map[string]string{
		"nothing": "# none\n", "words": withKey + " s3cret", "another node": node.URL() + "\n" + strings.Replace(node.URL(), "127.0.0.1", "127.0.0.1:1/s3cret", 1),
	} {
		r := b.run(text, append(strings.Fields(devFlags), "--rpc-file", "-")...)
		require.NotZero(t, r.code, name)
		require.NotContains(t, r.err+r.out, "s3cret", name)
	}
	require.Equal(t, 2, b.run("", append(strings.Fields(devFlags), "--rpc-file", file, "--rpc", node.URL())...).code)
	require.Equal(t, 1, b.run("", append(strings.Fields(devFlags), "--rpc-file", file+"x")...).code)
	require.Equal(t, 1, b.run(strings.Repeat("a", maxSecretFile+1), append(strings.Fields(devFlags), "--rpc-file", "-")...).code)
}

func TestAnEndpointsURLMayComeFromAFile(t *testing.T) {
	b := setup(t)
	merchant := b.object("", "merchant", "create", "--name", "Shop")["merchant_id"]
	create := []string{"endpoint", "create", "--merchant", merchant, "--mode", "test"}
	require.NotEmpty(t, b.object("https://shop.example/hook?token=s3cret\n", append(create, "--url-file", "-")...)["secret"])
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM webhook_endpoints WHERE url = 'https://shop.example/hook?token=s3cret'`))
	require.Equal(t, 2, b.run("", create...).code)
	require.Equal(t, 2, b.run("", append(create, "--url-file", "-", "--url", "https://shop.example/")...).code)
	r := b.run("https://10.0.0.1/?token=s3cret", append(create, "--url-file", "-")...)
	require.Equal(t, 1, r.code)
	require.NotContains(t, r.err, "s3cret")
}

func TestANodeIsRemoved(t *testing.T) {
	b := setup(t)
	node := chaintest.NewFake(t, nil)
	b.enable(node)
	require.Zero(t, b.run("", append(strings.Fields(devFlags), "--rpc", elsewhere(node), "--operator", "other")...).code)
	list := b.run("", "chain", "rpc", "list", "dev")
	require.Contains(t, list.out, "1     acme      127.0.0.1  false")
	require.Contains(t, list.out, "2     other     localhost")
	require.Contains(t, b.run("", "chain", "rpc", "list", "dev", "--json").out, `"operator":"other"`)

	require.Zero(t, b.run("", "chain", "evidence", "set", "dev", "agreed", "--from", "0").code)
	r := b.run("", "chain", "rpc", "remove", "dev", "1")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.err, "--one-operator")
	r = b.run("", "chain", "rpc", "remove", "dev", "1", "--one-operator", "--reason", "it lies")
	require.Zero(t, r.code, r.err)
	require.NotContains(t, b.run("", "chain", "rpc", "list", "dev").out, "acme")
	require.Equal(t, 1, b.run("", "chain", "rpc", "remove", "dev", "2", "--one-operator").code, "the last one stays")
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM audit WHERE action = 'chain.rpc.remove' AND reason = 'it lies'`))
	require.Equal(t, 1, b.run("", "chain", "rpc", "list", "mars").code)
}

func TestWhatIsDisabledIsEnabledAgain(t *testing.T) {
	b := setup(t)
	node := chaintest.NewFake(t, nil)
	require.Equal(t, 2, b.run("", "chain", "enable", "dev").code, "it is not known, and has no nodes")
	b.enable(node)
	merchant := b.object("", "merchant", "create", "--name", "Shop")["merchant_id"]
	off := func() int {
		return b.count(`SELECT ((SELECT count(*) FROM chains WHERE NOT enabled) + (SELECT count(*) FROM assets WHERE NOT enabled)
			+ (SELECT count(*) FROM merchants WHERE disabled_at IS NOT NULL))::int`)
	}
	for range 2 {
		require.Contains(t, b.run("", "chain", "disable", "dev", "--reason", "hacked").out, "takes no new orders; it is watched")
		require.Zero(t, b.run("", "token", "disable", "ETH", "--chain", "dev").code)
		require.Zero(t, b.run("", "merchant", "disable", merchant).code)
	}
	require.Equal(t, 3, off())
	require.Contains(t, b.run("", "chain", "list").out, "dev  test  disabled")
	b.enable(node)
	require.Equal(t, 2, off(), "another node lets the chain take orders, and the coin stays as it is")
	require.Zero(t, b.run("", "chain", "disable", "dev").code)
	require.Contains(t, b.run("", "merchant", "list").out, `disabled  "Shop"`)
	require.Equal(t, 2, b.run("", "chain", "enable", "dev", "--confirmations", "5").code, "settings need the nodes to be asked")
	require.Contains(t, b.run("", "chain", "enable", "dev").out, "takes orders again")
	require.Zero(t, b.run("", "token", "enable", "ETH", "--chain", "dev").code)
	require.Zero(t, b.run("", "merchant", "enable", merchant).code)
	require.Zero(t, off())
	require.Equal(t, 7, b.count(`SELECT count(*)::int FROM audit WHERE action LIKE '%.disable' OR action LIKE '%.enable' AND detail = '{}'`))
	require.Equal(t, 1, b.run("", "token", "disable", "DOGE", "--chain", "dev").code)
}
