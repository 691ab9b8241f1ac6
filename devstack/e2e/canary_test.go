package e2e_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/devstack/loopback"
	"github.com/sluicepay/sluice/devstack/stack"
	"github.com/sluicepay/sluice/internal/pgcluster"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// newCanary has 130 random bits, in letters and digits that need no escaping anywhere.
func newCanary() string { return rand.Text() }

// canaries is a run in which everything that can fail does, with all its secrets known.
type canaries struct {
	*world
	*evidence

	node                         *keyedNode
	shop                         *shop
	away                         string // a callback URL where connections end without an answer
	metrics                      string // the API's
	merchant                     string
	key, revoked                 string
	hookSecret, shopSecret       string // of the endpoint, and of callback URLs that orders name
	mnemonic, xpub, master       string
	requestID, reason, reference string // what must be found
}

// TestCanariesDoNotSing looks for every secret in all that a run with failures lets people and programs read: logs, histories,
// heartbeats, answers, metrics, events, attempts.
func TestCanariesDoNotSing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a minute")
	}
	t.Parallel()
	c := newCanaries(t)
	stop := c.watch(t, c.world)
	paid := c.ordersFail(t)
	c.nodeFails(t)
	c.partsFail(t)
	c.updatesFail(t)
	c.requestsFail(t)
	c.commandsFail(t)
	c.databaseRefuses(t)
	c.requireUsed(t, paid)
	stop()
	c.collect(t, c.world, c.metrics)

	for what, how := range c.leaks {
		t.Errorf("%s, %s", what, how)
	}
	for _, wanted := range []string{
		"file api.log request id", "file worker.log order", "file worker.log a failing node", "file postgres.log a running server",
		"file temporal.db order", "file temporal.db reason",
		"histories order", "histories reason", "histories refusal", "lists of workflows order",
		"descriptions of workflows order", "descriptions of workflows heartbeat", "descriptions of workflows a failing node",
		"answers to queries state", "answers to queries details",
		"answers of the API request id", "answers of the API problem", "answers of the API reference",
		"metrics of the worker worker", "metrics of the API api",
		"bodies of events reference", "table events reference", "table callback_attempts remark", "table audit reason",
		"refusals of updates refusal", "refusals of updates illegal move", "words of commands command",
	} {
		if !c.markers[wanted] {
			t.Errorf("nothing found of what must be there, so nothing was looked at: %s", wanted)
		}
	}
	t.Logf("found: %s", strings.Join(slices.Sorted(maps.Keys(c.markers)), ", "))
	t.Logf("bytes looked at: %v", c.bytes)
}

func newCanaries(t *testing.T) *canaries {
	t.Helper()
	c := &canaries{node: newKeyedNode(t), requestID: newCanary(), reason: newCanary(), reference: newCanary()}
	ports, err := loopback.FreePorts(1)
	require.NoError(t, err)
	c.metrics = "http://" + loopback.Addr(ports[0]) + "/metrics"
	c.world = private(t, options{
		blockTime: -1,
		env:       []string{"SLUICE_LOG_LEVEL=DEBUG", "SLUICE_OPEN_TIMEOUT=" + patience.String(), "SLUICE_API_METRICS_LISTEN=" + loopback.Addr(ports[0])},
		endpoints: func(chain, rpc, ws string) []stack.Endpoint {
			if chain != dev {
				return nil
			}
			c.node.stand(rpc, rpc)
			return []stack.Endpoint{{RPC: c.node.rpc, WS: ws, Operator: "local"}}
		},
	})
	c.node.stand(c.Dev.Node.HTTPURL(), c.Dev.Node.WSURL())
	c.enableChain(t)
	require.NoError(t, c.Worker.Stop())
	require.NoError(t, c.Worker.Start(t.Context()))
	c.shop = newShop(t, <-c.receivers)
	closed := <-c.receivers
	c.away = "http://" + closed.Addr().String() + shopAway + "?token=" + c.shop.tokens[shopAway]
	hangUp(t, closed)
	c.makeMerchant(t)
	c.evidence = newEvidence(c.makeFinder(t))
	return c
}

// hangUp ends every connection without an answer. A listener that is closed would leave its port to another test.
func hangUp(t *testing.T, listener net.Listener) {
	t.Helper()
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
}

