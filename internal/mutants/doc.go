// Command mutants plants bugs and shows that the tests find them.
//
//	mutants [-run words] [-list]
//
// Each mutant is a bug that engines like this one have had: a payment's identity that shifts when it is mined again, a credit that
// does not look at the chain once more, a cursor that is written before the payments. It is a few replacements in source
// files and the tests that are expected to fail because of it. The files of the checkout are never touched: `go test
// -overlay` reads changed copies from a temporary folder.
//
// First the named tests run without any bug, and must pass. Then each mutant is compiled in and its tests run. A mutant is
// killed when one of them fails. The program fails when a mutant survives, when a replacement does not fit the source any more, or
// when what it makes does not compile: a table of mutants that nobody keeps up shows nothing.
package main
