package api

import (
	"context"

	"github.com/sluicepay/sluice/store"
)

// chainHealth tells of each chain whether it takes orders, or why not. A chain that takes none makes nothing
// unready: others do, and load balancers must not send all orders elsewhere, where it is the same.
func (s *Server) chainHealth(ctx context.Context) (map[string]ChainHealth, error) {
	lags, err := s.store.ChainLags(ctx)
	if err != nil {
		return nil, err
	}
	chains := make(map[string]ChainHealth, len(lags))
	for _, lag := range lags {
		chains[lag.Chain] = chainHealthOf(lag)
	}
	s.metrics.setChains(lags)
	return chains, nil
}

func chainHealthOf(lag store.Lag) ChainHealth {
	switch {
	case lag.HaltedReason != "":
		return ChainHealthHalted
	case lag.Paused:
		return ChainHealthPaused
	case lag.Excessive:
		return ChainHealthLagging
	case lag.Disabled:
		return ChainHealthDisabled
	default:
		return ChainHealthOk
	}
}

// setChains shows how far each chain is recorded, as this process reads it.
func (m *metrics) setChains(lags []store.Lag) {
	m.chainTakesOrders.Reset() // a chain that is gone is told of no more
	m.chainBehind.Reset()
	m.chainSilent.Reset()
	for _, lag := range lags {
		takes := 0.0
		if lag.TakesOrders() {
			takes = 1
		}
		m.chainTakesOrders.WithLabelValues(lag.Chain).Set(takes)
		m.chainBehind.WithLabelValues(lag.Chain).Set(lag.Behind.Seconds())
		m.chainSilent.WithLabelValues(lag.Chain).Set(lag.Silent.Seconds())
	}
}
