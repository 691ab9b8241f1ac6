-- What support looks for, whosever it is. Newest first, behind the cursor.

-- name: FindOrders :many
SELECT o.* FROM orders o
 WHERE (sqlc.narg(id)::text IS NULL OR o.id = sqlc.narg(id))
   AND (sqlc.narg(merchant_id)::text IS NULL OR o.merchant_id = sqlc.narg(merchant_id))
   AND (sqlc.narg(mode)::text IS NULL OR o.mode = sqlc.narg(mode))
   AND (sqlc.narg(state)::text IS NULL OR o.state = sqlc.narg(state))
   AND (sqlc.narg(chain)::text IS NULL OR o.chain = sqlc.narg(chain))
   AND (sqlc.narg(reference)::text IS NULL OR o.reference = sqlc.narg(reference))
   AND (sqlc.narg(customer_id)::text IS NULL OR o.customer_id = sqlc.narg(customer_id))
   AND (sqlc.narg(address)::bytea IS NULL OR o.address_id IN (SELECT a.id FROM addresses a WHERE a.bytes = sqlc.narg(address)))
   AND (NOT sqlc.arg(blocked)::boolean OR o.blocked_step IS NOT NULL)
   AND (sqlc.narg(before_at)::timestamptz IS NULL OR (o.created_at, o.id) < (sqlc.narg(before_at), sqlc.narg(before_id)::text))
 ORDER BY o.created_at DESC, o.id DESC LIMIT @max_rows;

-- name: OrdersByID :many
SELECT * FROM orders WHERE id = ANY(@ids::text[]);

-- name: FindPayments :many
SELECT p.id, p.merchant_id, p.mode, p.order_id, p.status, p.created_at FROM payments p
 WHERE (sqlc.narg(id)::text IS NULL OR p.id = sqlc.narg(id))
   AND (sqlc.narg(merchant_id)::text IS NULL OR p.merchant_id = sqlc.narg(merchant_id))
   AND (sqlc.narg(mode)::text IS NULL OR p.mode = sqlc.narg(mode))
   AND (sqlc.narg(order_id)::text IS NULL OR p.order_id = sqlc.narg(order_id))
   AND (sqlc.narg(chain)::text IS NULL OR p.chain = sqlc.narg(chain))
   AND (sqlc.narg(status)::text IS NULL OR p.status = sqlc.narg(status))
   AND (sqlc.narg(tx_hash)::bytea IS NULL OR p.tx_hash = sqlc.narg(tx_hash))
   AND (sqlc.narg(address)::bytea IS NULL OR p.address_id IN (SELECT a.id FROM addresses a WHERE a.bytes = sqlc.narg(address)))
   AND (sqlc.narg(before_at)::timestamptz IS NULL OR (p.created_at, p.id) < (sqlc.narg(before_at), sqlc.narg(before_id)::text))
 ORDER BY p.created_at DESC, p.id DESC LIMIT @max_rows;

-- name: FindReviews :many
SELECT r.id, r.payment_id, r.inclusion, r.cause, r.merchant_id, r.order_id, r.status, r.resolution, r.resolved_by, r.resolved_at, r.created_at,
       p.chain, i.amount, a.code, a.decimals
  FROM reviews r
  JOIN payments p ON p.id = r.payment_id
  JOIN inclusions i ON i.payment_id = r.payment_id AND i.n = r.inclusion
  JOIN assets a ON a.id = i.asset_id
 WHERE (sqlc.narg(merchant_id)::text IS NULL OR r.merchant_id = sqlc.narg(merchant_id))
   AND (sqlc.narg(order_id)::text IS NULL OR r.order_id = sqlc.narg(order_id))
   AND (sqlc.narg(payment_id)::text IS NULL OR r.payment_id = sqlc.narg(payment_id))
   AND (sqlc.narg(status)::text IS NULL OR r.status = sqlc.narg(status))
   AND (sqlc.narg(cause)::text IS NULL OR r.cause = sqlc.narg(cause))
   AND (sqlc.narg(before_at)::timestamptz IS NULL OR (r.created_at, r.id) < (sqlc.narg(before_at), sqlc.narg(before_id)::text))
 ORDER BY r.created_at DESC, r.id DESC LIMIT @max_rows;

-- name: FindAudit :many
SELECT id, at, actor, action, subject, reason, detail FROM audit
 WHERE (sqlc.narg(subjects)::text[] IS NULL OR subject = ANY(sqlc.narg(subjects)))
   AND (sqlc.narg(actor)::text IS NULL OR actor = sqlc.narg(actor))
   AND (sqlc.narg(action)::text IS NULL OR action = sqlc.narg(action))
   AND (sqlc.narg(before_id)::bigint IS NULL OR id < sqlc.narg(before_id))
 ORDER BY id DESC LIMIT @max_rows;

-- name: FindCallbacks :many
-- A stream's go by its events, whose index it is.
SELECT c.id, c.event_id, e.type, c.endpoint_id, c.stream, c.status, c.park_reason, c.attempts, c.round, c.due_at, c.delivered_at, c.created_at,
       w.url, w.merchant_id, w.mode
  FROM callbacks c
  JOIN events e ON e.id = c.event_id
  JOIN webhook_endpoints w ON w.id = c.endpoint_id
 WHERE (sqlc.narg(id)::text IS NULL OR c.id = sqlc.narg(id))
   AND (sqlc.narg(stream)::text IS NULL OR e.order_id = sqlc.narg(stream) OR (e.order_id IS NULL AND e.payment_id = sqlc.narg(stream)))
   AND (sqlc.narg(status)::text IS NULL OR c.status = sqlc.narg(status))
   AND (sqlc.narg(merchant_id)::text IS NULL OR w.merchant_id = sqlc.narg(merchant_id))
   AND (sqlc.narg(endpoint_id)::text IS NULL OR c.endpoint_id = sqlc.narg(endpoint_id))
   AND (sqlc.narg(before_at)::timestamptz IS NULL OR (c.created_at, c.id) < (sqlc.narg(before_at), sqlc.narg(before_id)::text))
 ORDER BY c.created_at DESC, c.id DESC LIMIT @max_rows;

-- name: PostingsOf :many
SELECT l.key, l.kind, d.kind AS debit, c.kind AS credit, a.code, a.decimals, l.amount, l.payment_id, l.created_at
  FROM ledger_postings l
  JOIN ledger_accounts d ON d.id = l.debit_account
  JOIN ledger_accounts c ON c.id = l.credit_account
  JOIN assets a ON a.id = l.asset_id
 WHERE l.payment_id = ANY(@payments::text[]) ORDER BY l.id;
