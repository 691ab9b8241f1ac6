package workers

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicepay/sluice/chain/rpcpool"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/store"
)

// labelChain is the label that names a chain.
const labelChain = "chain"

// Metrics are what operators watch. Labels are names of chains and outcomes, never anything from outside.
type Metrics struct {
	cursor, head, lag *prometheus.GaugeVec
	failing           *prometheus.GaugeVec
	relayed           *prometheus.CounterVec
	relayFailed       prometheus.Counter
	nodes             *nodeMetrics
	alarms            alarmGauges

	poisonings, dust, playMoney, unknownTransfers, unknownContracts *prometheus.GaugeVec
	settleAlarms                                                    *prometheus.CounterVec
}

// NewMetrics registers the metrics.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "sluice", Subsystem: "chain", Name: name, Help: help}, []string{labelChain})
	}
	m := &Metrics{
		nodes:   newNodeMetrics(),
		cursor:  gauge("cursor_block", "Last block fully recorded."),
		head:    gauge("head_block", "Newest block that a node has told of."),
		lag:     gauge("lag_blocks", "Blocks between the two."),
		alarms:  newAlarmGauges(),
		failing: gauge("consecutive_failures", "Steps of the watcher that failed in a row."),
		relayed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "sluice", Subsystem: "relay", Name: "wakeups_total", Help: "Wake-ups that arrived, by outcome.",
		}, []string{"outcome"}),
		relayFailed: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "sluice", Subsystem: "relay", Name: "failures_total", Help: "Wake-ups that were put back.",
		}),
	}
	m.settleAlarms = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "sluice", Subsystem: "settle", Name: "alarms_total",
		Help: "Payments that are not credited because operators disagree, or too few of them vouch for the amount, by cause.",
	}, []string{"chain", "cause"})
	m.playMoney = gauge("play_money", "Transfers of test money to live addresses.")
	m.poisonings = gauge("poisonings", "Token transfers of nothing to addresses of ours.")
	m.dust = gauge("dust_payments", "Payments to addresses of ours that were dust when they were first seen.")
	m.unknownTransfers = gauge("unknown_token_transfers", "Transfers to addresses of ours in tokens that nobody enabled.")
	m.unknownContracts = gauge("unknown_token_contracts", "Tokens among these.")
	own := []prometheus.Collector{m.cursor, m.head, m.lag, m.failing, m.relayed, m.relayFailed, m.nodes, m.poisonings, m.dust, m.playMoney, m.unknownTransfers, m.unknownContracts, m.settleAlarms}
	for _, c := range append(own, m.alarms.all()...) {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) progress(chain string, p scan.Progress) {
	if m == nil {
		return
	}
	if p.Cursor != nil {
		m.cursor.WithLabelValues(chain).Set(float64(p.Cursor.Number)) //nolint:forbidigo // Prometheus counts in floats; this is no money
	}
	m.head.WithLabelValues(chain).Set(float64(p.Head))        //nolint:forbidigo // as above
	m.lag.WithLabelValues(chain).Set(float64(p.Lag()))        //nolint:forbidigo // as above
	m.failing.WithLabelValues(chain).Set(float64(p.Failures)) //nolint:forbidigo // as above
}

// watchNodes makes stats what is told about nodes.
func (m *Metrics) watchNodes(stats func() []rpcpool.Stats) {
	if m != nil {
		m.nodes.watch(stats)
	}
}

func (m *Metrics) strange(c store.StrangeCounts) {
	if m == nil {
		return
	}
	m.poisonings.WithLabelValues(c.Chain).Set(float64(c.Poisonings))             //nolint:forbidigo // as above
	m.dust.WithLabelValues(c.Chain).Set(float64(c.Dust))                         //nolint:forbidigo // as above
	m.playMoney.WithLabelValues(c.Chain).Set(float64(c.PlayMoney))               //nolint:forbidigo // as above
	m.unknownTransfers.WithLabelValues(c.Chain).Set(float64(c.UnknownTransfers)) //nolint:forbidigo // as above
	m.unknownContracts.WithLabelValues(c.Chain).Set(float64(c.UnknownContracts)) //nolint:forbidigo // as above
}

func (m *Metrics) sent(outcome store.OutboxOutcome) {
	if m != nil {
		m.relayed.WithLabelValues(string(outcome)).Inc()
	}
}

func (m *Metrics) settleAlarm(chain, cause string) {
	if m != nil {
		m.settleAlarms.WithLabelValues(chain, cause).Inc()
	}
}

func (m *Metrics) failed() {
	if m != nil {
		m.relayFailed.Inc()
	}
}
