-- What the operator sets up.

-- name: InsertMerchant :exec
INSERT INTO merchants (id, name, payment_policy, late_policy, late_window_seconds, tolerance_bps, max_open_orders,
                       orders_per_minute, requests_per_minute, callback_secret, callback_secret_key, test_callback_secret, test_callback_secret_key)
VALUES (@id, @name, @payment_policy, @late_policy, @late_window_seconds, @tolerance_bps, @max_open_orders,
        @orders_per_minute, @requests_per_minute, @callback_secret, @callback_secret_key, @test_callback_secret, @test_callback_secret_key)
ON CONFLICT (id) DO NOTHING;

-- name: SetTestSecret :execrows
-- Zero rows: there is no such merchant, or it has one.
UPDATE merchants SET test_callback_secret = @secret::bytea, test_callback_secret_key = @secret_key::text
 WHERE id = @id AND test_callback_secret IS NULL;

-- name: SealTestEndpoints :exec
-- Endpoints of test orders that signed with the live secret sign with their own, and are called again.
UPDATE webhook_endpoints
   SET secret = @secret, secret_key = @secret_key, previous_secret = NULL, previous_secret_key = NULL, previous_secret_until = NULL,
       disabled_at = CASE WHEN disabled_reason IS DISTINCT FROM 'shares_the_live_secret' THEN disabled_at END,
       disabled_reason = CASE WHEN disabled_reason IS DISTINCT FROM 'shares_the_live_secret' THEN disabled_reason END
 WHERE merchant_id = @merchant_id AND mode = 'test' AND sealed_for IS NOT NULL;

-- name: GrantCallbackTarget :execrows
INSERT INTO callback_grants (merchant_id, mode, target) VALUES (@merchant_id, @mode, @target) ON CONFLICT DO NOTHING;

-- name: WithdrawCallbackTarget :execrows
DELETE FROM callback_grants WHERE merchant_id = @merchant_id AND mode = @mode AND target = @target;

-- name: CallbackTargets :many
SELECT target FROM callback_grants WHERE merchant_id = @merchant_id AND mode = @mode ORDER BY target;

-- name: InsertKey :exec
INSERT INTO api_keys (id, merchant_id, mode, hash, prefix, scopes, name)
VALUES (@id, @merchant_id, @mode, @hash, @prefix, @scopes, @name)
ON CONFLICT (id) DO NOTHING;

-- name: RevokeKey :one
-- Revoking again keeps the first time.
UPDATE api_keys SET revoked_at = COALESCE(revoked_at, now()) WHERE id = @id
RETURNING merchant_id, (revoked_at = now())::boolean AS fresh;

-- name: InsertEndpoint :exec
INSERT INTO webhook_endpoints (id, merchant_id, mode, url, source, events, secret, secret_key)
VALUES (@id, @merchant_id, @mode, @url, 'merchant', @events, @secret, @secret_key)
ON CONFLICT (merchant_id, mode, url) DO NOTHING;

-- name: EndpointByURL :one
SELECT id FROM webhook_endpoints WHERE merchant_id = @merchant_id AND mode = @mode AND url = @url;

-- name: PromoteEndpoint :exec
-- An endpoint that orders named becomes the merchant's own, for all its events; its secret stays.
UPDATE webhook_endpoints SET source = 'merchant', events = @events WHERE id = @id;

-- name: ListEndpoints :many
SELECT id, mode, url, source, COALESCE(disabled_reason, '')::text AS disabled_reason, (disabled_at IS NOT NULL)::boolean AS disabled
  FROM webhook_endpoints WHERE merchant_id = @merchant_id ORDER BY created_at, id;

-- name: UpsertChain :execrows
-- Zero rows: the name or the chain id stands for another chain already, or it is of the other mode.
INSERT INTO chains (name, family, chain_id, genesis_hash, display_name, block_time_ms, confirmations, finality_tag, horizon,
                    start_block, max_range, max_lag_seconds, mode, ignore_bloom)
VALUES (@name, @family, @chain_id, @genesis_hash, @display_name, @block_time_ms, @confirmations, @finality_tag, @horizon,
        @start_block, @max_range, @max_lag_seconds, @mode, @ignore_bloom)
ON CONFLICT (name) DO UPDATE
   SET display_name = EXCLUDED.display_name, block_time_ms = EXCLUDED.block_time_ms, confirmations = EXCLUDED.confirmations,
       finality_tag = EXCLUDED.finality_tag, horizon = EXCLUDED.horizon, max_range = EXCLUDED.max_range,
       max_lag_seconds = EXCLUDED.max_lag_seconds, ignore_bloom = EXCLUDED.ignore_bloom, enabled = true,
       genesis_hash = COALESCE(chains.genesis_hash, EXCLUDED.genesis_hash)
 WHERE chains.family = EXCLUDED.family AND chains.chain_id = EXCLUDED.chain_id AND chains.mode = EXCLUDED.mode
   AND (chains.genesis_hash IS NULL OR EXCLUDED.genesis_hash IS NULL OR chains.genesis_hash = EXCLUDED.genesis_hash);

-- name: InsertCursor :exec
INSERT INTO cursors (chain) VALUES (@chain) ON CONFLICT (chain) DO NOTHING;

