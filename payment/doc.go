// Package payment is the domain of Sluice: what an amount, an asset, an address
// and an order are, and what may happen to an order. It is pure. It knows no
// database, no workflow engine, no HTTP and no chain, keeps no state, and every
// function's answer depends on its arguments alone (but for new ids, which are
// random).
//
// # Values
//
// [Amount] is a whole number of base units up to 2^256-1, parsed and printed
// exactly; decimals exist only in text. It does not know its asset: an [AssetID]
// (chain and contract, never a symbol) stands beside it. [Address] and [Hash]
// have one value however they were spelt, so == compares what they are. Ids carry
// their kind in a prefix and 128 random bits.
//
// # Orders
//
// An order has a [State], which says whether it is fulfilled:
//
//	opening → awaiting_payment ⇄ confirming → paid
//	                 │   └──── expired ────────↑      late money, if the policy says so
//	                 └──────── cancelled ──────↑      only by a person
//
// Whatever else is true of it is a [Label] beside the state: underpaid,
// overpaid, late, manual, wrong_asset, wrong_network, reversed. State and labels
// never decide whether money is credited. Every confirmed payment is, in every
// state; [PlaceCredit] says where to.
//
// What may happen is one table, [Table], and one function reads it: [Next] takes
// the facts of an order and a [Trigger] and returns the [Decision] to write, or
// a refusal with its reason. docs/states.md is drawn from the table.
//
// # What the table guarantees
//
//   - For every state, trigger and facts exactly one row holds. Rows have no
//     order, and no case is left to chance.
//   - An order is fulfilled once, and stays fulfilled. A reversal adds the label
//     reversed; a credit that makes the sum whole again takes it away.
//   - Confirmed money that was in time always fulfils an order that was not
//     cancelled, when it suffices. Late money does under [LateFulfil] alone.
//   - An order never expires while a payment that came on time is live, before the chain's own
//     clock has passed its deadline, or across a block nobody has read; and never
//     when its money is there. An outage therefore delays expiry and never
//     expires a paid order.
//   - An order is never cancelled while a payment that came on time is live, and a
//     cancelled order is never fulfilled but by a person.
//   - Between two triggers an open order is confirming exactly while a payment
//     is live.
//
// # What the caller guarantees
//
// The facts are read inside the transaction that writes the decision, with the
// order and its payments locked: Next cannot know what happened meanwhile. When
// a payment changes, its trigger is given in that same transaction or a later
// one, never left out. A trigger may come twice: the payment that it is about is
// what makes the repetition harmless, because the facts then show it as it
// already is, and the caller gives each event a key made of the inclusion that
// caused it ([InclusionRef.Key]).
//
// # Failures
//
// Everything that fails returns an [Error] with a [Code]. CodeStale means that
// the facts changed since the trigger was sent: read again. CodeChainLagging
// and CodePaymentLive pass with time. CodeOrderState does not. CodeInternal from
// Next means that the facts contradict each other, which is a defect in whoever
// read them; nothing is decided on such facts.
package payment
