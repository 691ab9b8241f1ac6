package store

import (
	"context"
	"fmt"
	"time"
)

// ChainAlarms is what operators want to be woken for on a chain.
type ChainAlarms struct {
	Name   string
	Halted bool
	// Quarantined counts the blocks that could not be read and were not since; the oldest is QuarantinedFor old.
	Quarantined    int64
	QuarantinedFor time.Duration
	Rescans        int64 // still open
	// SecondLookFound counts the transfers that were missed when their blocks were first read.
	SecondLookFound int64
	// Findings counts the balances above what is recorded that neither a payment nor a person has explained yet, Shortfalls
	// those below. Explained counts the findings that turned out to be payments, ever.
	Findings, Shortfalls, Explained int64
	// Overdrawn counts the merchants' balances below zero from which a finding was taken back that a person had settled there.
	Overdrawn int64
	// Untraced counts the blocks that no node traced since the first one that was traced, on chains that are. TracesGivenUp are
	// those among them that are not asked for any more.
	Untraced, TracesGivenUp int64
	// Refuted counts the transfers that were recorded and that operators contradicted later, RefutedCredits those that were
	// credited by then: they stay until a person decides.
	Refuted, RefutedCredits int64
	// TimesHeld counts the blocks of which a time was told that is not believed, ever.
	TimesHeld int64
}

// ListChainAlarms tells of every chain, by name.
func (db *DB) ListChainAlarms(ctx context.Context) ([]ChainAlarms, error) {
	rows, err := db.q.ChainAlarms(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the alarms of chains: %w", classify(err))
	}
	untraced, err := db.untraced(ctx)
	if err != nil {
		return nil, err
	}
	alarms := make([]ChainAlarms, len(rows))
	for i, row := range rows {
		alarms[i] = ChainAlarms{
			Name: row.Name, Halted: row.Halted, Quarantined: row.Quarantined,
			QuarantinedFor: time.Duration(row.QuarantinedSeconds) * time.Second,
			Rescans:        row.Rescans, SecondLookFound: row.SecondLookFound,
			Findings: row.Findings, Shortfalls: row.Shortfalls, Explained: row.Explained, Overdrawn: row.Overdrawn,
			Untraced: untraced[row.Name].Untraced, TracesGivenUp: untraced[row.Name].GivenUp,
			Refuted: row.Refuted, RefutedCredits: row.RefutedCredits, TimesHeld: row.TimesHeld,
		}
	}
	return alarms, nil
}
