-- Reading a second time what has become final, and what is remembered of the chain for ever.

-- name: RangedDue :one
-- The next run of blocks that were read in ranges only for some asset, and how many there are: the lowest from the birth of an open order
-- on, of those orders whose deadlines come first, or else the lowest. Such blocks need not be final: a reorganisation cuts their coverage. Blocks
-- that a rescan will read are left to it: it reads by hash.
WITH ranged AS (
  SELECT COALESCE(range_agg(c.blocks - c.by_hash), '{}'::int8multirange)
         - COALESCE((SELECT range_agg(int8range(o.next_block, o.to_block, '[]')) FROM rescans o
                      WHERE o.chain = sqlc.arg(chain)::text AND o.finished_at IS NULL), '{}'::int8multirange) AS blocks
    FROM assets a
    JOIN coverage c ON c.chain = a.chain AND c.contract = COALESCE(a.contract, '')
     AND c.method = CASE WHEN a.contract IS NULL THEN 'native' ELSE 'token_logs' END
   WHERE a.chain = sqlc.arg(chain)::text)
SELECT lower(r)::bigint AS first, (upper(r) - 1)::bigint AS last, (NOT isempty(awaited.blocks))::boolean AS urgent,
       (SELECT sum(upper(b) - lower(b)) FROM unnest(ranged.blocks) b)::bigint AS total
  FROM ranged
  CROSS JOIN LATERAL (
    SELECT min(COALESCE(o.birth_block, -1)) + 1 AS first
      FROM (SELECT birth_block FROM orders WHERE chain = sqlc.arg(chain)::text AND state IN ('awaiting_payment', 'confirming')
             ORDER BY expires_at LIMIT 100) o) lives
  CROSS JOIN LATERAL (SELECT CASE WHEN lives.first IS NULL THEN '{}' ELSE ranged.blocks * int8multirange(int8range(lives.first, NULL, '[)')) END AS blocks) awaited
  CROSS JOIN LATERAL unnest(CASE WHEN isempty(awaited.blocks) THEN ranged.blocks ELSE awaited.blocks END) AS r
 WHERE NOT isempty(ranged.blocks)
 ORDER BY 1 LIMIT 1;

-- name: LookLater :execrows
-- A block whose second look fails by itself, as long as there are few such: when there are many, it is not about the blocks.
INSERT INTO rescans (chain, from_block, to_block, next_block, cause, request_id, requested_by)
SELECT sqlc.arg(chain)::text, sqlc.arg(number)::bigint, sqlc.arg(number)::bigint, sqlc.arg(number)::bigint, 'second_look', sqlc.arg(request_id)::text, 'recorder'
 WHERE (SELECT count(*) FROM rescans r WHERE r.chain = sqlc.arg(chain)::text AND r.cause = 'second_look' AND r.finished_at IS NULL) < sqlc.arg(most)::bigint
ON CONFLICT (request_id) DO NOTHING;

-- name: RescanLater :execrows
-- A block at which a rescan stands is left out of it, and read by one of its own of the same cause, as long as there are few such.
WITH rest AS (
  UPDATE rescans r SET next_block = r.next_block + 1
   WHERE r.id = sqlc.arg(id)::bigint AND r.chain = sqlc.arg(chain)::text AND r.finished_at IS NULL
     AND r.next_block = sqlc.arg(number)::bigint AND r.next_block < r.to_block
     AND (SELECT count(*) FROM rescans o WHERE o.chain = sqlc.arg(chain)::text AND o.finished_at IS NULL AND starts_with(o.request_id, 'left/')) < sqlc.arg(most)::bigint
  RETURNING r.chain, r.cause, r.requested_by)
INSERT INTO rescans (chain, from_block, to_block, next_block, cause, request_id, requested_by)
SELECT rest.chain, sqlc.arg(number)::bigint, sqlc.arg(number)::bigint, sqlc.arg(number)::bigint, rest.cause, sqlc.arg(request_id)::text, rest.requested_by FROM rest
ON CONFLICT (request_id) DO NOTHING;

-- name: SecondLookDue :one
-- The lowest run of final blocks that was read once only, by hash. Where the chain calls nothing final, what is below the horizon counts
-- as final. Blocks that a rescan will read are left to it first.
SELECT lower(r)::bigint AS first, (upper(r) - 1)::bigint AS last
  FROM cursors cur JOIN chains ch ON ch.name = cur.chain,
       unnest(CASE WHEN LEAST(cur.block_number, COALESCE(cur.final_number, cur.block_number - ch.horizon)) >= ch.start_block
                   THEN int8multirange(int8range(ch.start_block,
                          LEAST(cur.block_number, COALESCE(cur.final_number, cur.block_number - ch.horizon)), '[]'))
                   ELSE '{}'::int8multirange END
              - COALESCE((SELECT blocks FROM second_looks s WHERE s.chain = cur.chain), '{}'::int8multirange)
              - COALESCE((SELECT range_agg(int8range(o.next_block, o.to_block, '[]')) FROM rescans o
                           WHERE o.chain = cur.chain AND o.finished_at IS NULL), '{}'::int8multirange)) AS r
 WHERE cur.chain = @chain
 ORDER BY 1 LIMIT 1;

