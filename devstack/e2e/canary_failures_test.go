package e2e_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/devstack/stack"
	"github.com/sluicepay/sluice/internal/pgcluster"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// ordersFail places an order that goes well and some whose callbacks do not, until those are parked. It returns the first.
func (c *canaries) ordersFail(t *testing.T) order {
	t.Helper()
	takes, breaks, moved := c.order(t, c.shop.hook(shopTakes)), c.order(t, c.shop.hook(shopBreaks)), c.order(t, c.shop.hook(shopMoved))
	away := c.order(t, c.away)
	for _, o := range []order{takes, breaks} {
		c.pay(t, o, "25")
	}
	c.mine(t, confirmations)
	c.awaitOrder(t, takes.ID, "paid")
	c.awaitOrder(t, breaks.ID, "paid")
	c.send(t, http.MethodPost, "/v1/orders/"+moved.ID+"/cancel", "", nil).into(t, http.StatusOK, &moved)
	for _, o := range []order{breaks, moved} {
		c.awaitRow(t, "callbacks of "+o.ID+" are parked",
			`SELECT count(*) FILTER (WHERE status = 'parked') > 1 AND count(*) FILTER (WHERE status = 'pending') = 0 FROM callbacks WHERE order_id = $1`, o.ID)
	}
	c.awaitQuery(t, process.CallbackWorkflowID(process.Stream(breaks.ID)), func(s process.WorkflowState) bool { return s.Status == "parked" })
	c.awaitRow(t, "nobody answers for "+away.ID, `SELECT count(*) > 1 FROM callback_attempts a JOIN callbacks b ON b.id = a.callback_id
		WHERE b.order_id = $1 AND a.outcome = 'connection_error'`, away.ID)
	for _, path := range []string{"", "/payments"} {
		require.Equal(t, http.StatusOK, c.send(t, http.MethodGet, "/v1/orders/"+takes.ID+path, "", nil).status)
	}
	for _, path := range []string{"/v1/orders", "/v1/balances", "/healthz", "/readyz"} {
		require.Equal(t, http.StatusOK, c.send(t, http.MethodGet, path, "", nil).status)
	}
	return takes
}

// nodeFails lets the node fail in every way, each time while a payment is being confirmed. The worker is killed meanwhile.
func (c *canaries) nodeFails(t *testing.T) {
	t.Helper()
	var o order
	for _, failing := range []struct{ mode, reason string }{
		{nodeRefuses, "unavailable"}, {nodeBreaks, "unavailable"}, {nodeObjects, "unavailable"}, {nodeGarbles, "malformed"},
		{nodeLimits, "rate_limited"}, {nodeRedirects, "unavailable"}, {nodeHangsUp, "unavailable"}, {nodeTakesLong, "timeout"},
	} {
		o = c.order(t, c.shop.hook(shopTakes))
		c.pay(t, o, "25")
		c.mine(t, 1)
		c.awaitOrder(t, o.ID, "confirming")
		c.node.set(failing.mode)
		if failing.mode == nodeBreaks {
			c.Worker.Kill()
			require.NoError(t, c.Worker.Start(t.Context()))
		}
		c.awaitDescribed(t, orderRun(o), "chain_"+failing.reason)
		if failing.mode == nodeRefuses { // heartbeats are not sent often
			c.awaitDescribed(t, process.WatcherWorkflowID(dev), failing.reason)
		}
		if failing.mode != nodeTakesLong { // it would take as long here
			_, err := c.enable(t)
			require.ErrorContains(t, err, "does not answer")
			c.add("words of commands", err.Error())
		}
		c.node.set(nodeWell)
	}
	c.mine(t, confirmations)
	c.awaitOrder(t, o.ID, "paid")
}

