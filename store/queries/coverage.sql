-- Which blocks were read, by method. A hole is a block that nobody read.

-- name: CoverTokens :exec
INSERT INTO coverage (chain, method, contract, blocks, by_hash)
SELECT @chain, 'token_logs', c, read.blocks, CASE WHEN @by_hash::boolean THEN read.blocks ELSE '{}' END
  FROM unnest(@contracts::bytea[]) AS c, (SELECT int8multirange(int8range(@first::bigint, @last::bigint, '[]')) AS blocks) read
ON CONFLICT (chain, method, contract) DO UPDATE SET blocks = coverage.blocks + EXCLUDED.blocks, by_hash = coverage.by_hash + EXCLUDED.by_hash;

-- name: CoverMethod :exec
INSERT INTO coverage (chain, method, blocks, by_hash)
SELECT @chain, @method, read.blocks, CASE WHEN @by_hash::boolean THEN read.blocks ELSE '{}' END
  FROM (SELECT int8multirange(int8range(@first::bigint, @last::bigint, '[]')) AS blocks) read
ON CONFLICT (chain, method, contract) DO UPDATE SET blocks = coverage.blocks + EXCLUDED.blocks, by_hash = coverage.by_hash + EXCLUDED.by_hash;

-- name: CutCoverage :exec
UPDATE coverage
   SET blocks = blocks * int8multirange(int8range(NULL, @above::bigint, '(]')), by_hash = by_hash * int8multirange(int8range(NULL, @above::bigint, '(]'))
 WHERE chain = @chain;

-- name: CoverageHoles :many
-- What was not read between two blocks, as intervals, both ends included.
SELECT lower(h)::bigint AS first, (upper(h) - 1)::bigint AS last
  FROM unnest(int8multirange(int8range(@first::bigint, @last::bigint, '[]'))
              - COALESCE((SELECT blocks FROM coverage
                           WHERE chain = @chain AND method = @method AND contract = @contract), '{}'::int8multirange)) AS h;

-- name: UnplannedHoles :many
-- What was not read of [first, last] by a method that an asset needs, and that no open rescan will read. Nothing is missed while no
-- address was issued, nor below the oldest: what was recorded ten minutes before it was made, by the database's clock, less the horizon, cannot
-- pay it. Where the chain was not recorded yet by then, that is known of no block.
WITH oldest AS (
  SELECT ch.name, ch.horizon, (SELECT min(adr.created_at) FROM addresses adr WHERE adr.family = ch.family) AS at
    FROM chains ch WHERE ch.name = sqlc.arg(chain)::text),
span AS (
  SELECT int8multirange(int8range(LEAST(sqlc.arg(last)::bigint, GREATEST(sqlc.arg(first)::bigint,
           COALESCE((SELECT m.number - o.horizon FROM recorded_marks m
                      WHERE m.chain = o.name AND m.marked_at <= o.at - interval '10 minutes' ORDER BY m.marked_at DESC LIMIT 1), 0))),
           sqlc.arg(last)::bigint, '[]')) AS blocks
    FROM oldest o WHERE o.at IS NOT NULL),
watched AS (
  SELECT CASE WHEN a.contract IS NULL THEN 'native' ELSE 'token_logs' END AS method, COALESCE(a.contract, '') AS contract
    FROM assets a WHERE a.chain = sqlc.arg(chain)::text),
missing AS (
  SELECT range_agg(s.blocks - COALESCE(c.blocks, '{}')) AS blocks
    FROM span s CROSS JOIN watched w
    LEFT JOIN coverage c ON c.chain = sqlc.arg(chain)::text AND c.method = w.method AND c.contract = w.contract),
planned AS (
  SELECT range_agg(int8range(r.next_block, r.to_block, '[]')) AS blocks FROM rescans r
   WHERE r.chain = sqlc.arg(chain)::text AND r.finished_at IS NULL)
SELECT lower(h)::bigint AS first, (upper(h) - 1)::bigint AS last
  FROM missing m, planned p, unnest(m.blocks - COALESCE(p.blocks, '{}'::int8multirange)) AS h;

-- name: InsertQuarantine :exec
INSERT INTO quarantined_blocks (chain, number, hash, reason, lacking) VALUES (@chain, @number, @hash, @reason, @lacking::text[])
ON CONFLICT (chain, number, hash) DO UPDATE
   SET reason = EXCLUDED.reason, lacking = EXCLUDED.lacking, created_at = now(), resolved_at = NULL, accepted_at = NULL;

-- name: ResolveQuarantine :exec
-- Read after all, or no longer canonical.
UPDATE quarantined_blocks SET resolved_at = now()
 WHERE chain = @chain AND number BETWEEN @first AND @last AND resolved_at IS NULL;

-- name: AcceptHole :execrows
UPDATE quarantined_blocks SET accepted_at = now()
 WHERE chain = @chain AND number = @number AND resolved_at IS NULL AND accepted_at IS NULL;

-- name: IsHole :one
SELECT EXISTS (SELECT FROM quarantined_blocks WHERE chain = @chain AND number = @number AND resolved_at IS NULL)::boolean;

-- name: OpenQuarantine :many
SELECT number, hash, reason, created_at, lacking, accepted_at FROM quarantined_blocks
 WHERE chain = @chain AND resolved_at IS NULL ORDER BY number LIMIT @max_rows;
