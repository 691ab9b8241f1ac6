-- What was recorded and is not there when operators read the same block again.

-- name: RecordedInBlocks :many
-- The canonical inclusions in a run of blocks that nobody has refuted yet, with what they are found by.
SELECT p.id, p.order_id, p.merchant_id, p.tx_hash, p.native, p.position,
       i.n, i.block_number, i.block_hash, i.asset_id, a.contract, i.amount, i.sender, i.recipient
  FROM inclusions i JOIN payments p ON p.id = i.payment_id JOIN assets a ON a.id = i.asset_id
 WHERE i.chain = @chain AND i.canonical AND i.block_number BETWEEN @first AND @last AND i.refuted_at IS NULL
 ORDER BY i.block_number, i.tx_index, p.native DESC, p.position;

-- name: MayRefuteAlone :one
-- Whether what one operator shows is enough: the rescan was asked for, and no other operator is configured.
SELECT (EXISTS (SELECT FROM rescans r WHERE r.id = @rescan_id AND r.chain = @chain AND r.cause = 'requested')
        AND (SELECT count(DISTINCT e.operator) FROM rpc_endpoints e WHERE e.chain = @chain AND e.enabled) <= 1)::boolean;

-- name: MarkRefuted :execrows
UPDATE inclusions SET refuted_at = now() WHERE payment_id = @payment_id AND n = @n AND canonical AND refuted_at IS NULL;

-- name: RefutedInclusions :many
-- What was said of payments and is not true.
SELECT payment_id, block_hash, asset_id, amount, sender, recipient FROM inclusions
 WHERE payment_id = ANY(@payments::text[]) AND end_reason = 'refuted';

-- name: ReadMovedAgain :exec
-- A payment's place was refuted: where else it was shown is read once more, if that was read before and nobody could tell.
INSERT INTO rescans (chain, from_block, to_block, next_block, cause, request_id, requested_by)
SELECT r.chain, r.from_block, r.to_block, r.from_block, r.cause, r.request_id || '/again', r.requested_by FROM rescans r
 WHERE r.chain = @chain AND starts_with(r.request_id, sqlc.arg(prefix)::text) AND r.finished_at IS NOT NULL
   AND r.from_block <> sqlc.arg(refuted_block)::bigint AND NOT r.request_id LIKE '%/again'
ON CONFLICT (request_id) DO NOTHING;
