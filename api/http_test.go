package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/api"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
)

func TestUnknownPathsAndMethods(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for _, path := range []string{"/", "/v1", "/v1/order", "/v2/orders", "/metrics", "/v1/orders/x/y/z", "/debug/pprof/", "/%00"} {
		requireProblem(t, k.get(t, path), http.StatusNotFound, payment.CodeNotFound, "")
	}
	for _, c := range [][2]string{
		{http.MethodDelete, "/v1/orders"}, {http.MethodPut, "/v1/orders/" + string(payment.NewOrderID())},
		{http.MethodPost, "/v1/balances"}, {"INVENTED", "/v1/balances"}, {http.MethodGet, "/v1/orders/x/cancel"},
	} {
		a := k.do(t, k.request(t, c[0], c[1], ""))
		requireProblem(t, a, http.StatusMethodNotAllowed, payment.CodeMethodNotAllowed, "")
		require.NotEmpty(t, a.header.Get("Allow"))
	}
}

// A misspelt parameter is refused by every operation of the document, before anything is done.
func TestUnknownParametersAreRefusedEverywhere(t *testing.T) {
	t.Parallel()
	k := setup(t)
	order := k.create(t, "k")
	before := k.counts(t)
	walked := 0
	for path, item := range loadSpec(t).Paths.Map() {
		for method, operation := range item.Operations() {
			if slices.Contains(operation.Tags, "callbacks") {
				continue
			}
			walked++
			id := string(order.ID)
			if strings.HasPrefix(path, "/v1/deposits") {
				id = string(payment.NewPaymentID())
			}
			a := k.do(t, k.request(t, method, strings.Replace(path, "{id}", id, 1)+"?unknown=1", ""))
			requireProblem(t, a, http.StatusBadRequest, payment.CodeInvalidParameter, "unknown")
		}
	}
	require.GreaterOrEqual(t, walked, 10)
	require.Equal(t, before, k.counts(t))
}

