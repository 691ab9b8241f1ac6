// Package evm reads chains that speak Ethereum's JSON-RPC: chain.Source,
// chain.TokenReader and chain.Verifier over one endpoint.
//
// # Reading
//
// Answers are decoded into small structs of this package. Only the fields that
// payments need are read, unknown fields are ignored, and a transaction of a type
// that nobody here has heard of is read like any other: sender, recipient, value.
// Hashes are the node's own words; they are not recomputed, because on chains whose
// header differs from Ethereum's that gives another hash.
//
// Near the head a block and the logs of exactly that block (eth_getLogs by
// blockHash) are asked for in one JSON-RPC batch. Ranges ask for the last block and
// the logs in one batch, then for every block in between, and tie each log to a
// block by hash. Every call, single ones too, is a JSON-RPC batch, because batch
// answers are matched by id, and a missing or foreign part is noticed.
//
// What a range lacks may be there all the same, because nodes answer from an index over
// blocks. BlocksByHash reads many blocks without it: headers by number, then the logs of
// each block by its hash. Where the bloom filter of a block admits a watched token that
// the answer has nothing of, all of its receipts are read, if they prove the block.
//
// # What is checked
//
//   - a block is the one asked for, and its parent is the block below;
//   - a log belongs to the block and, where the block lists it, to its transaction;
//     none appears twice, and one that is marked removed is left out beside its live
//     twin and otherwise spoils the answer;
//   - an empty answer where the block's bloom filter says that there may be transfers
//     of a watched token is compared with all logs of the block. If those do not give
//     the filter either, the receipts are believed: filters are hints. One of all zeros
//     or all ones says nothing;
//   - null for no logs is none where the filter that the block's hash binds admits none,
//     and otherwise no answer;
//   - a receipt belongs to the transaction and block, its logs are numbered without
//     gaps and give its bloom filter, or are those of the block, and the log it is asked
//     for is there, byte by byte.
//
// # Ways of asking
//
// A block that is refused, or answered for in a way that cannot be, is asked for in the
// next way: the logs of all contracts by the block's hash, of one contract at a time, the
// receipts of the block, its receipts one by one; the block in full, or its header and
// its transactions one by one. Receipts that are missing are looked for among those of
// the block. What may be the endpoint's trouble and not the block's (no connection,
// rates, a block or receipt that is not there yet) has to come twice before that. A way
// that was refused for three blocks in a row is asked last for Options.Reprobe.
//
// A Transfer is a log of a watched contract with the Transfer topic, two more
// topics that are addresses (upper 12 bytes zero) and 32 bytes of data. Other logs
// of the contract are not transfers, whatever they look like.
//
// # Optional parts
//
// Two parts of a block are read where the endpoint allows it: the Transfers of every
// contract (eth_getLogs by topic alone), and internal transfers. An endpoint that
// refuses one is left alone with it for Options.Reprobe, shorter when it only failed;
// the block then says that the part is lacking. When every contract is too much, the
// configured ones are asked for again.
//
// # Internal transfers
//
// Contracts pay by calls that no receipt lists. debug_traceBlockByHash with the
// callTracer tells them: every CALL, CREATE, CREATE2 and SELFDESTRUCT frame below a
// transaction's own call that carries a value and took effect, numbered from 1 in
// the order of execution, whoever received it; the transaction's own value is number
// 0. A frame with an error undoes all below it, although those frames carry no error
// of their own. DELEGATECALL and CALLCODE frames carry a value and credit nobody; what
// they call may. A trace counts only as a whole: one for each transaction of the
// block, in order, without an error of the tracer, and no frame of a type that is not
// known here. Such a trace shows that the transaction succeeded, so its internal
// transfers are resolved without a receipt.
//
// # Proofs
//
// A block's hash is that of its header, and the header holds the roots of all its
// transactions and receipts. When a check asks for evidence, the block is read in full
// with eth_getBlockReceipts and both are computed again: what is found then is what
// that block hash stands for, and only whether the hash is the chain's is still one
// operator's word. Whether a chain's encoding is the one that is known here, and
// whether the endpoint serves all of it, is found out by trying a recent block, never
// declared: many chains have types of their own. Where no block proves itself, or this
// one holds an unknown type, the evidence is one operator's word and nothing fails.
// Where a recent block does, and this one does not, the node contradicts itself.
// Internal transfers are in no receipt and never proven.
//
// # Answers
//
// Every answer is hostile until it is read. Over HTTP and WebSocket alike it is bounded while it comes in, unpacked: by
// bytes, by what its parts will weigh when they are decoded, and by depth; and few large answers are held at a time, one of
// each endpoint and three of all, until the question is answered. See MemoryBound. Whatever its shape, it ends in one of
// the reasons of package chain; shapes_test.go lists what was met.
//
// # Secrets
//
// URLs of providers hold keys, and Go's HTTP errors hold URLs. No error of this
// package contains text of a transport error, and text that a node sent is stripped
// of everything the URL is made of.
package evm
