package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/catalog"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/payment"
)

const coinLog = "0x0000000000000000000000000000000000001010"

// network starts a node that answers as one of the catalogue's networks, with its tokens.
func (b *bench) network(name string) *chaintest.Fake {
	b.Helper()
	n, ok := catalog.Find(name)
	require.True(b, ok)
	node := chaintest.NewFake(b.T, nil)
	node.SetChainID(n.ChainID)
	node.MineBlocks(3)
	for _, token := range n.Tokens {
		b.token(node, token.Contract, token.Decimals)
	}
	return node
}

// token puts a token at a node.
func (b *bench) token(node *chaintest.Fake, contract string, decimals uint8) {
	b.Helper()
	address, err := payment.ParseAddress(payment.FamilyEVM, contract)
	require.NoError(b, err)
	node.SetToken(address, chaintest.FakeToken{Code: []byte(contract), Decimals: append(make([]byte, 31), decimals)})
}

// elsewhere is a node's URL under another name.
func elsewhere(node *chaintest.Fake) string {
	return strings.Replace(node.URL(), "127.0.0.1", "localhost", 1)
}

func TestANetworkOfTheCatalogNeedsOnlyItsNodes(t *testing.T) {
	b := setup(t)
	node := b.network("polygon")
	args := []string{"chain", "enable", "polygon", "--rpc", node.URL(), "--rpc", elsewhere(node)}
	for range 2 { // again changes nothing
		r := b.run("", args...)
		require.Zero(t, r.code, r.err)
		require.Contains(t, r.out, "live mode, chain id 137, 100 confirmations and finalized")
		require.Contains(t, r.out, "2 nodes of 2 operators (127.0.0.1, localhost)")
		require.Equal(t, 1, b.count(`SELECT count(*)::int FROM chains WHERE name = 'polygon' AND chain_id = 137 AND confirmations = 100
			AND finality_tag = 'finalized' AND block_time_ms = 2000 AND horizon = 512 AND max_lag_seconds = 300 AND display_name = 'Polygon'
			AND genesis_hash IS NOT NULL`))
		require.Equal(t, 1, b.count(`SELECT count(*)::int FROM assets WHERE chain = 'polygon' AND contract IS NULL AND code = 'POL' AND decimals = 18`))
		require.Equal(t, 2, b.count(`SELECT count(*)::int FROM assets WHERE chain = 'polygon' AND code IN ('USDT', 'USDC') AND decimals = 6
			AND code_hash IS NOT NULL`))
		require.Equal(t, 2, b.count(`SELECT count(DISTINCT operator)::int FROM rpc_endpoints WHERE operator IN ('127.0.0.1', 'localhost')`))
	}
}

func TestTheNodesHaveTheLastWord(t *testing.T) {
	b := setup(t)
	node := b.network("bsc")
	r := b.run("", "chain", "enable", "polygon", "--rpc", node.URL())
	require.Equal(t, 1, r.code)
	require.Contains(t, r.err, "--rpc number 1 is on chain id 56, not 137")
	require.Zero(t, b.count(`SELECT count(*)::int FROM chains`))

	// The contract has as many decimals as on other networks.
	usdc, usdt := "0x8AC76a51cc950d9822D68b83fE1Ad97B32Cd580d", "0x55d398326f99059fF775485246999027B3197955"
	b.token(node, usdc, 6)
	r = b.run("", "chain", "enable", "bsc", "--rpc", node.URL())
	require.Equal(t, 3, r.code)
	require.Contains(t, r.err, "USDC on bsc is not enabled: "+usdc+": the contract has 6 decimals, not 18")
	require.Contains(t, r.err, "bsc is enabled, and without USDC")
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM chains WHERE enabled`))
	require.Equal(t, 0, b.count(`SELECT count(*)::int FROM assets WHERE code = 'USDC'`))
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM assets WHERE code = 'USDT' AND decimals = 18`))

	b.token(node, usdc, 18)
	r = b.run("", "chain", "enable", "bsc", "--rpc", node.URL())
	require.Zero(t, r.code, r.err)
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM assets WHERE code = 'USDC' AND decimals = 18`))
	require.Equal(t, 2, b.run("", "token", "add", "--chain", "bsc", "--code", "USDX").code)
	require.Equal(t, 1, b.run("", "token", "add", "--chain", "bsc", "--code", "USDT", "--contract", usdt, "--decimals", "6").code)
}

// Two nodes that run different code at a token's address are not both of that network.
func TestNodesMustAgreeAboutATokensCode(t *testing.T) {
	b := setup(t)
	node, other := b.network("base"), b.network("base")
	address, err := payment.ParseAddress(payment.FamilyEVM, "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913")
	require.NoError(t, err)
	other.SetToken(address, chaintest.FakeToken{Code: []byte("of its own"), Decimals: append(make([]byte, 31), 6)})
	r := b.run("", "chain", "enable", "base", "--rpc", node.URL(), "--rpc", other.URL())
	require.Equal(t, 3, r.code)
	require.Contains(t, r.err, "--rpc number 2: the contract has other code than at another node")
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM assets WHERE contract IS NOT NULL`))
}

