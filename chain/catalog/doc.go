// Package catalog knows the networks that Sluice can be pointed at without being told more than where their nodes are: their
// chain ids, coins, confirmation policies, and the contracts of USDT and USDC on them.
//
// # What it is worth
//
// Everything here is a proposal that an operator's flags override, and nothing here is believed about a token: its contract is
// asked for its decimals before it is enabled, and one that answers something else is refused. Genesis blocks are not part of
// the catalogue. They are learned from the nodes, which must agree.
//
// # What must be right
//
// Decimals differ between networks for the same name: USDT and USDC have 18 on BSC and 6 everywhere else. Contracts that only
// report what the network's own coin does are listed too, because money that such a contract tells of has been seen already;
// they can never be enabled as tokens.
package catalog
