-- Payments that do not confirm.

-- name: OverduePayments :many
-- Those whose deadline has passed and that have no review for it. One without a deadline was recorded by an older release.
SELECT p.id, p.inclusion, p.merchant_id, p.order_id FROM payments p
 WHERE p.chain = @chain AND p.status = 'detected' AND (p.settle_deadline IS NULL OR p.settle_deadline <= @now::timestamptz)
   AND NOT EXISTS (SELECT FROM reviews r WHERE r.payment_id = p.id AND r.inclusion = p.inclusion AND r.cause = 'stuck')
 ORDER BY p.settle_deadline NULLS FIRST LIMIT @max_rows FOR NO KEY UPDATE OF p SKIP LOCKED;

-- name: RenewSettleDeadline :one
-- By when the newest inclusion should be confirmed, given what it has to reach.
UPDATE payments p SET settle_deadline = i.created_at + settle_window(p.chain, @confirmations::integer)
  FROM inclusions i WHERE i.payment_id = p.id AND i.n = p.inclusion AND p.id = @id
RETURNING p.settle_deadline::timestamptz;

-- name: ResolveStuckReview :exec
UPDATE reviews SET status = 'resolved', resolution = 'close', resolved_by = 'sluice', resolved_at = now()
 WHERE payment_id = @payment_id AND inclusion = @inclusion AND cause = 'stuck' AND status = 'open';

-- name: SetSettleAfter :execrows
UPDATE chains SET settle_after_seconds = sqlc.narg(seconds)::integer
 WHERE name = @chain AND settle_after_seconds IS DISTINCT FROM sqlc.narg(seconds)::integer;