// partsFail takes away PostgreSQL and Temporal while orders are under way and placed.
func (c *canaries) partsFail(t *testing.T) {
	t.Helper()
	o := c.order(t, c.shop.hook(shopTakes))
	c.pay(t, o, "25")
	c.mine(t, 1)
	c.awaitOrder(t, o.ID, "confirming")
	stop := map[string]func() error{"PostgreSQL": c.StopPostgres, "Temporal": c.StopTemporal}
	for _, part := range []string{"PostgreSQL", "Temporal"} {
		require.NoError(t, stop[part]())
		key := http.Header{"Idempotency-Key": {newKey(t)}}
		again := func() int {
			return c.send(t, http.MethodPost, "/v1/orders", c.creation(`"callback_url":"`+c.shop.hook(shopTakes)+`"`), key).status
		}
		require.Equal(t, http.StatusServiceUnavailable, again())
		c.send(t, http.MethodPost, "/v1/orders/"+o.ID+"/cancel", "", nil)
		c.send(t, http.MethodGet, "/v1/orders", "", nil)
		c.send(t, http.MethodGet, "/readyz", "", nil)
		if part == "PostgreSQL" {
			c.awaitDescribed(t, process.WatcherWorkflowID(dev), "unavailable")
			c.commandFails(t, nil, "", "wallet", "list")
			require.NoError(t, c.StartPostgres(t.Context()))
		} else {
			require.NoError(t, c.StartTemporal(t.Context()))
		}
		c.await(t, part+" is back", func() (bool, any, <-chan struct{}) {
			status := again()
			return status == http.StatusCreated, status, nil
		})
	}
	c.mine(t, confirmations)
	c.awaitOrder(t, o.ID, "paid")
}

// updatesFail asks for what is and what is not possible, as support would.
func (c *canaries) updatesFail(t *testing.T) {
	t.Helper()
	o := c.order(t, c.shop.hook(shopBreaks))
	c.awaitRow(t, "a callback of "+o.ID+" is parked", `SELECT count(*) > 0 FROM callbacks WHERE order_id = $1 AND status = 'parked'`, o.ID)
	by := process.By{Actor: "support", Reason: "because of " + c.reason}
	accepted := []struct {
		name string
		arg  any
	}{
		{process.UpdateExtend, process.ExtendRequest{By: by, Seconds: 60}},
		{process.UpdateRedeliver, process.RedeliverRequest{By: by}},
		{process.UpdateRescan, process.RescanRequest{By: by}},
	}
	for _, u := range accepted {
		_, err := c.update(t, orderRun(o), u.name, u.arg)
		require.NoError(t, err, u.name)
	}
	for _, u := range []struct {
		name string
		arg  any
	}{
		{process.UpdateResolve, process.ResolveRequest{By: by, Move: process.MoveRelease}},
		{process.UpdateExtend, process.ExtendRequest{By: by, Seconds: -1}},
		{process.UpdateExtend, process.ExtendRequest{Seconds: 60}},
		{process.UpdateRedeliver, process.RedeliverRequest{By: by, CallbackID: payment.NewCallbackID()}},
		{process.UpdateCancel, "no object"},
		{"no such update", by},
	} {
		_, err := c.update(t, orderRun(o), u.name, u.arg)
		require.Error(t, err, u.name)
		c.add("refusals of updates", err.Error())
	}
}

