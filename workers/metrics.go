package workers

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicepay/sluice/chain/scan"
)

// Metrics are what operators watch. A nil *Metrics counts nothing.
type Metrics struct {
	block    *prometheus.GaugeVec
	head     *prometheus.GaugeVec
	failures *prometheus.GaugeVec
	rescans  *prometheus.GaugeVec
	outbox   *prometheus.CounterVec
	swept    *prometheus.CounterVec
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "sluice", Name: name, Help: help}, []string{"chain"})
	}
	m := &Metrics{
		block:    gauge("watcher_block", "Last block recorded."),
		head:     gauge("watcher_head", "Newest block that the chain's nodes told of."),
		failures: gauge("watcher_failures", "Failed steps in a row."),
		rescans:  gauge("watcher_rescans", "Ranges that are still to be read again."),
		outbox: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "sluice", Name: "outbox_total", Help: "Wake-ups by what became of them.",
		}, []string{"outcome"}),
		swept: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "sluice", Name: "swept_total", Help: "What the sweep had to wake again.",
		}, []string{"kind"}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.block, m.head, m.failures, m.rescans, m.outbox, m.swept} {
		errs = append(errs, registry.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *Metrics) progress(chain string, p scan.Progress) {
	if m == nil {
		return
	}
	if p.Cursor != nil {
		m.block.WithLabelValues(chain).Set(number(p.Cursor.Number))
	}
	m.head.WithLabelValues(chain).Set(number(p.Head))
	m.failures.WithLabelValues(chain).Set(number(uint64(max(p.Failures, 0)))) //nolint:gosec // never negative
	m.rescans.WithLabelValues(chain).Set(number(uint64(max(p.Rescans, 0))))   //nolint:gosec // never negative
}

// number is a count as Prometheus wants it.
func number(n uint64) float64 { return float64(n) } //nolint:forbidigo // block numbers and counts, no money

func (m *Metrics) sent(outcome string) {
	if m != nil {
		m.outbox.WithLabelValues(outcome).Inc()
	}
}

func (m *Metrics) sweptUp(kind string, count int) {
	if m != nil && count > 0 {
		m.swept.WithLabelValues(kind).Add(number(uint64(count))) //nolint:gosec // above zero
	}
}
