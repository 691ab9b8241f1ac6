package payment_test

import (
	"fmt"

	"github.com/sluicepay/sluice/payment"
)

// Amounts are exact in both directions, and what cannot be exact is refused.
func ExampleParseDecimal() {
	amount, err := payment.ParseDecimal("25.50", 6)
	fmt.Println(amount, amount.Decimal(6), err)

	_, err = payment.ParseDecimal("0.0000001", 6)
	fmt.Println(err)
	_, err = payment.ParseDecimal("1e6", 6)
	fmt.Println(payment.CodeOf(err))
	// Output:
	// 25500000 25.5 <nil>
	// invalid_amount: amount has more than 6 decimals
	// invalid_amount
}

// An address is its bytes: spelling does not matter, a wrong checksum does.
func ExampleParseAddress() {
	a, _ := payment.ParseAddress(payment.FamilyEVM, "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
	b, _ := payment.ParseAddress(payment.FamilyEVM, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")
	fmt.Println(a == b, a)

	_, err := payment.ParseAddress(payment.FamilyEVM, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD")
	fmt.Println(err)
	// Output:
	// true 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed
	// invalid_address: address has a wrong checksum
}

// An order of 25 USDC is paid in two parts: 10 are confirmed while 15 are still
// on their way, then all of it is.
func ExampleNext() {
	usdc := payment.Asset{Symbol: "USDC", Decimals: 6}
	due, _ := usdc.Parse("25")
	first, _ := usdc.Parse("10")

	facts := payment.OrderFacts{
		State: payment.StateConfirming, Due: due, LatePolicy: payment.LateCreditOnly,
		Credited: first, OnTimeCredited: first,
		LivePayments: 1,
	}
	decision, _ := payment.Next(facts, payment.TriggerPaymentConfirmed)
	fmt.Println(decision.To, decision.Events, decision.Reason)

	facts.Credited, facts.OnTimeCredited, facts.LivePayments = due, due, 0
	decision, _ = payment.Next(facts, payment.TriggerPaymentConfirmed)
	fmt.Println(decision.To, decision.Events, decision.Reason)
	// Output:
	// confirming [] more_payments_on_the_way
	// paid [order.paid] paid_in_time
}

// A refusal has a code for the caller and a reason for support.
func ExampleNext_refused() {
	facts := payment.OrderFacts{
		State: payment.StateConfirming, Due: payment.AmountFromUint64(100),
		LatePolicy: payment.LateCreditOnly, LivePayments: 1, Awaited: 1,
	}
	_, err := payment.Next(facts, payment.TriggerCancel)
	fmt.Println(payment.CodeOf(err), payment.ReasonOf(err))
	fmt.Println(payment.LegalTriggers(facts))
	// Output:
	// payment_live payment_is_live
	// [payment_detected payment_dropped payment_reversed extend resolve_manual]
}

// An order may ask for more confirmations than the policy, never for fewer.
func ExampleConfirmationPolicy_Raise() {
	policy := payment.ConfirmationPolicy{Confirmations: 12}
	raised, _ := policy.Raise(payment.ConfirmationPolicy{Confirmations: 30})
	fmt.Println(raised.Confirmations)

	_, err := policy.Raise(payment.ConfirmationPolicy{Confirmations: 1})
	fmt.Println(payment.CodeOf(err))
	// Output:
	// 30
	// confirmations_too_low
}
