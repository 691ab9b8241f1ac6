package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// Where sealed values stand: the purposes of seal.Place. The row is the merchant's or endpoint's id; for an RPC endpoint it
// is RPCEndpoint.SealRow.
const (
	SealMerchantSecret = "merchant.callback_secret"
	SealEndpointSecret = "webhook_endpoint.secret"
	SealRPCURL         = "rpc_endpoint.url"
	SealRPCWSURL       = "rpc_endpoint.ws_url"
	// MACXpub is the purpose of the code that authenticates a row of an extended public key.
	MACXpub = "xpub"
)

// Scopes of API keys.
const (
	ScopeOrdersRead   = "orders:read"
	ScopeOrdersWrite  = "orders:write"
	ScopeBalancesRead = "balances:read"
)

// Scopes lists every scope.
func Scopes() []string { return []string{ScopeOrdersRead, ScopeOrdersWrite, ScopeBalancesRead} }

// NewMerchant is a merchant to be. Zero values of the policies and limits mean the defaults.
type NewMerchant struct {
	ID            payment.MerchantID
	Name          string
	PaymentPolicy payment.PaymentPolicy // available
	LatePolicy    payment.LatePolicy    // credit_only
	LateWindow    *time.Duration        // a day
	// ToleranceBPS is how much less than due fulfils an order, in basis points.
	ToleranceBPS int
	// Limits are for each mode apart.
	MaxOpenOrders     int // 1000
	OrdersPerMinute   int // 120
	RequestsPerMinute int // 1200
	// CallbackSecret and TestCallbackSecret are sealed for MerchantSecretPlace in their mode. Without the second, no test order names a URL.
	CallbackSecret     seal.Sealed
	TestCallbackSecret *seal.Sealed
}

const (
	defaultLateWindow        = 24 * time.Hour
	defaultMaxOpenOrders     = 1000
	defaultOrdersPerMinute   = 120
	defaultRequestsPerMinute = 1200
)

// CreateMerchant adds a merchant. Adding it again, by its id, changes nothing.
func (db *DB) CreateMerchant(ctx context.Context, m NewMerchant, by process.By) error {
	window := defaultLateWindow
	if m.LateWindow != nil {
		window = *m.LateWindow
	}
	params := sqlc.InsertMerchantParams{
		ID: string(m.ID), Name: m.Name,
		PaymentPolicy:     string(orDefault(m.PaymentPolicy, payment.PaymentAvailable)),
		LatePolicy:        string(orDefault(m.LatePolicy, payment.LateCreditOnly)),
		LateWindowSeconds: int32(window / time.Second), ToleranceBps: int32(m.ToleranceBPS),
		MaxOpenOrders:     int32(orDefault(m.MaxOpenOrders, defaultMaxOpenOrders)),
		OrdersPerMinute:   int32(orDefault(m.OrdersPerMinute, defaultOrdersPerMinute)),
		RequestsPerMinute: int32(orDefault(m.RequestsPerMinute, defaultRequestsPerMinute)),
		CallbackSecret:    m.CallbackSecret.Bytes, CallbackSecretKey: m.CallbackSecret.KeyID,
	}
	if m.TestCallbackSecret != nil {
		params.TestCallbackSecret, params.TestCallbackSecretKey = m.TestCallbackSecret.Bytes, &m.TestCallbackSecret.KeyID
	}
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		if err := t.q.InsertMerchant(ctx, params); err != nil {
			return fmt.Errorf("add merchant: %w", err)
		}
		_, err := t.audit(ctx, deed{
			By: by, Action: "merchant.create", Subject: string(m.ID), RequestID: "merchant.create/" + string(m.ID),
		})
		return err
	})
}

// GiveTestSecret gives a merchant of an older release, whose callbacks to URLs that orders name were all signed with one secret, one of
// their own for test mode; the endpoints of those orders sign with it. Errors: CodeNotFound, CodeInvalidParameter when he has one.
func (db *DB) GiveTestSecret(ctx context.Context, id payment.MerchantID, secret seal.Sealed, by process.By) error {
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		n, err := t.q.SetTestSecret(ctx, sqlc.SetTestSecretParams{ID: string(id), Secret: secret.Bytes, SecretKey: secret.KeyID})
		if err != nil {
			return fmt.Errorf("keep the secret: %w", err)
		}
		if n == 0 {
			if _, err := t.q.DepositPolicy(ctx, string(id)); err != nil {
				return notFound(err, "merchant")
			}
			return payment.E(payment.CodeInvalidParameter, "merchant", "this merchant has a secret for test callbacks")
		}
		err = t.q.SealTestEndpoints(ctx, sqlc.SealTestEndpointsParams{MerchantID: string(id), Secret: secret.Bytes, SecretKey: secret.KeyID})
		if err != nil {
			return fmt.Errorf("keep the secret of endpoints: %w", err)
		}
		_, err = t.audit(ctx, deed{By: by, Action: "merchant.test_secret", Subject: string(id)})
		return err
	})
}

