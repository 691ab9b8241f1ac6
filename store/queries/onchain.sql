-- What the books say that addresses hold on chain at a block.

-- name: HeldAt :many
-- Custody is what is posted, findings included. Live money is on the chain and not posted; it does not count twice where a finding was
-- made before it was known. Money that is posted by a later block is not there yet.
SELECT adr.id AS address_id, adr.bytes, a.id AS asset_id,
       (-COALESCE((SELECT b.balance FROM ledger_accounts l JOIN ledger_balances b ON b.account_id = l.id
                    WHERE l.kind = 'custody' AND l.asset_id = a.id AND l.merchant_id IS NULL AND l.mode IS NULL AND l.address_id = adr.id), 0))::numeric AS custody,
       COALESCE(i.live, 0)::numeric AS live, COALESCE(i.later, 0)::numeric AS later,
       LEAST(COALESCE(i.proven, 0), COALESCE(f.open, 0))::numeric AS doubled, COALESCE(f.open, 0)::numeric AS findings
  FROM addresses adr JOIN assets a ON a.chain = @chain AND a.id = ANY(@assets::text[])
  LEFT JOIN LATERAL (
    SELECT sum(f.amount - f.consumed) AS open, max(f.block) AS block, max(f.created_at) AS made
      FROM balance_findings f WHERE f.address_id = adr.id AND f.asset_id = a.id AND f.consumed < f.amount) f ON true
  LEFT JOIN LATERAL (
    SELECT sum(i.amount) FILTER (WHERE p.credited_inclusion IS DISTINCT FROM i.n AND i.block_number <= @block::bigint) AS live,
           sum(i.amount) FILTER (WHERE p.credited_inclusion = i.n AND i.block_number > @block::bigint) AS later,
           sum(i.amount) FILTER (WHERE p.credited_inclusion IS DISTINCT FROM i.n AND i.block_number <= @block::bigint
                                   AND i.block_number <= f.block AND i.created_at > f.made) AS proven
      FROM payments p JOIN inclusions i ON i.payment_id = p.id AND i.canonical
     WHERE p.address_id = adr.id AND p.chain = a.chain AND i.asset_id = a.id) i ON true
 WHERE adr.id = ANY(@addresses::text[])
 ORDER BY a.id, adr.id;

-- name: AddressPage :many
SELECT a.id FROM addresses a JOIN chains ch ON ch.name = @chain AND ch.family = a.family
 WHERE a.id > @after::text ORDER BY a.id LIMIT @max_rows;

-- name: CursorBlock :one
SELECT block_number, block_hash FROM cursors WHERE chain = @chain AND block_number IS NOT NULL;

-- name: BalanceBlock :one
-- The block at which balances are compared: deep enough, by two windows of confirmations, that it stays. No row where nodes trace:
-- then the transfers themselves are seen.
SELECT b.number, b.hash, b.block_time FROM cursors cur JOIN chains ch ON ch.name = cur.chain
  JOIN chain_blocks b ON b.chain = cur.chain AND b.number = cur.block_number - 2 * ch.confirmations
 WHERE cur.chain = @chain AND cur.epoch = @epoch
   AND NOT EXISTS (SELECT FROM coverage c WHERE c.chain = cur.chain AND c.method = 'traces'
                      AND c.blocks @> int8range(b.number, cur.block_number, '[]'));

-- name: BalancesDue :many
-- The longest unchecked addresses of the chain's own coin. One that was issued a moment ago has been checked never.
SELECT c.address_id, c.asset_id, c.block, adr.bytes, ch.family FROM balance_checks c
  JOIN assets a ON a.id = c.asset_id JOIN chains ch ON ch.name = a.chain
  JOIN addresses adr ON adr.id = c.address_id
 WHERE a.chain = @chain AND a.contract IS NULL AND c.asset_id = @asset_id AND c.block < sqlc.arg(block)::bigint
 ORDER BY c.checked_at NULLS FIRST LIMIT @max_rows;

-- name: PostFinding :one
SELECT ledger_post_finding(@address_id, @asset_id, @since, @block, @hash, @difference);

-- name: ConsumeFindings :one
SELECT ledger_consume_findings(@payment_id, @inclusion)::numeric;

-- name: WithdrawFindings :exec
SELECT ledger_withdraw_findings(@chain, sqlc.arg(above)::bigint);

-- name: BalanceChecked :exec
UPDATE balance_checks SET block = @block, shortfall = @shortfall, checked_at = now() WHERE address_id = @address_id AND asset_id = @asset_id;

-- name: CheckFindings :many
-- Postings of findings that are not what was found, or not what was consumed or withdrawn of it.
SELECT p.key FROM ledger_postings p
 WHERE p.kind = 'finding'
   AND NOT EXISTS (SELECT FROM balance_findings f WHERE f.posting_key = p.key AND f.amount = p.amount AND f.asset_id = p.asset_id)
   AND NOT EXISTS (SELECT FROM balance_findings f WHERE p.key = p.payment_id || '/' || p.inclusion || '/finding/' || f.id
                      AND f.asset_id = p.asset_id AND p.amount <= f.consumed)
   AND NOT EXISTS (SELECT FROM balance_findings f WHERE p.key = f.posting_key || '/withdrawn' AND f.withdrawn_at IS NOT NULL
                      AND f.asset_id = p.asset_id AND p.amount <= f.amount)
 ORDER BY p.id LIMIT @max_rows;
