package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// TokenState is what a token's contract is: what a change of it would change about the money.
type TokenState struct {
	Decimals uint8
	Code     payment.Hash
	// Implementation is zero for a contract that is no proxy.
	Implementation payment.Hash
	Deprecated     bool
}

// Why a token is halted.
const (
	TokenCodeChanged           = "code_changed"
	TokenImplementationChanged = "implementation_changed"
	TokenDeprecated            = "deprecated"
	TokenDecimalsChanged       = "decimals_changed"
)

// TokenToCheck is a token whose contract is to be looked at.
type TokenToCheck struct {
	Asset payment.AssetID
	Code  string
}

// TokensToCheck lists at most limit tokens of a chain that were not looked at for age.
func (db *DB) TokensToCheck(ctx context.Context, chain string, family payment.Family, age time.Duration, limit int) ([]TokenToCheck, error) {
	rows, err := db.q.TokensToCheck(ctx, sqlc.TokensToCheckParams{Chain: chain, AgeMs: age.Milliseconds(), MaxRows: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("list tokens to look at: %w", classify(err))
	}
	tokens := make([]TokenToCheck, len(rows))
	for i, row := range rows {
		contract, err := payment.AddressFromBytes(family, row.Contract)
		if err != nil {
			return nil, fmt.Errorf("contract of asset %s: %w", row.ID, err)
		}
		tokens[i] = TokenToCheck{Asset: payment.TokenAsset(chain, contract), Code: row.Code}
	}
	return tokens, nil
}

// TokenRecheckDue tells whether a payment of this amount is large enough for the token to be looked at before it is credited.
// It was not if that was done within the last minute.
func (db *DB) TokenRecheckDue(ctx context.Context, asset payment.AssetID, amount payment.Amount) (bool, error) {
	due, err := db.q.TokenRecheck(ctx, sqlc.TokenRecheckParams{ID: asset.String(), Amount: amount.String()})
	if err != nil {
		return false, notFound(err, "asset")
	}
	return due, nil
}

// CheckToken compares what a contract is now with what was pinned, and halts the asset when it differs: nothing of it is
// credited until a person has looked. It returns why, or "". What was never pinned is pinned. Error: CodeNotFound.
func (db *DB) CheckToken(ctx context.Context, asset payment.AssetID, now TokenState) (halted string, err error) {
	err = db.tx(ctx, func(ctx context.Context, t txn) error {
		halted = ""
		row, err := t.q.LockToken(ctx, asset.String())
		if err != nil {
			return notFound(err, "token")
		}
		if row.Halted {
			return nil
		}
		if halted = now.change(row); halted == "" {
			return t.pin(ctx, row.ID, now)
		}
		if err := t.q.HaltAsset(ctx, sqlc.HaltAssetParams{ID: row.ID, Reason: halted}); err != nil {
			return fmt.Errorf("halt asset %s: %w", row.ID, err)
		}
		_, err = t.audit(ctx, deed{
			By: process.By{Actor: "sluice", Reason: halted}, Action: "token.halt", Subject: row.ID, Detail: map[string]any{"code": row.Code},
		})
		return err
	})
	return halted, err
}

// change names the first thing that differs from what was pinned.
func (s TokenState) change(pinned sqlc.LockTokenRow) string {
	differs := func(pinned []byte, now payment.Hash) bool { return pinned != nil && !bytes.Equal(pinned, now[:]) }
	switch {
	case int16(s.Decimals) != pinned.Decimals:
		return TokenDecimalsChanged
	case differs(pinned.CodeHash, s.Code):
		return TokenCodeChanged
	case differs(pinned.ImplementationHash, s.Implementation):
		return TokenImplementationChanged
	case s.Deprecated && !pinned.Deprecated:
		return TokenDeprecated
	default:
		return ""
	}
}

func (t txn) pin(ctx context.Context, id string, s TokenState) error {
	err := t.q.PinToken(ctx, sqlc.PinTokenParams{
		ID: id, CodeHash: s.Code[:], ImplementationHash: s.Implementation[:], Deprecated: s.Deprecated,
	})
	if err != nil {
		return fmt.Errorf("pin the code of asset %s: %w", id, err)
	}
	return nil
}

// TokenContract finds a token by its code. Error: CodeUnknownAsset.
func (db *DB) TokenContract(ctx context.Context, chain, code string) (payment.AssetID, error) {
	var asset payment.AssetID
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		row, err := t.token(ctx, chain, code)
		if err != nil {
			return err
		}
		contract, err := payment.AddressFromBytes(payment.Family(row.Family), row.Contract)
		asset = payment.TokenAsset(chain, contract)
		return err
	})
	return asset, err
}

func (t txn) token(ctx context.Context, chain, code string) (sqlc.LockTokenByCodeRow, error) {
	row, err := t.q.LockTokenByCode(ctx, sqlc.LockTokenByCodeParams{Chain: chain, Code: code})
	if errors.Is(err, pgx.ErrNoRows) {
		return row, payment.E(payment.CodeUnknownAsset, "asset", "there is no such token on this chain")
	}
	if err != nil {
		return row, fmt.Errorf("look for token %s: %w", code, err)
	}
	return row, nil
}

// ResumeToken ends the halt of a token and pins what its contract is now: a person has looked and goes by it. Whatever
// waits for that, or gave up because of the halt, is woken at once. Doing it again pins again. Errors: CodeUnknownAsset; CodeInvalidParameter when the contract has other decimals than those pinned, by which every amount
// was written down.
func (db *DB) ResumeToken(ctx context.Context, chain, code string, now TokenState, by process.By) error {
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		row, err := t.token(ctx, chain, code)
		if err != nil {
			return err
		}
		if int16(now.Decimals) != row.Decimals {
			return payment.E(payment.CodeInvalidParameter, "decimals", "the contract has %d decimals now, and %d are pinned", now.Decimals, row.Decimals)
		}
		if err := t.pin(ctx, row.ID, now); err != nil {
			return err
		}
		if err := t.q.ResumeAsset(ctx, row.ID); err != nil {
			return fmt.Errorf("resume asset %s: %w", row.ID, err)
		}
		if row.Halted {
			if err := wakeHalted(ctx, t.q, chain, &row.ID); err != nil {
				return err
			}
		}
		_, err = t.audit(ctx, deed{By: by, Action: "token.resume", Subject: row.ID, Detail: map[string]any{
			"code_hash": now.Code.String(), "implementation_hash": now.Implementation.String(), "deprecated": now.Deprecated,
		}})
		return err
	})
}

// SetTokenRecheck says from which amount on a token is looked at before a payment is credited; nil: only once a day. Error:
// CodeUnknownAsset.
func (db *DB) SetTokenRecheck(ctx context.Context, chain, code string, from *payment.Amount, by process.By) error {
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		row, err := t.token(ctx, chain, code)
		if err != nil {
			return err
		}
		params := sqlc.SetRecheckFromParams{ID: row.ID}
		detail := map[string]any{"from": "never"}
		if from != nil {
			amount := from.String()
			params.Amount, detail["from"] = &amount, amount
		}
		if err := t.q.SetRecheckFrom(ctx, params); err != nil {
			return fmt.Errorf("set the amount of asset %s: %w", row.ID, err)
		}
		_, err = t.audit(ctx, deed{By: by, Action: "token.recheck", Subject: row.ID, Detail: detail})
		return err
	})
}