func orDefault[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

// NewKey is an API key to be. The key itself is nowhere: Hash is its SHA-256, Prefix what may be shown of it.
type NewKey struct {
	ID       payment.KeyID
	Merchant payment.MerchantID
	Mode     payment.Mode
	Hash     [32]byte
	Prefix   string
	Scopes   []string
	Name     string
}

// CreateKey adds an API key. Adding it again, by its id, changes nothing. Error: CodeNotFound for an unknown merchant.
func (db *DB) CreateKey(ctx context.Context, k NewKey, by process.By) error {
	params := sqlc.InsertKeyParams{
		ID: string(k.ID), MerchantID: string(k.Merchant), Mode: string(k.Mode), Hash: k.Hash[:], Prefix: k.Prefix,
		Scopes: k.Scopes, Name: k.Name,
	}
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		if err := t.q.InsertKey(ctx, params); err != nil {
			return refused(err, "merchant")
		}
		_, err := t.audit(ctx, deed{
			By: by, Action: "key.create", Subject: string(k.ID), RequestID: "key.create/" + string(k.ID),
			Detail: map[string]any{"merchant": k.Merchant, "mode": k.Mode, "scopes": k.Scopes, "prefix": k.Prefix},
		})
		return err
	})
}

// RevokeKey ends an API key for good; no request that begins afterwards is let in. Revoking it again changes nothing.
// Error: CodeNotFound.
func (db *DB) RevokeKey(ctx context.Context, id payment.KeyID, by process.By) error {
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		if _, err := t.q.RevokeKey(ctx, string(id)); err != nil {
			return notFound(err, "key")
		}
		_, err := t.audit(ctx, deed{By: by, Action: "key.revoke", Subject: string(id), RequestID: "key.revoke/" + string(id)})
		return err
	})
}

// NewEndpoint is a webhook endpoint to be. Its URL was checked by the caller.
type NewEndpoint struct {
	ID       payment.EndpointID
	Merchant payment.MerchantID
	Mode     payment.Mode
	URL      string
	Events   []payment.EventType // none: all of them
	// Secret is sealed for SealEndpointSecret and the endpoint's id.
	Secret seal.Sealed
}

// EndpointResult says which endpoint stands for the URL now.
type EndpointResult struct {
	ID payment.EndpointID
	// Existed: the URL was an endpoint already. It has kept its secret, and the new one is not used.
	Existed bool
}

// CreateEndpoint adds an endpoint that is told of all of a merchant's events that it subscribes to. A URL is one endpoint:
// if orders named it before, it becomes the merchant's own and keeps its id and secret. Error: CodeNotFound for an unknown
// merchant.
func (db *DB) CreateEndpoint(ctx context.Context, e NewEndpoint, by process.By) (EndpointResult, error) {
	events := make([]string, 0, len(e.Events))
	for _, event := range e.Events {
		events = append(events, string(event))
	}
	var result EndpointResult
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		err := t.q.InsertEndpoint(ctx, sqlc.InsertEndpointParams{
			ID: string(e.ID), MerchantID: string(e.Merchant), Mode: string(e.Mode), Url: e.URL, Events: events,
			Secret: e.Secret.Bytes, SecretKey: e.Secret.KeyID,
		})
		if err != nil {
			return refused(err, "merchant")
		}
		found, err := t.q.EndpointByURL(ctx, sqlc.EndpointByURLParams{MerchantID: string(e.Merchant), Mode: string(e.Mode), Url: e.URL})
		if err != nil {
			return fmt.Errorf("find endpoint: %w", err)
		}
		result = EndpointResult{ID: payment.EndpointID(found), Existed: found != string(e.ID)}
		if result.Existed {
			if err := t.q.PromoteEndpoint(ctx, sqlc.PromoteEndpointParams{ID: found, Events: events}); err != nil {
				return fmt.Errorf("change endpoint: %w", err)
			}
		}
		_, err = t.audit(ctx, deed{
			By: by, Action: "endpoint.create", Subject: found, RequestID: "endpoint.create/" + string(e.ID),
			Detail: map[string]any{"merchant": e.Merchant, "mode": e.Mode, "events": events},
		})
		return err
	})
	return result, err
}
