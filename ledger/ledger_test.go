package ledger_test

import (
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicepay/sluice/ledger"
	"github.com/sluicepay/sluice/payment"
)

func confirmed(change func(*ledger.Confirmed)) ledger.Confirmed {
	c := ledger.Confirmed{
		Inclusion: payment.InclusionRef{Payment: "pay_a", Inclusion: 2},
		Asset:     payment.NativeAsset("dev"),
		Amount:    payment.AmountFromUint64(25),
		Address:   "adr_a", Merchant: "mer_a", Mode: payment.ModeTest, Order: "ord_a",
		Facts: payment.CreditFacts{
			PaymentPolicy: payment.PaymentAvailable, LatePolicy: payment.LateCreditOnly, OnTime: true,
			State: payment.StateConfirming,
		},
	}
	if change != nil {
		change(&c)
	}
	return c
}

func TestWhereACreditGoes(t *testing.T) {
	t.Parallel()
	asset := payment.NativeAsset("dev")
	available, held := ledger.Available(asset, "mer_a", payment.ModeTest), ledger.Held(asset, "mer_a", payment.ModeTest)
	for name, tc := range map[string]struct {
		change func(*ledger.Confirmed)
		want   ledger.Account
		reason payment.Reason
	}{
		"in time": {nil, available, payment.ReasonAvailable},
		"merchant holds everything": {
			func(c *ledger.Confirmed) { c.Facts.PaymentPolicy = payment.PaymentHold }, held, payment.ReasonHeldByPaymentPolicy,
		},
		"late, policy credits": {func(c *ledger.Confirmed) { c.Facts.OnTime = false }, available, payment.ReasonAvailable},
		"late, policy holds": {
			func(c *ledger.Confirmed) { c.Facts.OnTime, c.Facts.LatePolicy = false, payment.LateHold }, held, payment.ReasonHeldByLatePolicy,
		},
		"in time, late policy holds": {
			func(c *ledger.Confirmed) { c.Facts.LatePolicy = payment.LateHold }, available, payment.ReasonAvailable,
		},
		"review holds": {func(c *ledger.Confirmed) { c.ReviewHolds = true }, held, ledger.ReasonHeldByReview},
		"review of what policy holds": {
			func(c *ledger.Confirmed) { c.ReviewHolds, c.Facts.PaymentPolicy = true, payment.PaymentHold },
			held, payment.ReasonHeldByPaymentPolicy,
		},
		"dust": {func(c *ledger.Confirmed) { c.Facts.Match = payment.MatchDust }, ledger.Dust(asset), payment.ReasonDust},
		"dust under review": {
			func(c *ledger.Confirmed) { c.Facts.Match, c.ReviewHolds = payment.MatchDust, true }, ledger.Dust(asset), payment.ReasonDust,
		},
		"unknown policy": {
			func(c *ledger.Confirmed) { c.Facts.PaymentPolicy = "" }, held, payment.ReasonHeldByPaymentPolicy,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			posting, reason, err := ledger.CreditOf(confirmed(tc.change))
			require.NoError(t, err)
			require.Equal(t, ledger.Posting{
				Key: "pay_a/2/credit", Kind: ledger.PostCredit,
				Debit: ledger.Custody(asset, "adr_a"), Credit: tc.want, Amount: payment.AmountFromUint64(25),
				Inclusion: payment.InclusionRef{Payment: "pay_a", Inclusion: 2}, Order: "ord_a",
			}, posting)
			require.Equal(t, tc.reason, reason)
		})
	}
}

func TestWhatCannotBePosted(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*ledger.Confirmed){
		"nothing":      func(c *ledger.Confirmed) { c.Amount = payment.Amount{} },
		"no asset":     func(c *ledger.Confirmed) { c.Asset = payment.AssetID{} },
		"no address":   func(c *ledger.Confirmed) { c.Address = "" },
		"no merchant":  func(c *ledger.Confirmed) { c.Merchant = "" },
		"no mode":      func(c *ledger.Confirmed) { c.Mode = "" },
		"no payment":   func(c *ledger.Confirmed) { c.Inclusion.Payment = "" },
		"no inclusion": func(c *ledger.Confirmed) { c.Inclusion.Inclusion = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := ledger.CreditOf(confirmed(change))
			require.Equal(t, payment.CodeInternal, payment.CodeOf(err), "%v", err)
		})
	}
}

func TestPostingsThatDoNotBalance(t *testing.T) {
	t.Parallel()
	good, _, err := ledger.CreditOf(confirmed(nil))
	require.NoError(t, err)
	for name, change := range map[string]func(*ledger.Posting){
		"no key":        func(p *ledger.Posting) { p.Key = "" },
		"one account":   func(p *ledger.Posting) { p.Credit = p.Debit },
		"two assets":    func(p *ledger.Posting) { p.Credit.Asset = payment.NativeAsset("other") },
		"unknown kind":  func(p *ledger.Posting) { p.Credit.Kind = "savings" },
		"dust of a man": func(p *ledger.Posting) { p.Credit.Kind = ledger.KindDust },
	} {
		p := good
		change(&p)
		require.Error(t, p.Validate(), name)
	}
}