func TestFlagsOverrideTheCatalog(t *testing.T) {
	b := setup(t)
	node := b.network("polygon")
	r := b.run("", "chain", "enable", "matic", "--chain-id", "137", "--rpc", node.URL(), "--operator", "acme", "--confirmations", "200",
		"--finality-tag", "", "--block-time", "3s", "--native-symbol", "MATIC", "--max-lag", "1m", "--no-tokens")
	require.Zero(t, r.code, r.err)
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM chains WHERE name = 'matic' AND confirmations = 200 AND finality_tag IS NULL
		AND block_time_ms = 3000 AND max_lag_seconds = 60 AND horizon = 512`))
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM assets`))
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM assets WHERE code = 'MATIC'`))

	// Its tokens are known under whatever name the chain has.
	r = b.run("", "token", "add", "--chain", "matic", "--code", "USDT")
	require.Zero(t, r.code, r.err)
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM assets WHERE code = 'USDT' AND decimals = 6`))

	// What was set is kept when nothing is given.
	r = b.run("", "chain", "enable", "matic", "--rpc", node.URL(), "--operator", "acme")
	require.Zero(t, r.code, r.err)
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM chains WHERE confirmations = 200 AND finality_tag IS NULL`))
	require.Equal(t, 3, b.count(`SELECT count(*)::int FROM assets WHERE code IN ('MATIC', 'USDT', 'USDC')`))
}

// Less than about a cent is dust where nobody says otherwise, and what somebody says stays.
func TestTheCatalogSaysWhatIsDust(t *testing.T) {
	b := setup(t)
	node := b.network("polygon")
	require.Zero(t, b.run("", "chain", "enable", "polygon", "--rpc", node.URL()).code)
	dust := func(code string) int {
		return b.count(`SELECT COALESCE(max(dust_below::text::numeric / power(10::numeric, decimals) * 1000), -1)::int FROM assets WHERE code = '` + code + `'`)
	}
	require.Equal(t, map[string]int{"POL": 50, "USDC": 10, "USDT": 10}, map[string]int{"POL": dust("POL"), "USDC": dust("USDC"), "USDT": dust("USDT")})
	require.Zero(t, b.run("", "chain", "enable", "polygon", "--rpc", node.URL(), "--dust-below", "1").code)
	require.Zero(t, b.run("", "token", "add", "--chain", "polygon", "--code", "USDC", "--dust-below", "0.5").code)
	require.Zero(t, b.run("", "chain", "enable", "polygon", "--rpc", node.URL()).code)
	require.Zero(t, b.run("", "token", "add", "--chain", "polygon", "--code", "USDC").code)
	require.Equal(t, map[string]int{"POL": 1000, "USDC": 500}, map[string]int{"POL": dust("POL"), "USDC": dust("USDC")})
}

func TestANetworkOutsideTheCatalogMustBeDescribed(t *testing.T) {
	b := setup(t)
	node := chaintest.NewFake(t, nil)
	r := b.run("", "chain", "enable", "dev", "--rpc", node.URL())
	require.Equal(t, 2, r.code)
	require.Contains(t, r.err, "not in the catalogue")
	require.Zero(t, b.count(`SELECT count(*)::int FROM chains`))
}

func TestATokenOutsideTheCatalogNeedsTheOperatorsWord(t *testing.T) {
	b := setup(t)
	node := b.network("polygon")
	require.Zero(t, b.run("", "chain", "enable", "polygon", "--rpc", node.URL()).code)
	token := []string{"token", "add", "--chain", "polygon", "--code", "COIN", "--contract", node.Token().Text(), "--decimals", "6"}
	r := b.run("", token...)
	require.Equal(t, 2, r.code)
	require.Contains(t, r.err, "takes a fee")
	require.Zero(t, b.count(`SELECT count(*)::int FROM assets WHERE code = 'COIN'`))

	r = b.run("", append(token, "--outside-catalog", "its source was read")...)
	require.Zero(t, r.code, r.err)
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM audit WHERE action = 'token.add' AND reason = 'outside the catalogue: its source was read'`))
	r = b.run("", append(token, "--dust-below", "0.1")...)
	require.Zero(t, r.code, "the word was given: %s", r.err)
}

