package api

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// A limit fills evenly, follows the merchant's row, and is forgotten when it is whole: memory is that of who asks at the moment.
func TestLimitsFillAndAreForgotten(t *testing.T) {
	t.Parallel()
	l := newLimits()
	now := time.Now()
	l.now = func() time.Time { return now }
	who := store.Principal{MerchantID: payment.NewMerchantID(), Mode: payment.ModeTest, RequestsPerMinute: 60}
	key := [32]byte{1}
	header := http.Header{}
	require.NoError(t, l.admit(key, who, false, header))
	require.Equal(t, `"requests";r=9;t=1`, header.Get(headerRateLimit))
	for range 9 {
		known, err := l.admitKey(key, header)
		require.True(t, known)
		require.NoError(t, err)
	}
	_, err := l.admitKey(key, header)
	require.Equal(t, payment.CodeRateLimited, payment.CodeOf(err))
	wait, ok := store.RetryAfterOf(err)
	require.True(t, ok)
	require.Equal(t, time.Second, wait)
	now = now.Add(wait)
	_, err = l.admitKey(key, header)
	require.NoError(t, err, "as it was told")
	require.Equal(t, `"requests";r=0;t=10`, header.Get(headerRateLimit))

	who.RequestsPerMinute = 6
	require.NoError(t, l.admit(key, who, true, header), "the operator changed it")
	require.Contains(t, header.Get(headerRateLimitPolicy), `"requests";q=1;w=10`)

	now = now.Add(2 * time.Minute)
	other := store.Principal{MerchantID: payment.NewMerchantID(), Mode: payment.ModeLive, RequestsPerMinute: 60}
	require.NoError(t, l.admit([32]byte{2}, other, false, header))
	require.Len(t, l.accounts, 1)
	require.Len(t, l.keys, 1)
	known, err := l.admitKey(key, header)
	require.NoError(t, err)
	require.False(t, known)
}