// enableChain gives the chain's WebSocket URL keys too.
func (c *canaries) enableChain(t *testing.T) {
	t.Helper()
	_, err := c.enable(t)
	require.NoError(t, err)
}

// enable gives the chain its URLs, which hold keys, as the documents say: not on the command line.
func (c *canaries) enable(t *testing.T) ([]byte, error) {
	t.Helper()
	flags := c.chainFlags("", "")
	return c.Sluice(t.Context(), strings.NewReader(c.node.rpc+" "+c.node.ws+" operator=local"), append(flags[:len(flags)-6], "--rpc-file", "-")...)
}

func (c *canaries) chainFlags(rpc, ws string) []string {
	return []string{
		"chain", "enable", dev, "--chain-id", fmt.Sprint(stack.ChainID), "--native-symbol", native, "--block-time", "1s",
		"--confirmations", fmt.Sprint(confirmations), "--operator", "local", "--rpc", rpc, "--ws", ws,
	}
}

func (c *canaries) makeMerchant(t *testing.T) {
	t.Helper()
	var merchant struct {
		ID     string `json:"merchant_id"`
		Secret string `json:"test_callback_secret"`
	}
	c.sluice(t, &merchant, "merchant", "create", "--name", t.Name())
	c.merchant, c.shopSecret = merchant.ID, merchant.Secret
	var key, other struct {
		ID  string `json:"key_id"`
		Key string
	}
	c.sluice(t, &key, "key", "create", "--merchant", c.merchant, "--mode", "test")
	c.sluice(t, &other, "key", "create", "--merchant", c.merchant, "--mode", "test")
	_, err := c.Sluice(t.Context(), nil, "key", "revoke", other.ID)
	require.NoError(t, err)
	c.key, c.revoked = key.Key, other.Key
	c.allow(t, c.merchant, c.shop.url)
	c.allow(t, c.merchant, c.away)
	var hook struct{ Secret string }
	c.sluice(t, &hook, "endpoint", "create", "--merchant", c.merchant, "--mode", "test", "--url", c.shop.hook(shopHooks))
	c.hookSecret = hook.Secret
	c.shop.trust(t, "the endpoint's secret", c.hookSecret)
	c.shop.trust(t, "the merchant's secret", c.shopSecret)
}

