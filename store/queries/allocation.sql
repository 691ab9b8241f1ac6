-- Giving an order its address.

-- name: ReserveIndex :one
-- Committed by itself, before the address is derived: an index is never handed out twice, whatever becomes of the order.
UPDATE xpubs SET next_index = next_index + 1
 WHERE id = @id AND locked_at IS NULL AND retired_at IS NULL AND next_index < 2147483648
RETURNING (next_index - 1)::bigint AS index;

-- name: XpubState :one
SELECT (locked_at IS NOT NULL)::boolean AS locked, (retired_at IS NOT NULL)::boolean AS retired, next_index FROM xpubs WHERE id = @id;

-- name: InsertAddress :execrows
-- Zero rows: these bytes, or this index, are an address already.
INSERT INTO addresses (id, family, bytes, xpub_id, derivation_index, merchant_id, mode, order_id)
VALUES (@id, @family, @bytes, @xpub_id, @derivation_index, @merchant_id, @mode, @order_id)
ON CONFLICT DO NOTHING;

-- name: AllocationMoment :one
-- The time and the chain's cursor at which the address is handed out.
SELECT clock_timestamp()::timestamptz AS now, cur.block_number FROM chains c LEFT JOIN cursors cur ON cur.chain = c.name WHERE c.name = @chain;