// Whatever GET answers, HEAD answers without the body: load balancers and monitors ask like this.
func TestHeadIsGetWithoutABody(t *testing.T) {
	t.Parallel()
	k := setup(t)
	order := k.create(t, "k")
	for path, item := range loadSpec(t).Paths.Map() {
		if item.Get == nil {
			continue
		}
		path = strings.Replace(path, "{id}", string(order.ID), 1)
		get := k.get(t, path)
		head := k.do(t, k.request(t, http.MethodHead, path, ""))
		require.Equal(t, get.status, head.status, path)
		require.Equal(t, get.header.Get("Content-Type"), head.header.Get("Content-Type"), path)
		require.Empty(t, head.body, path)
	}
	refused := k.do(t, k.request(t, http.MethodPost, "/healthz", ""))
	require.Contains(t, refused.header.Get("Allow"), http.MethodHead)
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for _, path := range []string{"/healthz", "/v1/orders", "/nowhere"} {
		a := k.get(t, path)
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
		require.Equal(t, "no-store", a.header.Get("Cache-Control"))
		require.Contains(t, a.header.Get("Content-Security-Policy"), "default-src 'none'")
		require.Empty(t, a.header.Get("Server"))
		require.Empty(t, a.header.Get("Access-Control-Allow-Origin"))
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	k := setup(t)
	ours := regexp.MustCompile(`^req_[a-z2-7]{26}$`)
	for _, id := range []string{"2f1c6e0a-6f0e-4a5e-9a3a-3f8e1d7c5b90", "ABCD-1234", "req_mfrggzdfmztwq2lknnwg23tpoa", strings.Repeat("a", 64)} {
		r := k.request(t, http.MethodGet, "/nowhere", "")
		r.Header.Set("X-Request-Id", id)
		a := k.do(t, r)
		require.Equal(t, id, a.header.Get("X-Request-Id"))
		require.Equal(t, id, a.problem(t).RequestID)
		require.Contains(t, k.logs.String(), id)
	}
	for _, id := range []string{"", "short", strings.Repeat("a", 65), k.key, "whsec_abcdefgh", "a b c d e f", "x\tyyyyyyyy", "<script>alert", `"},{"a":"b`} {
		r := k.request(t, http.MethodGet, "/nowhere", "")
		r.Header.Set("X-Request-Id", id)
		got := k.do(t, r).header.Get("X-Request-Id")
		require.Regexp(t, ours, got)
	}
	r := k.request(t, http.MethodGet, "/nowhere", "")
	r.Header["X-Request-Id"] = []string{"ABCD-1234", "ABCD-1235"}
	require.Regexp(t, ours, k.do(t, r).header.Get("X-Request-Id"))
}

// A panic is a plain 500. What was panicked with is not in the answer, and only its type in the log.
func TestPanics(t *testing.T) {
	t.Parallel()
	k, faulty := setupFaulty(t)
	faulty.breakDown("ListOrders", errors.New("panic"))
	a := k.get(t, "/v1/orders")
	requireProblem(t, a, http.StatusInternalServerError, payment.CodeInternal, "")
	require.NotContains(t, a.body, "canary")
	require.Contains(t, k.logs.String(), "panic: a string")
	require.Contains(t, k.logs.String(), "ListOrders", "the stack is there")
	require.NotContains(t, k.logs.String(), "canary")
	faulty.breakDown("ListOrders", nil)
	require.Equal(t, http.StatusOK, k.get(t, "/v1/orders").status)
}

// Only what trusted proxies say of whom they forward for is believed.
func TestForwardedFor(t *testing.T) {
	t.Parallel()
	k := setup(t, func(c *api.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	r := k.request(t, http.MethodGet, "/nowhere", "")
	r.Header.Set("X-Forwarded-For", "203.0.113.9, 198.51.100.7")
	k.do(t, r)
	require.Contains(t, k.logs.String(), `"ip":"198.51.100.7"`)
	require.NotContains(t, k.logs.String(), "203.0.113.9")
	distrusting := setup(t)
	r = distrusting.request(t, http.MethodGet, "/nowhere", "")
	r.Header.Set("X-Forwarded-For", "198.51.100.7")
	distrusting.do(t, r)
	require.Contains(t, distrusting.logs.String(), `"ip":"127.0.0.1"`)
	require.NotContains(t, distrusting.logs.String(), "198.51.100.7")
}

// serving runs the kit's server on a listener of its own and returns its address and how to stop it.
func (k *kit) serving(t *testing.T, grace time.Duration) (address string, stop func() error) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- k.server.Serve(ctx, listener, grace) }()
	t.Cleanup(cancel)
	return listener.Addr().String(), func() error { cancel(); return <-ended }
}

// Shutting down lets a request under way end; new ones find nobody.
func TestGracefulShutdown(t *testing.T) {
	t.Parallel()
	k := setup(t)
	address, stop := k.serving(t, time.Minute)
	entered, proceed := make(chan struct{}), make(chan struct{})
	k.temporal.set(func(_ context.Context, _ call, work func() error) error {
		close(entered)
		<-proceed
		return work()
	})
	answered := make(chan int, 1)
	go func() {
		r := k.creation(t, "k", simple)
		r.URL.Host = address
		answered <- k.do(t, r).status
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	await.Until(t, func() bool {
		connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = connection.Close()
		}
		return err != nil
	})
	require.Equal(t, http.StatusServiceUnavailable, k.get(t, "/readyz").status, "it says so, to whoever still reaches it")
	close(proceed)
	require.Equal(t, http.StatusCreated, <-answered)
	require.NoError(t, <-stopped)
}

func TestShutdownCutsOffAfterGrace(t *testing.T) {
	t.Parallel()
	k := setup(t)
	address, stop := k.serving(t, 50*time.Millisecond)
	entered := make(chan struct{})
	k.temporal.set(func(ctx context.Context, _ call, _ func() error) error {
		close(entered)
		<-ctx.Done()
		return errTimeout
	})
	failed := make(chan error, 1)
	go func() {
		r := k.creation(t, "k", simple)
		r.URL.Host = address
		response, err := k.http.Client().Do(r)
		if err == nil {
			err = response.Body.Close()
		}
		failed <- err
	}()
	<-entered
	require.Error(t, stop())
	require.Error(t, <-failed)
}

// Headers are bounded, and so is the patience with them.
func TestHeaderLimit(t *testing.T) {
	t.Parallel()
	k := setup(t)
	address, stop := k.serving(t, time.Second)
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer connection.Close()
	_, err = fmt.Fprintf(connection, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: %s\r\n\r\n", strings.Repeat("a", 64<<10))
	require.NoError(t, err)
	line, err := bufio.NewReader(connection).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "431")
	_, _ = io.Copy(io.Discard, connection)
	require.NoError(t, stop())
}
