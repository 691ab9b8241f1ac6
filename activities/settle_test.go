package activities_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

// settling is a payment of 25 USDC in block 100 that needs three confirmations, on a chain whose head is at 102.
type settling struct {
	s       store.Settlement
	check   chain.Check
	credit  store.CreditResult
	err     error // of the node
	dbErr   error
	sources error

	checked  []chain.Inclusion
	credited []store.CreditInput
	demanded []chain.Demand
	reviewed []process.ReviewInput
	alarms   []string
}

func newSettling() *settling {
	token := payment.Address{Family: payment.FamilyEVM, Raw: "token-contract-bytes"}
	return &settling{
		s: store.Settlement{
			PaymentID: "pay_a", Inclusion: 2, Status: payment.StatusDetected, Canonical: true, OrderID: "ord_a", Chain: "dev",
			TxHash: payment.Hash{1}, Position: 4, Asset: payment.Asset{ID: payment.TokenAsset("dev", token), Symbol: "USDC", Decimals: 6},
			Amount: payment.AmountFromUint64(25_000_000), Block: payment.BlockRef{Number: 100, Hash: payment.Hash{2}},
			Policy: payment.ConfirmationPolicy{Confirmations: 3}, BlockTime: 2 * time.Second,
		},
		check:  chain.Check{Outcome: chain.Included, Heads: payment.Heads{Latest: 102}, Depth: 3, Evidence: payment.EvidenceSingle},
		credit: store.CreditResult{Outcome: store.CreditDone, Order: &process.OrderView{State: payment.StatePaid}},
	}
}

func (f *settling) activity() *activities.Chain {
	return &activities.Chain{
		Settle: f, Sources: f, Log: discard(), Alarm: func(chain, cause string) { f.alarms = append(f.alarms, chain+" "+cause) },
	}
}

func (f *settling) LoadSettlement(context.Context, payment.PaymentID) (store.Settlement, error) {
	return f.s, f.dbErr
}

func (f *settling) ReadOrder(_ context.Context, id payment.OrderID) (process.OrderView, error) {
	return process.OrderView{ID: id, State: payment.StateConfirming}, nil
}

func (f *settling) OpenReview(_ context.Context, in process.ReviewInput) error {
	f.reviewed = append(f.reviewed, in)
	return nil
}

func (f *settling) Credit(_ context.Context, in store.CreditInput) (store.CreditResult, error) {
	f.credited = append(f.credited, in)
	return f.credit, nil
}

func (f *settling) Source(context.Context, string) (activities.Source, error) {
	return node{settling: f}, f.sources
}

type node struct {
	chain.Source
	*settling
}

func (n node) CheckInclusion(_ context.Context, in chain.Inclusion, demand chain.Demand) (chain.Check, error) {
	n.demanded = append(n.demanded, demand)
	n.checked = append(n.checked, in)
	return n.check, n.err
}

func (f *settling) run(t *testing.T, in process.SettleInput, details ...any) (process.SettleResult, error) {
	t.Helper()
	return run[process.SettleResult](t, f.activity().SettlePayment, in, details...)
}

func TestSettleCreditsExactlyWhatTheReceiptShowed(t *testing.T) {
	t.Parallel()
	f := newSettling()
	result, err := f.run(t, process.SettleInput{PaymentID: "pay_a"})
	require.NoError(t, err)
	require.Equal(t, process.SettleCredited, result.Outcome)
	require.Equal(t, 2, result.Inclusion)
	require.Equal(t, payment.StatePaid, result.Order.State)
	require.Equal(t, []store.CreditInput{{
		PaymentID: "pay_a", Inclusion: 2, BlockHash: payment.Hash{2}, Amount: f.s.Amount,
		Policy: f.s.Policy, Evidence: payment.EvidenceSingle, Demanded: payment.EvidenceSingle,
	}}, f.credited)
	require.Equal(t, []chain.Demand{{Evidence: payment.EvidenceSingle}}, f.demanded)
	require.Equal(t, f.s.Asset.ID.Contract, f.checked[0].Contract)
	require.Equal(t, uint32(4), f.checked[0].Position)
}

