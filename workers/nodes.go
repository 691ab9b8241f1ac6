package workers

import (
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/rpcpool"
)

// nodeMetrics tells Prometheus how the nodes are doing, when it asks. Nodes are named by operator and number; their URLs
// hold keys.
type nodeMetrics struct {
	mu    sync.Mutex
	stats func() []rpcpool.Stats // nil: there are no nodes

	up, head, lag, latency, limited, lacks, requests, errors *prometheus.Desc
	operators, disagreements                                 *prometheus.Desc
}

func newNodeMetrics() *nodeMetrics {
	node := func(name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc("sluice_node_"+name, help, append([]string{labelChain, "operator", "node"}, more...), nil)
	}
	ofChain := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("sluice_chain_"+name, help, []string{labelChain}, nil)
	}
	return &nodeMetrics{
		up:            node("breaker_state", "1 for the state that the node's breaker is in: closed, half_open, open, or wrong_chain.", "state"),
		head:          node("head_block", "Newest block that the node has told of."),
		lag:           node("lag_blocks", "Blocks between that and the trusted head."),
		latency:       node("latency_seconds", "Average time of a small question."),
		limited:       node("rate_limited", "1 while the node wants to be left alone."),
		lacks:         node("lacks", "1 for what watching needs and the node does not send, as far as was found.", "what"),
		requests:      node("requests_total", "Questions put to the node."),
		errors:        node("errors_total", "Questions that the node did not answer, by reason.", "reason"),
		operators:     ofChain("operators", "Operators whose heads made the trusted head: with one alone, nobody confirms what it says."),
		disagreements: ofChain("disagreements_total", "Receipt checks in which operators contradicted each other."),
	}
}

// watch makes stats what is told from now on.
func (n *nodeMetrics) watch(stats func() []rpcpool.Stats) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stats = stats
}

// Describe implements prometheus.Collector.
func (n *nodeMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		n.up, n.head, n.lag, n.latency, n.limited, n.lacks, n.requests, n.errors, n.operators, n.disagreements,
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (n *nodeMetrics) Collect(to chan<- prometheus.Metric) {
	n.mu.Lock()
	read := n.stats
	n.mu.Unlock()
	if read == nil {
		return
	}
	gauge := func(d *prometheus.Desc, value uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...) //nolint:forbidigo // Prometheus counts in floats; this is no money
	}
	counter := func(d *prometheus.Desc, value uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...) //nolint:forbidigo // as above
	}
	for _, pool := range read() {
		gauge(n.operators, uint64(len(pool.Trusted.Operators)), pool.Chain)
		counter(n.disagreements, pool.Disagreements, pool.Chain)
		for _, e := range pool.Endpoints {
			labels := []string{pool.Chain, e.Operator, strconv.FormatInt(e.ID, 10)}
			state := string(e.Breaker)
			if e.Foreign {
				state = "wrong_chain"
			}
			gauge(n.up, 1, append(labels, state)...)
			gauge(n.head, e.Head, labels...)
			gauge(n.lag, e.Lag, labels...)
			to <- prometheus.MustNewConstMetric(n.latency, prometheus.GaugeValue, e.Latency.Seconds(), labels...)
			gauge(n.limited, one(!e.Limited.IsZero()), labels...)
			for _, need := range chain.Needs() {
				if !e.Probed.IsZero() {
					gauge(n.lacks, one(!e.Capabilities.Meets(need)), append(labels, string(need))...)
				}
			}
			counter(n.requests, e.Requests, labels...)
			for reason, count := range e.Errors {
				counter(n.errors, count, append(labels, reason)...)
			}
		}
	}
}

func one(holds bool) uint64 {
	if holds {
		return 1
	}
	return 0
}
