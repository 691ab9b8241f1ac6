package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/pgtest"
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// bench runs commands against a database of its own. Tests that use it set the environment, so they are not parallel.
type bench struct {
	*testing.T

	pg *pgtest.DB
}

func setup(t *testing.T) *bench {
	t.Helper()
	pg := pgtest.New(t)
	_, masterKeys := seal.NewRandomKeyring()
	t.Setenv("SLUICE_DATABASE_URL", pg.AppURL)
	t.Setenv("SLUICE_CHAIN_DATABASE_URL", pg.ChainURL)
	t.Setenv("SLUICE_MIGRATE_DATABASE_URL", pg.OwnerURL)
	t.Setenv("SLUICE_MASTER_KEYS", masterKeys.Reveal())
	return &bench{T: t, pg: pg}
}

type result struct {
	code     int
	out, err string
}

func (b *bench) run(input string, args ...string) result {
	b.Helper()
	return runCLI(input, args...)
}

func runCLI(input string, args ...string) result {
	var out, err bytes.Buffer
	code := run(args, console{in: strings.NewReader(input), out: &out, err: &err})
	return result{code: code, out: out.String(), err: err.String()}
}

// object runs a command that succeeds and prints one JSON object.
func (b *bench) object(input string, args ...string) map[string]string {
	b.Helper()
	r := b.run(input, append(args, "--json")...)
	require.Zero(b, r.code, r.err)
	var object map[string]string
	require.NoError(b, json.Unmarshal([]byte(r.out), &object), r.out)
	return object
}

func (b *bench) count(query string) int {
	b.Helper()
	rows, err := b.pg.Owner.Query(b.Context(), query)
	require.NoError(b, err)
	n, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
	require.NoError(b, err)
	return n
}

func (b *bench) exec(sql string) {
	b.Helper()
	_, err := b.pg.Owner.Exec(b.Context(), sql)
	require.NoError(b, err)
}

func TestWrongCallsExitWithTwo(t *testing.T) {
	for _, args := range [][]string{{"nonsense"}, {"merchant", "create"}, {"key", "create", "--merchant", "mer_x", "--mode", "prod"}} {
		r := runCLI("", args...)
		require.Equal(t, 2, r.code, "%v: %s", args, r.err)
		require.NotEmpty(t, r.err)
	}
	r := runCLI("", "--help")
	require.Zero(t, r.code)
	require.Contains(t, r.out, "wallet new")
}

// What was typed in the wrong place may be a secret: the message says where, and does not repeat it.
func TestWrongCallsRepeatNoSecrets(t *testing.T) {
	const secret = `https://user:pass@node.example/"v2"/0123456789abcdef?key=a,b`
	enable := []string{"chain", "enable", "x", "--native-symbol", "X", "--block-time", "1s", "--rpc", "http://a", "--operator", "o"}
	for name, args := range map[string][]string{
		"argument": {"wallet", "import", secret}, "command": {secret}, "number": {"wallet", "import", "--first-index", secret},
		"choice": {"wallet", "import", "--family=" + secret}, "list": {"key", "create", "--merchant", "mer_x", "--mode", "test", "--scopes", "orders:read," + secret},
		"flag": {"wallet", "import", "--xpub=" + secret}, "duration": append(enable, "--confirmations", "1", "--chain-id", "1", "--block-time", secret),
	} {
		r := runCLI("", args...)
		require.Equal(t, 2, r.code, name)
		require.NotEmpty(t, r.err, name)
		for _, piece := range []string{"pass", "0123456789abcdef", "key=a"} {
			require.NotContains(t, r.err+r.out, piece, name)
		}
	}
	require.Contains(t, runCLI("", "wallet", "import", "--merchnt", secret).err, "--merchnt")
	require.Contains(t, runCLI("", "wallet", "improt").err, "improt")
}

