-- Customers' standing addresses, and for which order a payment to one is.

-- name: CustomerOfOrder :one
-- Read before anything is locked: none of this changes during an order's life.
SELECT o.merchant_id, o.mode, c.family, o.customer_id FROM orders o JOIN chains c ON c.name = o.chain
 WHERE o.id = @id AND o.address_mode = 'per_customer';

-- name: CustomerAddress :one
SELECT id FROM addresses
 WHERE merchant_id = @merchant_id AND mode = @mode AND family = @family AND customer_id = sqlc.arg(customer_id)::text;

-- name: CustomerOrigin :one
-- A wallet that was retired gives no new addresses; those that it gave stay what they are.
SELECT adr.bytes, adr.family, adr.derivation_index, x.id, x.merchant_id, x.xpub, x.path, x.mac, x.mac_key
  FROM addresses adr JOIN xpubs x ON x.id = adr.xpub_id
 WHERE adr.merchant_id = @merchant_id AND adr.mode = @mode AND adr.family = @family AND adr.customer_id = sqlc.arg(customer_id)::text;

-- name: InsertCustomerAddress :execrows
-- Zero rows: the customer has an address, or these bytes or this index are an address already.
INSERT INTO addresses (id, family, bytes, xpub_id, derivation_index, merchant_id, mode, customer_id)
VALUES (@id, @family, @bytes, @xpub_id, @derivation_index, @merchant_id, @mode, sqlc.arg(customer_id)::text)
ON CONFLICT DO NOTHING;

-- name: LockAddresses :many
-- Sorted, so that two transactions that lock the same addresses wait for each other instead of deadlocking.
SELECT id, bytes FROM addresses WHERE id = ANY(@ids::text[]) ORDER BY id FOR NO KEY UPDATE;

-- name: PayableOrders :many
-- The orders that payments to these addresses may be for. They are not locked yet: whoever locks them looks again.
SELECT o.id, o.address_id::text AS address_id FROM orders o
 WHERE o.address_id = ANY(@addresses::text[]) AND o.address_mode = 'per_customer' AND o.chain = @chain
   AND o.state IN ('awaiting_payment', 'confirming', 'expired') AND o.late_until >= @earliest::timestamptz
 ORDER BY o.id;

-- name: AllocatedTo :many
-- What is allocated to orders, of payments that are credited or may still be: a dropped one is waited for, and keeps its share
-- so long. One that was refuted has none.
SELECT al.order_id::text AS order_id, sum(al.amount)::base_units AS amount
  FROM allocations al JOIN payments p ON p.id = al.payment_id JOIN inclusions i ON i.payment_id = p.id AND i.n = p.inclusion
 WHERE al.order_id = ANY(@orders::text[]) AND al.payment_id <> ALL(@except_payments::text[]) AND i.end_reason IS DISTINCT FROM 'refuted'
   AND (p.status IN ('detected', 'parked', 'credited') OR p.returns_by_block IS NOT NULL)
 GROUP BY al.order_id;

-- name: AwaitedShares :many
-- Payments that are for orders, left the chain and are waited for, in the order of their last place in the chain. Few are at any
-- time. Whoever asks has the chain's cursor and the addresses, so nothing of this changes meanwhile.
SELECT p.id, p.order_id::text AS order_id, p.inclusion, al.address_id, i.asset_id, i.sender, i.amount, al.amount::base_units AS share
  FROM payments p
  JOIN allocations al ON al.payment_id = p.id AND al.order_id IS NOT NULL
  JOIN inclusions i ON i.payment_id = p.id AND i.n = p.inclusion AND i.end_reason IS DISTINCT FROM 'refuted'
 WHERE p.chain = @chain AND p.returns_by_block IS NOT NULL AND p.status = 'dropped' AND al.address_id = ANY(@addresses::text[])
 ORDER BY i.block_number, i.tx_index, p.native DESC, p.position, p.tx_hash;

-- name: AllocationOf :one
-- waited: the payment left the chain, and its place is kept for it. What was decided about what was refuted is void.
SELECT al.address_id, al.asset_id, al.order_id, al.amount, (p.returns_by_block IS NOT NULL)::boolean AS waited
  FROM allocations al
  JOIN payments p ON p.id = al.payment_id
  JOIN inclusions i ON i.payment_id = p.id AND i.n = p.inclusion
 WHERE al.payment_id = @payment_id AND i.end_reason IS DISTINCT FROM 'refuted';

