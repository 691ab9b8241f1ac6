package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/dbtype"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// LookupAsset finds an asset by the names that merchants use, as something to ask money in. Errors: CodeUnknownChain,
// CodeChainDisabled, CodeUnknownAsset, CodeAssetDisabled; the parameter is "chain" or "asset". A halted asset counts as
// disabled: what it could not credit must not be asked for. Whether the chain is read at the moment is CreateOrder's question.
func (db *DB) LookupAsset(ctx context.Context, chain, code string) (AssetInfo, error) {
	found, err := lookupAsset(ctx, db.q, chain, code)
	if err != nil {
		return AssetInfo{}, classify(err)
	}
	return found.AssetInfo, nil
}

// orderableAsset is an asset in which orders are taken, with its chain's policy.
type orderableAsset struct {
	AssetInfo
	family payment.Family
	mode   payment.Mode
	policy payment.ConfirmationPolicy
}

func lookupAsset(ctx context.Context, q *sqlc.Queries, chain, code string) (orderableAsset, error) {
	row, err := q.AssetByCode(ctx, sqlc.AssetByCodeParams{Chain: chain, Code: code})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return orderableAsset{}, payment.E(payment.CodeUnknownChain, "chain", "there is no such chain")
	case err != nil:
		return orderableAsset{}, fmt.Errorf("look up asset: %w", err)
	case !row.ChainEnabled:
		return orderableAsset{}, payment.E(payment.CodeChainDisabled, "chain", "this chain takes no orders at the moment")
	case row.ID == nil:
		return orderableAsset{}, payment.E(payment.CodeUnknownAsset, "asset", "there is no such asset on this chain")
	case !deref(row.Enabled), row.Halted:
		return orderableAsset{}, payment.E(payment.CodeAssetDisabled, "asset", "this asset takes no orders at the moment")
	}
	asset, err := assetOf(row.Chain, row.Family, row.Contract, deref(row.Code), deref(row.Decimals))
	if err != nil {
		return orderableAsset{}, fmt.Errorf("asset %s: %w", *row.ID, err)
	}
	return orderableAsset{
		AssetInfo: AssetInfo{
			Asset: asset, DustBelow: row.DustBelow.Amount, Tolerance: row.Tolerance.Amount, Enabled: true,
		},
		family: payment.Family(row.Family), mode: payment.Mode(row.Mode), policy: policyOf(row.Confirmations, row.FinalityTag),
	}, nil
}

// Bounds of an order's life.
const (
	MinExpiresIn = time.Minute
	MaxExpiresIn = 7 * 24 * time.Hour
)

// NewOrder is a request for an order, checked as far as that needs no database.
type NewOrder struct {
	Merchant payment.MerchantID
	Mode     payment.Mode
	// IdempotencyKey names the request, BodyHash what it says, and Owner the process that answers it: a name that no
	// other attempt has.
	IdempotencyKey string
	BodyHash       [32]byte
	Owner          string

	Chain, Asset string // the names that LookupAsset takes
	Amount       payment.Amount
	// Wish may ask for more confirmations than the chain's policy; zero asks for nothing.
	Wish        payment.ConfirmationPolicy
	ExpiresIn   time.Duration // whole seconds
	CallbackURL string        // checked by the caller, "" for none
	Reference   string
	Metadata    map[string]string
	// CustomerID is the merchant's name of who pays, "" if he gave none.
	CustomerID string
	// AddressMode is AddressPerOrder when empty. AddressPerCustomer needs a CustomerID.
	AddressMode payment.AddressMode
}

