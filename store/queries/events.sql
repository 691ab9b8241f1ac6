-- What happened, and who is to be told.

-- name: EventExists :one
SELECT EXISTS (SELECT FROM events WHERE key = @key);

-- name: NextEventSeq :one
-- The order is locked, so numbers have no gaps and no twins. The time is the statement's, not the transaction's: it
-- grows with the number.
UPDATE orders SET event_seq = event_seq + 1 WHERE id = @id RETURNING event_seq, clock_timestamp()::timestamptz AS at;

-- name: InsertEvent :exec
INSERT INTO events (id, merchant_id, mode, type, order_id, payment_id, seq, key, body, created_at)
VALUES (@id, @merchant_id, @mode, @type, @order_id, @payment_id, @seq, @key, @body, @created_at);

-- name: EndpointsFor :many
-- The merchant's endpoints that subscribed, and the one that the order names. A disabled endpoint is listed too: its
-- callbacks are written down as parked, so that they can be sent when it is back.
-- Two queries in one, because the first must not read the endpoints of all orders.
SELECT m.id, (m.disabled_at IS NOT NULL)::boolean AS disabled FROM webhook_endpoints m
 WHERE m.merchant_id = @merchant_id AND m.mode = @mode AND m.source = 'merchant'
   AND (cardinality(m.events) = 0 OR @type::text = ANY(m.events))
UNION
SELECT o.id, (o.disabled_at IS NOT NULL)::boolean AS disabled FROM webhook_endpoints o
 WHERE o.id = sqlc.narg(order_endpoint)::text
 ORDER BY id;

-- name: InsertCallback :exec
INSERT INTO callbacks (id, event_id, endpoint_id, order_id, payment_id, seq, status, park_reason)
VALUES (@id, @event_id, @endpoint_id, @order_id, @payment_id, @seq, @status, @park_reason);