// requestsFail makes every mistake with a secret in the wrong place.
func (c *canaries) requestsFail(t *testing.T) {
	t.Helper()
	token := c.shop.tokens[shopHooks]
	header := func(name, value string) http.Header { return http.Header{name: {value}} }
	quoted := `"` + c.key + `"`
	for _, secret := range []string{c.key, c.hookSecret, c.xpub, url.QueryEscape(c.node.rpc), c.revoked} {
		for _, path := range []string{
			"/v1/orders/" + secret, "/v1/orders/" + secret + "/payments", "/" + secret, "/v1/orders?api_key=" + secret, "/v1/orders?" + secret + "=1",
			"/v1/orders?cursor=" + secret, "/v1/orders?limit=" + secret, "/v1/orders?state=" + secret, "/v1/orders?x=" + secret + "%zz",
		} {
			require.GreaterOrEqual(t, c.send(t, http.MethodGet, path, "", nil).status, http.StatusBadRequest, path)
		}
		c.send(t, http.MethodGet, "/v1/balances?key="+secret, "", nil)
	}
	for _, wrong := range []http.Header{
		header("Authorization", c.key), header("Authorization", "Bearer "+c.key+"x"), header("Authorization", "Bearer"+c.key),
		header("Authorization", "Bearer "+strings.ToUpper(c.key)), header("Authorization", "Bearer "+c.revoked), header("Authorization", "Token "+c.key),
		header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.key+":"))), {"Authorization": {"Bearer " + c.key, "Bearer " + c.key}},
		{"Authorization": nil, "X-Api-Key": {c.key}, "Cookie": {"key=" + c.key}, "Referer": {c.node.rpc}, "User-Agent": {c.key}},
	} {
		require.Equal(t, http.StatusUnauthorized, c.send(t, http.MethodGet, "/v1/orders", "", wrong).status, wrong)
	}
	require.Equal(t, http.StatusMethodNotAllowed, c.send(t, http.MethodDelete, "/v1/orders", c.key, nil).status)
	require.GreaterOrEqual(t, c.send(t, "X"+newCanary(), "/v1/orders/"+c.key, "", nil).status, http.StatusBadRequest)
	for _, body := range []string{
		c.key, quoted, c.creation(`"api_key":` + quoted), c.creation(quoted + `:1`), c.creation(`"` + c.hookSecret + `":1`), c.creation(`"` + c.xpub + `":1`),
		c.creation(`"` + c.node.rpc + `":1`), c.creation(quoted+`:1`, quoted+`:2`), c.creation(`"metadata":{` + quoted + `:"x"}`), c.creation(`"metadata":` + quoted),
		c.creation(`"metadata":{"x":"` + strings.Repeat(c.key, 12) + `"}`), c.creation(`"expires_in":` + quoted), c.creation(`"confirmations":` + quoted),
		strings.Replace(c.creation(), `"USDC"`, quoted, 1), strings.Replace(c.creation(), `"dev"`, quoted, 1), strings.Replace(c.creation(), `"25"`, quoted, 1),
		c.creation(`"callback_url":"https://` + c.key + `:` + c.hookSecret + `@shop.example/"`), c.creation(`"callback_url":"http://10.0.0.1/?token=` + token + `"`),
		c.creation(`"callback_url":"ftp://shop.example/?token=` + token + `"`), c.creation(`"callback_url":"http://localhost/?token=` + token + `"`),
		c.creation(`"callback_url":"http://[::1/?token=` + token + `"`), c.creation(`"callback_url":"https://shop.example/#` + token + `"`),
		c.creation(`"callback_url":"https://` + token + `.internal/"`), c.creation(`"callback_url":` + quoted), c.creation() + quoted,
		`{"chain":` + quoted, c.creation("\"x\xff" + c.key + `":1`), strings.Repeat(c.key, 2000),
	} {
		require.GreaterOrEqual(t, c.send(t, http.MethodPost, "/v1/orders", body, nil).status, http.StatusBadRequest, body)
	}
	for _, wrong := range []http.Header{
		header("Idempotency-Key", c.key+" "+c.key), header("Idempotency-Key", strings.Repeat(c.key, 6)), header("Content-Type", "text/"+c.key),
		header("Content-Encoding", c.key),
	} {
		require.GreaterOrEqual(t, c.send(t, http.MethodPost, "/v1/orders", c.creation(), wrong).status, http.StatusBadRequest, wrong)
	}
}

