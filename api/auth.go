package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// scopes says what each operation asks of its key. An operation that is not here is open to everybody.
func scopes() map[string]string {
	return map[string]string{
		"createOrder":       store.ScopeOrdersWrite,
		"cancelOrder":       store.ScopeOrdersWrite,
		"listOrders":        store.ScopeOrdersRead,
		"getOrder":          store.ScopeOrdersRead,
		"listOrderPayments": store.ScopeOrdersRead,
		"listDeposits":      store.ScopeOrdersRead,
		"getDeposit":        store.ScopeOrdersRead,
		"listBalances":      store.ScopeBalancesRead,
	}
}

// authenticate lets in whoever has a key with the scope. It comes before anything of the request is read.
func (s *Server) authenticate(scope string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			ctx := c.Request().Context()
			principal, err := s.principal(ctx, c.Request().Header, c.Response().Header())
			if err != nil {
				return err
			}
			infoOf(ctx).principal = principal
			if !slices.Contains(principal.Scopes, scope) {
				return payment.E(payment.CodeForbiddenScope, "", "this key lacks the scope %s", scope)
			}
			return next(c)
		}
	}
}

// principal finds out who asks, and whether he may ask once more; answer gets what is left to him. Errors: CodeUnauthorized,
// CodeKeyRevoked, CodeRateLimited, CodeUnavailable.
func (s *Server) principal(ctx context.Context, header, answer http.Header) (store.Principal, error) {
	values := header.Values(headerAuthorization)
	if len(values) == 0 {
		return store.Principal{}, payment.E(payment.CodeUnauthorized, headerAuthorization, "send your API key as Authorization: Bearer sk_…")
	}
	scheme, key, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return store.Principal{}, payment.E(payment.CodeUnauthorized, headerAuthorization, "one Authorization header with the scheme Bearer is expected")
	}
	key = strings.TrimLeft(key, " ")
	mode, err := parseAPIKey(key)
	if err != nil {
		return store.Principal{}, err
	}
	hash := HashAPIKey(key)
	known, err := s.limits.admitKey(hash, answer)
	if err != nil {
		return store.Principal{}, err
	}
	principal, err := s.store.Authenticate(ctx, hash)
	if payment.CodeOf(err) == payment.CodeKeyRevoked {
		s.limits.forget(hash)
	}
	if err != nil {
		return store.Principal{}, err
	}
	if principal.Mode != mode { // a key of another mode was hashed by mistake: nobody's
		return store.Principal{}, payment.E(payment.CodeUnauthorized, headerAuthorization, "there is no such API key")
	}
	return principal, s.limits.admit(hash, principal, known, answer)
}
