-- Moving an order: lock it, gather the facts, write what the state table decided.

-- name: LockOrders :many
-- Sorted, so that two transactions that lock the same orders wait for each other instead of deadlocking. Nothing is
-- joined: a row that was waited for is re-read, rows joined to it are not. NO KEY: rows that merely refer to an order, such as
-- wake-ups and leases, are written without waiting for it; whoever writes them holds locks further down.
SELECT * FROM orders WHERE id = ANY(@ids::text[]) ORDER BY id FOR NO KEY UPDATE;

-- name: OrderContexts :many
-- What orders refer to.
SELECT o.id, a.contract, a.code, a.decimals, c.family, c.chain_id, c.block_time_ms, adr.bytes AS address,
       c.confirmations, c.finality_tag, EXISTS (SELECT FROM confirmation_tiers t WHERE t.chain = o.chain) AS tiered
  FROM orders o
  JOIN assets a ON a.id = o.asset_id
  JOIN chains c ON c.name = o.chain
  LEFT JOIN addresses adr ON adr.id = o.address_id
 WHERE o.id = ANY(@ids::text[]);

-- name: OrderMoney :one
-- The confirmed, unreversed money of an order in its own asset, and the payments that may still become that. Where a
-- payment was posted says whether it was dust; before that, the order's own threshold does. Of a payment to a customer's
-- address only what is allocated counts. The sums are capped at the
-- largest amount there is: a token with a fantastic supply must not make an order unreadable.
--
-- Awaited is what holds an expiry or a cancellation: seen and not dust, in the order's asset, on time, on the chain or about to return.
-- Nothing else does: anybody can send dust, other assets and late money, again and again.
WITH money AS (
  SELECT LEAST(po.amount, al.amount) AS amount, p.first_included_at
    FROM payments p
    LEFT JOIN allocations al ON al.payment_id = p.id
    JOIN ledger_postings po ON po.payment_id = p.id AND po.inclusion = p.credited_inclusion AND po.kind = 'credit'
    JOIN ledger_accounts acc ON acc.id = po.credit_account
   WHERE p.order_id = @order_id::text AND p.status = 'credited' AND po.asset_id = @asset_id::text AND acc.kind <> 'dust'),
live AS (
  SELECT p.returns_by_block, p.status = 'dropped' AS returning, COALESCE(p.first_included_at <= sqlc.narg(expires_at)::timestamptz, false) AS on_time
    FROM payments p JOIN inclusions i ON i.payment_id = p.id AND i.n = p.inclusion
   WHERE p.order_id = @order_id::text AND i.asset_id = @asset_id::text AND i.amount >= sqlc.arg(dust_below)::base_units
     AND (p.status IN ('detected', 'parked') OR p.status = 'dropped' AND p.returns_by_block IS NOT NULL))
SELECT LEAST(COALESCE((SELECT sum(m.amount) FROM money m), 0),
             115792089237316195423570985008687907853269984665640564039457584007913129639935)::base_units AS credited,
       LEAST(COALESCE((SELECT sum(m.amount) FROM money m WHERE m.first_included_at <= sqlc.narg(expires_at)::timestamptz), 0),
             115792089237316195423570985008687907853269984665640564039457584007913129639935)::base_units AS credited_on_time,
       (SELECT count(*) FROM live)::integer AS live,
       (SELECT count(*) FROM live l WHERE l.on_time)::integer AS awaited,
       (SELECT count(*) FROM live l WHERE l.on_time AND NOT l.returning)::integer AS awaited_on_chain,
       COALESCE((SELECT max(l.returns_by_block) FROM live l WHERE l.on_time AND l.returning), 0)::bigint AS returns_by;

