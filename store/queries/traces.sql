-- Internal transfers of a chain's own coin: which blocks were read for them.

-- name: UnplannedTraceHoles :many
-- Blocks of [first, last] that no node traced and that no open rescan will read, the newest first. Nothing is missed while no address
-- was issued.
WITH missing AS (
  SELECT int8multirange(int8range(sqlc.arg(first)::bigint, sqlc.arg(last)::bigint, '[]'))
         - COALESCE((SELECT blocks FROM coverage WHERE chain = sqlc.arg(chain)::text AND method = 'traces'), '{}'::int8multirange) AS blocks),
planned AS (
  SELECT range_agg(int8range(r.next_block, r.to_block, '[]')) AS blocks FROM rescans r
   WHERE r.chain = sqlc.arg(chain)::text AND r.finished_at IS NULL)
SELECT lower(h)::bigint AS first, (upper(h) - 1)::bigint AS last
  FROM missing m, planned p, unnest(m.blocks - COALESCE(p.blocks, '{}'::int8multirange)) AS h
 WHERE EXISTS (SELECT FROM addresses adr JOIN chains ch ON ch.family = adr.family WHERE ch.name = sqlc.arg(chain)::text)
 ORDER BY 1 DESC LIMIT sqlc.arg(max_rows);

-- name: TraceChain :execrows
UPDATE chains SET traces = true WHERE name = @name AND NOT traces;

-- name: UntraceChain :execrows
UPDATE chains SET traces = false WHERE name = @name AND traces;
