package model

import "math/big"

// Block is a block of a true chain, canonical or not.
type Block struct {
	ID, Parent string
	Number     uint64
	Time       int64 // seconds
	Txs        []Tx
}

// Tx is a transaction: a top-level value, the logs of its receipt, and the calls in its trace.
type Tx struct {
	ID     string
	Failed bool
	From   string // also of what its logs tell of; what contracts call, they pay
	To     string
	Value  *big.Int
	Logs   []Log
	Calls  []Call // below the transaction's own
}

// Call is what a contract called, created, or left its money to.
type Call struct {
	Borrowed bool // another contract's code on the caller's own account: no money moves
	Reverted bool // with everything below it
	To       string
	Value    *big.Int
	Calls    []Call
}

// Moved lists the money that calls moved, in the order of execution.
func Moved(calls []Call) []Call { return internal(calls) }

// internal lists the money that calls moved, in the order of execution. Whatever it is for, it takes its place.
func internal(calls []Call) []Call {
	var moved []Call
	for _, c := range calls {
		if c.Reverted {
			continue
		}
		if !c.Borrowed && c.Value.Sign() > 0 {
			moved = append(moved, c)
		}
		moved = append(moved, internal(c.Calls)...)
	}
	return moved
}

// Log is one log: a transfer, or junk that only takes up a place.
type Log struct {
	Junk   bool
	Token  string
	To     string
	Amount *big.Int
}

// Asset is a chain's coin, or a token on it.
type Asset struct {
	Chain string
	Token string // "" is the coin
}

// transfer is money that moved.
type transfer struct {
	key    string
	asset  Asset
	from   string // "" is a contract
	to     string
	amount *big.Int
	place  place
}

// place is where in a block money moved: the transaction, 1 for logs, and the position.
type place [3]int

// Key names a payment: the transaction, whether it is the top-level value, and the position among all logs.
func Key(chain, tx string, native bool, position int) string {
	kind := "log"
	if native {
		kind = "value"
	}
	return chain + "/" + tx + "/" + kind + "/" + decimal(position)
}

func decimal(n int) string { return big.NewInt(int64(n)).String() }

// transfers lists the money that a block moved, in order. Only a trace shows the internal part.
func (b *Block) transfers(chain string, traced bool) []transfer {
	var all []transfer
	add := func(t transfer) {
		if t.amount.Sign() > 0 {
			all = append(all, t)
		}
	}
	for n, tx := range b.Txs {
		if tx.Failed {
			continue
		}
		if tx.Value != nil {
			add(transfer{key: Key(chain, tx.ID, true, 0), asset: Asset{Chain: chain}, from: tx.From, to: tx.To, amount: tx.Value, place: place{n, 0, 0}})
		}
		for i, call := range internal(tx.Calls) {
			t := transfer{
				key: Key(chain, tx.ID, true, i+1), asset: Asset{Chain: chain}, to: call.To, amount: call.Value, place: place{n, 0, i + 1},
			}
			if !traced {
				t.amount = new(big.Int) // it has its place, and nobody sees it
			}
			add(t)
		}
		for i, log := range tx.Logs {
			if !log.Junk {
				add(transfer{key: Key(chain, tx.ID, false, i), asset: Asset{chain, log.Token}, from: tx.From, to: log.To, amount: log.Amount, place: place{n, 1, i}})
			}
		}
	}
	return all
}

// Paid is a transfer, for whoever compares with the whole truth.
type Paid struct {
	Key    string
	Asset  Asset
	To     string
	Amount *big.Int
	Block  string
}

// Everything lists all money that moved on a chain.
func Everything(chain string, blocks []*Block) []Paid {
	var all []Paid
	for _, b := range blocks {
		for _, t := range b.transfers(chain, true) {
			all = append(all, Paid{Key: t.key, Asset: t.asset, To: t.to, Amount: t.amount, Block: b.ID})
		}
	}
	return all
}
