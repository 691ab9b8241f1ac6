package store

import (
	"context"
	"math/big"

	"github.com/sluicepay/sluice/payment"
)

// SignedOf lets tests make a Signed.
func SignedOf(v *big.Int) Signed { return signedOf(v) }

// Exec runs a statement in a transaction.
type Exec func(sql string) error

// Tx lets tests run statements in a transaction of the store's.
func (db *DB) Tx(ctx context.Context, f func(Exec) error) error {
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		return f(func(sql string) error {
			_, err := t.raw.Exec(ctx, sql)
			return err
		})
	})
}

// LockOrders locks orders, and returns how often the transaction was run.
func (db *DB) LockOrders(ctx context.Context, ids []payment.OrderID) (int, error) {
	runs := 0
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		runs++
		_, err := t.lockOrders(ctx, ids)
		return err
	})
	return runs, err
}