func TestSettleOutcomes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		given   func(*settling)
		outcome process.SettleOutcome
		credits int
	}{
		"credited before":       {func(f *settling) { f.s.Credited = true }, process.SettleAlready, 0},
		"dropped":               {func(f *settling) { f.s.Status = payment.StatusDropped }, process.SettleDropped, 0},
		"not canonical":         {func(f *settling) { f.s.Canonical = false }, process.SettleDropped, 0},
		"ignored":               {func(f *settling) { f.s.Status = payment.StatusIgnored }, process.SettleIgnored, 0},
		"credited by another":   {func(f *settling) { f.credit.Outcome = store.CreditAlready }, process.SettleAlready, 1},
		"worth nothing":         {func(f *settling) { f.credit.Outcome = store.CreditIgnored }, process.SettleIgnored, 1},
		"parked and looked at":  {func(f *settling) { f.s.Status = payment.StatusParked }, process.SettleCredited, 1},
		"a reached tag":         {func(f *settling) { f.s.Policy.Tag = payment.TagSafe; f.check.Heads.Safe = 100 }, process.SettleCredited, 1},
		"deeper than necessary": {func(f *settling) { f.check.Heads.Latest = 100_000 }, process.SettleCredited, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newSettling()
			c.given(f)
			result, err := f.run(t, process.SettleInput{PaymentID: "pay_a"})
			require.NoError(t, err)
			require.Equal(t, c.outcome, result.Outcome)
			require.Len(t, f.credited, c.credits)
			require.NotNil(t, result.Order)
		})
	}
}

func TestSettleWaits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		given       func(*settling)
		least, most time.Duration
		text        string
	}{
		"for two blocks":                         {func(f *settling) { f.check.Heads.Latest, f.check.Depth = 100, 1 }, 4 * time.Second, 4 * time.Second, "1 of 3 confirmations"},
		"no longer than half a minute":           {func(f *settling) { f.s.Policy.Confirmations = 1000 }, 30 * time.Second, 30 * time.Second, "3 of 1000"},
		"at least a block":                       {func(f *settling) { f.s.BlockTime = time.Minute; f.check.Heads.Latest = 101 }, time.Minute, time.Minute, "confirmations"},
		"for the tag":                            {func(f *settling) { f.s.Policy.Tag = payment.TagFinalized; f.check.Heads.Finalized = 99 }, 30 * time.Second, 30 * time.Second, "finalized"},
		"for the node":                           {func(f *settling) { f.check.Outcome = chain.NodeBehind }, 2 * time.Second, 2 * time.Second, "has not reached block 100"},
		"for the end of a reorganisation":        {func(f *settling) { f.check.Outcome = chain.NotCanonical }, 4 * time.Second, 4 * time.Second, "not_canonical"},
		"when the facts have changed":            {func(f *settling) { f.credit.Outcome = store.CreditStale }, 2 * time.Second, 2 * time.Second, "looking again"},
		"while the chain is paused":              {func(f *settling) { f.s.Paused = true }, 30 * time.Second, 30 * time.Second, "paused"},
		"while it is, at the last moment":        {func(f *settling) { f.credit.Outcome = store.CreditPaused }, 30 * time.Second, 30 * time.Second, "paused"},
		"while the chain is halted":              {func(f *settling) { f.s.Halted = payment.CodeChainHalted }, 30 * time.Second, 30 * time.Second, "chain_halted"},
		"while the asset is, at the last moment": {func(f *settling) { f.credit = store.CreditResult{Outcome: store.CreditHalted, Reason: "asset_halted"} }, 30 * time.Second, 30 * time.Second, "asset_halted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newSettling()
			c.given(f)
			_, err := f.run(t, process.SettleInput{PaymentID: "pay_a"})
			requireWaiting(t, err, c.least, c.most, c.text)
		})
	}
}

// Never before the policy is met: whatever the depth, a credit needs it.
func TestSettleNeverCreditsEarly(t *testing.T) {
	t.Parallel()
	for latest := uint64(95); latest < 102; latest++ {
		f := newSettling()
		f.check.Heads.Latest = latest
		_, err := f.run(t, process.SettleInput{PaymentID: "pay_a"})
		require.Error(t, err)
		require.Empty(t, f.credited, "head %d", latest)
	}
	for _, outcome := range []chain.Outcome{chain.NodeBehind, chain.NotCanonical, chain.MissingReceipt, chain.Reverted, chain.ContentChanged, "something new"} {
		f := newSettling()
		f.check.Outcome = outcome
		_, err := f.run(t, process.SettleInput{PaymentID: "pay_a"})
		require.Error(t, err)
		require.Empty(t, f.credited, "%s", outcome)
	}
}

