-- What is sealed or authenticated under a master key. Each list is of what is not under the current key, or of everything, page by page; the rows
-- are held, so that nobody changes a secret between reading and sealing it.

-- name: SealedMerchants :many
SELECT id, callback_secret, callback_secret_key, test_callback_secret, test_callback_secret_key FROM merchants
 WHERE id > @after::text AND (@everything::boolean OR callback_secret_key <> @current::text OR test_callback_secret_key <> @current::text)
 ORDER BY id LIMIT @max_rows FOR NO KEY UPDATE;

-- name: ResealMerchant :exec
UPDATE merchants SET callback_secret = @live, callback_secret_key = @live_key, test_callback_secret = @test, test_callback_secret_key = @test_key WHERE id = @id;

-- name: SealedEndpoints :many
SELECT id, merchant_id, mode, (sealed_for IS NOT NULL)::boolean AS for_merchant, secret, secret_key, previous_secret, previous_secret_key
  FROM webhook_endpoints
 WHERE id > @after::text AND (@everything::boolean OR secret_key <> @current::text OR previous_secret_key <> @current::text)
 ORDER BY id LIMIT @max_rows FOR NO KEY UPDATE;

-- name: ResealEndpoint :exec
UPDATE webhook_endpoints SET secret = @secret, secret_key = @secret_key, previous_secret = @previous_secret, previous_secret_key = @previous_secret_key
 WHERE id = @id;

-- name: SealedNodes :many
SELECT id, chain, url_fingerprint, url, url_key, ws_url, ws_url_key FROM rpc_endpoints
 WHERE id > @after::bigint AND (@everything::boolean OR url_key <> @current::text OR ws_url_key <> @current::text)
 ORDER BY id LIMIT @max_rows FOR NO KEY UPDATE;

-- name: ResealNode :exec
UPDATE rpc_endpoints SET url = @url, url_key = @url_key, ws_url = @ws_url, ws_url_key = @ws_url_key WHERE id = @id;

-- name: SignedXpubs :many
SELECT id, family, merchant_id, xpub, path, mac, mac_key FROM xpubs
 WHERE id > @after::text AND (@everything::boolean OR mac_key <> @current::text)
 ORDER BY id LIMIT @max_rows FOR NO KEY UPDATE;

-- name: SignXpub :exec
UPDATE xpubs SET mac = @mac, mac_key = @mac_key WHERE id = @id;

-- name: KeyUses :many
SELECT u.what::text AS what, u.key_id::text AS key_id, count(*)::bigint AS uses
  FROM (SELECT 'merchant.callback_secret' AS what, callback_secret_key AS key_id FROM merchants
        UNION ALL SELECT 'merchant.callback_secret', test_callback_secret_key FROM merchants WHERE test_callback_secret_key IS NOT NULL
        UNION ALL SELECT 'webhook_endpoint.secret', secret_key FROM webhook_endpoints
        UNION ALL SELECT 'webhook_endpoint.secret', previous_secret_key FROM webhook_endpoints WHERE previous_secret_key IS NOT NULL
        UNION ALL SELECT 'rpc_endpoint.url', url_key FROM rpc_endpoints
        UNION ALL SELECT 'rpc_endpoint.ws_url', ws_url_key FROM rpc_endpoints WHERE ws_url_key IS NOT NULL
        UNION ALL SELECT 'xpub', mac_key FROM xpubs) u
 GROUP BY 1, 2 ORDER BY 2, 1;
