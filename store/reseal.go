package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// KeyUse counts what stands under a master key.
type KeyUse struct {
	KeyID string `json:"key_id"`
	What  string `json:"what"` // the purpose of a seal.Place, or MACXpub
	Rows  int64  `json:"rows"`
}

// KeyUses tells what stands under which master key, by key and kind.
func (db *DB) KeyUses(ctx context.Context) ([]KeyUse, error) {
	uses, err := db.reader().keyUses(ctx)
	return uses, classify(err)
}

func (t txn) keyUses(ctx context.Context) ([]KeyUse, error) {
	rows, err := t.q.KeyUses(ctx)
	if err != nil {
		return nil, fmt.Errorf("count what stands under the master keys: %w", err)
	}
	uses := make([]KeyUse, len(rows))
	for i, row := range rows {
		uses[i] = KeyUse{KeyID: row.KeyID, What: row.What, Rows: row.Uses}
	}
	return uses, nil
}

// Resealed is what came of resealing.
type Resealed struct {
	Changed int // rows written again under the current key
	Checked int // rows that open under the current key alone
	// Broken are what does not open or is not authentic, as "what of whom: why". Nothing of it was changed.
	Broken []string
	// Left is what still stands under other keys: nothing, unless something is broken or programs seal under another key.
	Left []KeyUse
}

const (
	resealBatch = 200
	// resealRounds is how often a secret may be copied under the old key while the original is sealed anew, before that is somebody who goes on sealing.
	resealRounds = 3
)

// Reseal writes everything that is sealed or authenticated under an older master key again under the current one, a page at a time: it can be ended at any
// moment and begun again, and programs that hold both keys go on meanwhile. What does not open, and a wallet's row that is not authentic, stays as it is: a new
// MAC would make it so. In the end it opens everything with the current key alone.
func (db *DB) Reseal(ctx context.Context, keys seal.Keyring, by process.By) (Resealed, error) {
	var done Resealed
	for range resealRounds {
		pass := resealing{keys: keys}
		if err := db.walkSealed(ctx, &pass); err != nil {
			return done, err
		}
		done.Changed += pass.changed
		left, err := db.leftUnder(ctx, keys.Current())
		if err != nil {
			return done, err
		}
		if done.Left, done.Broken = left, pass.broken; len(left) == 0 || len(pass.broken) > 0 {
			break
		}
	}
	check := resealing{keys: keys.CurrentOnly(), everything: true}
	if err := db.walkSealed(ctx, &check); err != nil {
		return done, err
	}
	done.Checked = check.opened
	if len(done.Broken) == 0 {
		done.Broken = check.broken
	}
	if done.Changed == 0 {
		return done, nil
	}
	return done, db.tx(ctx, func(ctx context.Context, t txn) error {
		_, err := t.audit(ctx, deed{By: by, Action: "master_key.reseal", Subject: keys.Current(), Detail: map[string]any{
			"changed": done.Changed, "broken": len(done.Broken), "left": len(done.Left),
		}})
		return err
	})
}

// leftUnder counts what is under other keys while nobody writes: a transaction that copies a merchant's secret may have begun before that was sealed anew.
func (db *DB) leftUnder(ctx context.Context, current string) ([]KeyUse, error) {
	var left []KeyUse
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		left = nil
		if _, err := t.raw.Exec(ctx, `LOCK TABLE merchants, webhook_endpoints, rpc_endpoints, xpubs IN SHARE MODE`); err != nil {
			return fmt.Errorf("hold what is sealed: %w", err)
		}
		uses, err := t.keyUses(ctx)
		for _, use := range uses {
			if use.KeyID != current {
				left = append(left, use)
			}
		}
		return err
	})
	return left, err
}

// resealing is one walk over everything that is sealed or signed.
type resealing struct {
	keys seal.Keyring
	// everything: also what is under the current key, to see that it opens.
	everything bool
	changed    int
	opened     int
	broken     []string
}

