-- What the books say that addresses hold on chain at a block.

-- name: HeldAt :many
-- Custody is what is posted, findings included. Live money is on the chain and not posted; where it explains a finding, which crediting it
-- will consume, the two are one sum on the chain. Money that is posted by a later block is not there yet.
SELECT adr.id AS address_id, adr.bytes, a.id AS asset_id,
       (-COALESCE((SELECT b.balance FROM ledger_accounts l JOIN ledger_balances b ON b.account_id = l.id
                    WHERE l.kind = 'custody' AND l.asset_id = a.id AND l.merchant_id IS NULL AND l.mode IS NULL AND l.address_id = adr.id), 0))::numeric AS custody,
       COALESCE(i.live, 0)::numeric AS live, COALESCE(i.later, 0)::numeric AS later,
       COALESCE((SELECT sum(LEAST(c.unexplained, c.proven))
                   FROM (SELECT c.finding_id, c.unexplained, sum(c.amount) AS proven FROM balance_finding_claims c
                          WHERE c.address_id = adr.id AND c.asset_id = a.id AND NOT c.credited AND c.block_number <= @block::bigint
                          GROUP BY c.finding_id, c.unexplained) c), 0)::numeric AS doubled,
       COALESCE((SELECT sum(f.amount - f.consumed) FROM balance_findings f
                  WHERE f.address_id = adr.id AND f.asset_id = a.id AND f.consumed < f.amount), 0)::numeric AS findings
  FROM addresses adr JOIN assets a ON a.chain = @chain AND a.id = ANY(@assets::text[])
  LEFT JOIN LATERAL (
    SELECT sum(i.amount) FILTER (WHERE p.credited_inclusion IS DISTINCT FROM i.n AND i.block_number <= @block::bigint) AS live,
           sum(i.amount) FILTER (WHERE p.credited_inclusion = i.n AND i.block_number > @block::bigint) AS later
      FROM payments p JOIN inclusions i ON i.payment_id = p.id AND i.canonical
     WHERE p.address_id = adr.id AND p.chain = a.chain AND i.asset_id = a.id) i ON true
 WHERE adr.id = ANY(@addresses::text[])
 ORDER BY a.id, adr.id;

-- name: AddressPage :many
SELECT a.id FROM addresses a JOIN chains ch ON ch.name = @chain AND ch.family = a.family AND takes_money(ch.mode, a.mode)
 WHERE a.id > @after::text ORDER BY a.id LIMIT @max_rows;

-- name: InclusionPage :many
-- What is recorded as being on the chain up to a block, one of each payment.
SELECT i.payment_id, i.n, i.block_number, i.block_hash, p.tx_hash, p.native, p.position, i.asset_id, i.sender, i.recipient, i.amount
  FROM inclusions i JOIN payments p ON p.id = i.payment_id
 WHERE i.chain = @chain AND i.canonical AND i.block_number <= @block::bigint AND i.payment_id > @after::text
 ORDER BY i.payment_id LIMIT @max_rows;

-- name: CursorBlock :one
SELECT block_number, block_hash FROM cursors WHERE chain = @chain AND block_number IS NOT NULL;

-- name: BalanceBlock :one
-- The block at which balances are compared: deep enough, by two windows of confirmations, that it stays. And the newest block up to there
-- that no node traced, -2 when all were: whatever was compared since then, or was not there before, has had its transfers seen.
SELECT b.number, b.hash, b.block_time,
       COALESCE(upper(int8multirange(int8range(LEAST(ch.start_block, b.number), b.number, '[]'))
                      - COALESCE((SELECT c.blocks FROM coverage c WHERE c.chain = cur.chain AND c.method = 'traces'), '{}'::int8multirange)) - 1,
                -2)::bigint AS untraced
  FROM cursors cur JOIN chains ch ON ch.name = cur.chain
  JOIN chain_blocks b ON b.chain = cur.chain AND b.number = cur.block_number - 2 * ch.confirmations
 WHERE cur.chain = @chain AND cur.epoch = @epoch;

-- name: BalancesDue :many
-- Addresses for whom blocks were not traced since they were last found to agree, and those where something is open: less than recorded,
-- or a finding that nobody explained or settled; and those that operators disagreed about. The longest unchecked first; each part is the head of an index of its own.
WITH due AS (
  (SELECT c.address_id, c.checked_at FROM balance_checks c
    WHERE c.asset_id = @asset_id AND c.shortfall = 0 AND c.disputed_at IS NULL AND c.block < sqlc.arg(block)::bigint
      AND GREATEST(c.agreed_block, c.born_block) < sqlc.arg(untraced)::bigint
    ORDER BY GREATEST(c.agreed_block, c.born_block) LIMIT @max_rows)
  UNION
  (SELECT c.address_id, c.checked_at FROM balance_checks c
    WHERE c.asset_id = @asset_id AND c.disputed_at IS NOT NULL AND c.block < sqlc.arg(block)::bigint
      AND GREATEST(c.agreed_block, c.born_block) < sqlc.arg(untraced)::bigint
    ORDER BY c.checked_at NULLS FIRST LIMIT @max_rows)
  UNION
  (SELECT c.address_id, c.checked_at FROM balance_checks c
    WHERE c.asset_id = @asset_id AND c.block < sqlc.arg(block)::bigint AND c.shortfall > 0
    ORDER BY c.checked_at NULLS FIRST LIMIT @max_rows)
  UNION
  (SELECT c.address_id, c.checked_at FROM balance_findings f JOIN balance_checks c ON c.address_id = f.address_id AND c.asset_id = f.asset_id
    WHERE f.asset_id = @asset_id AND f.consumed < f.amount AND f.settled = 0 AND c.block < sqlc.arg(block)::bigint
    ORDER BY c.checked_at NULLS FIRST LIMIT @max_rows))
