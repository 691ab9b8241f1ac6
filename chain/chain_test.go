package chain_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

func TestReason(t *testing.T) {
	t.Parallel()
	tests := map[string]error{
		"":             nil,
		"reorged":      fmt.Errorf("read block: %w", chain.ErrReorged),
		"rate_limited": &chain.RetryError{After: time.Second, Err: fmt.Errorf("x: %w", chain.ErrRateLimited)},
		"canceled":     fmt.Errorf("x: %w", context.Canceled),
		"timeout":      context.DeadlineExceeded,
		"internal":     errors.New("anything"),
	}
	for want, err := range tests {
		require.Equal(t, want, chain.Reason(err))
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("read: %w", &chain.RetryError{After: 7 * time.Second, Err: chain.ErrRateLimited})
	require.Equal(t, 7*time.Second, chain.RetryAfter(err))
	require.ErrorIs(t, err, chain.ErrRateLimited)
	require.Zero(t, chain.RetryAfter(chain.ErrRateLimited))
	require.Zero(t, chain.RetryAfter(nil))
}

func TestFilterNormal(t *testing.T) {
	t.Parallel()
	a := payment.Address{Family: payment.FamilyEVM, Raw: "a"}
	b := payment.Address{Family: payment.FamilyEVM, Raw: "b"}
	given := chain.Filter{Native: true, Tokens: []payment.Address{b, a, b}}
	require.Equal(t, chain.Filter{Native: true, Tokens: []payment.Address{a, b}}, given.Normal())
	require.Equal(t, []payment.Address{b, a, b}, given.Tokens, "the original is left alone")
	require.Equal(t, chain.Filter{}, chain.Filter{}.Normal())
}

func TestResolutionsHaveNames(t *testing.T) {
	t.Parallel()
	for want, resolution := range map[string]chain.Resolution{
		"unresolved": chain.Unresolved, "resolved": chain.Resolved, "void": chain.Void, "unknown": chain.Resolution(9),
	} {
		require.Equal(t, want, resolution.String())
	}
}
