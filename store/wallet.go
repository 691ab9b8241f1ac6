package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// NewWallet is a wallet to be: an extended public key, authenticated by the caller.
type NewWallet struct {
	Wallet
	Fingerprint [32]byte
	// FirstIndex is where derivation begins, past whatever was handed out from this key before.
	FirstIndex uint32
}

// AddWallet adds a wallet, for one merchant or as the family's default. Adding it again, by its id, changes nothing.
// Errors: CodeInvalidXPub when this key is known already, whosever it is; CodeInvalidParameter when the merchant (or the
// default) has a wallet in use, which must be retired first; CodeNotFound for an unknown merchant.
func (db *DB) AddWallet(ctx context.Context, w NewWallet, by process.By) error {
	merchant := optional(string(w.Merchant))
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		err := t.q.InsertXpub(ctx, sqlc.InsertXpubParams{
			ID: string(w.ID), Family: string(w.Family), MerchantID: merchant, Xpub: w.Xpub.Reveal(),
			Fingerprint: w.Fingerprint[:], Path: w.Path, Mac: w.MAC.Sum, MacKey: w.MAC.KeyID, NextIndex: int64(w.FirstIndex),
		})
		if err != nil {
			return refusedXpub(err)
		}
		found, err := t.q.XpubConflict(ctx, sqlc.XpubConflictParams{
			ID: string(w.ID), Fingerprint: w.Fingerprint[:], Family: string(w.Family), MerchantID: merchant,
		})
		switch {
		case err != nil:
			return fmt.Errorf("find wallet: %w", err)
		case !found.Same && found.Known:
			return payment.E(payment.CodeInvalidXPub, "xpub", "this key is known already")
		case !found.Same:
			return payment.E(payment.CodeInvalidParameter, "xpub", "another wallet is in use; retire it first")
		}
		_, err = t.audit(ctx, deed{
			By: by, Action: "wallet.import", Subject: string(w.ID), RequestID: "wallet.import/" + string(w.ID),
			Detail: map[string]any{"family": w.Family, "merchant": w.Merchant, "path": w.Path, "first_index": w.FirstIndex},
		})
		return err
	})
}

// refusedXpub keeps the key out of the error: a violated check names the whole row.
func refusedXpub(err error) error {
	switch sqlState(err) {
	case stateForeignKey:
		return payment.E(payment.CodeNotFound, "merchant", "no such merchant")
	case stateCheck, stateUnique:
		return payment.E(payment.CodeInvalidXPub, "xpub", "this is no extended public key that can be kept")
	default:
		return err
	}
}

// AdvanceWallet moves the wallet's next index forward to next and unlocks it: whoever asks says that nothing from next on
// was ever handed out. Advancing to where it stands only unlocks. Errors: CodeNotFound, CodeInvalidParameter when that would be
// backwards or past the last index.
func (db *DB) AdvanceWallet(ctx context.Context, id payment.XPubID, next uint32, by process.By) error {
	if next > maxIndex {
		return payment.E(payment.CodeInvalidParameter, "index", "the last index is %d", maxIndex-1)
	}
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		_, err := t.q.AdvanceXpub(ctx, sqlc.AdvanceXpubParams{ID: string(id), NextIndex: int64(next)})
		if errors.Is(err, pgx.ErrNoRows) {
			current, err := t.q.XpubNextIndex(ctx, string(id))
			if err != nil {
				return notFound(err, "wallet")
			}
			return payment.E(payment.CodeInvalidParameter, "index", "the wallet is at %d and only moves forward", current)
		}
		if err != nil {
			return fmt.Errorf("advance wallet: %w", err)
		}
		_, err = t.audit(ctx, deed{By: by, Action: "wallet.advance", Subject: string(id), Detail: map[string]any{"next_index": next}})
		return err
	})
}

// LockWallets locks every wallet, as is to be done after the database was restored from a backup: no address is handed
// out until each was advanced. It returns how many it locked.
func (db *DB) LockWallets(ctx context.Context, by process.By) (int, error) {
	var n int64
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		var err error
		if n, err = t.q.LockAllXpubs(ctx); err != nil {
			return fmt.Errorf("lock wallets: %w", err)
		}
		_, err = t.audit(ctx, deed{By: by, Action: "wallet.lock", Subject: "all", Detail: map[string]any{"locked": n}})
		return err
	})
	return int(n), err
}

// RetireWallet ends the use of a wallet; its addresses stay watched. Retiring it again changes nothing. Error: CodeNotFound.
func (db *DB) RetireWallet(ctx context.Context, id payment.XPubID, by process.By) error {
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		n, err := t.q.RetireXpub(ctx, string(id))
		if err != nil {
			return fmt.Errorf("retire wallet: %w", err)
		}
		if n == 0 {
			return payment.E(payment.CodeNotFound, "", "no such wallet")
		}
		_, err = t.audit(ctx, deed{By: by, Action: "wallet.retire", Subject: string(id), RequestID: "wallet.retire/" + string(id)})
		return err
	})
}

// WalletInfo is a wallet as it may be shown: without its key.
type WalletInfo struct {
	ID          payment.XPubID
	Family      payment.Family
	Merchant    payment.MerchantID
	Fingerprint [32]byte
	Path        string
	NextIndex   uint32
	Locked      bool
	Retired     bool
	CreatedAt   time.Time
}

// ListWallets lists every wallet, oldest first.
func (db *DB) ListWallets(ctx context.Context) ([]WalletInfo, error) {
	rows, err := db.q.ListXpubs(ctx)
	if err != nil {
		return nil, classify(err)
	}
	wallets := make([]WalletInfo, len(rows))
	for i, row := range rows {
		wallets[i] = WalletInfo{
			ID: payment.XPubID(row.ID), Family: payment.Family(row.Family), Merchant: payment.MerchantID(deref(row.MerchantID)),
			Fingerprint: [32]byte(row.Fingerprint), Path: row.Path, NextIndex: uint32(row.NextIndex),
			Locked: row.LockedAt != nil, Retired: row.RetiredAt != nil, CreatedAt: row.CreatedAt,
		}
	}
	return wallets, nil
}
