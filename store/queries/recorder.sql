-- Writing down what a chain source saw. Everything here runs in a transaction that holds the cursor row of the chain.

-- name: RaiseEpoch :one
-- Whoever held the chain before is fenced off from here on.
INSERT INTO cursors (chain, epoch) VALUES (@chain, 1)
ON CONFLICT (chain) DO UPDATE SET epoch = cursors.epoch + 1, updated_at = now()
RETURNING epoch, block_number, block_hash, block_time;

-- name: AdvanceCursor :one
-- The first statement of recording blocks. No row: another epoch, or another parent.
UPDATE cursors cur
   SET block_number = sqlc.arg(last)::bigint, block_hash = sqlc.arg(hash)::bytea, block_time = sqlc.arg(block_time)::timestamptz,
       head_number = GREATEST(cur.head_number, sqlc.arg(last)::bigint), updated_at = now(),
       -- How fast recording goes: each batch counts for a quarter, and at least a millisecond.
       blocks_per_minute = LEAST(1000000000, (3 * COALESCE(cur.blocks_per_minute, 0)
           + 60 * (sqlc.arg(last)::bigint - sqlc.arg(first)::bigint + 1)
             / GREATEST(0.001, extract(epoch FROM clock_timestamp() - cur.reported_at)))
           / CASE WHEN cur.blocks_per_minute IS NULL THEN 1 ELSE 4 END)::bigint,
       reported_at = clock_timestamp()
  FROM chains ch
 WHERE cur.chain = sqlc.arg(chain)::text AND ch.name = cur.chain AND cur.epoch = sqlc.arg(epoch)::bigint
   AND ((cur.block_hash IS NULL AND ch.start_block = sqlc.arg(first)::bigint)
        OR (cur.block_hash = sqlc.arg(parent)::bytea AND cur.block_number + 1 = sqlc.arg(first)::bigint))
RETURNING ch.family, ch.horizon, ch.confirmations;

-- name: LockCursor :one
SELECT cur.epoch, cur.block_number, cur.block_hash, cur.block_time, cur.final_number, (ch.halted_at IS NOT NULL)::boolean AS halted,
       ch.family, ch.horizon, ch.confirmations, ch.start_block
  FROM cursors cur JOIN chains ch ON ch.name = cur.chain
 WHERE cur.chain = @chain FOR NO KEY UPDATE OF cur;

-- name: SetCursor :exec
UPDATE cursors SET block_number = @number::bigint, block_hash = @hash::bytea, block_time = @block_time::timestamptz, updated_at = now()
 WHERE chain = @chain;

-- name: ClearCursor :exec
-- Nothing is recorded any more: the next block is the start block, whatever its parent.
UPDATE cursors SET block_number = NULL, block_hash = NULL, block_time = NULL, updated_at = now() WHERE chain = @chain;

-- name: ObserveHead :execrows
-- A lower head is a node that lags; one that is lower by more than the horizon says that the higher one was a mistake. A head
-- at the same height may be another block; the newer answer counts.
UPDATE cursors cur
   SET head_time = CASE WHEN sqlc.arg(number)::bigint >= COALESCE(cur.head_number, 0) OR cur.head_number - sqlc.arg(number)::bigint > ch.horizon
                        THEN sqlc.arg(head_time)::timestamptz ELSE cur.head_time END,
       head_number = CASE WHEN cur.head_number - sqlc.arg(number)::bigint > ch.horizon THEN GREATEST(cur.block_number, sqlc.arg(number)::bigint)
                          ELSE GREATEST(cur.head_number, sqlc.arg(number)::bigint) END,
       reported_at = clock_timestamp()
  FROM chains ch
 WHERE cur.chain = sqlc.arg(chain) AND ch.name = cur.chain AND cur.epoch = sqlc.arg(epoch);

-- name: ScanChain :one
-- What a session needs to know of its chain.
SELECT name, family, chain_id, genesis_hash, block_time_ms, horizon, start_block, max_range FROM chains WHERE name = @name;

-- name: WatchState :one
SELECT cur.epoch, cur.block_number, cur.block_hash, cur.block_time, b.parent_hash, ch.family, ch.horizon, ch.confirmations,
       (ch.paused_at IS NOT NULL)::boolean AS paused, (ch.halted_at IS NOT NULL)::boolean AS halted, ch.traces, ch.any_token
  FROM cursors cur
  JOIN chains ch ON ch.name = cur.chain
  LEFT JOIN chain_blocks b ON b.chain = cur.chain AND b.number = cur.block_number
 WHERE cur.chain = @chain;