// makeFinder knows all secrets of the run, as text and as the bytes that the text stands for.
func (c *canaries) makeFinder(t *testing.T) *finder {
	t.Helper()
	var kept struct {
		MasterKeys string `json:"master_keys"`
		Mnemonic   string `json:"mnemonic"`
	}
	raw, err := os.ReadFile(filepath.Join(c.Dir(), "secrets.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &kept))
	c.mnemonic = kept.Mnemonic
	_, c.master, _ = strings.Cut(kept.MasterKeys, ":")
	c.xpub = c.list(t, `SELECT xpub FROM xpubs`)[0]
	f := newFinder()
	text := func(name, secret string) { f.add(name, []byte(secret), pieceLength) }
	text("the RPC URL's password", c.node.password)
	text("the RPC key in a path", c.node.path)
	text("the RPC key in a query", c.node.query)
	text("the WebSocket key in a path", c.node.wsPath)
	text("the WebSocket key in a query", c.node.wsQuery)
	for name, key := range map[string]string{"the API key": c.key, "the revoked API key": c.revoked} {
		random := strings.TrimPrefix(key, "sk_test_")
		text(name, random)
		f.add(name, decoded(t, base64.RawURLEncoding, random), pieceLength)
	}
	for name, secret := range map[string]string{"the endpoint's webhook secret": c.hookSecret, "the merchant's webhook secret": c.shopSecret} {
		random := strings.TrimPrefix(secret, "whsec_")
		text(name, random)
		f.add(name, decoded(t, base64.StdEncoding, random), pieceLength)
	}
	text("the master key", c.master)
	f.add("the master key", decoded(t, base64.StdEncoding, c.master), pieceLength)
	text("the xpub", c.xpub[len("xpub"):])
	key := base58Bytes(t, c.xpub)
	require.Len(t, key, 82)
	f.add("the xpub", key[13:78], pieceLength)    // chain code and key
	f.add("the mnemonic", []byte(c.mnemonic), 32) // some four words: fewer may follow each other in any text
	for _, role := range []string{pgcluster.AppRole, pgcluster.OwnerRole, pgcluster.Superuser} {
		text("the database password of "+role, c.password(t, role))
	}
	for path, token := range c.shop.tokens {
		text("a token of the shop: "+path, token)
	}
	for name, must := range map[string]string{
		"request id": c.requestID, "reason": c.reason, "reference": c.reference, "remark": c.shop.remark, "order": `order/ord_`,
		"heartbeat": `"failures":`, "a failing node": "the node could not answer", "a running server": "ready to accept connections",
		"problem": "application/problem+json", "illegal move": "this move is not legal now", "refusal": "no such callback", "details": "currentDetails",
		"state":  "awaiting_payment",
		"worker": "sluice_relay_wakeups_total", "api": "sluice_api_problems_total", "command": "does not answer",
	} {
		f.mark(name, must)
	}
	return f
}

func decoded(t *testing.T, encoding *base64.Encoding, text string) []byte {
	t.Helper()
	raw, err := encoding.DecodeString(text)
	require.NoError(t, err)
	return raw
}

func (c *canaries) password(t *testing.T, role string) string {
	t.Helper()
	parsed, err := url.Parse(c.Postgres.URL(role, ""))
	require.NoError(t, err)
	password, ok := parsed.User.Password()
	require.True(t, ok)
	return password
}

// send sends a request to the API and looks at all of the answer.
func (c *canaries) send(t *testing.T, method, path, body string, header http.Header) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, c.APIURL()+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header = http.Header{
		"Authorization": {"Bearer " + c.key}, "Content-Type": {"application/json"}, "Idempotency-Key": {newKey(t)}, "X-Request-Id": {c.requestID},
	}
	maps.Copy(r.Header, header)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	var shown bytes.Buffer
	require.NoError(t, response.Header.Write(&shown))
	c.add("answers of the API", response.Status+"\n"+shown.String()+string(raw))
	return answer{status: response.StatusCode, header: response.Header, body: raw}
}

// creation is the body of a request for an order of 25 USDC, with more fields.
func (c *canaries) creation(more ...string) string {
	fields := append([]string{`"chain":"dev"`, `"asset":"USDC"`, `"amount":"25"`, `"reference":"` + c.reference + `"`}, more...)
	return "{" + strings.Join(fields, ",") + "}"
}

func (c *canaries) order(t *testing.T, callbackURL string) order {
	t.Helper()
	var o order
	c.send(t, http.MethodPost, "/v1/orders", c.creation(`"callback_url":"`+callbackURL+`"`), nil).into(t, http.StatusCreated, &o)
	return o
}

func (c *canaries) awaitOrder(t *testing.T, id, state string) {
	t.Helper()
	c.awaitRow(t, id+" is "+state, `SELECT state = $2 FROM orders WHERE id = $1`, id, state)
}

// requireUsed proves that the secrets that were looked for are those that were used.
func (c *canaries) requireUsed(t *testing.T, paid order) {
	t.Helper()
	for _, what := range []string{nodeSawRPCKeys, nodeSawWSKeys} {
		require.Positive(t, c.node.count(what), what)
	}
	for _, mode := range []string{nodeBreaks, nodeObjects, nodeGarbles, nodeLimits, nodeRedirects, nodeHangsUp, nodeTakesLong} {
		require.Positive(t, c.node.count(mode), mode)
	}
	for _, what := range []string{shopHooks, shopTakes, shopBreaks, shopMoved, "the endpoint's secret", "the merchant's secret"} {
		require.Positive(t, c.shop.count(what), what)
	}
	require.Zero(t, c.shop.count(shopLanded), "redirects are not followed")
	wallets := c.list(t, `SELECT x.xpub FROM addresses a JOIN xpubs x ON x.id = a.xpub_id WHERE a.order_id = $1`, paid.ID)
	require.Equal(t, []string{c.xpub}, wallets)
	require.Contains(t, strings.Join(c.Env(), "\n"), c.master)
	require.Contains(t, strings.Join(c.Env(), "\n"), c.password(t, pgcluster.AppRole))
}

// orderRun is the workflow of an order.
func orderRun(o order) string { return process.OrderWorkflowID(payment.OrderID(o.ID)) }