// commandsFail makes an operator's mistakes.
func (c *canaries) commandsFail(t *testing.T) {
	t.Helper()
	token := c.shop.tokens[shopHooks]
	endpoint := func(url string) []string {
		return []string{"endpoint", "create", "--merchant", c.merchant, "--mode", "test", "--url", url}
	}
	c.commandFails(t, nil, c.mnemonic+"\n", "wallet", "import")
	c.commandFails(t, nil, c.xpub+"1\n", "wallet", "import")
	c.commandFails(t, nil, c.xpub+" "+c.xpub+"\n", "wallet", "import")
	c.commandFails(t, nil, c.xpub+"\n", "wallet", "import") // a second time
	wallet := c.list(t, `SELECT id FROM xpubs`)[0]
	for _, args := range [][]string{
		{"wallet", "advance", "--wallet", wallet, "--to", "4294967295"}, {"wallet", "import", c.xpub}, {"wallet", "import", "--xpub", c.xpub}, {"wallet", "import", "--xpub=" + c.xpub}, {"wallet", "import", "--first-index", c.xpub},
		{"wallet", "import", "--merchant", c.xpub}, {"wallet", "advance", "--wallet", c.xpub, "--to", "5"}, {"key", "revoke", c.key}, {c.key},
		{"key", "create", "--merchant", c.key, "--mode", "test"}, {"key", "create", "--merchant", c.merchant, "--mode", c.key},
		{"key", "create", "--merchant", c.merchant, "--mode", "test", "--scopes", c.key},
		endpoint("http://10.0.0.1/?token=" + token), endpoint("http://user:" + token + "@shop.example/"), endpoint("http://shop.example/%zz?token=" + token),
		append(endpoint("https://shop.example/"), "--events", c.hookSecret), append(endpoint("https://shop.example/"), "--secret="+c.hookSecret),
		c.chainFlags("http://%zz/"+c.node.path, c.node.ws), c.chainFlags(strings.Replace(c.node.rpc, "http://", "ftp://", 1), c.node.ws),
		append(c.chainFlags(c.node.rpc, c.node.ws), "--ws", c.node.ws), append(c.chainFlags(c.node.rpc, c.node.ws), "--chain-id", c.node.rpc),
		append(c.chainFlags(c.node.rpc, c.node.ws), c.node.rpc), append(c.chainFlags(c.node.rpc, c.node.ws), "--rpc-url="+c.node.rpc),
		append(c.chainFlags(c.node.rpc, c.node.ws), "--finality-tag", c.node.rpc),
	} {
		c.commandFails(t, nil, "", args...)
	}
	nowhere := "postgres://sluice:" + c.password(t, pgcluster.OwnerRole) + "@127.0.0.1:1/none"
	for _, env := range []string{
		"SLUICE_DATABASE_URL=" + nowhere, "SLUICE_DATABASE_URL=" + nowhere + "?sslmode=no%zz", "SLUICE_DATABASE_URL=host=127.0.0.1 port=x password=" + c.password(t, pgcluster.AppRole),
		"SLUICE_MASTER_KEYS=" + c.master, "SLUICE_MASTER_KEYS=a:" + c.master[1:], "SLUICE_DATABASE_MAX_CONNS=" + c.master, "SLUICE_LOG_LEVEL=" + c.master,
	} {
		c.commandFails(t, []string{env}, c.xpub+"\n", "wallet", "import", "--first-index", "7")
	}
	for _, env := range []string{nowhere, nowhere + "?sslmode=no%zz", strings.Replace(nowhere, "127.0.0.1:1", "127.0.0.1:x", 1)} {
		c.commandFails(t, []string{"SLUICE_MIGRATE_DATABASE_URL=" + env}, "", "migrate")
	}
	for _, program := range []string{"api", "worker"} {
		c.commandFails(t, []string{"SLUICE_MASTER_KEYS=" + c.master}, "", program)
		c.commandFails(t, []string{"SLUICE_TEMPORAL_ADDRESS=" + c.node.rpc, "SLUICE_SHUTDOWN_TIMEOUT=" + c.key}, "", program)
	}
}

// databaseRefuses sends statements that the database does not take, as a defect would. Its log must not repeat the rows.
func (c *canaries) databaseRefuses(t *testing.T) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), c.Postgres.URL(pgcluster.AppRole, stack.Database))
	require.NoError(t, err)
	defer func() { _ = db.Close(t.Context()) }()
	for _, statement := range []struct {
		sql  string
		args []any
	}{
		{`UPDATE xpubs SET next_index = $1`, []any{-1}},
		{`UPDATE xpubs SET xpub = $1`, []any{"y" + c.xpub}},
		{`UPDATE webhook_endpoints SET id = $1 || url`, []any{c.away}},
	} {
		_, err := db.Exec(t.Context(), statement.sql, statement.args...)
		require.Error(t, err, statement.sql)
	}
}

// commandFails runs a command that cannot succeed, and looks at all that it says.
func (c *canaries) commandFails(t *testing.T, env []string, input string, args ...string) {
	t.Helper()
	var stdin io.Reader
	if input != "" {
		stdin = strings.NewReader(input)
	}
	binary, err := builtSluice(t.Context(), ".")
	require.NoError(t, err)
	output, err := stack.RunSluice(t.Context(), binary, append(c.Env(), env...), stdin, args...)
	require.Error(t, err, "%q %q", env, args)
	c.add("words of commands", string(output)+err.Error())
}