// Each of its Transfers is a move of the native coin, which counts already.
func TestTheCoinsOwnLogIsNeverAToken(t *testing.T) {
	b := setup(t)
	node := b.network("polygon")
	b.token(node, coinLog, 18)
	require.Zero(t, b.run("", "chain", "enable", "polygon", "--rpc", node.URL()).code)
	r := b.run("", "token", "add", "--chain", "polygon", "--code", "WPOL", "--contract", coinLog, "--decimals", "18", "--outside-catalog", "sure")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.err, "would count twice")
	_, err := b.pg.Owner.Exec(t.Context(), `INSERT INTO assets (id, chain, contract, code, decimals)
		VALUES ('polygon/`+coinLog+`', 'polygon', decode('0000000000000000000000000000000000001010', 'hex'), 'WPOL', 18)`)
	require.ErrorContains(t, err, "assets_contract_not_coin_log", "not by any other way either")
}

func TestTheCatalogIsListed(t *testing.T) {
	t.Parallel()
	r := runCLI("", "chain", "catalog")
	require.Zero(t, r.code, r.err)
	for _, n := range catalog.Networks() {
		require.Contains(t, r.out, n.Name)
	}
	require.Contains(t, r.out, "100 confirmations and finalized")
	require.Contains(t, r.out, "USDT (18)")
}

func TestOperatorsAreDomains(t *testing.T) {
	t.Parallel()
	for url, operator := range map[string]string{
		"https://polygon-mainnet.infura.io/v3/0123456789abcdef":         "infura.io",
		"wss://Eth-Mainnet.G.Alchemy.com/v2/key":                        "alchemy.com",
		"https://restless-key-123.matic.quiknode.pro/0123456789abcdef/": "quiknode.pro",
		"https://user:secret@rpc.example.co.uk:8545/?apikey=secret":     "example.co.uk",
		"https://ec2-1-2-3-4.eu-west-1.compute.amazonaws.com/key":       "amazonaws.com",
		"http://127.0.0.1:8545":                                         "127.0.0.1",
		"http://[::1]:8545":                                             "::1",
		"http://node:8545":                                              "node",
		"http://localhost":                                              "localhost",
		"http://geth.internal.:8545":                                    "geth.internal",
		"://":                                                           "unknown",
		"https://" + strings.Repeat("a", 60) + ".a-key.example":         "a-key.example",
		"https://x." + strings.Repeat("a", 60) + ".example":             strings.Repeat("a", 56) + ".example",
	} {
		require.Equal(t, operator, operatorOf(url), url)
	}
}