// CreateOrder commits an order that has no address yet, together with the idempotency key that finds it again, or says
// what became of the key before. From then on there will be one order for the key, whatever dies. Repetitions of what was answered, or
// is being answered, wait for nobody; of a merchant's other requests of a mode one is at work at a time, and the rest wait without a
// connection.
//
// Errors: CodeIdempotencyMismatch; CodeIdempotencyInFlight, CodeRateLimited and CodeChainLagging (with RetryAfterOf), CodeOpenOrderCap;
// LookupAsset's; CodeInvalidAmount, CodeInvalidExpiry, CodeConfirmationsTooLow, CodeInvalidParameter (confirmations, customer_id,
// address_mode), CodeMissingParameter (customer_id);
// CodeWrongMode; CodeInvalidCallbackURL when nothing can sign callbacks to it; CodeAddressesExhausted when there is no wallet to derive from; CodeMerchantDisabled. An error leaves
// nothing behind.
func (db *DB) CreateOrder(ctx context.Context, n NewOrder) (Claim, error) {
	if n.ExpiresIn < MinExpiresIn || n.ExpiresIn > MaxExpiresIn || n.ExpiresIn%time.Second != 0 {
		return Claim{}, payment.E(payment.CodeInvalidExpiry, "expires_in", "an order lives from one minute to seven days")
	}
	if n.Amount.IsZero() {
		return Claim{}, payment.E(payment.CodeInvalidAmount, "amount", "amount must be greater than zero")
	}
	if err := n.checkCustomer(); err != nil {
		return Claim{}, err
	}
	claim, err := db.reader().claim(ctx, n)
	if err != nil || claim.Outcome == ClaimReplayed {
		return claim, classify(err)
	}
	done, err := db.creating.take(ctx, string(n.Merchant)+" "+string(n.Mode))
	if err != nil {
		return Claim{}, err
	}
	defer done()
	err = db.tx(ctx, func(ctx context.Context, t txn) error {
		err := t.q.LockMerchantOrders(ctx, sqlc.LockMerchantOrdersParams{MerchantID: string(n.Merchant), Mode: string(n.Mode)})
		if err != nil {
			return fmt.Errorf("lock the merchant's orders: %w", err)
		}
		if claim, err = t.claim(ctx, n); err != nil || claim.Outcome == ClaimReplayed {
			return err
		}
		if claim.Outcome == ClaimTakenOver {
			return t.takeOver(ctx, n)
		}
		claim = Claim{OrderID: payment.NewOrderID(), Outcome: ClaimFresh}
		if err := t.insertOrder(ctx, claim.OrderID, n); err != nil {
			return err
		}
		return t.insertKey(ctx, claim.OrderID, n)
	})
	if err != nil {
		return Claim{}, err
	}
	return claim, nil
}

func (t txn) insertOrder(ctx context.Context, id payment.OrderID, n NewOrder) error {
	merchant, err := t.admit(ctx, n)
	if err != nil {
		return err
	}
	asset, err := lookupAsset(ctx, t.q, n.Chain, n.Asset)
	switch {
	case err != nil:
		return err
	case asset.mode != n.Mode:
		return payment.E(payment.CodeWrongMode, "chain", "this chain is of %s mode; use a key of that mode", asset.mode)
	}
	if err := t.upToDate(ctx, n.Chain); err != nil {
		return err
	}
	policy, err := asset.policy.Raise(n.Wish)
	if err != nil {
		return err
	}
	fulfil, err := payment.FulfilAmount(n.Amount, asset.Tolerance, uint32(merchant.ToleranceBps))
	if err != nil {
		return err
	}
	if fulfil.Less(asset.DustBelow) {
		return payment.E(payment.CodeInvalidAmount, "amount", "less than %s counts as dust, and nobody could pay this order",
			asset.Asset.Format(asset.DustBelow))
	}
	if err := t.addressable(ctx, n, asset.family); err != nil {
		return err
	}
	endpoint, err := t.orderEndpoint(ctx, n)
	if err != nil {
		return err
	}
	if n.Metadata == nil {
		n.Metadata = map[string]string{}
	}
	metadata, err := json.Marshal(n.Metadata)
	if err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	err = t.q.InsertOrder(ctx, sqlc.InsertOrderParams{
		ID: string(id), MerchantID: string(n.Merchant), Mode: string(n.Mode),
		Chain: n.Chain, AssetID: asset.ID.String(), Amount: dbtype.Of(n.Amount), FulfilAmount: dbtype.Of(fulfil),
		DustBelow:     dbtype.Of(asset.DustBelow),
		Confirmations: int32(policy.Confirmations), FinalityTag: optional(string(policy.Tag)),
		ExpiresInSeconds: int32(n.ExpiresIn / time.Second),
		PaymentPolicy:    merchant.PaymentPolicy, LatePolicy: merchant.LatePolicy, LateWindowSeconds: merchant.LateWindowSeconds,
		Reference: optional(n.Reference), Metadata: metadata, CallbackEndpointID: endpoint,
		CustomerID: optional(n.CustomerID), AddressMode: string(cmp.Or(n.AddressMode, payment.AddressPerOrder)),
	})
	if err != nil {
		return refused(err, "order")
	}
	return nil
}

