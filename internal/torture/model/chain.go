package model

import "math/big"

// Block is a block of a true chain, canonical or not.
type Block struct {
	ID, Parent string
	Number     uint64
	Time       int64 // seconds
	Txs        []Tx
}

// Tx is a transaction: a top-level value, and the logs of its receipt.
type Tx struct {
	ID     string
	Failed bool
	To     string
	Value  *big.Int
	Logs   []Log
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
	to     string
	amount *big.Int
}

// Key names a payment: the transaction, whether it is the top-level value, and the position among all logs.
func Key(chain, tx string, native bool, position int) string {
	kind := "log"
	if native {
		kind = "value"
	}
	return chain + "/" + tx + "/" + kind + "/" + decimal(position)
}

func decimal(n int) string { return big.NewInt(int64(n)).String() }

// transfers lists the money that a block moved, in order.
func (b *Block) transfers(chain string) []transfer {
	var all []transfer
	for _, tx := range b.Txs {
		if tx.Failed {
			continue
		}
		if tx.Value != nil && tx.Value.Sign() > 0 {
			all = append(all, transfer{Key(chain, tx.ID, true, 0), Asset{Chain: chain}, tx.To, tx.Value})
		}
		for i, log := range tx.Logs {
			if !log.Junk && log.Amount.Sign() > 0 {
				all = append(all, transfer{Key(chain, tx.ID, false, i), Asset{chain, log.Token}, log.To, log.Amount})
			}
		}
	}
	return all
}
