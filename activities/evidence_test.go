package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

func TestSettleAsksForTheEvidenceThatIsDemanded(t *testing.T) {
	t.Parallel()
	f := newSettling()
	f.s.Evidence, f.s.Policy.Tag = payment.EvidenceProven, payment.TagSafe
	f.check.Evidence, f.check.Heads.Safe = payment.EvidenceProven, 100
	_, err := f.run(t, process.SettleInput{PaymentID: "pay_a"})
	require.NoError(t, err)
	require.Equal(t, []chain.Demand{{Tag: payment.TagSafe, Evidence: payment.EvidenceProven}}, f.demanded)
	require.Equal(t, payment.EvidenceProven, f.credited[0].Evidence)
	require.Equal(t, f.s.Policy, f.credited[0].Policy)
	require.Empty(t, f.alarms)
}

// Too little evidence, and operators that contradict each other: an alarm at once, an hour of waiting, then a person.
func TestWhatOperatorsDoNotAgreeAboutWaitsAndIsReviewed(t *testing.T) {
	t.Parallel()
	unproven := func(f *settling) { f.credit = store.CreditResult{Outcome: store.CreditUnproven} }
	disagree := func(f *settling) { f.err = chain.ErrDisagreement }
	for cause, given := range map[string]func(*settling){"evidence": unproven, "operators_disagree": disagree} {
		t.Run(cause, func(t *testing.T) {
			t.Parallel()
			f := newSettling()
			given(f)
			_, err := f.run(t, process.SettleInput{PaymentID: "pay_a"})
			requireWaiting(t, err, 30*time.Second, 30*time.Second, cause)
			require.Equal(t, []string{"dev " + cause}, f.alarms)
			require.Empty(t, f.reviewed)

			_, err = f.run(t, process.SettleInput{PaymentID: "pay_a"}, trouble{cause, time.Now().Add(-59 * time.Minute)})
			requireWaiting(t, err, 30*time.Second, 30*time.Second, cause)
			require.Len(t, f.alarms, 1, "one alarm for one trouble")
			require.Empty(t, f.reviewed)

			result, err := f.run(t, process.SettleInput{PaymentID: "pay_a"}, trouble{cause, time.Now().Add(-61 * time.Minute)})
			require.NoError(t, err)
			require.Equal(t, process.SettleDisagreement, result.Outcome)
			require.NotNil(t, result.Order)
			require.Equal(t, []process.ReviewInput{{PaymentID: "pay_a", Inclusion: 2, Cause: process.CauseDisagreement}}, f.reviewed)
		})
	}
}

// The hour of a trouble is not cut short, nor begun anew, by the check that succeeds before every attempt to credit.
func TestATroubleOfCreditingIsRemembered(t *testing.T) {
	t.Parallel()
	f := newSettling()
	f.credit = store.CreditResult{Outcome: store.CreditUnproven}
	settle := f.activity().SettlePayment
	env := environment(settle)
	env.SetHeartbeatDetails(trouble{"evidence", time.Now().Add(-time.Minute)})
	beats := heartbeats[trouble](t, env)
	_, err := execute[process.SettleResult](t, env, settle, process.SettleInput{PaymentID: "pay_a"})
	require.Error(t, err)
	require.Empty(t, *beats, "nothing is taken back and nothing begins")
}

// The review of a disagreement asks for no review of its own.
func TestTheReviewOfADisagreementEndsAsOne(t *testing.T) {
	t.Parallel()
	f := newSettling()
	f.err = chain.ErrDisagreement
	result, err := f.run(t, process.SettleInput{PaymentID: "pay_a", Review: process.CauseDisagreement}, trouble{"operators_disagree", time.Now().Add(-2 * time.Hour)})
	require.NoError(t, err)
	require.Equal(t, process.SettleDisagreement, result.Outcome)
	require.Empty(t, f.reviewed)
}
