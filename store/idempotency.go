package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// ClaimOutcome says what became of a request to create an order.
type ClaimOutcome string

// The outcomes of a claim.
const (
	// ClaimFresh: there was no such request; the order is new.
	ClaimFresh ClaimOutcome = "fresh"
	// ClaimTakenOver: whoever began to answer this request is gone or gave up. The order exists; go on with it.
	ClaimTakenOver ClaimOutcome = "taken_over"
	// ClaimReplayed: the request was answered. Give the same answer.
	ClaimReplayed ClaimOutcome = "replayed"
)

// Claim is the right, or not, to answer a request to create an order.
type Claim struct {
	OrderID payment.OrderID
	Outcome ClaimOutcome
	Answer  Answer // when replayed
}

// Answer is the response to a request, kept so that it can be given again.
type Answer struct {
	Status int
	Body   []byte
}

// claimLock is how long a process may take to answer before another takes over.
const claimLock = 30 * time.Second

// claim looks the key up. An empty outcome means that there is none yet. What can be taken over is not yet.
func (t txn) claim(ctx context.Context, n NewOrder) (Claim, error) {
	row, err := t.q.IdempotencyKey(ctx, sqlc.IdempotencyKeyParams{
		MerchantID: string(n.Merchant), Mode: string(n.Mode), Key: n.IdempotencyKey,
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Claim{}, nil
	case err != nil:
		return Claim{}, fmt.Errorf("look up the idempotency key: %w", err)
	case !bytes.Equal(row.BodyHash, n.BodyHash[:]):
		return Claim{}, payment.E(payment.CodeIdempotencyMismatch, "Idempotency-Key", "this key was used with another body")
	}
	claim := Claim{OrderID: payment.OrderID(row.OrderID)}
	switch {
	case row.ResponseStatus != nil:
		claim.Outcome, claim.Answer = ClaimReplayed, Answer{Status: int(*row.ResponseStatus), Body: row.ResponseBody}
	case row.LockedMs > 0:
		wait := time.Duration(row.LockedMs) * time.Millisecond
		return Claim{}, payment.Wrap(retryAfterError(wait), payment.CodeIdempotencyInFlight, "Idempotency-Key",
			"the first request with this key is still being answered")
	default:
		claim.Outcome = ClaimTakenOver
	}
	return claim, nil
}

func (t txn) takeOver(ctx context.Context, n NewOrder) error {
	err := t.q.TakeOverIdempotencyKey(ctx, sqlc.TakeOverIdempotencyKeyParams{
		MerchantID: string(n.Merchant), Mode: string(n.Mode), Key: n.IdempotencyKey, Owner: n.Owner,
		LockMs: claimLock.Milliseconds(),
	})
	if err != nil {
		return fmt.Errorf("take over the idempotency key: %w", err)
	}
	return nil
}

func (t txn) insertKey(ctx context.Context, id payment.OrderID, n NewOrder) error {
	err := t.q.InsertIdempotencyKey(ctx, sqlc.InsertIdempotencyKeyParams{
		MerchantID: string(n.Merchant), Mode: string(n.Mode), Key: n.IdempotencyKey, BodyHash: n.BodyHash[:],
		OrderID: string(id), Owner: n.Owner, LockMs: claimLock.Milliseconds(),
	})
	if err != nil {
		return refused(err, "idempotency key")
	}
	return nil
}

// CompleteClaim stores the answer to the request that created the order, and returns the answer to give. The first one
// stored wins, so whoever was taken over from and answers all the same says the same. Error: CodeNotFound when the key is gone.
func (db *DB) CompleteClaim(ctx context.Context, id payment.OrderID, answer Answer) (Answer, error) {
	n, err := db.q.CompleteIdempotencyKey(ctx, sqlc.CompleteIdempotencyKeyParams{
		OrderID: string(id), Status: int16(answer.Status), Body: answer.Body,
	})
	if err != nil {
		return Answer{}, classify(err)
	}
	if n == 1 {
		return answer, nil
	}
	stored, err := db.q.IdempotencyAnswer(ctx, string(id))
	if err != nil {
		return Answer{}, notFound(err, "idempotency key")
	}
	return Answer{Status: int(deref(stored.ResponseStatus)), Body: stored.ResponseBody}, nil
}

// ReleaseClaim lets the next repetition of the request attach at once, instead of when the lock runs out. It does nothing
// when the request was answered or taken over.
func (db *DB) ReleaseClaim(ctx context.Context, id payment.OrderID, owner string) error {
	_, err := db.q.ReleaseIdempotencyKey(ctx, sqlc.ReleaseIdempotencyKeyParams{OrderID: string(id), Owner: owner})
	return classify(err)
}

// PruneClaims forgets up to limit requests older than age and returns how many. What they created stays.
func (db *DB) PruneClaims(ctx context.Context, age time.Duration, limit int) (int, error) {
	n, err := db.q.PruneIdempotencyKeys(ctx, sqlc.PruneIdempotencyKeysParams{OlderMs: age.Milliseconds(), MaxRows: int32(limit)})
	return int(n), classify(err)
}
