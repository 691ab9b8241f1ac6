-- What an operator switches: who takes new orders, and which nodes are asked.

-- name: SetChainOrders :execrows
UPDATE chains SET enabled = @takes_orders WHERE name = @name AND enabled <> @takes_orders;

-- name: AssetOfCode :one
SELECT id FROM assets WHERE chain = @chain AND code = @code;

-- name: SetAssetOrders :execrows
UPDATE assets SET enabled = @takes_orders WHERE id = @id AND enabled <> @takes_orders;

-- name: MerchantExists :one
SELECT EXISTS (SELECT FROM merchants WHERE id = @id);

-- name: SetMerchantOrders :execrows
UPDATE merchants SET disabled_at = CASE WHEN @takes_orders::boolean THEN NULL ELSE now() END
 WHERE id = @id AND (disabled_at IS NULL) <> @takes_orders::boolean;

-- name: ListMerchants :many
SELECT id, name, (disabled_at IS NOT NULL)::boolean AS disabled, created_at FROM merchants ORDER BY created_at, id;

-- name: LockChain :one
-- One change of a chain's nodes at a time.
SELECT name FROM chains WHERE name = @name FOR NO KEY UPDATE;

-- name: RemoveRPCEndpoint :exec
DELETE FROM rpc_endpoints WHERE id = @id AND chain = @chain;

-- name: DemandsTwoOperators :one
-- Whether some amount of the chain is credited only on more than one operator's word.
SELECT EXISTS (SELECT FROM evidence_tiers WHERE chain = @chain AND evidence IN ('agreed', 'proven'));
