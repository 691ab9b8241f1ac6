-- Money that needs a person.

-- name: InsertReview :execrows
INSERT INTO reviews (id, payment_id, inclusion, cause, merchant_id, order_id)
VALUES (@id, @payment_id, @inclusion, @cause, @merchant_id, @order_id)
ON CONFLICT (payment_id, inclusion, cause) DO NOTHING;

-- name: ReviewSubject :one
-- What a review of an inclusion is about.
SELECT p.chain, p.merchant_id, p.order_id FROM payments p JOIN inclusions i ON i.payment_id = p.id
 WHERE p.id = @payment_id AND i.n = @inclusion;

-- name: ReadReview :one
-- The review with its money: where the credit of this inclusion went, if there is one that was not reversed.
SELECT r.id, r.payment_id, r.inclusion, r.cause, r.merchant_id, r.order_id, r.status, r.resolution,
       p.chain, p.status AS payment_status, p.inclusion AS newest_inclusion, p.credited_inclusion,
       (ch.halted_at IS NOT NULL)::boolean AS chain_halted, (a.halted_at IS NOT NULL)::boolean AS asset_halted,
       i.canonical, i.asset_id, i.amount, i.recipient, a.contract, a.code, a.decimals, ch.family,
       COALESCE((SELECT acc.kind FROM ledger_postings c JOIN ledger_accounts acc ON acc.id = c.credit_account
                  WHERE c.payment_id = r.payment_id AND c.inclusion = r.inclusion AND c.kind = 'credit'
                    AND p.credited_inclusion = r.inclusion), '')::text AS credited_to,
       EXISTS (SELECT FROM ledger_postings s WHERE s.payment_id = r.payment_id AND s.inclusion = r.inclusion
                  AND s.kind = 'release') AS released
  FROM reviews r
  JOIN payments p ON p.id = r.payment_id
  JOIN inclusions i ON i.payment_id = r.payment_id AND i.n = r.inclusion
  JOIN assets a ON a.id = i.asset_id
  JOIN chains ch ON ch.name = p.chain
 WHERE r.payment_id = @payment_id AND r.inclusion = @inclusion AND r.cause = @cause;

-- name: LockReview :one
SELECT id, status, resolution FROM reviews
 WHERE payment_id = @payment_id AND inclusion = @inclusion AND cause = @cause FOR NO KEY UPDATE;

-- name: ResolveReview :exec
UPDATE reviews SET status = 'resolved', resolution = @resolution::text, resolved_by = @resolved_by::text, resolved_at = now()
 WHERE id = @id;

-- name: ReopenReview :exec
UPDATE reviews SET status = 'open', resolution = NULL, resolved_by = NULL, resolved_at = NULL, last_woken_at = now() WHERE id = @id;

-- name: ParkPayment :exec
-- Nobody is woken for it any more; a person has seen it.
UPDATE payments SET status = 'parked' WHERE id = @id AND status = 'detected';

-- name: UnparkPayment :exec
UPDATE payments SET status = 'detected', last_woken_at = now() WHERE id = @id AND status = 'parked';
