package workers

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/rpcpool"
	"github.com/sluicepay/sluice/payment"
)

func TestTheMetricsOfNodes(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	metrics, err := NewMetrics(registry)
	require.NoError(t, err)
	gathered := func() map[string]string {
		families, err := registry.Gather()
		require.NoError(t, err)
		text := map[string]string{}
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				text[family.GetName()] += metric.String() + " "
			}
		}
		return text
	}
	require.Empty(t, gathered()["sluice_node_head_block"])
	metrics.watchNodes(func() []rpcpool.Stats {
		return []rpcpool.Stats{{
			Chain: "dev", Disagreements: 3,
			Trusted: rpcpool.Trusted{Head: payment.BlockRef{Number: 9}, At: time.Now(), Operators: []string{"acme", "beta"}},
			Endpoints: []rpcpool.EndpointStats{
				{ID: 7, Operator: "acme", Breaker: rpcpool.BreakerOpen, Head: 5, Lag: 4, Errors: map[string]uint64{"timeout": 2}},
				{
					ID: 8, Operator: "beta", Breaker: rpcpool.BreakerClosed, Foreign: true, Limited: time.Now(),
					Probed: time.Now(), Capabilities: chain.Capabilities{Blocks: true, RangeLogs: true, Receipts: true},
				},
			},
		}}
	})
	all := gathered()
	require.Contains(t, all["sluice_node_breaker_state"], `value:"open"`)
	require.Contains(t, all["sluice_node_breaker_state"], `value:"wrong_chain"`)
	require.Contains(t, all["sluice_node_lag_blocks"], "value:4")
	require.Contains(t, all["sluice_node_errors_total"], `value:"timeout"`)
	require.Contains(t, all["sluice_node_errors_total"], `value:"acme"`)
	require.Contains(t, all["sluice_node_errors_total"], `value:"7"`)
	require.Contains(t, all["sluice_chain_operators"], "value:2")
	require.Contains(t, all["sluice_chain_disagreements_total"], "value:3")
	require.Contains(t, all["sluice_node_rate_limited"], "value:1")
	require.Regexp(t, `value:"the logs of a block"} +gauge:{value:1}`, all["sluice_node_lacks"])
	require.Regexp(t, `value:"receipts"} +gauge:{value:0}`, all["sluice_node_lacks"])
}