-- name: KeepAllocation :exec
INSERT INTO allocations AS al (payment_id, address_id, asset_id, order_id, amount)
VALUES (@payment_id, @address_id, @asset_id, @order_id, @amount)
ON CONFLICT (payment_id) DO UPDATE
   SET address_id = EXCLUDED.address_id, asset_id = EXCLUDED.asset_id, order_id = EXCLUDED.order_id, amount = EXCLUDED.amount
 WHERE (al.address_id, al.asset_id) <> (EXCLUDED.address_id, EXCLUDED.asset_id)
    OR (al.order_id, al.amount) IS DISTINCT FROM (EXCLUDED.order_id, EXCLUDED.amount);

-- name: ForgetAllocation :exec
-- Mined again, the payment went to an order's own address.
DELETE FROM allocations WHERE payment_id = @payment_id;

-- name: DepositPolicy :one
SELECT payment_policy FROM merchants WHERE id = @id;

-- name: NextPaymentSeq :one
-- The payment is locked, so numbers have no gaps and no twins.
SELECT (COALESCE(max(seq), 0) + 1)::integer AS seq, clock_timestamp()::timestamptz AS at
  FROM events WHERE payment_id = sqlc.arg(payment_id)::text AND order_id IS NULL;

-- name: SweepDeposits :many
-- Payments that are for no order and whose callbacks are long due: the workflow that sends them was terminated, or lost.
WITH stalled AS (
  SELECT p.id FROM payments p
   WHERE p.id IN (SELECT c.payment_id FROM callbacks c
                   WHERE c.status = 'pending' AND c.order_id IS NULL
                     AND c.due_at < now() - interval '1 millisecond' * sqlc.arg(older_ms)::bigint)
     AND p.last_woken_at < now() - interval '1 millisecond' * sqlc.arg(older_ms)::bigint
   ORDER BY p.last_woken_at LIMIT @max_rows FOR NO KEY UPDATE OF p SKIP LOCKED)
UPDATE payments p SET last_woken_at = now() FROM stalled s WHERE p.id = s.id
RETURNING p.id;

-- name: CheckAllocations :many
-- Payments to customers' addresses without an allocation, with one that is not theirs, or for more than they carry; and
-- payments to orders' own addresses that have one.
SELECT p.id FROM payments p
  JOIN inclusions i ON i.payment_id = p.id AND i.n = p.inclusion
  JOIN addresses adr ON adr.id = p.address_id
  LEFT JOIN allocations al ON al.payment_id = p.id
 WHERE (adr.customer_id IS NULL OR adr.mode <> p.mode) <> (al.payment_id IS NULL)
    OR al.payment_id IS NOT NULL
       AND (al.order_id IS DISTINCT FROM p.order_id OR al.address_id <> p.address_id OR al.asset_id <> i.asset_id OR al.amount > i.amount)
 ORDER BY p.id LIMIT @max_rows;

-- name: CheckOwed :many
-- Orders to which more is allocated than they ask for, or what another asset or chain brought.
SELECT o.id FROM orders o
  JOIN allocations al ON al.order_id = o.id
  JOIN payments p ON p.id = al.payment_id
  JOIN inclusions i ON i.payment_id = p.id AND i.n = p.inclusion
 WHERE (p.status IN ('detected', 'parked', 'credited') OR p.returns_by_block IS NOT NULL) AND i.end_reason IS DISTINCT FROM 'refuted'
 GROUP BY o.id
HAVING sum(al.amount) > o.amount OR bool_or(al.asset_id <> o.asset_id) OR bool_or(al.address_id <> o.address_id)
 ORDER BY o.id LIMIT @max_rows;

-- name: CheckDeposits :many
-- Credited payments of which a part is for no order and nobody was told, and the other way round.
SELECT p.id, p.credited_inclusion::integer AS inclusion FROM payments p
  JOIN inclusions i ON i.payment_id = p.id AND i.n = p.credited_inclusion
  JOIN ledger_postings c ON c.payment_id = p.id AND c.inclusion = i.n AND c.kind = 'credit'
  JOIN ledger_accounts acc ON acc.id = c.credit_account
  LEFT JOIN allocations al ON al.payment_id = p.id
 WHERE (al.payment_id IS NOT NULL AND acc.kind <> 'dust' AND i.amount > COALESCE(al.amount, 0))
    <> EXISTS (SELECT FROM events e WHERE e.key = p.id || '/' || i.n || '/deposit.credited')
 ORDER BY p.id LIMIT @max_rows;

-- name: PageOrdersByCustomer :many
SELECT * FROM orders
 WHERE merchant_id = @merchant_id AND mode = @mode AND customer_id = sqlc.arg(customer_id)::text AND state <> 'opening'
   AND (sqlc.narg(state)::text IS NULL OR state = sqlc.narg(state))
   AND (sqlc.narg(before_at)::timestamptz IS NULL OR (created_at, id) < (sqlc.narg(before_at), sqlc.narg(before_id)::text))
 ORDER BY created_at DESC, id DESC LIMIT @max_rows;
