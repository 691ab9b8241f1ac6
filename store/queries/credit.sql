-- Confirming and crediting a payment.

-- name: PaymentOrder :one
-- Which order to lock before the payment.
SELECT order_id, inclusion FROM payments WHERE id = @id;

-- name: LockPayment :one
SELECT id, order_id, status, inclusion, credited_inclusion FROM payments WHERE id = @id FOR NO KEY UPDATE;

-- name: CreditPayment :exec
UPDATE payments SET status = 'credited', credited_inclusion = @inclusion::integer WHERE id = @id;

-- name: IgnorePayment :exec
UPDATE payments SET status = 'ignored' WHERE id = @id;

-- name: UnparkOrderPayments :exec
UPDATE payments SET status = 'detected', last_woken_at = now() WHERE order_id = @order_id::text AND status = 'parked';

-- name: OrderPolicy :one
SELECT chain, asset_id, dust_below, confirmations, finality_tag, expires_at FROM orders WHERE id = @id;
