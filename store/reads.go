package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// Principal is whom an API key speaks for.
type Principal struct {
	MerchantID payment.MerchantID
	Mode       payment.Mode
	Scopes     []string
	KeyID      payment.KeyID
	// What the merchant may ask for in a minute, in this mode.
	RequestsPerMinute, OrdersPerMinute int
}

// Has tells whether the key has the scope.
func (p Principal) Has(scope string) bool { return slices.Contains(p.Scopes, scope) }

// Authenticate finds the API key with this SHA-256. A disabled merchant's keys still let in: what they may not do is refused where orders are
// created. Errors: CodeUnauthorized for a key that nobody has; CodeKeyRevoked.
func (db *DB) Authenticate(ctx context.Context, hash [32]byte) (Principal, error) {
	row, err := db.q.Authenticate(ctx, hash[:])
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Principal{}, payment.E(payment.CodeUnauthorized, "", "this API key is not known")
	case err != nil:
		return Principal{}, classify(err)
	case row.Revoked:
		return Principal{}, payment.E(payment.CodeKeyRevoked, "", "this API key was revoked")
	}
	return Principal{
		MerchantID: payment.MerchantID(row.MerchantID), Mode: payment.Mode(row.Mode), Scopes: row.Scopes,
		KeyID: payment.KeyID(row.ID), RequestsPerMinute: int(row.RequestsPerMinute), OrdersPerMinute: int(row.OrdersPerMinute),
	}, nil
}

// reader reads outside of a transaction.
func (db *DB) reader() txn { return txn{q: db.q, log: db.log} }

// GetOrder reads an order as its merchant sees it. Error: CodeNotFound, also for another merchant's or mode's order and
// for one that has no address yet.
func (db *DB) GetOrder(ctx context.Context, p Principal, id payment.OrderID) (payment.OrderSnapshot, error) {
	order, err := db.reader().ownOrder(ctx, p, id)
	if err != nil {
		return payment.OrderSnapshot{}, classify(err)
	}
	snapshots, err := db.reader().snapshots(ctx, []*orderRow{order})
	if err != nil {
		return payment.OrderSnapshot{}, classify(err)
	}
	return snapshots[0], nil
}

func (t txn) ownOrder(ctx context.Context, p Principal, id payment.OrderID) (*orderRow, error) {
	rows, err := t.q.GetOrders(ctx, sqlc.GetOrdersParams{
		Ids: []string{string(id)}, MerchantID: string(p.MerchantID), Mode: string(p.Mode),
	})
	if err != nil {
		return nil, fmt.Errorf("read order: %w", err)
	}
	if len(rows) == 0 {
		return nil, payment.E(payment.CodeNotFound, "", "no such order")
	}
	orders, err := t.withContexts(ctx, rows)
	if err != nil {
		return nil, err
	}
	return orders[id], nil
}

// snapshots renders orders, in their order.
func (t txn) snapshots(ctx context.Context, orders []*orderRow) ([]payment.OrderSnapshot, error) {
	ids := make([]string, len(orders))
	for i, order := range orders {
		ids[i] = order.ID
	}
	sums, err := t.q.CreditedOf(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("sum up the money of orders: %w", err)
	}
	received := make(map[string]payment.Amount, len(sums))
	for _, sum := range sums {
		received[sum.ID] = sum.Credited.Amount
	}
	if err := t.raiseOrders(ctx, orders...); err != nil {
		return nil, err
	}
	snapshots := make([]payment.OrderSnapshot, len(orders))
	for i, order := range orders {
		if snapshots[i], err = order.snapshot(received[order.ID]); err != nil {
			return nil, err
		}
	}
	return snapshots, nil
}

// Balance is what a merchant has in one asset.
type Balance struct {
	Asset           payment.Asset
	Available, Held Signed
}

// Balances lists the merchant's balances, by chain and code, of every asset that it ever received.
func (db *DB) Balances(ctx context.Context, p Principal) ([]Balance, error) {
	rows, err := db.q.MerchantBalances(ctx, sqlc.MerchantBalancesParams{MerchantID: string(p.MerchantID), Mode: string(p.Mode)})
	if err != nil {
		return nil, fmt.Errorf("read balances: %w", classify(err))
	}
	balances := make([]Balance, len(rows))
	for i, row := range rows {
		asset, err := assetOf(row.Chain, row.Family, row.Contract, row.Code, row.Decimals)
		if err != nil {
			return nil, fmt.Errorf("asset %s: %w", row.ID, err)
		}
		balances[i] = Balance{Asset: asset, Available: signedOf(row.Available.Int), Held: signedOf(row.Held.Int)}
	}
	return balances, nil
}

// Origin is where an address says that it comes from: what it takes to derive it again, before it is shown and when the books are checked.
type Origin struct {
	// Merchant is whose address it is. The wallet must be his own or the family's default.
	Merchant payment.MerchantID
	Wallet   Wallet
	Index    uint32
	Address  payment.Address
}

// AddressOrigin reads where an order's address comes from. Error: CodeNotFound when it has none, or shows one that was
// handed out to somebody else.
func (db *DB) AddressOrigin(ctx context.Context, id payment.OrderID) (Origin, error) {
	row, err := db.q.AddressOrigin(ctx, string(id))
	if err != nil {
		return Origin{}, notFound(err, "address")
	}
	address, err := payment.AddressFromBytes(payment.Family(row.Family), row.Bytes)
	if err != nil {
		return Origin{}, fmt.Errorf("address of order %s: %w", id, err)
	}
	return Origin{
		Merchant: payment.MerchantID(row.OwnerID),
		Wallet: Wallet{
			ID: payment.XPubID(row.ID), Family: payment.Family(row.Family), Merchant: payment.MerchantID(deref(row.MerchantID)),
			Xpub: seal.NewSecret(row.Xpub), Path: row.Path, MAC: seal.MAC{KeyID: row.MacKey, Sum: row.Mac},
		},
		Index: uint32(row.DerivationIndex), Address: address,
	}, nil
}

// SchemaVersion reads the number of the newest migration that was applied.
func (db *DB) SchemaVersion(ctx context.Context) (int64, error) {
	version, err := db.q.SchemaVersion(ctx)
	return version, classify(err)
}
