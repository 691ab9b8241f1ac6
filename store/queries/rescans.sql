-- Ranges to read again.

-- name: InsertRescan :execrows
INSERT INTO rescans (chain, from_block, to_block, next_block, cause, request_id, requested_by)
VALUES (@chain, @from_block, @to_block, @from_block, @cause, @request_id, @requested_by)
ON CONFLICT (request_id) DO NOTHING;

-- name: RescanByRequest :one
SELECT id, chain, from_block, to_block, next_block, cause, (finished_at IS NOT NULL)::boolean AS finished
  FROM rescans WHERE request_id = @request_id;

-- name: OpenRescans :many
-- What can be read again now, the shortest first: a long backfill must not keep a small hole open.
SELECT id, from_block, LEAST(to_block, @cursor_block::bigint)::bigint AS to_block, next_block FROM rescans
 WHERE chain = @chain AND finished_at IS NULL AND next_block <= @cursor_block::bigint
 ORDER BY to_block - next_block, id LIMIT @max_rows;

-- name: AdvanceRescan :execrows
UPDATE rescans
   SET next_block = @next_block, finished_at = CASE WHEN @next_block > to_block THEN now() END
 WHERE id = @id AND chain = @chain AND finished_at IS NULL AND next_block <= @next_block AND @next_block <= to_block + 1;