func TestMissingConfigurationIsNamed(t *testing.T) {
	t.Setenv("SLUICE_DATABASE_URL", "")
	r := runCLI("", "wallet", "list")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.err, "SLUICE_DATABASE_URL")
}

func TestMigrateIsRepeatable(t *testing.T) {
	b := setup(t)
	r := b.run("", "migrate")
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.out, "up to date")
	r = b.run("", "migrate", "--status")
	require.Contains(t, r.out, "applied")
	require.NotContains(t, r.out, "pending")
}

func TestMerchantEndpointAndKeys(t *testing.T) {
	b := setup(t)
	merchant := b.object("", "merchant", "create", "--name", "Shop")["merchant_id"]
	key := b.object("", "key", "create", "--merchant", merchant, "--mode", "test")
	require.True(t, strings.HasPrefix(key["key"], "sk_test_"))
	require.Zero(t, b.count(`SELECT count(*)::int FROM api_keys WHERE position('`+key["key"]+`' in prefix) > 0`), "only its hash is kept")
	hook := b.object("", "endpoint", "create", "--merchant", merchant, "--mode", "test", "--url", "https://shop.example/hooks", "--events", "order.paid")
	require.True(t, strings.HasPrefix(hook["secret"], "whsec_"))

	r := b.run("", "endpoint", "create", "--merchant", merchant, "--mode", "test", "--url", "http://127.0.0.1:9/hooks")
	require.Equal(t, 1, r.code, "targets inside are refused unless they are listed")
	r = b.run("", "endpoint", "create", "--merchant", merchant, "--mode", "test", "--url", "https://shop.example/other", "--events", "order.payed")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.err, "--events")

	r = b.run("", "key", "revoke", key["key_id"])
	require.Zero(t, r.code, r.err)
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM api_keys WHERE revoked_at IS NOT NULL`))
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM audit WHERE action = 'key.revoke' AND actor <> ''`))
}

func TestWalletTakesAnXPubOnly(t *testing.T) {
	b := setup(t)
	wallet := b.object("", "wallet", "new")
	require.Len(t, strings.Fields(wallet["mnemonic"]), 24)

	for name, private := range map[string]string{
		"mnemonic":    wallet["mnemonic"],
		"xprv":        "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi",
		"private key": "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318",
	} {
		r := b.run(private+"\n", "wallet", "import")
		require.Equal(t, 1, r.code, name)
		require.Contains(t, r.err, "xpub", name)
		require.NotContains(t, r.out+r.err, private, name)
	}
	require.Zero(t, b.count(`SELECT count(*)::int FROM xpubs`))

	imported := b.object(wallet["xpub"]+"\n", "wallet", "import")
	require.NotContains(t, imported["key"], wallet["xpub"])
	r := b.run("", "wallet", "list")
	require.Contains(t, r.out, imported["wallet_id"])
	require.NotContains(t, r.out, wallet["xpub"])
}

func TestWalletAdvance(t *testing.T) {
	b := setup(t)
	wallet := b.object("", "wallet", "new", "--words", "12")
	id := b.object(wallet["xpub"]+"\n", "wallet", "import")["wallet_id"]

	require.Contains(t, b.run("", "wallet", "advance", "--lock-all").out, "1 wallets are locked")
	require.Contains(t, b.run("", "wallet", "list").out, "locked")
	require.Zero(t, b.run("", "wallet", "advance", "--wallet", id, "--to", "5000").code)
	require.Contains(t, b.run("", "wallet", "list").out, "next index 5000  in use")
	require.Equal(t, 1, b.run("", "wallet", "advance", "--wallet", id, "--to", "10").code, "never backwards")
	require.Equal(t, 2, b.run("", "wallet", "advance").code)
}

func TestLedgerCheck(t *testing.T) {
	b := setup(t)
	r := b.run("", "ledger", "check")
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.out, "the books add up: 0 postings")
	require.Zero(t, b.run("", "ledger", "snapshot").code)
}

