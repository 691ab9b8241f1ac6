package payment_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
)

func TestEvidence(t *testing.T) {
	t.Parallel()
	all := payment.Evidences()
	for i, e := range all {
		for j, least := range all {
			require.Equal(t, i >= j, e.AtLeast(least), "%q %q", e, least)
		}
		parsed, err := payment.ParseEvidence(string(e))
		require.NoError(t, err)
		require.Equal(t, e, parsed)
	}
	require.False(t, payment.Evidence("sworn").AtLeast(payment.EvidenceNone))
	require.False(t, payment.EvidenceProven.AtLeast("sworn"))
	_, err := payment.ParseEvidence("sworn")
	require.ErrorIs(t, err, payment.E(payment.CodeInvalidParameter, "", ""))
}