SELECT c.address_id, c.agreed_block, adr.bytes, adr.family FROM due
  JOIN balance_checks c ON c.address_id = due.address_id AND c.asset_id = @asset_id
  JOIN addresses adr ON adr.id = c.address_id
 ORDER BY c.checked_at NULLS FIRST, c.address_id LIMIT @max_rows;

-- name: PostFinding :one
SELECT ledger_post_finding(@address_id, @asset_id, @since, @block, @hash, @difference);

-- name: ConsumeFindings :one
SELECT ledger_consume_findings(@payment_id, @inclusion)::numeric;

-- name: WithdrawFindings :exec
SELECT ledger_withdraw_findings(@chain, sqlc.arg(above)::bigint);

-- name: OverdrawnByFindings :many
-- Merchants who have less than nothing available after this transaction took back what had been settled to them.
SELECT b.merchant_id::text AS merchant_id, b.asset_id, b.balance::numeric AS balance
  FROM ledger_balances b
 WHERE b.account_id = ANY(ARRAY(SELECT f.settled_account FROM balance_findings f
                                 WHERE f.settled_account IS NOT NULL AND f.withdrawn_at >= now()))
   AND b.kind = 'merchant:available' AND b.balance < 0;

-- name: BalanceChecked :exec
UPDATE balance_checks SET block = @block, shortfall = @shortfall, checked_at = now(), disputed_at = NULL,
       agreed_block = CASE WHEN @explained::boolean THEN GREATEST(agreed_block, @block) ELSE agreed_block END
 WHERE address_id = @address_id AND asset_id = @asset_id;

-- name: BalancesDisputed :exec
-- Nothing was compared: only whose turn it is next changes.
UPDATE balance_checks SET checked_at = now(), disputed_at = now()
 WHERE asset_id = @asset_id AND address_id = ANY(@addresses::text[]);

-- name: SettleFinding :one
SELECT ledger_settle_finding(sqlc.arg(id)::bigint, sqlc.arg(destination)::text, sqlc.arg(reason)::text, sqlc.arg(actor)::text,
                             sqlc.narg(request_id)::text)::text AS outcome;

-- name: ReadFindings :many
-- Findings that something is left of, the oldest first, settled ones only if asked for.
SELECT f.id, f.asset_id, a.code, a.decimals, a.contract, f.chain, adr.family, adr.bytes, f.address_id, adr.merchant_id, adr.mode, adr.order_id, adr.customer_id,
       f.after_block, f.block, f.created_at, (f.amount - f.consumed)::base_units AS unexplained, f.settled_at, acc.kind AS settled_to,
       b.shortfall, b.block AS checked_block, b.checked_at
  FROM balance_findings f
  JOIN assets a ON a.id = f.asset_id
  JOIN addresses adr ON adr.id = f.address_id
  LEFT JOIN ledger_accounts acc ON acc.id = f.settled_account
  LEFT JOIN balance_checks b ON b.address_id = f.address_id AND b.asset_id = f.asset_id
 WHERE f.consumed < f.amount AND (f.settled = 0 OR @settled::boolean)
 ORDER BY f.id LIMIT @max_rows;

-- name: CheckFindings :many
-- Postings of findings that are not what was found, or not what was explained or withdrawn of it; and findings whose settlement is not what is
-- left of them, or not what was moved by hand.
WITH by_hand AS MATERIALIZED (SELECT p.* FROM ledger_postings p WHERE p.kind = 'manual')
SELECT p.key::text AS key FROM ledger_postings p
 WHERE p.kind = 'finding'
   AND NOT EXISTS (SELECT FROM balance_findings f WHERE f.posting_key = p.key AND f.amount = p.amount AND f.asset_id = p.asset_id)
   AND NOT EXISTS (SELECT FROM balance_findings f WHERE p.key = p.payment_id || '/' || p.inclusion || '/finding/' || f.id
                      AND f.asset_id = p.asset_id AND p.amount <= f.explained)
   AND NOT EXISTS (SELECT FROM balance_findings f WHERE p.key = f.posting_key || '/withdrawn' AND f.withdrawn_at IS NOT NULL
                      AND f.asset_id = p.asset_id AND p.amount = f.amount - f.explained)
UNION ALL
SELECT f.posting_key::text FROM balance_findings f
 WHERE f.settled <> CASE WHEN f.settled_at IS NULL THEN 0 ELSE f.amount - f.consumed END
    OR f.settled <> COALESCE((SELECT sum(CASE WHEN p.credit_account = f.settled_account THEN p.amount ELSE -p.amount END) FROM by_hand p
                               WHERE p.key IN (f.posting_key || '/settled', f.posting_key || '/unsettled', p.payment_id || '/' || p.inclusion || '/unsettled/' || f.id)), 0)
 LIMIT @max_rows;
