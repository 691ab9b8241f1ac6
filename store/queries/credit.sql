-- Confirming and crediting a payment.

-- name: PaymentOrder :one
-- Which order to lock before the payment.
SELECT order_id, inclusion FROM payments WHERE id = @id;

-- name: LockPayment :one
SELECT id, order_id, status, inclusion, credited_inclusion FROM payments WHERE id = @id FOR NO KEY UPDATE;

-- name: CreditPayment :exec
UPDATE payments SET status = 'credited', credited_inclusion = @inclusion::integer, evidence = sqlc.narg(evidence) WHERE id = @id;

-- name: IgnorePayment :exec
UPDATE payments SET status = 'ignored' WHERE id = @id;

-- name: AskForReview :one
-- Opens the review of what was just credited. No row: it is open already. One that was decided before the money was held is
-- open again, because nobody has decided about held money.
INSERT INTO reviews AS r (id, payment_id, inclusion, cause, merchant_id, order_id)
VALUES (@id, @payment_id, @inclusion, @cause, @merchant_id, sqlc.narg(order_id))
ON CONFLICT (payment_id, inclusion, cause) DO UPDATE
   SET status = 'open', resolution = NULL, resolved_by = NULL, resolved_at = NULL, last_woken_at = now()
 WHERE r.status = 'resolved' AND @held::boolean
RETURNING (r.xmax = 0)::boolean AS inserted;

-- name: UnparkOrderPayments :exec
UPDATE payments SET status = 'detected', last_woken_at = now() WHERE order_id = @order_id::text AND status = 'parked';

-- name: OrderPolicy :one
SELECT chain, asset_id, dust_below, confirmations, finality_tag, expires_at FROM orders WHERE id = @id;
