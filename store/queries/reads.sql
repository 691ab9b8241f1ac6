-- What the API reads.

-- name: Authenticate :one
SELECT k.id, k.merchant_id, k.mode, k.scopes, (k.revoked_at IS NOT NULL)::boolean AS revoked,
       m.requests_per_minute, m.orders_per_minute
  FROM api_keys k JOIN merchants m ON m.id = k.merchant_id WHERE k.hash = @hash;

-- name: GetOrders :many
-- Orders by id as one merchant sees them.
SELECT * FROM orders
 WHERE id = ANY(@ids::text[]) AND merchant_id = @merchant_id AND mode = @mode AND state <> 'opening';

-- name: PageOrders :many
-- Newest first, behind the cursor.
SELECT * FROM orders
 WHERE merchant_id = @merchant_id AND mode = @mode AND state <> 'opening'
   AND (sqlc.narg(state)::text IS NULL OR state = sqlc.narg(state))
   AND (sqlc.narg(before_at)::timestamptz IS NULL OR (created_at, id) < (sqlc.narg(before_at), sqlc.narg(before_id)::text))
 ORDER BY created_at DESC, id DESC LIMIT @max_rows;

-- name: PageOrdersByReference :many
SELECT * FROM orders
 WHERE merchant_id = @merchant_id AND mode = @mode AND reference = sqlc.arg(reference)::text AND state <> 'opening'
   AND (sqlc.narg(customer_id)::text IS NULL OR customer_id = sqlc.narg(customer_id))
   AND (sqlc.narg(state)::text IS NULL OR state = sqlc.narg(state))
   AND (sqlc.narg(before_at)::timestamptz IS NULL OR (created_at, id) < (sqlc.narg(before_at), sqlc.narg(before_id)::text))
 ORDER BY created_at DESC, id DESC LIMIT @max_rows;

-- name: CreditedOf :many
-- The confirmed, unreversed money of each order in its own asset: of a payment to a customer's address, what is allocated.
SELECT o.id, LEAST(sum(LEAST(po.amount, al.amount)), 115792089237316195423570985008687907853269984665640564039457584007913129639935)::base_units AS credited
  FROM orders o
  JOIN payments p ON p.order_id = o.id AND p.status = 'credited'
  LEFT JOIN allocations al ON al.payment_id = p.id
  JOIN ledger_postings po ON po.payment_id = p.id AND po.inclusion = p.credited_inclusion AND po.kind = 'credit' AND po.asset_id = o.asset_id
  JOIN ledger_accounts acc ON acc.id = po.credit_account AND acc.kind <> 'dust'
 WHERE o.id = ANY(@ids::text[])
 GROUP BY o.id;

-- name: PagePayments :many
-- Every transfer to an order's address, newest first, behind the cursor.
SELECT p.id, p.created_at FROM payments p
 WHERE p.order_id = sqlc.arg(order_id)::text
   AND (sqlc.narg(before_at)::timestamptz IS NULL OR (p.created_at, p.id) < (sqlc.narg(before_at), sqlc.narg(before_id)::text))
 ORDER BY p.created_at DESC, p.id DESC LIMIT @max_rows;

-- name: MerchantBalances :many
SELECT a.id, a.chain, a.contract, a.code, a.decimals, c.family,
       COALESCE(sum(b.balance) FILTER (WHERE b.kind = 'merchant:available'), 0)::numeric AS available,
       COALESCE(sum(b.balance) FILTER (WHERE b.kind = 'merchant:held'), 0)::numeric AS held
  FROM ledger_balances b
  JOIN assets a ON a.id = b.asset_id
  JOIN chains c ON c.name = a.chain
 WHERE b.merchant_id = sqlc.arg(merchant_id)::text AND b.mode = sqlc.arg(mode)::text AND b.kind IN ('merchant:available', 'merchant:held')
 GROUP BY a.id, c.family ORDER BY a.chain, a.code;

-- name: AddressOrigin :one
-- Whose an address is stands in its own row, which nobody edits; what an order's row points at does not make it the order's.
SELECT adr.merchant_id AS owner_id, adr.bytes, adr.family, adr.derivation_index, x.id, x.merchant_id, x.xpub, x.path, x.mac, x.mac_key
  FROM orders o JOIN addresses adr ON adr.id = o.address_id JOIN xpubs x ON x.id = adr.xpub_id
 WHERE o.id = @order_id AND adr.merchant_id = o.merchant_id AND adr.mode = o.mode
   AND (adr.order_id = o.id OR adr.customer_id = o.customer_id)
   AND (x.merchant_id IS NULL OR x.merchant_id = o.merchant_id);

-- name: SchemaVersion :one
SELECT max(version_id)::bigint FROM goose_db_version WHERE is_applied;