type trouble struct {
	Cause string    `json:"cause"`
	Since time.Time `json:"since"`
}

func TestATroubleThatLastsNeedsAPerson(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		given   func(*settling)
		details trouble
		over    bool
		outcome process.SettleOutcome
	}{
		"reverted for long":         {func(f *settling) { f.check.Outcome = chain.Reverted }, trouble{"reverted", time.Now().Add(-11 * time.Minute)}, true, process.SettleMismatch},
		"reverted for a moment":     {func(f *settling) { f.check.Outcome = chain.Reverted }, trouble{"reverted", time.Now().Add(-time.Minute)}, false, ""},
		"another trouble than then": {func(f *settling) { f.check.Outcome = chain.Reverted }, trouble{"not_canonical", time.Now().Add(-time.Hour)}, false, ""},
		"halted for long":           {func(f *settling) { f.s.Halted = payment.CodeChainHalted }, trouble{"chain_halted", time.Now().Add(-2 * time.Hour)}, true, process.SettleHalted},
		"halted for a while":        {func(f *settling) { f.s.Halted = payment.CodeChainHalted }, trouble{"chain_halted", time.Now().Add(-20 * time.Minute)}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newSettling()
			c.given(f)
			result, err := f.run(t, process.SettleInput{PaymentID: "pay_a"}, c.details)
			if !c.over {
				requireWaiting(t, err, 0, time.Minute, "since")
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.outcome, result.Outcome)
			require.Empty(t, f.credited)
		})
	}
}

func TestATroubleIsRememberedAndForgotten(t *testing.T) {
	t.Parallel()
	f := newSettling()
	f.check.Outcome = chain.ContentChanged
	settle := f.activity().SettlePayment
	env := environment(settle)
	beats := heartbeats[trouble](t, env)
	_, err := execute[process.SettleResult](t, env, settle, process.SettleInput{PaymentID: "pay_a"})
	require.Error(t, err)
	require.Len(t, *beats, 1)
	require.Equal(t, "content_changed", (*beats)[0].Cause)

	f.check.Outcome, f.check.Heads.Latest = chain.Included, 101
	env = environment(settle)
	env.SetHeartbeatDetails((*beats)[0])
	beats = heartbeats[trouble](t, env)
	_, err = execute[process.SettleResult](t, env, settle, process.SettleInput{PaymentID: "pay_a"})
	requireWaiting(t, err, 2*time.Second, 2*time.Second, "confirmations")
	require.Equal(t, []trouble{{}}, *beats)
}

func TestAReviewSettlesWithoutItsOrdersView(t *testing.T) {
	t.Parallel()
	f := newSettling()
	result, err := f.run(t, process.SettleInput{PaymentID: "pay_a", Review: process.CauseLate})
	require.NoError(t, err)
	require.Nil(t, result.Order)
	require.Equal(t, process.CauseLate, f.credited[0].Review)
}

func TestSettleErrors(t *testing.T) {
	t.Parallel()
	f := newSettling()
	f.dbErr = payment.E(payment.CodeNotFound, "", "no such payment")
	_, err := f.run(t, process.SettleInput{PaymentID: "pay_a"})
	requireRefused(t, err, payment.CodeNotFound)

	f = newSettling()
	f.err = fmt.Errorf("%w: %w", chain.ErrUnavailable, errSecret())
	_, err = f.run(t, process.SettleInput{PaymentID: "pay_a"})
	require.Equal(t, "chain_unavailable", requireRetried(t, err))
	require.NotContains(t, err.Error(), "canary")

	f = newSettling()
	f.sources = errSecret()
	_, err = f.run(t, process.SettleInput{PaymentID: "pay_a"})
	require.Equal(t, "internal", requireRetried(t, err))
	require.NotContains(t, err.Error(), "canary")
}