// walkSealed goes through one kind after the other: merchants first, because endpoints of orders copy their secrets.
func (db *DB) walkSealed(ctx context.Context, r *resealing) error {
	for _, page := range []func(context.Context, txn, *resealing, string) (string, error){
		merchantsPage, endpointsPage, nodesPage, xpubsPage,
	} {
		for after, more := "", true; more; {
			var pass resealing // a transaction that is begun again counts nothing twice
			var next string
			err := db.tx(ctx, func(ctx context.Context, t txn) error {
				var err error
				pass = resealing{keys: r.keys, everything: r.everything}
				next, err = page(ctx, t, &pass, after)
				return err
			})
			if err != nil {
				return err
			}
			r.changed, r.opened, r.broken = r.changed+pass.changed, r.opened+pass.opened, append(r.broken, pass.broken...)
			after, more = next, next != ""
		}
	}
	return nil
}

// again seals a value anew, if it is not under the current key. The error is a reason for the row to stay as it is.
func (r *resealing) again(value seal.Sealed, at seal.Place) (seal.Sealed, error) {
	plain, err := r.keys.Open(value, at)
	if err != nil || value.KeyID == r.keys.Current() {
		return value, err
	}
	return r.keys.Seal(plain, at), nil
}

// row counts a row, and writes it unless something of it is broken or all of it is under the current key already.
func (r *resealing) row(what, id string, broken error, old bool, write func() error) error {
	switch {
	case broken != nil:
		r.broken = append(r.broken, fmt.Sprintf("%s of %s: %v", what, id, broken))
		return nil
	case !old:
		r.opened++
		return nil
	}
	r.changed++
	if err := write(); err != nil {
		return fmt.Errorf("write %s of %s: %w", what, id, err)
	}
	return nil
}

// next is where the following page begins, "" after the last.
func next[T any](rows []T, id func(T) string) string {
	if len(rows) < resealBatch {
		return ""
	}
	return id(rows[len(rows)-1])
}

func merchantsPage(ctx context.Context, t txn, r *resealing, after string) (string, error) {
	rows, err := t.q.SealedMerchants(ctx, sqlc.SealedMerchantsParams{After: after, Everything: r.everything, Current: r.keys.Current(), MaxRows: resealBatch})
	if err != nil {
		return "", fmt.Errorf("read merchants' secrets: %w", err)
	}
	for _, row := range rows {
		merchant := payment.MerchantID(row.ID)
		live, broken := r.again(seal.Sealed{KeyID: row.CallbackSecretKey, Bytes: row.CallbackSecret}, MerchantSecretPlace(merchant, payment.ModeLive))
		old := live.KeyID != row.CallbackSecretKey
		test := optionalSealed(row.TestCallbackSecret, row.TestCallbackSecretKey)
		if test != nil {
			sealed, err := r.again(*test, MerchantSecretPlace(merchant, payment.ModeTest))
			old, broken = old || sealed.KeyID != test.KeyID, errors.Join(broken, err)
			test = &sealed
		}
		err := r.row(SealMerchantSecret, row.ID, broken, old, func() error {
			params := sqlc.ResealMerchantParams{ID: row.ID, Live: live.Bytes, LiveKey: live.KeyID}
			params.Test, params.TestKey = sealedColumns(test)
			return t.q.ResealMerchant(ctx, params)
		})
		if err != nil {
			return "", err
		}
	}
	return next(rows, func(row sqlc.SealedMerchantsRow) string { return row.ID }), nil
}

