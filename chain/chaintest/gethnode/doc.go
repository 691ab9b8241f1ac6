// Package gethnode runs a go-ethereum node inside the calling process: real
// consensus rules, a real transaction pool, JSON-RPC over HTTP and WebSocket,
// filters and debug_trace*, with blocks sealed by a simulated beacon chain
// instead of validators. The local stack uses it as its chain, the tests use it
// as the implementation that every claim about nodes is checked against.
//
// # Sealing
//
// With Options.BlockTime zero a block is sealed only by Node.Mine. Otherwise one
// is sealed every BlockTime until Node.Pause or Node.Close. Either way all sealing
// and forking goes through one lock, so Mine and Reorg may be called at any time.
//
// Block timestamps are whole seconds and strictly increase: blocks mined faster
// than one a second run ahead of the wall clock. "safe" equals the head and
// "finalized" moves every 32 blocks.
//
// # Persistence
//
// With Options.DataDir the chain survives a restart, also after the process was
// killed: the node is an archive node that writes the state of every block (a
// pruning node would come back at an older block, which looks like a deep reorg to
// whoever had followed it). The genesis is a function of ChainID and Alloc alone;
// a folder made with other values is refused. Transactions that were pending when
// the node stopped are sealed by Close in a last block, and are gone after a kill.
// A node with blocks seals one more while it starts, before its ports open: until
// then the simulated beacon would report the head as finalized and take that back.
//
// # Payers
//
// Payer signs and sends from one key over any JSON-RPC connection, also one to a
// node in another process. The contracts it deploys are assembled in this package;
// see contracts.go.
package gethnode
