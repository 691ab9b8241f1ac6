package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
)

const committed = "../../../docs/states.md"

func TestTheCommittedPageIsCurrent(t *testing.T) {
	t.Parallel()
	require.NoError(t, run(nil, committed))
}

func TestCheckNoticesDrift(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(committed)
	require.NoError(t, err)
	drifted := filepath.Join(t.TempDir(), "states.md")
	require.NoError(t, os.WriteFile(drifted, bytes.Replace(page, []byte("expired"), []byte("expire"), 1), 0o600))
	require.ErrorContains(t, run(nil, drifted), "is not what the state table says")
	require.ErrorIs(t, run(nil, filepath.Join(t.TempDir(), "missing.md")), os.ErrNotExist)
}

func TestPrintingWritesThePage(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(&out, ""))
	require.Equal(t, render(payment.Table()), out.Bytes())
}

// Every row that lets something happen is one line; every refused pair of state
// and trigger is named.
func TestEveryRowIsOnThePage(t *testing.T) {
	t.Parallel()
	page := string(render(payment.Table()))
	happen, refused, _ := strings.Cut(page, "## Refusals")
	for _, row := range payment.Table() {
		if row.Refuse == "" {
			require.Contains(t, happen, "| "+string(row.On)+" | "+when(row.Guard)+" | ")
			continue
		}
		found := false
		for line := range strings.Lines(refused) {
			found = found || strings.HasPrefix(line, "| "+string(row.From)+" | ") &&
				strings.Contains(line, string(row.On)) && strings.Contains(line, string(row.Reason))
		}
		require.True(t, found, "%s, %s", row.From, row.On)
	}
	for _, state := range payment.States() {
		require.Contains(t, happen, "### From "+string(state))
	}
}

// No arrow leads out of paid, and none into opening.
func TestTheDiagramShowsMoves(t *testing.T) {
	t.Parallel()
	page := string(render(payment.Table()))
	require.Contains(t, page, "    opening --> awaiting_payment: address_allocated\n")
	require.Contains(t, page, "    cancelled --> paid: resolve_manual\n")
	require.NotContains(t, page, "    paid -->")
	require.Equal(t, 1, strings.Count(page, "--> opening"))
}