-- name: UpsertRPCEndpoint :exec
-- The same URL again: its operator and weight are set anew, its WebSocket URL if one is given. The sealed URL is not: it
-- opens the same.
INSERT INTO rpc_endpoints (chain, operator, url, url_key, ws_url, ws_url_key, url_fingerprint, weight)
VALUES (@chain, @operator, @url, @url_key, @ws_url, @ws_url_key, @url_fingerprint, @weight)
ON CONFLICT (chain, url_fingerprint) DO UPDATE
   SET operator = EXCLUDED.operator, weight = EXCLUDED.weight, enabled = true,
       ws_url = COALESCE(EXCLUDED.ws_url, rpc_endpoints.ws_url), ws_url_key = COALESCE(EXCLUDED.ws_url_key, rpc_endpoints.ws_url_key);

-- name: ListChains :many
SELECT * FROM chains ORDER BY name;

-- name: GetChain :one
SELECT * FROM chains WHERE name = @name;

-- name: ChainProgress :many
SELECT ch.name, ch.mode, ch.enabled, (ch.paused_at IS NOT NULL)::boolean AS paused, COALESCE(ch.halted_reason, '')::text AS halted_reason,
       cur.block_number, cur.head_number, ch.any_token,
       (SELECT count(*) FROM quarantined_blocks q WHERE q.chain = ch.name AND q.resolved_at IS NULL)::bigint AS quarantined,
       COALESCE((SELECT min(q.number) FROM quarantined_blocks q WHERE q.chain = ch.name AND q.resolved_at IS NULL), 0)::bigint AS first_quarantined,
       (SELECT count(*) FROM quarantined_blocks q WHERE q.chain = ch.name AND q.resolved_at IS NULL AND q.accepted_at IS NOT NULL)::bigint AS accepted_holes,
       ch.ignore_bloom
  FROM chains ch LEFT JOIN cursors cur ON cur.chain = ch.name ORDER BY ch.name;

-- name: ListRPCEndpoints :many
SELECT id, operator, url, url_key, ws_url, ws_url_key, url_fingerprint, weight
  FROM rpc_endpoints WHERE chain = @chain AND enabled ORDER BY id;

-- name: UpsertAsset :execrows
-- Zero rows: it is configured with other decimals, and those are pinned. A coin that takes no orders goes on taking none: it comes with every change of
-- its chain.
INSERT INTO assets (id, chain, contract, code, decimals, dust_below, tolerance, code_hash, tiers_pending)
VALUES (@id, @chain, @contract, @code, @decimals, @dust_below, @tolerance, @code_hash, @tiers_pending)
ON CONFLICT (id) DO UPDATE
   SET code = EXCLUDED.code, dust_below = EXCLUDED.dust_below, tolerance = EXCLUDED.tolerance, enabled = assets.enabled OR EXCLUDED.contract IS NOT NULL,
       code_hash = COALESCE(EXCLUDED.code_hash, assets.code_hash)
 WHERE assets.decimals = EXCLUDED.decimals;

-- name: OldestAddress :one
SELECT min(created_at)::timestamptz AS made FROM addresses WHERE family = @family HAVING count(*) > 0;

-- name: ListAssets :many
SELECT a.id, a.chain, a.contract, a.code, a.decimals, a.dust_below, a.tolerance, a.code_hash, a.enabled, a.halted_reason, c.family,
       a.tiers_pending
  FROM assets a JOIN chains c ON c.name = a.chain WHERE a.chain = @chain ORDER BY a.id;

-- name: InsertXpub :exec
INSERT INTO xpubs (id, family, merchant_id, xpub, fingerprint, path, mac, mac_key, next_index)
VALUES (@id, @family, @merchant_id, @xpub, @fingerprint, @path, @mac, @mac_key, @next_index)
ON CONFLICT DO NOTHING;

-- name: XpubConflict :one
SELECT (id = sqlc.arg(id)::text)::boolean AS same, (fingerprint = sqlc.arg(fingerprint)::bytea)::boolean AS known FROM xpubs
 WHERE id = sqlc.arg(id) OR fingerprint = sqlc.arg(fingerprint)
    OR (family = sqlc.arg(family)::text AND merchant_id IS NOT DISTINCT FROM sqlc.narg(merchant_id)::text AND retired_at IS NULL)
 ORDER BY 1 DESC, 2 DESC LIMIT 1;

-- name: AdvanceXpub :one
-- Only ever forward. Unlocks: whoever advances says that nothing above was handed out.
UPDATE xpubs SET next_index = @next_index, locked_at = NULL WHERE id = @id AND next_index <= @next_index RETURNING next_index;

-- name: XpubNextIndex :one
SELECT next_index FROM xpubs WHERE id = @id;

-- name: LockXpub :execrows
UPDATE xpubs SET locked_at = COALESCE(locked_at, now()) WHERE id = @id;

-- name: LockAllXpubs :execrows
UPDATE xpubs SET locked_at = now() WHERE locked_at IS NULL AND retired_at IS NULL;

-- name: RetireXpub :execrows
UPDATE xpubs SET retired_at = COALESCE(retired_at, now()) WHERE id = @id;

-- name: ListXpubs :many
-- Without the key itself, which leaves the database only to derive addresses.
SELECT id, family, merchant_id, fingerprint, path, next_index, locked_at, retired_at, created_at FROM xpubs ORDER BY created_at, id;