func TestReleaseAndReversal(t *testing.T) {
	t.Parallel()
	credit, _, err := ledger.CreditOf(confirmed(func(c *ledger.Confirmed) { c.Facts.PaymentPolicy = payment.PaymentHold }))
	require.NoError(t, err)
	release, err := ledger.ReleaseOf(credit)
	require.NoError(t, err)
	require.NoError(t, release.Validate())
	require.Equal(t, "pay_a/2/release", release.Key)
	require.Equal(t, ledger.KindHeld, release.Debit.Kind)
	require.Equal(t, ledger.KindAvailable, release.Credit.Kind)

	plain, err := ledger.ReversalOf(credit, false)
	require.NoError(t, err)
	require.Len(t, plain, 1)
	require.Equal(t, "pay_a/2/reversal", plain[0].Key)
	require.Equal(t, credit.Debit, plain[0].Credit)
	require.Equal(t, credit.Credit, plain[0].Debit)

	after, err := ledger.ReversalOf(credit, true)
	require.NoError(t, err)
	require.Equal(t, []string{"pay_a/2/unrelease", "pay_a/2/reversal"}, []string{after[0].Key, after[1].Key})
	require.Equal(t, plain[0], after[1], "the mirror is the same, whatever happened in between")

	available, _, err := ledger.CreditOf(confirmed(nil))
	require.NoError(t, err)
	_, err = ledger.ReleaseOf(available)
	require.Equal(t, payment.CodeOrderState, payment.CodeOf(err))
	_, err = ledger.ReversalOf(available, true)
	require.Error(t, err, "what was never held was not released")
	_, err = ledger.ReversalOf(release, false)
	require.Error(t, err, "only credits are reversed")
}

// books adds postings up the way the database does: credits less debits.
type books map[ledger.Account]*big.Int

func (b books) post(t require.TestingT, postings ...ledger.Posting) {
	for _, p := range postings {
		require.NoError(t, p.Validate())
		b.move(p.Credit, p.Amount.Big())
		b.move(p.Debit, new(big.Int).Neg(p.Amount.Big()))
	}
}

func (b books) move(a ledger.Account, delta *big.Int) {
	if b[a] == nil {
		b[a] = new(big.Int)
	}
	b[a].Add(b[a], delta)
}

// Whatever is credited, released and reversed in whatever order: each asset sums up to zero, custody is what is credited and
// not reversed, and when all is reversed every account is where it began.
func TestBooksBalance(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := books{}
		onChain := map[payment.AssetID]*big.Int{}
		keys := map[string]bool{}
		unique := func(postings ...ledger.Posting) {
			for _, p := range postings {
				require.False(t, keys[p.Key], "key %s twice", p.Key)
				keys[p.Key] = true
			}
		}
		type open struct {
			posting  ledger.Posting
			released bool
		}
		var credits []open
		n := rapid.IntRange(1, 30).Draw(t, "payments")
		for i := range n {
			c := confirmed(nil)
			c.Inclusion.Inclusion = i + 1
			c.Amount = payment.AmountFromUint64(rapid.Uint64Range(1, 1<<40).Draw(t, "amount"))
			c.Asset = payment.NativeAsset(rapid.SampledFrom([]string{"dev", "other"}).Draw(t, "chain"))
			c.ReviewHolds = rapid.Bool().Draw(t, "held")
			c.Facts.OnTime = rapid.Bool().Draw(t, "on time")
			c.Facts.LatePolicy = rapid.SampledFrom([]payment.LatePolicy{payment.LateFulfil, payment.LateHold}).Draw(t, "late")
			c.Facts.Match = rapid.SampledFrom([]payment.Match{payment.MatchOrder, payment.MatchWrongAsset, payment.MatchDust}).Draw(t, "match")
			credit, _, err := ledger.CreditOf(c)
			require.NoError(t, err)
			unique(credit)
			b.post(t, credit)
			if onChain[c.Asset] == nil {
				onChain[c.Asset] = new(big.Int)
			}
			onChain[c.Asset].Add(onChain[c.Asset], c.Amount.Big())
			credits = append(credits, open{posting: credit})
		}
		for i := range credits {
			if release, err := ledger.ReleaseOf(credits[i].posting); err == nil && rapid.Bool().Draw(t, "release") {
				unique(release)
				b.post(t, release)
				credits[i].released = true
			}
		}
		b.balanced(t, onChain)
		for _, c := range rapid.Permutation(credits).Draw(t, "order") {
			undo, err := ledger.ReversalOf(c.posting, c.released)
			require.NoError(t, err)
			unique(undo...)
			b.post(t, undo...)
			asset := c.posting.Asset()
			onChain[asset].Sub(onChain[asset], c.posting.Amount.Big())
			b.balanced(t, onChain)
		}
		for account, balance := range b {
			require.Zero(t, balance.Sign(), "%s holds %s after everything was reversed", account, balance)
		}
	})
}

func (b books) balanced(t require.TestingT, onChain map[payment.AssetID]*big.Int) {
	total, custody := map[payment.AssetID]*big.Int{}, map[payment.AssetID]*big.Int{}
	for account, balance := range b {
		for _, sums := range []map[payment.AssetID]*big.Int{total, custody} {
			if sums[account.Asset] == nil {
				sums[account.Asset] = new(big.Int)
			}
		}
		total[account.Asset].Add(total[account.Asset], balance)
		if account.Kind == ledger.KindCustody {
			custody[account.Asset].Sub(custody[account.Asset], balance)
		}
	}
	for asset, sum := range total {
		require.Zero(t, sum.Sign(), "the books of %s do not balance", asset)
		require.Zero(t, custody[asset].Cmp(onChain[asset]), "custody of %s", asset)
	}
}