func TestSeveralOperatorsHaveToAgree(t *testing.T) {
	b := setup(t)
	demands := func(chain string) int {
		return b.count(`SELECT count(*)::int FROM evidence_tiers WHERE evidence = 'agreed' AND from_amount = 0 AND asset_id IS NULL AND chain = '` + chain + `'`)
	}
	one, other := b.network("ethereum"), b.network("ethereum")
	enable := []string{"chain", "enable", "ethereum", "--rpc", one.URL(), "--operator", "one", "--rpc", other.URL(), "--operator", "other"}
	r := b.run("", enable...)
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.out, "two operators agree")
	require.Equal(t, 1, demands("ethereum"))

	// What the operator took away stays away, and he is told whenever he may have thought otherwise.
	require.Equal(t, 1, b.run("", "chain", "evidence", "remove", "ethereum", "--from", "0").code, "asking for less needs a reason")
	require.Equal(t, 1, demands("ethereum"))
	require.Zero(t, b.run("", "chain", "evidence", "remove", "ethereum", "--from", "0", "--reason", "other is moving", "--actor", "ann").code)
	r = b.run("", enable...)
	require.Zero(t, r.code)
	require.Zero(t, demands("ethereum"))
	want := `one operator's word is enough for a payment, up to the limits; nodes of 2 operators (one, other); so decided by "ann" because "other is moving"`
	require.Contains(t, r.err, want)
	require.Contains(t, b.run("", "chain", "list").out, want)
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM audit WHERE action = 'chain.evidence.remove' AND reason = 'other is moving' AND actor = 'ann'`))

	// Until he asks for as much as there is.
	require.Zero(t, b.run("", "chain", "evidence", "set", "ethereum", "agreed", "--from", "0").code)
	require.Empty(t, b.run("", enable...).err)
	require.Equal(t, 1, demands("ethereum"))
}

// Evidence does not depend on the order of set-up: whoever has a second operator has two that agree, known network or not.
func TestASecondOperatorRaisesWhatIsAskedFor(t *testing.T) {
	b := setup(t)
	demand := func(chain string) string {
		for line := range strings.Lines(b.run("", "chain", "list").out) {
			if strings.HasPrefix(line, "  ") {
				return strings.TrimSpace(line)
			}
		}
		return "nothing is said of " + chain
	}
	one, other := b.network("base"), b.network("base")
	r := b.run("", "chain", "enable", "base", "--rpc", one.URL(), "--operator", "one")
	require.Zero(t, r.code, r.err)
	require.Equal(t, "one operator's word is enough for a payment, up to the limits; nodes of one operator (one)", demand("base"))
	require.Contains(t, r.out, demand("base"))
	require.Zero(t, b.run("", "chain", "evidence", "set", "base", "proven", "--from", "100000").code)
	require.Zero(t, b.run("", "chain", "enable", "base", "--rpc", elsewhere(one), "--operator", "one").code, "another endpoint, the same operator")
	require.Zero(t, b.count(`SELECT count(*)::int FROM evidence_tiers WHERE evidence = 'agreed'`))

	r = b.run("", "chain", "enable", "base", "--rpc", other.URL(), "--operator", "other")
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.out, "two operators agree")
	require.Equal(t, "a payment needs agreed; nodes of 2 operators (one, other)", demand("base"))
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM audit WHERE action = 'chain.evidence.set' AND detail->>'evidence' = 'agreed'`))
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM evidence_tiers WHERE evidence = 'proven' AND from_amount = 100000`), "what was set by hand stays")

	// Fewer operators ask for nothing less.
	b.exec(`UPDATE rpc_endpoints SET enabled = false WHERE operator = 'other'`)
	require.Zero(t, b.run("", "chain", "enable", "base", "--rpc", one.URL(), "--operator", "one").code)
	require.Equal(t, "a payment needs agreed; nodes of one operator (one); nothing counts beyond the limit until there is a second one", demand("base"))
}

func TestLargeAmountsWaitLonger(t *testing.T) {
	b := setup(t)
	node := b.network("ethereum")
	enable := []string{"chain", "enable", "ethereum", "--rpc", node.URL()}
	tiers := func() int {
		return b.count(`SELECT count(*)::int FROM confirmation_tiers WHERE confirmations = 12 AND finality_tag = 'finalized'`)
	}
	r := b.run("", enable...)
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.out, "USDC from 10000 on: 12 confirmations and finalized")
	require.Equal(t, 3, tiers())
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM confirmation_tiers WHERE asset_id = 'ethereum/native' AND from_amount = 4000000000000000000`))
	require.Equal(t, 2, b.count(`SELECT count(*)::int FROM confirmation_tiers WHERE from_amount = 10000000000`))

	// What the operator took away stays away.
	require.Zero(t, b.run("", "chain", "tier", "remove", "ethereum", "--asset", "USDC", "--from", "10000").code)
	require.Zero(t, b.run("", enable...).code)
	require.Equal(t, 2, tiers())
}

