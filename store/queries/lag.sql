-- How far chains are recorded.

-- name: ChainLags :many
-- Of one chain, or of every one. What is unread is measured in blocks and the watcher's silence by its last word, never by the
-- age of the newest block: a chain on which nothing happens is not one that nobody reads.
SELECT c.name, (NOT c.enabled)::boolean AS disabled, (c.paused_at IS NOT NULL)::boolean AS paused, c.halted_reason, c.block_time_ms, c.max_lag_seconds,
       cur.block_number, cur.block_time, cur.head_number, cur.blocks_per_minute,
       COALESCE((extract(epoch FROM GREATEST(clock_timestamp() - cur.reported_at, interval '0')) * 1000)::bigint, 0)::bigint AS silent_ms
  FROM chains c LEFT JOIN cursors cur ON cur.chain = c.name
 WHERE c.name = sqlc.narg(chain)::text OR sqlc.narg(chain)::text IS NULL
 ORDER BY c.name;