// admit checks the merchant's limits, which are for each mode apart.
func (t txn) admit(ctx context.Context, n NewOrder) (sqlc.MerchantPoliciesRow, error) {
	m, err := t.q.MerchantPolicies(ctx, sqlc.MerchantPoliciesParams{ID: string(n.Merchant), Mode: string(n.Mode)})
	switch {
	case err != nil:
		return m, notFound(err, "merchant")
	case m.Disabled:
		return m, payment.E(payment.CodeMerchantDisabled, "", "this merchant takes no new orders; ask the operator")
	case n.CallbackURL != "" && !m.SignsCallbacks:
		return m, payment.E(payment.CodeInvalidCallbackURL, "callback_url", "there is no secret yet that signs test callbacks to it; ask the operator for one")
	case m.RecentOrders >= int64(m.OrdersPerMinute):
		wait := time.Duration(m.RateWaitMs) * time.Millisecond
		return m, payment.Wrap(retryAfterError(wait), payment.CodeRateLimited, "", "at most %d orders a minute", m.OrdersPerMinute)
	case m.OpenOrders >= int64(m.MaxOpenOrders):
		return m, payment.E(payment.CodeOpenOrderCap, "", "at most %d orders can be open", m.MaxOpenOrders)
	}
	return m, nil
}

// orderEndpoint finds or makes the endpoint for the order's callback URL.
func (t txn) orderEndpoint(ctx context.Context, n NewOrder) (*string, error) {
	if n.CallbackURL == "" {
		return nil, nil //nolint:nilnil // no URL, no endpoint, no error
	}
	err := t.q.InsertOrderEndpoint(ctx, sqlc.InsertOrderEndpointParams{
		ID: string(payment.NewEndpointID()), MerchantID: string(n.Merchant), Mode: string(n.Mode), Url: n.CallbackURL,
	})
	if err != nil {
		return nil, fmt.Errorf("add the order's endpoint: %w", err)
	}
	found, err := t.q.EndpointByURL(ctx, sqlc.EndpointByURLParams{
		MerchantID: string(n.Merchant), Mode: string(n.Mode), Url: n.CallbackURL,
	})
	if err != nil {
		return nil, fmt.Errorf("find the order's endpoint: %w", err)
	}
	return &found, nil
}

// retryAfterError is the cause inside refusals that time heals.
type retryAfterError time.Duration

func (r retryAfterError) Error() string { return "again in " + time.Duration(r).String() }

// RetryAfter is the cause of a refusal that time heals, for RetryAfterOf to find.
func RetryAfter(wait time.Duration) error { return retryAfterError(wait) }

// RetryAfterOf tells after what time the refused request is worth repeating, if the refusal knows.
func RetryAfterOf(err error) (time.Duration, bool) {
	if r, ok := errors.AsType[retryAfterError](err); ok {
		return time.Duration(r), true
	}
	return 0, false
}
