package api

import (
	"context"
	"crypto/sha256"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// Store is what the API needs of a store.DB; errors and idempotency are documented there.
type Store interface {
	Authenticate(ctx context.Context, hash [sha256.Size]byte) (store.Principal, error)

	LookupAsset(ctx context.Context, chain, code string) (store.AssetInfo, error)
	ListAssets(ctx context.Context, chain string) ([]store.AssetInfo, error)
	CallbackTargets(ctx context.Context, merchant payment.MerchantID, mode payment.Mode) ([]string, error)
	CreateOrder(ctx context.Context, order store.NewOrder) (store.Claim, error)
	CompleteClaim(ctx context.Context, id payment.OrderID, answer store.Answer) (store.Answer, error)
	ReleaseClaim(ctx context.Context, id payment.OrderID, owner string) error

	GetOrder(ctx context.Context, who store.Principal, id payment.OrderID) (payment.OrderSnapshot, error)
	ListOrders(ctx context.Context, who store.Principal, filter store.OrderFilter, cursor string, limit int) (store.Page[payment.OrderSnapshot], error)
	ListPayments(ctx context.Context, who store.Principal, id payment.OrderID, cursor string, limit int) (store.Page[payment.PaymentSnapshot], error)
	ListDeposits(ctx context.Context, who store.Principal, filter store.DepositFilter, cursor string, limit int) (store.Page[payment.DepositRecord], error)
	GetDeposit(ctx context.Context, who store.Principal, id payment.PaymentID) (payment.DepositRecord, error)
	Balances(ctx context.Context, who store.Principal) ([]store.Balance, error)
	AddressOrigin(ctx context.Context, id payment.OrderID) (store.Origin, error)

	ChainLags(ctx context.Context) ([]store.Lag, error)
	Ping(ctx context.Context) error
	SchemaVersion(ctx context.Context) (int64, error)
}

// Verifier holds what the database cannot be asked for: the key that authenticates extended public keys, and how to
// derive from them.
type Verifier interface {
	// VerifyAddress returns nil when origin.Wallet is authentic, is origin.Merchant's or nobody's, and derives origin.Address at origin.Index. It is safe for
	// concurrent use.
	VerifyAddress(origin store.Origin) error
}