-- name: ChainPosition :one
-- How far the chain is read, and whether all of it was read since the order has its address. One statement: cursor and
-- coverage are of one moment. Whatever was recorded up to this cursor is visible to every later statement.
--
-- Untraced: the order is for the coin, a node traced some block of the last hour, and of that hour some block between the order's birth and its
-- deadline was not traced, which is about to be made good. By the chain's own clock it is over an hour after the deadline.
--
-- Ranged: some block from the order's birth to the first one past its deadline was read in ranges only, and is about to be read by hash. That is over as
-- untraced is.
SELECT cur.block_number, cur.block_time,
       CASE WHEN COALESCE(sqlc.narg(birth_block)::bigint + 1, ch.start_block) <= cur.block_number
            THEN COALESCE(cov.blocks, '{}') + accepted.blocks @> int8range(COALESCE(sqlc.narg(birth_block)::bigint + 1, ch.start_block), cur.block_number, '[]')
            ELSE false END::boolean AS covered,
       EXISTS (SELECT FROM quarantined_blocks qb WHERE qb.chain = ch.name AND qb.resolved_at IS NULL AND qb.accepted_at IS NULL
                AND sqlc.arg(method)::text = ANY (qb.lacking) AND qb.number > COALESCE(sqlc.narg(birth_block)::bigint, ch.start_block) - ch.horizon) AS quarantined,
       COALESCE(ch.traces AND sqlc.arg(method)::text = 'native' AND cur.block_time <= sqlc.narg(expires_at)::timestamptz + interval '1 hour'
                AND tr.blocks && int8range(cur.block_number - hour.blocks, cur.block_number, '(]')
                AND NOT tr.blocks + accepted.blocks @> CASE WHEN life.first <= life.last THEN int8range(life.first, life.last, '[]') ELSE 'empty'::int8range END,
                false)::boolean AS untraced,
       COALESCE(cur.block_time <= sqlc.narg(expires_at)::timestamptz + interval '1 hour'
                AND NOT cov.by_hash + accepted.blocks @> CASE WHEN life.birth <= LEAST(cur.block_number, life.last + 1)
                                            THEN int8range(life.birth, LEAST(cur.block_number, life.last + 1), '[]') ELSE 'empty'::int8range END,
                false)::boolean AS ranged,
       clock_timestamp()::timestamptz AS now
  FROM chains ch
  LEFT JOIN cursors cur ON cur.chain = ch.name
  LEFT JOIN coverage cov ON cov.chain = ch.name AND cov.method = sqlc.arg(method)::text AND cov.contract = sqlc.arg(contract)::bytea
  LEFT JOIN coverage tr ON tr.chain = ch.name AND tr.method = 'traces'
  -- What a person accepted not to know counts as read, in every way.
  CROSS JOIN LATERAL (SELECT COALESCE(range_agg(int8range(qb.number, qb.number, '[]')), '{}') AS blocks FROM quarantined_blocks qb
                       WHERE qb.chain = ch.name AND qb.resolved_at IS NULL AND qb.accepted_at IS NOT NULL
                         AND sqlc.arg(method)::text = ANY (qb.lacking)) accepted
  CROSS JOIN LATERAL (SELECT GREATEST(1, 3600000 / ch.block_time_ms)::bigint AS blocks) hour
  CROSS JOIN LATERAL (
    SELECT GREATEST(COALESCE(sqlc.narg(birth_block)::bigint + 1, ch.start_block), 0) AS birth,
           GREATEST(COALESCE(sqlc.narg(birth_block)::bigint + 1, ch.start_block), cur.block_number - hour.blocks + 1) AS first,
           -- The last block up to the deadline, or what is below everything that is remembered.
           LEAST(cur.block_number, COALESCE(
             (SELECT b.number FROM chain_blocks b WHERE b.chain = ch.name AND b.block_time <= sqlc.narg(expires_at)::timestamptz ORDER BY b.number DESC LIMIT 1),
             (SELECT b.number - 1 FROM chain_blocks b WHERE b.chain = ch.name ORDER BY b.number LIMIT 1))) AS last) life
 WHERE ch.name = sqlc.arg(chain)::text;

-- name: SaveOrder :one
UPDATE orders
   SET state = @state, labels = @labels, address_id = @address_id, expires_at = @expires_at, late_until = @late_until,
       birth_block = @birth_block, updated_at = clock_timestamp(),
       paid_at = CASE WHEN @fulfilled::boolean THEN COALESCE(paid_at, clock_timestamp()) ELSE paid_at END,
       closed_at = CASE WHEN @closed::boolean THEN COALESCE(closed_at, clock_timestamp()) END
 WHERE id = @id
RETURNING updated_at, paid_at, closed_at;

-- name: PaymentInclusions :many
-- Payments with everything that is told about them: one inclusion of each, the newest if none is named.
SELECT p.id, p.chain, p.tx_hash, p.native, p.position, p.address_id, p.order_id, p.merchant_id, p.mode, p.inclusion,
       p.status, p.credited_inclusion, p.first_included_at, p.created_at, p.evidence, (p.mode <> adr.mode)::boolean AS wrong_mode,
       EXISTS (SELECT FROM confirmation_tiers t WHERE t.chain = p.chain) AS tiered,
       i.n, i.block_number, i.block_hash, i.block_time, i.tx_index, i.log_index, i.asset_id, i.amount, i.sender, i.recipient,
       i.canonical,
       a.contract, a.code, a.decimals, a.dust_below, a.halted_at AS asset_halted_at,
       c.family, c.block_time_ms, c.confirmations, c.finality_tag, c.halted_at AS chain_halted_at,
       (c.paused_at IS NOT NULL)::boolean AS chain_paused,
       cur.block_number AS cursor_number,
       po.created_at AS credited_at, acc.kind AS credited_to,
       adr.customer_id, al.amount AS allocated,
       EXISTS (SELECT FROM ledger_postings r WHERE r.payment_id = p.id AND r.inclusion = i.n AND r.kind = 'reversal') AS reversed,
       EXISTS (SELECT FROM reviews rv WHERE rv.payment_id = p.id AND rv.status = 'open' AND rv.cause <> 'deposit') AS in_review,
       EXISTS (SELECT FROM reviews rv WHERE rv.payment_id = p.id AND rv.inclusion = i.n AND rv.status = 'open'
                AND rv.cause IN ('held', 'disagreement')) AS held_by_review
  FROM payments p
  JOIN inclusions i ON i.payment_id = p.id
  JOIN assets a ON a.id = i.asset_id
  JOIN chains c ON c.name = p.chain
  JOIN addresses adr ON adr.id = p.address_id
  LEFT JOIN allocations al ON al.payment_id = p.id
  LEFT JOIN cursors cur ON cur.chain = p.chain
  LEFT JOIN ledger_postings po ON po.payment_id = p.id AND po.inclusion = i.n AND po.kind = 'credit'
  LEFT JOIN ledger_accounts acc ON acc.id = po.credit_account
 WHERE p.id = ANY(@ids::text[]) AND i.n = COALESCE(sqlc.narg(inclusion)::integer, p.inclusion);
