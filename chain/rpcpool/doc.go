// Package rpcpool makes one chain.Source and chain.Verifier of several endpoints of a chain, run by several operators,
// none of which is to be relied on alone.
//
// # Model
//
// An endpoint is one URL. It belongs to an operator, and agreement counts operators: two endpoints of one operator are one
// voice. One endpoint at a time is the primary: it is drawn by weight, speed and errors, and keeps answering until it fails,
// falls behind, turns out much slower than another one, or a few minutes have passed. One primary gives one view of the
// chain; asking by turns would look like small reorganisations all the time.
//
//	question              who is asked
//	Head                  every endpoint that may be asked, at the same time; see Trusted head
//	header, blocks        the primary; an endpoint whose head is below the block comes last
//	block by hash         an endpoint that has shown that it has the block; with Traces one that can trace
//	CheckInclusion        first another operator than the one the block was read from; see Agreement
//	Witnesses()           each operator by itself, for comparing what they say
//
// An endpoint that fails is left for the next one within the same call, so failing over in the middle of a block costs a
// moment and nothing else: the parts of a block are tied together by its hash. "No such block" is believed when no endpoint
// is left that might have it. Blocks are only asked from an endpoint whose head has reached the last of them, because some
// nodes answer with nothing for blocks that they have not seen.
//
// # Trusted head
//
// Head(TagNone) is the lowest of the operators' heads, never the furthest: a head that is far ahead would confirm payments
// too early. Operators that do not count are those that cannot be reached, whose head has stood still for ten block times
// (at least 30 s), whose head is as far below one that two operators have stood by, or whose newest block is old while
// another operator's is young. Tags are the lowest among those who know the tag. With one operator left its head is the
// answer, and Stats says that it stands alone.
//
// # Agreement
//
// CheckInclusion asks one operator, and as many more as the demanded evidence takes:
//
//	agreed    two operators say Included for the same inclusion
//	proven    the receipts of one hash to its block, and another operator holds that block for canonical
//
// Whatever is not Included is also asked of another operator. Operators that each have the block and contradict each other
// are asked again after a moment, because reorganisations take a while to get around; after that it is chain.ErrDisagreement.
// With fewer operators than the demand takes, the check comes back with less evidence than was demanded and names whom it
// rests on; the caller decides. Heads in a check are the lowest of the operators asked, and not beyond the trusted head.
//
// # Failures
//
//   - No answer, a broken answer or a contradicting answer: three in a row open the endpoint's breaker, for a second and
//     then for longer up to 15 s. Then one question is let through, and decides.
//   - 429 and its kin: the endpoint is left alone for as long as it asks for, and afterwards asked less often, until it does
//     not refuse any more.
//   - Another chain id, genesis block, or recorded block where it does not show the genesis block: the endpoint is not used,
//     and looked at again every minute. Which chain an endpoint is on is asked before its first use, after a failure, and
//     now and then.
//   - Something that watching needs is refused when it is probed: the endpoint is asked for it when nobody else answers.
//   - An answer larger than may be: it comes after others for large questions for ten minutes; for small ones it counts
//     as broken.
//   - Every endpoint fails: the error of the last one that was asked. None may be asked: chain.ErrUnavailable or
//     chain.ErrRateLimited with the time until one may.
//
// Every call is bounded by a timeout beside the caller's context. Errors, logs and Stats name operators and numbers of
// endpoints and never hold a URL.
package rpcpool
