package api

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// The table of codes is the document's, row for row, and what is worth repeating says when.
func TestRenderingsAreTheDocuments(t *testing.T) {
	t.Parallel()
	spec, err := GetSpec()
	require.NoError(t, err)
	want := map[payment.Code]int{}
	row := regexp.MustCompile("(?m)^\\| ([0-9]{3}) \\| `([a-z_]+)` \\|")
	for _, match := range row.FindAllStringSubmatch(spec.Components.Schemas["Problem"].Value.Description, -1) {
		want[payment.Code(match[2])], err = strconv.Atoi(match[1])
		require.NoError(t, err)
	}
	got := map[payment.Code]int{}
	for code, how := range renderings() {
		got[code] = how.status
		repeat := how.status == http.StatusTooManyRequests || how.status == http.StatusServiceUnavailable || code == payment.CodeIdempotencyInFlight
		require.Equal(t, repeat, how.retryAfter > 0, code)
	}
	require.Equal(t, want, got)
}

// What has no code, or one that concerns only the operator, is a plain 500 that says nothing.
func TestUnknownErrorsSayNothing(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		fmt.Errorf("secret"), fmt.Errorf("%w", echo.NewHTTPError(http.StatusTeapot, "secret")), newPanicError("secret"),
		payment.E(payment.CodeInternal, "secret", "secret"), payment.E(payment.CodeInvalidXPub, "secret", "secret"),
		payment.E("made_up", "secret", "secret"), payment.Wrap(fmt.Errorf("secret"), payment.CodeStale, "", "secret"),
	} {
		problem, retryAfter := problemOf(err, "req_1")
		w := httptest.NewRecorder()
		require.NoError(t, writeProblem(w, problem, retryAfter))
		require.Equal(t, http.StatusInternalServerError, w.Code)
		require.JSONEq(t, `{"title":"Internal Server Error","status":500,"code":"internal","request_id":"req_1",
			"detail":"something went wrong here; quote the request id to support"}`, w.Body.String())
	}
	problem, _ := problemOf(fmt.Errorf("around: %w", payment.Wrap(fmt.Errorf("secret"), payment.CodeNotFound, "", "no such order")), "r")
	require.Equal(t, http.StatusNotFound, problem.Status)
	require.Equal(t, "no such order", *problem.Detail)
}

func TestSecondsRoundUp(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]int{0: 1, 1: 1, time.Second: 1, time.Second + 1: 2, 29500 * time.Millisecond: 30, -time.Hour: 1} {
		require.Equal(t, want, *seconds(d), d)
	}
}

func TestClientIP(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, c := range []struct {
		peer string
		xff  []string
		want string
	}{
		{"203.0.113.5:1", nil, "203.0.113.5"},
		{"203.0.113.5:1", []string{"198.51.100.1"}, "203.0.113.5"},
		{"10.0.0.1:1", nil, "10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"1.2.3.4, 198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"1.2.3.4, 198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"1.2.3.4", "198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"10.0.0.1:1", []string{"198.51.100.1, nonsense"}, "10.0.0.1"},
		{"10.0.0.1:1", []string{""}, "10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.1:8080"}, "10.0.0.1"},
		{"[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"[fd00::1]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"@", []string{"198.51.100.1"}, "invalid IP"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.peer
		r.Header["X-Forwarded-For"] = c.xff
		require.Equal(t, c.want, clientIP(r, trusted).String(), "%v", c)
	}
}

func TestScrub(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`Post "https://rpc.example.com/v2/KEY?x=y": EOF`:          `Post "[hidden] EOF`,
		"key sk_live_abc-_d is wrong":                             "key [hidden] is wrong",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw and postgres://x": "[hidden] and [hidden]",
		"xpub6BosfCnifzxcFwrSzQiqu2DBVTshkCXacvNsWGYJVVhhawA7d4R": "[hidden]",
		"no such order ord_mfrggzdfmztwq2lknnwg23tpoa":            "no such order ord_mfrggzdfmztwq2lknnwg23tpoa",
		"a task sk_ a publication, at 12:30://":                   "a task sk_ a publication, at 12:30://",
		"mykeysk_test_abc or SK_TEST_ABC":                         "mykey[hidden] or [hidden]",
	} {
		require.Equal(t, want, scrub(text))
	}
}

// A name that is not known is repeated, unless it is a secret in the place of a name.
func TestEchoedName(t *testing.T) {
	t.Parallel()
	key, _, _ := NewAPIKey(payment.ModeTest)
	for name, want := range map[string]string{
		"amuont":                                 "amuont",
		"a_name_that_is_not_ours":                "a_name_that_is_not_ours",
		`a "name" <b>`:                           "a??name???b?",
		strings.Repeat("x", 100):                 strings.Repeat("x", 64),
		key:                                      "[hidden]",
		"x" + key:                                "[hidden]",
		strings.Repeat("x", 60) + key:            "[hidden]",
		"whsec_MfKQ9r8GK qrTwjUPD8ILPZIo2LaLaSw": "[hidden]", // a plus sign in a query is a space
		"http://user:password@node.example/key":  "[hidden]",
	} {
		require.Equal(t, want, echoedName(name))
	}
}

// A cache that is full forgets; it does not grow.
func TestAddressCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newAddressCache()
	for range maxCached + 10 {
		c.add(payment.NewOrderID(), "0x1")
	}
	require.LessOrEqual(t, len(c.known), maxCached)
	id := payment.NewOrderID()
	require.False(t, c.has(id, ""))
	c.add(id, "0x1")
	require.True(t, c.has(id, "0x1"))
	require.False(t, c.has(id, "0x2"))
}

// deafStore does not answer.
type deafStore struct{ Store }

func (deafStore) Authenticate(ctx context.Context, _ [sha256.Size]byte) (store.Principal, error) {
	<-ctx.Done()
	return store.Principal{}, ctx.Err()
}

// A database that is neither up nor down holds nobody longer than a request may take.
func TestRequestsEnd(t *testing.T) {
	t.Parallel()
	s, err := New(Config{Store: deafStore{}, Temporal: struct{ Temporal }{}, Verifier: struct{ Verifier }{}, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.Equal(t, defaultOpenTimeout+answerReserve, s.patience)
	s.patience = 10 * time.Millisecond
	r := httptest.NewRequest(http.MethodGet, "/v1/orders", nil)
	key, _, _ := NewAPIKey(payment.ModeTest)
	r.Header.Set(headerAuthorization, "Bearer "+key)
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Contains(t, w.Body.String(), `"unavailable"`)
	require.Equal(t, "2", w.Header().Get(headerRetryAfter))
}

func TestNewAsksForItsParts(t *testing.T) {
	t.Parallel()
	_, err := New(Config{})
	require.ErrorContains(t, err, "required")
}
