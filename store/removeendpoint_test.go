package store_test

import (
	"crypto/sha256"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// nodesOf gives the chain nodes, one of each operator named, and returns their numbers.
func nodesOf(t *testing.T, b *storetest.Bundle, operators ...string) []int64 {
	t.Helper()
	settings, err := b.DB.GetChain(t.Context(), storetest.Chain)
	require.NoError(t, err)
	var endpoints []store.RPCEndpoint
	for i, operator := range operators {
		e := store.RPCEndpoint{Operator: operator, Fingerprint: sha256.Sum256([]byte{byte(i)})}
		e.URL = b.Keys.Seal([]byte("https://node.example/key"), e.URLPlace(storetest.Chain))
		endpoints = append(endpoints, e)
	}
	require.NoError(t, b.DB.EnableChain(t.Context(), settings, store.NewAsset{ID: b.Native.ID, Code: "ETH", Decimals: 18}, endpoints, storetest.By()))
	return left(t, b)
}

func left(t *testing.T, b *storetest.Bundle) []int64 {
	t.Helper()
	list, err := b.DB.ListRPCEndpoints(t.Context(), storetest.Chain)
	require.NoError(t, err)
	ids := make([]int64, len(list))
	for i, e := range list {
		ids[i] = e.ID
	}
	return ids
}

func TestRemovingANode(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	ids := nodesOf(t, b, "one", "one", "two")
	remove := func(id int64, oneOperator bool) payment.Code {
		return payment.CodeOf(b.DB.RemoveRPCEndpoint(t.Context(), storetest.Chain, id, oneOperator, storetest.By()))
	}
	require.Equal(t, payment.CodeNotFound, remove(ids[2]+100, false))
	require.Equal(t, payment.CodeUnknownChain, payment.CodeOf(b.DB.RemoveRPCEndpoint(t.Context(), "mars", ids[0], false, storetest.By())))
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(b.DB.RemoveRPCEndpoint(t.Context(), storetest.Other, ids[0], false, storetest.By())), "another chain's")

	require.NoError(t, b.DB.SetEvidenceTier(t.Context(), store.TierKey{Chain: storetest.Chain}, payment.EvidenceAgreed, storetest.By()))
	require.Equal(t, payment.CodeOrderState, remove(ids[2], false), "two have to agree, and one would be left")
	require.Empty(t, remove(ids[0], false), "the operator has another node")
	require.Equal(t, payment.CodeOrderState, remove(ids[1], false))
	require.Empty(t, remove(ids[1], true))
	require.Equal(t, []int64{ids[2]}, left(t, b))
	require.Equal(t, payment.CodeOrderState, remove(ids[2], true), "the last one stays")
	require.Equal(t, 1, storetest.Value[int](t, b, `SELECT count(*)::int FROM rpc_endpoints`), "the URLs are gone")
	require.Equal(t, []string{"one/1", "one/2"}, storetest.Value[[]string](t, b, `SELECT array_agg((detail->>'operator') || '/' || (detail->>'nodes_left') ORDER BY detail->>'nodes_left')
		FROM audit WHERE action = 'chain.rpc.remove' AND subject = 'dev'`))
}

// Two persons who each remove another node leave one.
func TestTwoWhoRemoveLeaveANode(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	ids := nodesOf(t, b, "one", "two")
	var all sync.WaitGroup
	codes := make([]payment.Code, len(ids))
	for i, id := range ids {
		all.Go(func() {
			codes[i] = payment.CodeOf(b.DB.RemoveRPCEndpoint(t.Context(), storetest.Chain, id, true, storetest.By()))
		})
	}
	all.Wait()
	require.ElementsMatch(t, []payment.Code{"", payment.CodeOrderState}, codes)
	require.Len(t, left(t, b), 1)
}
