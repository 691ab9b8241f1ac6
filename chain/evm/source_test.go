package evm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/evm"
)

func open(t *testing.T, opts evm.Options) chaintest.Source {
	t.Helper()
	source, err := evm.New(opts)
	require.NoError(t, err)
	return source
}

func TestConformsOnGethOverHTTP(t *testing.T) {
	t.Parallel()
	chaintest.RunSource(t, func(t *testing.T) chaintest.Bench {
		t.Helper()
		return chaintest.NewGeth(t, func(t *testing.T, httpURL, wsURL string) chaintest.Source {
			t.Helper()
			return open(t, evm.Options{URL: httpURL, WSURL: wsURL})
		})
	})
}

func TestConformsOnGethOverWebSocket(t *testing.T) {
	t.Parallel()
	chaintest.RunSource(t, func(t *testing.T) chaintest.Bench {
		t.Helper()
		return chaintest.NewGeth(t, func(t *testing.T, _, wsURL string) chaintest.Source {
			t.Helper()
			return open(t, evm.Options{URL: wsURL})
		})
	})
}

func TestConformsOnFake(t *testing.T) {
	t.Parallel()
	chaintest.RunSource(t, func(t *testing.T) chaintest.Bench {
		t.Helper()
		return chaintest.NewFake(t, func(t *testing.T, httpURL, _ string) chaintest.Source {
			t.Helper()
			return open(t, evm.Options{URL: httpURL})
		})
	})
}