-- name: WatchedAssets :many
-- Every asset ever enabled: a disabled one takes no new orders, and money in it is still found.
SELECT id, contract, dust_below FROM assets WHERE chain = @chain ORDER BY id;

-- name: InsertChainBlocks :exec
INSERT INTO chain_blocks (chain, number, hash, parent_hash, block_time)
SELECT @chain, unnest(@numbers::bigint[]), unnest(@hashes::bytea[]), unnest(@parents::bytea[]), unnest(@times::timestamptz[]);

-- name: PruneChainBlocks :exec
DELETE FROM chain_blocks WHERE chain = @chain AND number < @below;

-- name: CutChainBlocks :exec
DELETE FROM chain_blocks WHERE chain = @chain AND number > @above;

-- name: LowestChainBlock :one
SELECT number, parent_hash FROM chain_blocks WHERE chain = @chain ORDER BY number LIMIT 1;

-- name: ChainBlocksBetween :many
SELECT number, hash, block_time FROM chain_blocks WHERE chain = @chain AND number BETWEEN @first AND @last ORDER BY number;

-- name: TimesAround :one
-- The believed times of the nearest recorded blocks below and above some, at the ends of time where there is none, and the
-- transaction's own.
SELECT now()::timestamptz AS now,
       COALESCE((SELECT k.block_time FROM (
          (SELECT b.number, b.block_time FROM chain_blocks b
            WHERE b.chain = cur.chain AND b.number < sqlc.arg(first)::bigint ORDER BY b.number DESC LIMIT 1)
          UNION ALL
          (SELECT m.number, m.block_time FROM recorded_marks m
            WHERE m.chain = cur.chain AND m.number < sqlc.arg(first)::bigint ORDER BY m.number DESC LIMIT 1)
          UNION ALL
          SELECT cur.block_number, cur.block_time WHERE cur.block_number < sqlc.arg(first)::bigint) k
         ORDER BY k.number DESC LIMIT 1), '0001-01-01 00:00:00+00')::timestamptz AS below,
       COALESCE((SELECT k.block_time FROM (
          (SELECT b.number, b.block_time FROM chain_blocks b
            WHERE b.chain = cur.chain AND b.number > sqlc.arg(last)::bigint ORDER BY b.number LIMIT 1)
          UNION ALL
          (SELECT m.number, m.block_time FROM recorded_marks m
            WHERE m.chain = cur.chain AND m.number > sqlc.arg(last)::bigint ORDER BY m.number LIMIT 1)
          UNION ALL
          SELECT cur.block_number, cur.block_time WHERE cur.block_number > sqlc.arg(last)::bigint) k
         ORDER BY k.number LIMIT 1), '9999-12-31 00:00:00+00')::timestamptz AS above
  FROM cursors cur WHERE cur.chain = sqlc.arg(chain)::text;

-- name: CountTimesHeld :exec
UPDATE cursors SET times_held = times_held + @n::bigint WHERE chain = @chain;

-- name: RememberedBlocks :many
SELECT number, hash, parent_hash, block_time FROM chain_blocks
 WHERE chain = @chain AND number <= @below ORDER BY number DESC LIMIT @max_rows;

-- name: MatchRecipients :many
-- A statement of its own, begun after the block was fetched: it sees every address committed before, whatever its id. The mode is the
-- chain's: of an address of the other one only the merchant counts, and test money at a live address is none.
SELECT a.id, a.family, a.bytes, a.order_id, a.customer_id, a.merchant_id, c.mode, (a.mode = c.mode)::boolean AS own_mode, takes_money(c.mode, a.mode) AS takes_money
  FROM chains c JOIN addresses a ON a.family = c.family
 WHERE c.name = @chain AND a.bytes = ANY(@recipients::bytea[]);

-- name: PaymentsByTx :many
-- The payments already known from these transactions, each with its newest inclusion. was_mined: one of its inclusions was undone with
-- its block, so it was true.
SELECT p.id, p.tx_hash, p.native, p.position, p.order_id, p.merchant_id, p.inclusion, p.first_included_at,
       i.block_number, i.block_hash, i.asset_id, i.amount, i.sender, i.recipient, i.canonical,
       EXISTS (SELECT FROM inclusions e WHERE e.payment_id = p.id AND e.end_reason = 'reorg')::boolean AS was_mined
  FROM payments p JOIN inclusions i ON i.payment_id = p.id AND i.n = p.inclusion
 WHERE p.chain = @chain AND p.tx_hash = ANY(@tx_hashes::bytea[]);

