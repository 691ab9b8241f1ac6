package workers

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicepay/sluice/store"
)

// alarmEvery is the time between two looks at what operators are woken for.
const alarmEvery = 15 * time.Second

// alarmGauges are the metrics that come from the database, so that every worker tells the same, whoever watches the chain.
type alarmGauges struct {
	halted, quarantined, quarantinedFor, rescans, missed, findings, shortfalls, explained, overdrawn, untraced, untraceable,
	refuted, refutedCredits, timesHeld *prometheus.GaugeVec
}

func newAlarmGauges() alarmGauges {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "sluice", Subsystem: "chain", Name: name, Help: help}, []string{labelChain})
	}
	return alarmGauges{
		halted:         gauge("halted", "1 while nothing is credited on the chain."),
		quarantined:    gauge("quarantined_blocks", "Blocks that could not be read, and were not since."),
		quarantinedFor: gauge("quarantine_age_seconds", "Age of the oldest of them."),
		rescans:        gauge("open_rescans", "Ranges that are still to be read again."),
		findings:       gauge("balance_findings", "Balances above what payments and people have explained."),
		explained:      gauge("balance_findings_explained", "Findings that turned out to be payments, ever."),
		overdrawn:      gauge("overdrawn_settlements", "Merchants' balances below zero from which a settled finding was taken back."),
		shortfalls:     gauge("balance_shortfalls", "Addresses that hold less than was recorded."),
		untraced:       gauge("untraced_blocks", "Blocks that no node traced since the first one that was."),
		untraceable:    gauge("traces_given_up_blocks", "Those among them that are not asked for any more."),
		missed:         gauge("second_look_found", "Transfers that were missed when their blocks were first read, ever."),
		refuted:        gauge("refuted", "Transfers that were recorded and that operators contradicted later, ever."),
		refutedCredits: gauge("refuted_credits", "Those of them that were credited by then, and stay."),
		timesHeld:      gauge("block_times_held", "Blocks of which a time was told that is not believed, ever."),
	}
}

func (g alarmGauges) all() []prometheus.Collector {
	return []prometheus.Collector{
		g.halted, g.quarantined, g.quarantinedFor, g.rescans, g.missed, g.findings, g.shortfalls, g.explained, g.overdrawn, g.untraced, g.untraceable,
		g.refuted, g.refutedCredits, g.timesHeld,
	}
}

func (g alarmGauges) set(a store.ChainAlarms) {
	halted := int64(0)
	if a.Halted {
		halted = 1
	}
	for _, v := range []struct {
		gauge *prometheus.GaugeVec
		value int64
	}{
		{g.halted, halted},
		{g.quarantined, a.Quarantined},
		{g.quarantinedFor, int64(a.QuarantinedFor / time.Second)},
		{g.rescans, a.Rescans},
		{g.missed, a.SecondLookFound},
		{g.findings, a.Findings},
		{g.shortfalls, a.Shortfalls},
		{g.explained, a.Explained},
		{g.overdrawn, a.Overdrawn},
		{g.untraced, a.Untraced},
		{g.untraceable, a.TracesGivenUp},
		{g.refuted, a.Refuted},
		{g.refutedCredits, a.RefutedCredits},
		{g.timesHeld, a.TimesHeld},
	} {
		v.gauge.WithLabelValues(a.Name).Set(float64(v.value)) //nolint:forbidigo // Prometheus counts in floats; this is no money
	}
}

// alarms keeps the gauges current and says so in the log when something got worse.
type alarms struct {
	list    func(ctx context.Context) ([]store.ChainAlarms, error)
	metrics *Metrics
	log     *slog.Logger

	last map[string]store.ChainAlarms
}

// Run looks until ctx ends.
func (a *alarms) Run(ctx context.Context) error {
	for {
		a.round(ctx)
		if pause(ctx, alarmEvery) != nil {
			return nil //nolint:nilerr // the end of ctx is how this ends
		}
	}
}

func (a *alarms) round(ctx context.Context) {
	list, err := a.list(ctx)
	if err != nil {
		if ctx.Err() == nil {
			a.log.WarnContext(ctx, "alarms cannot be read, the next round tries again", "error", err)
		}
		return
	}
	if a.last == nil {
		a.last = map[string]store.ChainAlarms{}
	}
	for _, now := range list {
		before := a.last[now.Name]
		a.last[now.Name] = now
		if a.metrics != nil {
			a.metrics.alarms.set(now)
		}
		if now.Halted && !before.Halted {
			a.log.ErrorContext(ctx, "chain is halted: nothing is credited until somebody resumes it", "chain", now.Name)
		}
		if now.Quarantined > before.Quarantined {
			a.log.ErrorContext(ctx, "blocks are quarantined: payments in them are not seen, and no order expires across them",
				"chain", now.Name, "blocks", now.Quarantined, "oldest", now.QuarantinedFor.String())
		}
		if now.TimesHeld > before.TimesHeld {
			a.log.ErrorContext(ctx, "what was said of the time of blocks is not believed: a node is wrong, or our own clock is",
				"chain", now.Name, "blocks", now.TimesHeld)
		}
		if now.TracesGivenUp > before.TracesGivenUp {
			a.log.ErrorContext(ctx, "no node traced some blocks within a day: internal payments in them show as findings only, until a rescan",
				"chain", now.Name, "blocks", now.TracesGivenUp)
		}
	}
}
