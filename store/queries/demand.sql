-- What every credit of a chain must rest on, and why.

-- name: ChainDemands :many
-- Of one chain, or of all.
SELECT ch.name, COALESCE((SELECT array_agg(DISTINCT e.operator ORDER BY e.operator) FROM rpc_endpoints e WHERE e.chain = ch.name AND e.enabled), '{}')::text[] AS operators,
       COALESCE((SELECT t.evidence FROM evidence_tiers t WHERE t.chain = ch.name AND t.asset_id IS NULL AND t.from_amount = 0), 'single')::text AS evidence,
       COALESCE(d.decided_by, '')::text AS decided_by, COALESCE(d.reason, '')::text AS reason
  FROM chains ch LEFT JOIN demand_decisions d ON d.chain = ch.name
 WHERE ch.name = sqlc.narg(chain)::text OR sqlc.narg(chain)::text IS NULL
 ORDER BY ch.name;

-- name: DecideDemand :exec
INSERT INTO demand_decisions (chain, decided_by, reason) VALUES (@chain, @decided_by, @reason)
ON CONFLICT (chain) DO UPDATE SET decided_by = EXCLUDED.decided_by, reason = EXCLUDED.reason, decided_at = now();

-- name: FollowOperators :exec
DELETE FROM demand_decisions WHERE chain = @chain;

-- name: EvidenceTierOf :many
-- The tier of this key, if there is one.
SELECT evidence FROM evidence_tiers
 WHERE chain = @chain AND asset_id IS NOT DISTINCT FROM sqlc.narg(asset_id)::text AND from_amount = @from_amount;
