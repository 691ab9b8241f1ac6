package api_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/api"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

func errDatabaseAway() error {
	return payment.Wrap(errors.New("dial tcp: connection refused"), payment.CodeUnavailable, "", "the database cannot answer now")
}

// requireUnavailable checks that the same request is invited to come again.
func requireUnavailable(t testing.TB, a answer) {
	t.Helper()
	requireProblem(t, a, http.StatusServiceUnavailable, payment.CodeUnavailable, "")
	wait, err := strconv.Atoi(a.header.Get("Retry-After"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, wait, 1)
}

// requireOneOrder checks that a key made one order, that has one address and one order.created.
func (k *kit) requireOneOrder(t testing.TB, order payment.OrderSnapshot) {
	t.Helper()
	var orders, addresses, events int
	require.NoError(t, k.PG.App.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM addresses WHERE order_id = $1),
		(SELECT count(*) FROM events WHERE order_id = $1 AND type = 'order.created')`, order.ID).Scan(&orders, &addresses, &events))
	require.Equal(t, []int{1, 1, 1}, []int{orders, addresses, events})
}

func TestReplay(t *testing.T) {
	t.Parallel()
	k := setup(t)
	first := k.post(t, "k", `{"chain":"dev","asset":"USDC","amount":"25.00","metadata":{"a":"1","b":"2"}}`)
	require.Equal(t, http.StatusCreated, first.status)
	k.Exec(t, `UPDATE orders SET reference = 'changed since'`)
	for _, body := range []string{
		`{"chain":"dev","asset":"USDC","amount":"25.00","metadata":{"a":"1","b":"2"}}`,
		"{ \"metadata\" : {\"b\":\"2\",\"a\":\"\\u0031\"},\n \"amount\":\"25.00\", \"asset\":\"USDC\", \"chain\":\"dev\" }",
	} {
		again := k.post(t, "k", body)
		require.Equal(t, http.StatusCreated, again.status)
		require.Equal(t, first.body, again.body)
		require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	}
	for _, body := range []string{with("amount", `"25.01"`), with("amount", `"25"`), with("expires_in", `1800`), with("reference", `"x"`)} {
		requireProblem(t, k.post(t, "k", body), http.StatusUnprocessableEntity, payment.CodeIdempotencyMismatch, "Idempotency-Key")
	}
	k.requireOneOrder(t, first.order(t))
	require.Len(t, k.temporal.sent(), 1)

	// What takes no new orders still gives the answers that it gave.
	k.Exec(t, `UPDATE assets SET enabled = false`)
	require.Equal(t, first.body, k.post(t, "k", `{"chain":"dev","asset":"USDC","amount":"25.00","metadata":{"a":"1","b":"2"}}`).body)
	k.Exec(t, `UPDATE chains SET halted_at = now(), halted_reason = 'test'`)
	require.Equal(t, first.body, k.post(t, "k", `{"chain":"dev","asset":"USDC","amount":"25.00","metadata":{"a":"1","b":"2"}}`).body)
	requireProblem(t, k.post(t, "new", simple), http.StatusBadRequest, payment.CodeAssetDisabled, "asset")
}

// Keys are a merchant's own, and a mode's.
func TestKeysAreScoped(t *testing.T) {
	t.Parallel()
	k := setup(t)
	first := k.create(t, "k")
	k.key, _ = k.newKey(t, k.Merchant, payment.ModeTest)
	require.Equal(t, first.ID, k.create(t, "k").ID, "another key of the same merchant and mode")
	k.EnableLive(t)
	k.key, _ = k.newKey(t, k.Merchant, payment.ModeLive)
	requireProblem(t, k.post(t, "k", simple), http.StatusBadRequest, payment.CodeWrongMode, "chain")
	live := k.post(t, "k", `{"chain":"live","asset":"USDC","amount":"25.00"}`)
	require.Equal(t, http.StatusCreated, live.status, live.body)
	require.NotEqual(t, first.ID, live.order(t).ID)
}

// The same request many times at once: one order; whoever does not get it is told to come again, and then gets the same.
func TestConcurrentCreations(t *testing.T) {
	t.Parallel()
	k := setup(t)
	const n = 12
	answers := make([]answer, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { answers[i] = k.post(t, "k", simple) })
	}
	all.Wait()
	made := 0
	var body string
	for _, a := range answers {
		if a.status == http.StatusCreated {
			if a.header.Get("Idempotency-Replayed") == "" {
				made++
			}
			require.True(t, body == "" || body == a.body)
			body = a.body
			continue
		}
		requireProblem(t, a, http.StatusConflict, payment.CodeIdempotencyInFlight, "Idempotency-Key")
		require.NotEmpty(t, a.header.Get("Retry-After"))
	}
	require.Equal(t, 1, made)
	require.Equal(t, body, k.post(t, "k", simple).body)
	k.requireOneOrder(t, k.create(t, "k"))
}

// Temporal or the workers are away: 503, and the repetition makes the one order.
func TestTemporalAway(t *testing.T) {
	t.Parallel()
	for name, behave := range map[string]func(context.Context, call, func() error) error{"away": away, "no workers": silent} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setup(t, func(c *api.Config) { c.OpenTimeout = 100 * time.Millisecond })
			k.temporal.set(behave)
			requireUnavailable(t, k.post(t, "k", simple))
			requireUnavailable(t, k.post(t, "k", simple))
			requireProblem(t, k.post(t, "k", with("amount", `"1"`)), http.StatusUnprocessableEntity, payment.CodeIdempotencyMismatch, "Idempotency-Key")
			k.temporal.set(nil)
			a := k.post(t, "k", simple)
			require.Equal(t, http.StatusCreated, a.status)
			require.Empty(t, a.header.Get("Idempotency-Replayed"), "nobody was answered before")
			k.requireOneOrder(t, a.order(t))

			calls := k.temporal.sent()
			require.Len(t, calls, 3)
			for _, c := range calls {
				require.Equal(t, calls[0].start.ID, c.start.ID)
				require.Equal(t, calls[0].update.UpdateID, c.update.UpdateID, "it attaches to the first")
			}
		})
	}
}

// The database decides: an order that has its address is answered, whatever became of the workflow's own answer.
func TestLostAnswersOfTheWorkflow(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.temporal.set(answerLost)
	order := k.create(t, "k")
	k.requireOneOrder(t, order)
}

// The workflow went on by itself after the API had given up, and is over when the request comes again.
func TestWorkflowIsOverWhenRepeated(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.temporal.set(away)
	requireUnavailable(t, k.post(t, "k", simple))
	id := k.temporal.sent()[0].input.OrderID
	require.NoError(t, k.temporal.allocate(t.Context(), id))
	k.temporal.set(func(context.Context, call, func() error) error { return errClosed })
	require.Equal(t, id, k.create(t, "k").ID)
}

// The database fails at each step after the first commit; the repetition goes on from there.
func TestDatabaseFailsBetweenSteps(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"GetOrder", "AddressOrigin", "CompleteClaim"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			k, faulty := setupFaulty(t)
			faulty.breakDown(step, errDatabaseAway())
			requireUnavailable(t, k.post(t, "k", simple))
			faulty.breakDown(step, nil)
			k.requireOneOrder(t, k.create(t, "k"))
		})
	}
}

// The database is away from the start: nothing was begun.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	k, faulty := setupFaulty(t)
	before := k.counts(t)
	faulty.breakDown("CreateOrder", errDatabaseAway())
	requireUnavailable(t, k.post(t, "k", simple))
	faulty.breakDown("CreateOrder", errors.New("a defect"))
	requireProblem(t, k.post(t, "k", simple), http.StatusInternalServerError, payment.CodeInternal, "")
	require.Equal(t, before, k.counts(t))
	require.Contains(t, k.logs.String(), "a defect")
}

// The process dies between its first commit and its answer: the lock runs out, and the repetition takes over.
func TestDiedBetweenCommitAndAnswer(t *testing.T) {
	t.Parallel()
	k, faulty := setupFaulty(t)
	k.temporal.set(away)
	faulty.breakDown("ReleaseClaim", errDatabaseAway()) // the dead release nothing
	requireUnavailable(t, k.post(t, "k", simple))
	k.temporal.set(nil)
	a := k.post(t, "k", simple)
	requireProblem(t, a, http.StatusConflict, payment.CodeIdempotencyInFlight, "Idempotency-Key")
	wait, err := strconv.Atoi(a.header.Get("Retry-After"))
	require.NoError(t, err)
	require.InDelta(t, 30, wait, 5, "when the lock runs out")
	k.Exec(t, `UPDATE idempotency_keys SET locked_until = now() - interval '1 second'`)
	k.requireOneOrder(t, k.create(t, "k"))
}

// A request that was slow, not dead, is taken over from: both give the same answer.
func TestTakenOverFromTheLiving(t *testing.T) {
	t.Parallel()
	k := setup(t)
	entered, proceed := make(chan struct{}), make(chan struct{})
	k.temporal.set(func(_ context.Context, _ call, work func() error) error {
		close(entered)
		<-proceed
		return work()
	})
	slow := make(chan answer)
	go func() { slow <- k.post(t, "k", simple) }()
	<-entered
	k.temporal.set(nil)
	k.Exec(t, `UPDATE idempotency_keys SET locked_until = now() - interval '1 second'`)
	fast := k.post(t, "k", simple)
	require.Equal(t, http.StatusCreated, fast.status)
	k.Exec(t, `UPDATE orders SET reference = 'changed since'`)
	close(proceed)
	late := <-slow
	require.Equal(t, http.StatusCreated, late.status)
	require.Equal(t, fast.body, late.body)
	k.requireOneOrder(t, fast.order(t))
}

// The client goes away while the order opens: the claim is given up, and the repetition attaches at once.
func TestClientGoesAway(t *testing.T) {
	t.Parallel()
	k := setup(t)
	entered := make(chan struct{})
	left := make(chan struct{})
	k.temporal.set(func(ctx context.Context, _ call, _ func() error) error {
		close(entered)
		<-ctx.Done()
		close(left)
		return errTimeout
	})
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		response, err := k.http.Client().Do(k.creation(t, "k", simple).WithContext(ctx))
		if err == nil {
			err = response.Body.Close()
		}
		gone <- err
	}()
	<-entered
	leave()
	require.Error(t, <-gone)
	<-left
	await.Until(t, func() bool { return strings.Contains(k.logs.String(), `"client_gone":true`) })
	require.NotContains(t, k.logs.String(), `"status":500`)
	k.temporal.set(nil)
	await.Until(t, func() bool { return k.post(t, "k", simple).status == http.StatusCreated })
	k.requireOneOrder(t, k.create(t, "k"))
}

func TestLimits(t *testing.T) {
	t.Parallel()
	k := setupWith(t, options{merchant: func(m *store.NewMerchant) { m.OrdersPerMinute, m.MaxOpenOrders = 2, 3 }})
	first := k.create(t, "1")
	k.create(t, "2")
	before := k.counts(t)
	a := k.post(t, "3", simple)
	requireProblem(t, a, http.StatusTooManyRequests, payment.CodeRateLimited, "")
	wait, err := strconv.Atoi(a.header.Get("Retry-After"))
	require.NoError(t, err)
	require.InDelta(t, 60, wait, 10)
	require.Equal(t, before, k.counts(t))
	require.Equal(t, first.ID, k.create(t, "1").ID, "replays are not limited")

	k.Exec(t, `UPDATE orders SET created_at = created_at - interval '2 minutes'`)
	k.create(t, "3")
	k.Exec(t, `UPDATE orders SET created_at = created_at - interval '2 minutes'`)
	before = k.counts(t)
	a = k.post(t, "4", simple)
	requireProblem(t, a, http.StatusTooManyRequests, payment.CodeOpenOrderCap, "")
	require.NotEmpty(t, a.header.Get("Retry-After"))
	require.Equal(t, before, k.counts(t))
	require.Equal(t, http.StatusOK, k.cancel(t, first.ID).status)
	k.create(t, "4")
}

func TestNoWallet(t *testing.T) {
	t.Parallel()
	k := setup(t)
	_, err := k.DB.LockWallets(t.Context(), storetest.By())
	require.NoError(t, err)
	before := k.counts(t)
	a := k.post(t, "k", simple)
	requireProblem(t, a, http.StatusServiceUnavailable, payment.CodeAddressesExhausted, "")
	require.NotEmpty(t, a.header.Get("Retry-After"))
	require.Equal(t, before, k.counts(t))
}

// Somebody changed the database: no address is shown that the wallet does not derive.
func TestForgedAddressIsNotShown(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]string{
		"another address": `UPDATE addresses SET bytes = '\x00000000000000000000000000000000deadbeef'`,
		"another index":   `UPDATE addresses SET derivation_index = derivation_index + 7`,
		"another wallet":  `UPDATE xpubs SET merchant_id = NULL WHERE merchant_id IS NOT NULL`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setup(t)
			if name == "another wallet" { // there can be one default wallet in use
				k.Exec(t, `UPDATE xpubs SET retired_at = now() WHERE merchant_id IS NULL`)
			}
			k.temporal.set(func(_ context.Context, _ call, work func() error) error {
				err := work()
				_, forged := k.PG.Owner.Exec(context.Background(), forge)
				return errors.Join(err, forged)
			})
			a := k.post(t, "k", simple)
			requireProblem(t, a, http.StatusInternalServerError, payment.CodeInternal, "")
			require.NotContains(t, a.body, "eadbeef")
			require.Contains(t, k.logs.String(), "does not derive again")
			id := k.temporal.sent()[0].input.OrderID
			requireProblem(t, k.get(t, "/v1/orders/"+string(id)), http.StatusInternalServerError, payment.CodeInternal, "")
			requireProblem(t, k.get(t, "/v1/orders"), http.StatusInternalServerError, payment.CodeInternal, "")
			requireProblem(t, k.post(t, "k", simple), http.StatusInternalServerError, payment.CodeInternal, "")
		})
	}
}

// An address that was verified once is not taken for verified when it changes.
func TestForgedAfterItWasShown(t *testing.T) {
	t.Parallel()
	k := setup(t)
	order := k.create(t, "k")
	path := "/v1/orders/" + string(order.ID)
	require.Equal(t, http.StatusOK, k.get(t, path).status)
	_, err := k.PG.Owner.Exec(t.Context(), `UPDATE addresses SET bytes = '\x00000000000000000000000000000000deadbeef'`)
	require.NoError(t, err)
	requireProblem(t, k.get(t, path), http.StatusInternalServerError, payment.CodeInternal, "")
}

// Nor is the address of another order shown, though a wallet derives it.
func TestAnotherOrdersAddressIsNotShown(t *testing.T) {
	t.Parallel()
	k := setup(t)
	order, other := k.create(t, "k"), k.create(t, "l")
	k.Exec(t, `UPDATE orders SET address_id = (SELECT address_id FROM orders WHERE id = $2) WHERE id = $1`, order.ID, other.ID)
	requireProblem(t, k.get(t, "/v1/orders/"+string(order.ID)), http.StatusInternalServerError, payment.CodeInternal, "")
	require.Equal(t, http.StatusOK, k.get(t, "/v1/orders/"+string(other.ID)).status)
}
