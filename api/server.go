package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicepay/sluice/payment"
)

// Bounds of one request and its answer.
const (
	// MaxBody is the largest body that is read, in bytes.
	MaxBody = 64 << 10

	maxHeaderBytes    = 16 << 10
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	// answerReserve is what an answer may take beyond the time that an order is given to open, and writeReserve what
	// writing it may take on top.
	answerReserve = 8 * time.Second
	writeReserve  = 7 * time.Second
	idleTimeout   = 75 * time.Second

	defaultOpenTimeout = 5 * time.Second
)

// Config is what a Server is made of. Store, Temporal and Verifier are required.
type Config struct {
	Store    Store
	Temporal Temporal
	// Verifier derives every address again before it is shown.
	Verifier Verifier
	// SchemaVersion is the oldest version of the database's schema that this program works with; 0 asks for none.
	SchemaVersion int64
	// TrustedProxies are the only peers whose X-Forwarded-For counts.
	TrustedProxies []netip.Prefix
	// OpenTimeout is how long a new order may take to get its address, and a cancellation to be decided, before the answer
	// is 503; 5 s when zero.
	OpenTimeout time.Duration
	Logger      *slog.Logger         // slog.Default when nil
	Registry    *prometheus.Registry // one of its own when nil
}

// Server answers merchants' requests. It is safe for concurrent use.
type Server struct {
	store     Store
	engine    engine
	verifier  Verifier
	verified  *addressCache
	limits    *limits
	trusted   []netip.Prefix
	log       *slog.Logger
	registry  *prometheus.Registry
	metrics   *metrics
	validator *validator
	readiness *readiness
	draining  atomic.Bool
	// patience is how long a request may take to be answered, whatever it waits for.
	patience time.Duration

	echo       *echo.Echo
	routes     map[string]bool
	requestIDs *regexp.Regexp
}

// New makes a Server. It connects to nothing.
func New(config Config) (*Server, error) {
	if config.Store == nil || config.Temporal == nil || config.Verifier == nil {
		return nil, errors.New("api: Store, Temporal and Verifier are required")
	}
	if config.OpenTimeout == 0 {
		config.OpenTimeout = defaultOpenTimeout
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if config.Registry == nil {
		config.Registry = prometheus.NewRegistry()
	}
	counters, err := newMetrics(config.Registry)
	if err != nil {
		return nil, fmt.Errorf("api: register metrics: %w", err)
	}
	rules, err := newValidator()
	if err != nil {
		return nil, err
	}
	s := &Server{
		store: config.Store, engine: engine{client: config.Temporal, timeout: config.OpenTimeout},
		verifier: config.Verifier, verified: newAddressCache(), limits: newLimits(), trusted: config.TrustedProxies,
		log: config.Logger, registry: config.Registry, metrics: counters, validator: rules, requestIDs: requestIDPattern(),
		patience: config.OpenTimeout + answerReserve,
	}
	s.readiness = newReadiness(s.checks(config.SchemaVersion), s.chainHealth)
	s.mount()
	return s, nil
}

// mount registers the operations, each behind its checks.
func (s *Server) mount() {
	s.echo = echo.New()
	s.echo.Binder = bodyBinder{rules: s.validator}
	s.echo.HTTPErrorHandler = func(err error, c echo.Context) { s.answerProblem(c, infoOf(c.Request().Context()), err) }
	s.echo.Use(s.observe)
	RegisterHandlersWithOptions(headToo{s.echo}, NewStrictHandler(s, nil), RegisterHandlersOptions{OperationMiddlewares: s.checksByOperation()})
	s.routes = map[string]bool{}
	for _, route := range s.echo.Routes() {
		s.routes[route.Path] = true
	}
}

// headToo lets HEAD ask for whatever GET does; the HTTP server leaves the body out.
type headToo struct{ *echo.Echo }

// GET registers a route for both methods.
func (e headToo) GET(path string, handler echo.HandlerFunc, checks ...echo.MiddlewareFunc) *echo.Route {
	e.HEAD(path, handler, checks...)
	return e.Echo.GET(path, handler, checks...)
}

// checksByOperation are run in order: who asks, then what is asked for.
func (s *Server) checksByOperation() map[string][]echo.MiddlewareFunc {
	byOperation := map[string][]echo.MiddlewareFunc{}
	for operation, scope := range scopes() {
		byOperation[operation] = []echo.MiddlewareFunc{s.authenticate(scope)}
	}
	add := func(check echo.MiddlewareFunc, operations ...string) {
		for _, operation := range operations {
			byOperation[operation] = append(byOperation[operation], check)
		}
	}
	add(requireOrderID, "getOrder", "cancelOrder", "listOrderPayments")
	add(requireDepositID, "getDeposit")
	for operation := range s.validator.queries {
		add(s.checkQuery(operation), operation)
	}
	add(requireIdempotencyKey, "createOrder")
	return byOperation
}

func (s *Server) checkQuery(operation string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if err := s.validator.query(operation, c.Request().URL.RawQuery); err != nil {
				return err
			}
			return next(c)
		}
	}
}

// requireOrderID answers text that is no id as an id that nobody has.
func requireOrderID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id, err := payment.ParseOrderID(c.Param("id"))
		if err != nil {
			return errNoOrder()
		}
		infoOf(c.Request().Context()).order = id
		return next(c)
	}
}

func errNoOrder() error { return payment.E(payment.CodeNotFound, "", "there is no such order") }

// Handler answers the API's requests.
func (s *Server) Handler() http.Handler { return s.echo }

// Serve answers requests on listener until ctx ends. Then it reports not ready, takes no new connections, and gives
// requests under way the time of grace to end. It closes the listener.
func (s *Server) Serve(ctx context.Context, listener net.Listener, grace time.Duration) error {
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      s.patience + writeReserve,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // refused handshakes and the like
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("api: serve: %w", err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(end); err != nil {
		_ = server.Close()
		return fmt.Errorf("api: requests were cut off: %w", err)
	}
	return nil
}
