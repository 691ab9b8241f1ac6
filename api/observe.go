package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// requestInfo is what becomes known of a request while it is answered. Only the request's own goroutine touches it.
type requestInfo struct {
	id        string
	principal store.Principal
	order     payment.OrderID
	// outcome names what became of a creation; "" for other requests.
	outcome string
	// err is why the answer is a problem, code its code.
	err  error
	code string
}

type infoKey struct{}

// infoOf returns the request's info; for a context that comes from elsewhere, one that nobody reads.
func infoOf(ctx context.Context) *requestInfo {
	if info, ok := ctx.Value(infoKey{}).(*requestInfo); ok {
		return info
	}
	return &requestInfo{}
}

// observe stands around every request: it names it, catches what panics, renders errors as problems, logs and counts.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		info := &requestInfo{id: s.requestID(c.Request().Header)}
		ctx, cancel := context.WithTimeout(context.WithValue(c.Request().Context(), infoKey{}, info), s.patience)
		defer cancel()
		request := c.Request().WithContext(ctx)
		c.SetRequest(request)
		setSecurityHeaders(c.Response().Header())
		c.Response().Header().Set(headerRequestID, info.id)

		s.metrics.inFlight.Inc()
		defer s.metrics.inFlight.Dec()
		if err := guarded(c, next); err != nil {
			s.answerProblem(c, info, err)
		}
		took := time.Since(began)
		route := s.route(c)
		s.metrics.request(route, request.Method, c.Response().Status, info, took)
		s.log.LogAttrs(request.Context(), level(route, c.Response().Status), "request", s.attributes(c, route, info, took)...)
		return nil
	}
}

// guarded turns a panic into an error. http.ErrAbortHandler goes on: it is how a handler asks for the connection to be cut.
func guarded(c echo.Context, next echo.HandlerFunc) (err error) {
	defer func() {
		switch reason := recover(); {
		case reason == nil:
		case reason == http.ErrAbortHandler: //nolint:errorlint // it is compared by identity in net/http too
			panic(reason)
		default:
			err = newPanicError(reason)
		}
	}()
	return next(c)
}

// panicError is a panic of a handler.
type panicError struct {
	text  string
	stack string
}

func (e *panicError) Error() string { return "panic: " + e.text }

// newPanicError keeps the text of the runtime's own panics. That of others may hold anything, so its type has to do.
func newPanicError(reason any) *panicError {
	text := fmt.Sprintf("a %T", reason)
	if fault, ok := reason.(runtime.Error); ok {
		text = fault.Error()
	}
	return &panicError{text: text, stack: string(debug.Stack())}
}

func (s *Server) answerProblem(c echo.Context, info *requestInfo, err error) {
	problem, retryAfter := problemOf(err, info.id)
	info.err, info.code = err, problem.Code
	if c.Response().Committed {
		return // the status is out; the log says the rest
	}
	if err := writeProblem(c.Response(), problem, retryAfter); err != nil {
		s.log.DebugContext(c.Request().Context(), "the answer could not be written", "request_id", info.id, "error", scrub(err.Error()))
	}
}

// attributes describe a request in the log. Nothing that a client wrote is among them but an id that was checked.
func (s *Server) attributes(c echo.Context, route string, info *requestInfo, took time.Duration) []slog.Attr {
	request := c.Request()
	attrs := []slog.Attr{
		slog.String("request_id", info.id), slog.String("method", knownMethod(request.Method)), slog.String("route", route),
		slog.Int("status", c.Response().Status), slog.Int64("bytes", c.Response().Size),
		slog.Int64("took_us", took.Microseconds()), slog.String("ip", clientIP(request, s.trusted).String()),
	}
	text := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	text("merchant", string(info.principal.MerchantID))
	text("key", string(info.principal.KeyID))
	text("mode", string(info.principal.Mode))
	text("order", string(info.order))
	text("outcome", info.outcome)
	text("code", info.code)
	if errors.Is(request.Context().Err(), context.Canceled) {
		attrs = append(attrs, slog.Bool("client_gone", true))
	}
	if info.err != nil && c.Response().Status >= http.StatusInternalServerError {
		text("error", scrub(info.err.Error()))
		if fault, ok := errors.AsType[*panicError](info.err); ok {
			text("stack", fault.stack)
		}
	}
	return attrs
}

func level(route string, status int) slog.Level {
	switch {
	case status == http.StatusServiceUnavailable:
		return slog.LevelWarn
	case status >= http.StatusInternalServerError:
		return slog.LevelError
	case route == routeHealth || route == routeReady:
		return slog.LevelDebug
	default:
		return slog.LevelInfo
	}
}

// The routes of the health checks.
const (
	routeHealth    = "/healthz"
	routeReady     = "/readyz"
	routeUnmatched = "unmatched"
)

// route is the template that matched, one of few; never the path.
func (s *Server) route(c echo.Context) string {
	if s.routes[c.Path()] {
		return c.Path()
	}
	return routeUnmatched
}

// knownMethod keeps invented methods out of logs and metrics.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	default:
		return "other"
	}
}

// requestID takes a client's id when it is made of 8 to 64 plain letters, digits and hyphens, or was given by us. API keys
// and other secrets have underscores, so none gets into the log this way.
func (s *Server) requestID(header http.Header) string {
	if values := header.Values(headerRequestID); len(values) == 1 && s.requestIDs.MatchString(values[0]) {
		return values[0]
	}
	return newRequestID()
}

func requestIDPattern() *regexp.Regexp {
	return regexp.MustCompile(`^(req_[a-z2-7]{26}|[A-Za-z0-9-]{8,64})$`)
}

// newRequestID has 130 random bits.
func newRequestID() string { return "req_" + strings.ToLower(rand.Text()) }

func setSecurityHeaders(header http.Header) {
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Referrer-Policy", "no-referrer")
}