// noTag makes a node answer about a tag with a failure, or that there is no such block.
func noTag(node *chaintest.Fake, tag string, failure *chaintest.RPCError) {
	node.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if a.Method == "eth_getBlockByNumber" && string(a.Params[0]) == `"`+tag+`"` {
			a.Result, a.Error = nil, failure
		}
	}})
}

// What could not be done the first time is done by the same command, and what somebody decided since is left alone.
func TestTheSameCommandCompletesWhatIsMissing(t *testing.T) {
	busy := &chaintest.RPCError{Code: -32603, Message: "internal error"}
	for _, tc := range []struct {
		name               string
		decide             func(b *bench)
		native, usdc, usdt int // confirmations from large amounts on, 0: no tier
	}{
		{name: "nobody did anything", native: 12, usdc: 12, usdt: 12},
		{name: "a tier was set by hand", native: 12, usdc: 99, usdt: 12, decide: func(b *bench) {
			require.Zero(b, b.run("", "chain", "tier", "set", "ethereum", "--asset", "USDC", "--from", "5", "--confirmations", "99").code)
		}},
		{name: "and removed", native: 12, usdt: 12, decide: func(b *bench) {
			require.Zero(b, b.run("", "chain", "tier", "set", "ethereum", "--asset", "USDC", "--from", "5", "--confirmations", "99").code)
			require.Zero(b, b.run("", "chain", "tier", "remove", "ethereum", "--asset", "USDC", "--from", "5").code)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := setup(t)
			node := b.network("ethereum")
			enable := []string{"chain", "enable", "ethereum", "--rpc", node.URL()}
			noTag(node, "finalized", busy)
			r := b.run("", enable...)
			require.Equal(t, 3, r.code, r.err)
			require.Contains(t, r.err, "without tiers for large amounts of USDC and tiers for large amounts of USDT and tiers for large amounts of ETH")
			require.Contains(t, r.err, "run the same command again")
			require.NotContains(t, r.err, node.URL())
			require.Equal(t, 2, b.count(`SELECT count(*)::int FROM assets WHERE contract IS NOT NULL`), "the tokens are there all the same")
			require.Zero(t, b.count(`SELECT count(*)::int FROM confirmation_tiers`))
			if tc.decide != nil {
				tc.decide(b)
			}
			require.Equal(t, 3, b.run("", enable...).code, "the reason is still there")

			node.SetFaults(chaintest.Faults{})
			for range 2 {
				r = b.run("", enable...)
				require.Zero(t, r.code, r.err)
				for code, want := range map[string]int{"ETH": tc.native, "USDC": tc.usdc, "USDT": tc.usdt} {
					require.Equal(t, want, b.count(`SELECT COALESCE(max(confirmations), 0)::int FROM confirmation_tiers t
					JOIN assets a ON a.id = t.asset_id WHERE a.code = '`+code+`'`), code)
				}
				require.NotContains(t, b.run("", enable...).out, "finalized", "nothing is left to do")
			}
		})
	}
}

// A tag that no node has is no transient failure: nothing waits for it, now or later.
func TestATierWhoseTagNobodyKnowsIsLeftOut(t *testing.T) {
	b := setup(t)
	node, busy := b.network("ethereum"), b.network("ethereum")
	noTag(node, "finalized", nil)
	noTag(busy, "finalized", &chaintest.RPCError{Code: -32603, Message: "internal error"})
	enable := []string{"chain", "enable", "ethereum", "--rpc", node.URL(), "--rpc", elsewhere(busy)}
	r := b.run("", enable...)
	require.Equal(t, 3, r.code, "one of them may know it")
	noTag(busy, "finalized", nil)
	r = b.run("", enable...)
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.err, "USDC from 10000 on waits no longer than other amounts")
	require.Zero(t, b.count(`SELECT count(*)::int FROM confirmation_tiers`))
	require.NotContains(t, b.run("", enable...).err, "waits no longer", "that was decided")
}