-- name: PaymentsAbove :many
-- What a rollback ends: every canonical inclusion above the common ancestor, the newest first.
SELECT p.id, p.order_id, p.merchant_id, i.n
  FROM inclusions i JOIN payments p ON p.id = i.payment_id
 WHERE i.chain = @chain AND i.canonical AND i.block_number > @above::bigint
 ORDER BY i.block_number DESC, i.tx_index DESC, p.native, p.position DESC;

-- name: LockPayments :many
SELECT id, status, inclusion, credited_inclusion FROM payments WHERE id = ANY(@ids::text[]) ORDER BY id FOR NO KEY UPDATE;

-- name: InsertPayment :exec
INSERT INTO payments (id, chain, tx_hash, native, position, address_id, order_id, merchant_id, mode, inclusion, status, first_included_at,
                      settle_deadline)
VALUES (@id, @chain, @tx_hash, @native, @position, @address_id, @order_id, @merchant_id, @mode, 1, 'detected', @first_included_at,
        now() + settle_window(@chain, 0));

-- name: InsertInclusion :exec
INSERT INTO inclusions (payment_id, n, chain, block_number, block_hash, block_time, tx_index, log_index, asset_id, amount, sender, recipient)
VALUES (@payment_id, @n, @chain, @block_number, @block_hash, @block_time, @tx_index, @log_index, @asset_id, @amount, @sender, @recipient);

-- name: EndInclusion :execrows
UPDATE inclusions SET canonical = false, ended_at = now(), end_reason = @reason::text
 WHERE payment_id = @payment_id AND n = @n AND canonical;

-- name: DropPayment :exec
-- The payment left the chain, credited or not; whoever calls has reversed the credit.
UPDATE payments SET status = 'dropped', credited_inclusion = NULL, dropped_at = now(), returns_by_block = @returns_by::bigint
 WHERE id = @id;

-- name: ReincludePayment :exec
-- Mined again: possibly elsewhere in the block, for another amount, or to another address of ours.
UPDATE payments SET status = 'detected', first_included_at = @first_included_at, inclusion = @inclusion, credited_inclusion = NULL, dropped_at = NULL, returns_by_block = NULL,
       address_id = @address_id, order_id = @order_id, merchant_id = @merchant_id, mode = @mode, last_woken_at = now(),
       settle_deadline = now() + settle_window(chain, 0)
 WHERE id = @id;

-- name: EndedReturns :many
-- Dropped payments whose window to come back ended with this block, and whose orders may stop waiting for them.
SELECT id, order_id, inclusion FROM payments WHERE chain = @chain AND returns_by_block < @number::bigint ORDER BY id;

-- name: GiveUpReturn :execrows
UPDATE payments SET returns_by_block = NULL WHERE id = @id AND status = 'dropped' AND returns_by_block IS NOT NULL;

-- name: InclusionsInBlocks :one
SELECT count(*) FROM inclusions WHERE chain = @chain AND canonical AND block_number BETWEEN @first AND @last;

-- name: HaltChain :execrows
UPDATE chains SET halted_at = now(), halted_reason = @reason::text WHERE name = @name AND halted_at IS NULL;

-- name: ResumeChain :execrows
UPDATE chains SET halted_at = NULL, halted_reason = NULL WHERE name = @name AND halted_at IS NOT NULL;

-- name: PauseChain :execrows
UPDATE chains SET paused_at = now() WHERE name = @name AND paused_at IS NULL;

-- name: UnpauseChain :execrows
UPDATE chains SET paused_at = NULL WHERE name = @name AND paused_at IS NOT NULL;

-- name: AwaitBirths :exec
-- Whoever undoes blocks waits for orders that are being opened, and these wait for whoever undoes blocks: none is opened at a
-- height that is being undone without being seen. Held until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('births/' || sqlc.arg(chain)::text, 0));

-- name: JoinBirths :exec
SELECT pg_advisory_xact_lock_shared(hashtextextended('births/' || sqlc.arg(chain)::text, 0));

-- name: OrdersBornAbove :many
-- The orders that were opened when the cursor was above a block.
SELECT id FROM orders WHERE chain = @chain AND birth_block > sqlc.arg(above)::bigint;

-- name: LowerBirths :exec
UPDATE orders SET birth_block = sqlc.arg(above)::bigint WHERE id = ANY(sqlc.arg(ids)::text[]) AND birth_block > sqlc.arg(above)::bigint;
