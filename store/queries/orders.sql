-- Accepting orders.

-- name: LockMerchantOrders :exec
-- One creation per merchant and mode at a time: what is counted below stays true until commit. The lock is apart from row locks.
SELECT pg_advisory_xact_lock(hashtextextended('orders of ' || @merchant_id::text || ' in ' || @mode::text, 0));

-- name: IdempotencyKey :one
SELECT order_id, body_hash, response_status, response_body,
       (GREATEST(0, extract(epoch FROM locked_until - clock_timestamp())) * 1000)::bigint AS locked_ms
  FROM idempotency_keys WHERE merchant_id = @merchant_id AND mode = @mode AND key = @key;

-- name: InsertIdempotencyKey :exec
INSERT INTO idempotency_keys (merchant_id, mode, key, body_hash, order_id, locked_by, locked_until)
VALUES (@merchant_id, @mode, @key, @body_hash, @order_id, @owner::text, clock_timestamp() + interval '1 millisecond' * sqlc.arg(lock_ms)::bigint);

-- name: TakeOverIdempotencyKey :exec
UPDATE idempotency_keys
   SET locked_by = @owner::text, locked_until = clock_timestamp() + interval '1 millisecond' * sqlc.arg(lock_ms)::bigint
 WHERE merchant_id = @merchant_id AND mode = @mode AND key = @key;

-- name: CompleteIdempotencyKey :execrows
-- The first answer wins.
UPDATE idempotency_keys
   SET response_status = @status::smallint, response_body = @body::bytea, locked_by = NULL, locked_until = NULL
 WHERE order_id = @order_id AND response_status IS NULL;

-- name: IdempotencyAnswer :one
SELECT response_status, response_body FROM idempotency_keys WHERE order_id = @order_id;

-- name: ReleaseIdempotencyKey :execrows
UPDATE idempotency_keys SET locked_by = NULL, locked_until = NULL
 WHERE order_id = @order_id AND locked_by = @owner::text AND response_status IS NULL;

-- name: PruneIdempotencyKeys :execrows
DELETE FROM idempotency_keys WHERE (merchant_id, mode, key) IN (
  SELECT merchant_id, mode, key FROM idempotency_keys
   WHERE created_at < now() - interval '1 millisecond' * sqlc.arg(older_ms)::bigint ORDER BY created_at LIMIT @max_rows);

-- name: AssetByCode :one
SELECT c.name AS chain, c.family, c.mode, c.enabled AS chain_enabled,
       c.confirmations, c.finality_tag,
       a.id, a.contract, a.code, a.decimals, a.dust_below, a.tolerance, a.enabled, (a.halted_at IS NOT NULL)::boolean AS halted
  FROM chains c LEFT JOIN assets a ON a.chain = c.name AND a.code = @code
 WHERE c.name = @chain;

-- name: MerchantPolicies :one
-- With what counts against the merchant's limits in the mode. An order that never got its address stops counting after an hour:
-- whoever asked for it has long stopped asking. (clock_timestamp() would be volatile, and an index of no use.)
SELECT m.payment_policy, m.late_policy, m.late_window_seconds, m.tolerance_bps, m.max_open_orders, m.orders_per_minute,
       (m.disabled_at IS NOT NULL)::boolean AS disabled,
       (sqlc.arg(mode)::mode = 'live' OR m.test_callback_secret IS NOT NULL)::boolean AS signs_callbacks,
       (SELECT count(*) FROM orders o WHERE o.merchant_id = m.id AND o.mode = sqlc.arg(mode)::mode
          AND (o.state IN ('awaiting_payment', 'confirming') OR (o.state = 'opening' AND o.created_at > now() - interval '1 hour'))) AS open_orders,
       (SELECT count(*) FROM orders o WHERE o.merchant_id = m.id AND o.mode = sqlc.arg(mode)::mode AND o.created_at > statement_timestamp() - interval '1 minute') AS recent_orders,
       COALESCE((SELECT (extract(epoch FROM min(o.created_at) + interval '1 minute' - statement_timestamp()) * 1000)::bigint FROM orders o
                  WHERE o.merchant_id = m.id AND o.mode = sqlc.arg(mode)::mode AND o.created_at > statement_timestamp() - interval '1 minute'), 0)::bigint AS rate_wait_ms
  FROM merchants m WHERE m.id = @id;

-- name: ActiveXpub :one
-- The merchant's own wallet, or the family's default.
SELECT id, family, merchant_id, xpub, path, mac, mac_key, next_index, (locked_at IS NOT NULL)::boolean AS locked
  FROM xpubs
 WHERE family = @family AND retired_at IS NULL AND (merchant_id = sqlc.arg(merchant_id)::text OR merchant_id IS NULL)
 ORDER BY merchant_id NULLS LAST LIMIT 1;

-- name: InsertOrderEndpoint :exec
INSERT INTO webhook_endpoints (id, merchant_id, mode, url, source, secret, secret_key, sealed_for)
SELECT @id, m.id, sqlc.arg(mode)::mode, @url, 'order', CASE sqlc.arg(mode)::mode WHEN 'live' THEN m.callback_secret ELSE m.test_callback_secret END,
       CASE sqlc.arg(mode)::mode WHEN 'live' THEN m.callback_secret_key ELSE m.test_callback_secret_key END, m.id
  FROM merchants m WHERE m.id = sqlc.arg(merchant_id)::text
ON CONFLICT (merchant_id, mode, url) DO NOTHING;

-- name: InsertOrder :exec
INSERT INTO orders (id, merchant_id, mode, chain, asset_id, amount, fulfil_amount, dust_below, confirmations, finality_tag,
                    expires_in_seconds, payment_policy, late_policy, late_window_seconds, reference, metadata, callback_endpoint_id,
                    customer_id, address_mode, created_at, updated_at)
VALUES (@id, @merchant_id, @mode, @chain, @asset_id, @amount, @fulfil_amount, @dust_below, @confirmations, @finality_tag,
        @expires_in_seconds, @payment_policy, @late_policy, @late_window_seconds, @reference, @metadata, @callback_endpoint_id,
        @customer_id, @address_mode, clock_timestamp(), clock_timestamp());