func endpointsPage(ctx context.Context, t txn, r *resealing, after string) (string, error) {
	rows, err := t.q.SealedEndpoints(ctx, sqlc.SealedEndpointsParams{After: after, Everything: r.everything, Current: r.keys.Current(), MaxRows: resealBatch})
	if err != nil {
		return "", fmt.Errorf("read endpoints' secrets: %w", err)
	}
	for _, row := range rows {
		at := endpointSecretPlace(payment.EndpointID(row.ID), payment.MerchantID(row.MerchantID), payment.Mode(row.Mode), row.ForMerchant)
		secret, broken := r.again(seal.Sealed{KeyID: row.SecretKey, Bytes: row.Secret}, at)
		old := secret.KeyID != row.SecretKey
		previous := optionalSealed(row.PreviousSecret, row.PreviousSecretKey)
		if previous != nil {
			sealed, err := r.again(*previous, at)
			old, broken = old || sealed.KeyID != previous.KeyID, errors.Join(broken, err)
			previous = &sealed
		}
		err := r.row(SealEndpointSecret, row.ID, broken, old, func() error {
			params := sqlc.ResealEndpointParams{ID: row.ID, Secret: secret.Bytes, SecretKey: secret.KeyID}
			params.PreviousSecret, params.PreviousSecretKey = sealedColumns(previous)
			return t.q.ResealEndpoint(ctx, params)
		})
		if err != nil {
			return "", err
		}
	}
	return next(rows, func(row sqlc.SealedEndpointsRow) string { return row.ID }), nil
}

func nodesPage(ctx context.Context, t txn, r *resealing, after string) (string, error) {
	var last int64
	if after != "" {
		if _, err := fmt.Sscan(after, &last); err != nil {
			return "", err
		}
	}
	rows, err := t.q.SealedNodes(ctx, sqlc.SealedNodesParams{After: last, Everything: r.everything, Current: r.keys.Current(), MaxRows: resealBatch})
	if err != nil {
		return "", fmt.Errorf("read nodes' URLs: %w", err)
	}
	for _, row := range rows {
		node := RPCEndpoint{Fingerprint: [32]byte(row.UrlFingerprint)}
		url, broken := r.again(seal.Sealed{KeyID: row.UrlKey, Bytes: row.Url}, node.URLPlace(row.Chain))
		old := url.KeyID != row.UrlKey
		ws := optionalSealed(row.WsUrl, row.WsUrlKey)
		if ws != nil {
			sealed, err := r.again(*ws, node.WSURLPlace(row.Chain))
			old, broken = old || sealed.KeyID != ws.KeyID, errors.Join(broken, err)
			ws = &sealed
		}
		err := r.row(SealRPCURL, fmt.Sprintf("node %d of %s", row.ID, row.Chain), broken, old, func() error {
			params := sqlc.ResealNodeParams{ID: row.ID, Url: url.Bytes, UrlKey: url.KeyID}
			params.WsUrl, params.WsUrlKey = sealedColumns(ws)
			return t.q.ResealNode(ctx, params)
		})
		if err != nil {
			return "", err
		}
	}
	return next(rows, func(row sqlc.SealedNodesRow) string { return strconv.FormatInt(row.ID, 10) }), nil
}

func xpubsPage(ctx context.Context, t txn, r *resealing, after string) (string, error) {
	rows, err := t.q.SignedXpubs(ctx, sqlc.SignedXpubsParams{After: after, Everything: r.everything, Current: r.keys.Current(), MaxRows: resealBatch})
	if err != nil {
		return "", fmt.Errorf("read wallets: %w", err)
	}
	for _, row := range rows {
		w := Wallet{
			ID: payment.XPubID(row.ID), Family: payment.Family(row.Family), Merchant: payment.MerchantID(deref(row.MerchantID)),
			Xpub: seal.NewSecret(row.Xpub), Path: row.Path, MAC: seal.MAC{KeyID: row.MacKey, Sum: row.Mac},
		}
		err := r.row(MACXpub, row.ID, w.Verify(r.keys), row.MacKey != r.keys.Current(), func() error {
			mac := w.Sign(r.keys)
			return t.q.SignXpub(ctx, sqlc.SignXpubParams{ID: row.ID, Mac: mac.Sum, MacKey: mac.KeyID})
		})
		if err != nil {
			return "", err
		}
	}
	return next(rows, func(row sqlc.SignedXpubsRow) string { return row.ID }), nil
}

func optionalSealed(value []byte, keyID *string) *seal.Sealed {
	if value == nil {
		return nil
	}
	return &seal.Sealed{KeyID: deref(keyID), Bytes: value}
}

func sealedColumns(s *seal.Sealed) ([]byte, *string) {
	if s == nil {
		return nil, nil
	}
	return s.Bytes, &s.KeyID
}
