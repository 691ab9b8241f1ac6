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
SELECT id, from_block, LEAST(to_block, @cursor_block::bigint)::bigint AS to_block, next_block, (cause = 'requested')::boolean AS requested FROM rescans
 WHERE chain = @chain AND finished_at IS NULL AND next_block <= @cursor_block::bigint
 ORDER BY to_block - next_block, id LIMIT @max_rows;

-- name: AdvanceRescan :execrows
-- Blocks that leave a gap behind what was read again already do not count, nor do blocks before it.
UPDATE rescans
   SET next_block = LEAST(sqlc.arg(next_block)::bigint, to_block + 1),
       finished_at = CASE WHEN sqlc.arg(next_block)::bigint > to_block THEN now() END
 WHERE id = sqlc.arg(id) AND chain = sqlc.arg(chain) AND finished_at IS NULL
   AND next_block >= sqlc.arg(first_block)::bigint AND next_block < sqlc.arg(next_block)::bigint;

-- name: RescanOrder :one
SELECT chain, birth_block, (address_id IS NOT NULL)::boolean AS has_address FROM orders WHERE id = @id;

-- name: RecordedSpan :one
SELECT ch.start_block, cur.block_number FROM chains ch LEFT JOIN cursors cur ON cur.chain = ch.name WHERE ch.name = @name;
