package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics counts requests. Every label is one of few words of our own: templates of routes, methods, statuses, codes.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	problems *prometheus.CounterVec
	created  *prometheus.CounterVec
	ready    prometheus.Gauge

	chainTakesOrders, chainBehind, chainSilent *prometheus.GaugeVec
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	const namespace, subsystem = "sluice", "api"
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}
	}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts(opts("requests_total", "Requests answered.")), []string{"route", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "request_duration_seconds", Help: "Time to answer.",
			Buckets: prometheus.ExponentialBucketsRange(0.001, 10, 13),
		}, []string{"route", "method"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts(opts("requests_in_flight", "Requests being answered."))),
		problems: prometheus.NewCounterVec(prometheus.CounterOpts(opts("problems_total", "Problems answered, by code.")), []string{"code"}),
		created:  prometheus.NewCounterVec(prometheus.CounterOpts(opts("order_creations_total", "Accepted requests for orders, by outcome.")), []string{"outcome"}),
		ready:    prometheus.NewGauge(prometheus.GaugeOpts(opts("ready", "1 when the last readiness check succeeded."))),
	}
	chain := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts(opts(name, help)), []string{"chain"})
	}
	m.chainTakesOrders = chain("chain_takes_orders", "1 when orders on the chain are accepted, as of the last readiness check.")
	m.chainBehind = chain("chain_behind_seconds", "Blocks seen and not recorded, in the time that the chain takes to make them.")
	m.chainSilent = chain("chain_silent_seconds", "Time since the chain's watcher last recorded a block or told of the head.")
	for _, collector := range []prometheus.Collector{
		m.requests, m.duration, m.inFlight, m.problems, m.created, m.ready, m.chainTakesOrders, m.chainBehind, m.chainSilent,
	} {
		if err := registry.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) request(route, method string, status int, info *requestInfo, took time.Duration) {
	method = knownMethod(method)
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(route, method).Observe(took.Seconds())
	if info.code != "" {
		m.problems.WithLabelValues(info.code).Inc()
	}
	if info.outcome != "" {
		m.created.WithLabelValues(info.outcome).Inc()
	}
}

func (m *metrics) setReady(ready bool) {
	if ready {
		m.ready.Set(1)
	} else {
		m.ready.Set(0)
	}
}

// Metrics serves the metrics in Prometheus's text format. It belongs on a listener that merchants do not reach: nothing in
// it is secret, but how busy a merchant's engine is concerns only its operator.
func (s *Server) Metrics() http.Handler {
	return promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{Registry: s.registry})
}