func TestADisabledEndpointIsEnabledAgain(t *testing.T) {
	b := setup(t)
	merchant := b.object("", "merchant", "create", "--name", "Shop")["merchant_id"]
	id := b.object("", "endpoint", "create", "--merchant", merchant, "--mode", "test", "--url", "https://shop.example/hooks")["endpoint_id"]
	b.exec(`UPDATE webhook_endpoints SET disabled_at = now(), disabled_reason = 'gone'`)

	require.Contains(t, b.run("", "endpoint", "list", "--merchant", merchant).out, id+"  test  https://shop.example/hooks  all orders  disabled: gone")
	r := b.run("", "endpoint", "enable", id)
	require.Zero(t, r.code, r.err)
	require.Contains(t, b.run("", "endpoint", "list", "--merchant", merchant).out, "in use")
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM audit WHERE action = 'endpoint.enable'`))
	require.Zero(t, b.run("", "endpoint", "enable", id).code, "doing it again changes nothing")
	require.Equal(t, 1, b.run("", "endpoint", "enable", string(payment.NewEndpointID())).code)
}

func TestChainSwitches(t *testing.T) {
	b := setup(t)
	b.exec(`INSERT INTO chains (name, family, chain_id, display_name, block_time_ms, confirmations) VALUES ('dev', 'evm', 1337, 'dev', 1000, 3)`)
	require.Contains(t, b.run("", "chain", "list").out, "dev  test  watched  nothing read yet")
	b.exec(`INSERT INTO cursors (chain, block_number, block_hash, block_time, head_number)
		VALUES ('dev', 90, decode(repeat('aa', 32), 'hex'), now(), 100)`)
	b.exec(`UPDATE chains SET halted_at = now(), halted_reason = 'reorg_below_horizon'`)

	require.Zero(t, b.run("", "chain", "pause", "dev").code)
	require.Contains(t, b.run("", "chain", "list").out, "dev  test  paused, halted: reorg_below_horizon  block 90, 10 behind")
	require.Zero(t, b.run("", "chain", "unpause", "dev").code)
	require.Zero(t, b.run("", "chain", "untrace", "dev").code)
	require.Zero(t, b.run("", "chain", "trace", "dev").code)
	require.Zero(t, b.run("", "chain", "resume", "dev", "--reason", "looked at it").code)
	require.Contains(t, b.run("", "chain", "list").out, "dev  test  watched  block 90, 10 behind")
	b.exec(`INSERT INTO coverage (chain, method, blocks) VALUES ('dev', 'traces', '{[0,50),[60,91)}')`)
	require.Contains(t, b.run("", "chain", "list").out, "block 90, 10 behind  10 blocks not traced, 0 of them given up")
	require.Equal(t, 5, b.count(`SELECT count(*)::int FROM audit WHERE subject = 'dev' AND actor <> ''`))

	for range 2 {
		require.Zero(t, b.run("", "chain", "any-token", "dev", "off", "--reason", "too many").code)
		require.Equal(t, 1, b.count(`SELECT count(*)::int FROM chains WHERE NOT any_token`))
	}
	require.Contains(t, b.run("", "chain", "list").out, "enabled tokens only")
	require.Zero(t, b.run("", "chain", "any-token", "dev", "on").code)
	require.NotContains(t, b.run("", "chain", "list").out, "enabled tokens only")
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM audit WHERE action = 'chain.any_token.off' AND reason = 'too many'`))
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM audit WHERE action = 'chain.any_token.on'`))
	require.Equal(t, 2, b.run("", "chain", "any-token", "dev", "maybe").code)
	require.Equal(t, 1, b.run("", "chain", "any-token", "nowhere", "off").code)

	require.NotContains(t, b.run("", "chain", "list").out, "quarantined")
	b.exec(`INSERT INTO quarantined_blocks (chain, number, hash, reason) VALUES ('dev', 77, decode(repeat('bb', 32), 'hex'), 'malformed')`)
	require.Contains(t, b.run("", "chain", "list").out, "1 block quarantined: 77")
	b.exec(`INSERT INTO quarantined_blocks (chain, number, hash, reason) VALUES ('dev', 76, decode(repeat('cc', 32), 'hex'), 'malformed'),
		('dev', 78, decode(repeat('dd', 32), 'hex'), 'malformed')`)
	b.exec(`INSERT INTO quarantined_blocks (chain, number, hash, reason, resolved_at) VALUES ('dev', 5, decode(repeat('ee', 32), 'hex'), 'malformed', now())`)
	require.Contains(t, b.run("", "chain", "list").out, "3 blocks quarantined, the lowest is 76")
	accept := []string{"chain", "accept-hole", "dev", "--actor", "kim", "--block"}
	require.NotZero(t, b.run("", append(accept, "76")...).code, "without a reason")
	require.NotZero(t, b.run("", append(accept, "5", "--reason", "x")...).code, "it was read")
	require.Contains(t, b.run("", append(accept, "76", "--reason", "an explorer shows it empty")...).out, "holds no order up any more")
	require.Contains(t, b.run("", "chain", "list").out, "3 blocks quarantined, the lowest is 76 (1 accepted)")
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM audit WHERE action = 'chain.accept_hole' AND actor = 'kim' AND reason = 'an explorer shows it empty'`))

	require.NotContains(t, b.run("", "chain", "list").out, "bloom")
	for range 2 {
		require.Zero(t, b.run("", "chain", "bloom", "dev", "off", "--reason", "they are wrong").code)
	}
	require.Contains(t, b.run("", "chain", "list").out, "bloom filters not looked at")
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM audit WHERE action = 'chain.bloom.off'`))
	require.Zero(t, b.run("", "chain", "bloom", "dev", "on").code)
	require.Equal(t, 1, b.run("", "chain", "bloom", "nowhere", "off").code)
	require.Equal(t, 1, b.run("", "chain", "resume", "nowhere").code)
}

// What is inside the operator's network is granted to one merchant in one mode, exactly as its URLs spell it.
func TestACallbackTargetIsAllowedAndDenied(t *testing.T) {
	b := setup(t)
	merchant := b.object("", "merchant", "create", "--name", "Shop")["merchant_id"]
	other := b.object("", "merchant", "create", "--name", "Another")["merchant_id"]
	create := func(merchant, mode string) int {
		return b.run("", "endpoint", "create", "--merchant", merchant, "--mode", mode, "--url", "http://10.0.0.5:9000/hooks").code
	}
	require.Equal(t, 1, create(merchant, "test"))
	grant := []string{"--merchant", merchant, "--mode", "test", "--reason", "beside us"}
	for _, target := range []string{"10.0.0.0/8", "10.0.0.5", "http://10.0.0.5:9000", "*:9000"} {
		require.Equal(t, 1, b.run("", append([]string{"endpoint", "allow", target}, grant...)...).code, target)
	}
	r := b.run("", append([]string{"endpoint", "allow", "10.0.0.5:9000"}, grant...)...)
	require.Zero(t, r.code, r.err)
	require.Zero(t, create(merchant, "test"))
	require.Equal(t, 1, create(merchant, "live"))
	require.Equal(t, 1, create(other, "test"))
	require.Contains(t, b.run("", "endpoint", "list", "--merchant", merchant).out, "allowed  test  10.0.0.5:9000")
	require.Zero(t, b.run("", append([]string{"endpoint", "deny", "10.0.0.5:9000"}, grant...)...).code)
	require.Equal(t, 1, b.run("", append([]string{"endpoint", "deny", "10.0.0.5:9000"}, grant...)...).code)
	require.NotContains(t, b.run("", "endpoint", "list", "--merchant", merchant).out, "allowed")
	require.Equal(t, 2, b.count(`SELECT count(*)::int FROM audit WHERE action IN ('endpoint.allow', 'endpoint.deny') AND reason = 'beside us'`))
}