-- name: LookedAgain :exec
INSERT INTO second_looks (chain, blocks, found, found_at)
VALUES (@chain, int8multirange(int8range(@first::bigint, @last::bigint, '[]')), @found, CASE WHEN @found::bigint > 0 THEN now() END)
ON CONFLICT (chain) DO UPDATE
   SET blocks = second_looks.blocks + EXCLUDED.blocks, found = second_looks.found + EXCLUDED.found,
       found_at = COALESCE(EXCLUDED.found_at, second_looks.found_at);

-- name: LookAgainLater :exec
-- What a backfill or the end of a quarantine has read was read once only.
UPDATE second_looks s SET blocks = s.blocks - int8multirange(int8range(sqlc.arg(first)::bigint, sqlc.arg(last)::bigint, '[]'))
  FROM rescans r
 WHERE s.chain = sqlc.arg(chain) AND r.id = sqlc.arg(rescan_id) AND r.cause IN ('backfill', 'quarantine');

-- name: CutSecondLook :exec
UPDATE second_looks SET blocks = blocks * int8multirange(int8range(NULL, @above::bigint, '(]')) WHERE chain = @chain;

-- name: BegunInBlocks :many
-- The inclusions that this transaction wrote: their time is the transaction's.
SELECT payment_id, n, block_number FROM inclusions
 WHERE chain = @chain AND canonical AND block_number BETWEEN @first AND @last AND created_at = now()
 ORDER BY block_number, tx_index LIMIT 100;

-- name: SetFinal :exec
UPDATE cursors SET final_number = GREATEST(final_number, @number::bigint) WHERE chain = @chain;

-- name: LowerFinal :exec
UPDATE cursors SET final_number = LEAST(final_number, @above::bigint) WHERE chain = @chain AND final_number IS NOT NULL;

-- name: MarkCursor :exec
-- Once in ten minutes, and once in five thousand blocks while the chain is caught up with.
INSERT INTO recorded_marks (chain, number, hash, block_time)
SELECT cur.chain, cur.block_number, cur.block_hash, cur.block_time FROM cursors cur
 WHERE cur.chain = @chain AND cur.block_number IS NOT NULL
   AND NOT EXISTS (SELECT FROM recorded_marks m WHERE m.chain = cur.chain AND m.marked_at > now() - interval '10 minutes'
                      AND m.number > cur.block_number - 5000)
ON CONFLICT (chain, number) DO NOTHING;

-- name: CutMarks :exec
DELETE FROM recorded_marks WHERE chain = @chain AND number > @above;

-- name: MarkedBlocks :many
-- Blocks that are known to have been recorded, the newest first, however deep.
SELECT number, hash, block_time FROM (
  (SELECT b.number, b.hash, b.block_time FROM chain_blocks b
    WHERE b.chain = @chain AND b.number <= @below ORDER BY b.number DESC LIMIT @max_rows)
  UNION
  (SELECT m.number, m.hash, m.block_time FROM recorded_marks m
    WHERE m.chain = @chain AND m.number <= @below ORDER BY m.number DESC LIMIT @max_rows)
  UNION
  (SELECT DISTINCT i.block_number, i.block_hash, i.block_time FROM inclusions i
    WHERE i.chain = @chain AND i.canonical AND i.block_number <= @below ORDER BY i.block_number DESC LIMIT @max_rows)) AS known
 ORDER BY number DESC LIMIT @max_rows;

-- name: BlockKnown :one
SELECT (EXISTS (SELECT FROM recorded_marks m WHERE m.chain = @chain AND m.number = @number AND m.hash = @hash)
     OR EXISTS (SELECT FROM inclusions i WHERE i.chain = @chain AND i.canonical AND i.block_number = @number AND i.block_hash = @hash))::boolean;

-- name: KnownBlocks :many
-- A few recorded blocks to recognize a node of the chain by: the lowest within the horizon, which every node has that is not far behind
-- and no usual reorganisation takes back; the newest; and others, far apart.
SELECT number, hash FROM (
  (SELECT 1 AS place, b.number, b.hash FROM chain_blocks b WHERE b.chain = @chain ORDER BY b.number LIMIT 1)
  UNION ALL
  (SELECT 2, b.number, b.hash FROM chain_blocks b WHERE b.chain = @chain ORDER BY b.number DESC LIMIT 1)
  UNION ALL
  (SELECT 3, m.number, m.hash FROM recorded_marks m WHERE m.chain = @chain ORDER BY m.number DESC LIMIT 2)
  UNION ALL
  (SELECT 4, m.number, m.hash FROM recorded_marks m WHERE m.chain = @chain ORDER BY m.number LIMIT 1)) AS known
 GROUP BY number, hash ORDER BY min(place), number DESC;
