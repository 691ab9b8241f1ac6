package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/internal/seal"
)

func TestTheOldMasterKeyCanBeThrownAway(t *testing.T) {
	b := setup(t)
	key := func(id string) string {
		_, text := seal.NewRandomKeyring()
		return strings.Replace(text.Reveal(), "k1:", id+":", 1)
	}
	old, newer := key("2025"), key("2026")
	t.Setenv("SLUICE_MASTER_KEYS", old)
	merchant := b.object("", "merchant", "create", "--name", "Shop")["merchant_id"]
	b.object("", "endpoint", "create", "--merchant", merchant, "--mode", "test", "--url", "https://shop.example/hooks")
	b.object(b.object("", "wallet", "new", "--words", "12")["xpub"]+"\n", "wallet", "import")
	node := chaintest.NewFake(t, nil)
	b.enable(node, "--ws", "ws://127.0.0.1:1")
	token := []string{"token", "add", "--chain", "dev", "--contract", node.Token().Text(), "--code", "USDC", "--decimals", "6", "--outside-catalog", "a test"}

	t.Setenv("SLUICE_MASTER_KEYS", newer)
	require.Contains(t, b.run("", "master-key", "status").out, "NOT CONFIGURED")
	r := b.run("", "master-key", "reseal")
	require.Equal(t, 3, r.code, "without the old key nothing opens")
	require.Contains(t, r.err, "other keys are still needed: 2025")
	require.Equal(t, 1, b.run("", token...).code, "neither do the nodes' URLs")

	t.Setenv("SLUICE_MASTER_KEYS", newer+","+old)
	r = b.run("", "master-key", "reseal", "--reason", "yearly")
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.out, "4 sealed again under 2026; 4 open with it alone")
	status := b.run("", "master-key", "status")
	require.NotContains(t, status.out, "2025")
	require.Contains(t, status.out, "seals")
	require.Contains(t, b.run("", "master-key", "status", "--json").out, `"what":"xpub"`)

	t.Setenv("SLUICE_MASTER_KEYS", newer)
	r = b.run("", token...)
	require.Zero(t, r.code, r.err)
	require.Contains(t, b.run("", "master-key", "reseal").out, "0 sealed again under 2026; 4 open with it alone")
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM audit WHERE action = 'master_key.reseal' AND reason = 'yearly'`))
}
