-- Sending an event to an endpoint: leases, slots, breaker, attempts, redelivery.

-- name: TakeCallbackLease :execrows
-- One sender per stream and endpoint. Zero rows: the lease of another sender still runs.
INSERT INTO callback_leases (order_id, endpoint_id, owner, until)
VALUES (@stream, @endpoint_id, @owner, now() + interval '1 millisecond' * sqlc.arg(ttl_ms)::bigint)
ON CONFLICT (order_id, endpoint_id) DO UPDATE SET owner = EXCLUDED.owner, until = EXCLUDED.until
WHERE callback_leases.until < now() OR callback_leases.owner = EXCLUDED.owner;

-- name: CallbackLease :one
SELECT owner, (GREATEST(0, extract(epoch FROM until - now())) * 1000)::bigint AS remaining_ms
  FROM callback_leases WHERE order_id = @stream AND endpoint_id = @endpoint_id;

-- name: DropCallbackLease :exec
DELETE FROM callback_leases WHERE order_id = @stream AND endpoint_id = @endpoint_id AND owner = @owner;

-- name: HeadCallback :one
-- The oldest event of the stream that this endpoint has not got: the only one that may be sent to it.
SELECT c.id, c.event_id, c.seq, c.attempts, c.round, e.type, e.body,
       (GREATEST(0, extract(epoch FROM c.due_at - now())) * 1000)::bigint AS wait_ms
  FROM callbacks c JOIN events e ON e.id = c.event_id
 WHERE c.stream = @stream AND c.endpoint_id = @endpoint_id AND c.status = 'pending'
 ORDER BY c.seq, c.id LIMIT 1;

-- name: CountParkedCallbacks :one
SELECT count(*) FROM callbacks WHERE stream = @stream AND endpoint_id = @endpoint_id AND status = 'parked';

-- name: DeliveryEndpoint :one
SELECT merchant_id, mode, target, url, secret, secret_key, (sealed_for IS NOT NULL)::boolean AS sealed_for_merchant, previous_secret, previous_secret_key,
       (previous_secret IS NOT NULL AND COALESCE(previous_secret_until > now(), false))::boolean AS previous_valid,
       (disabled_at IS NOT NULL)::boolean AS disabled
  FROM webhook_endpoints WHERE id = @id;

-- name: LockEndpoint :one
SELECT id, merchant_id, mode, target, (disabled_at IS NOT NULL)::boolean AS disabled,
       COALESCE(failing_since < now() - interval '1 millisecond' * sqlc.arg(give_up_after_ms)::bigint
                AND failed_at > now() - interval '1 millisecond' * sqlc.arg(gap_ms)::bigint
                AND failures + 1 >= sqlc.arg(give_up_failures)::integer, false)::boolean AS given_up
  FROM webhook_endpoints WHERE id = @id FOR NO KEY UPDATE;

-- name: EndpointHealthy :exec
UPDATE webhook_endpoints SET failing_since = NULL, failures = 0, failed_at = NULL WHERE id = @id AND failing_since IS NOT NULL;

-- name: EndpointFailed :exec
-- After a gap nobody knows how the endpoint was meanwhile: it begins anew.
UPDATE webhook_endpoints
   SET failing_since = CASE WHEN failed_at > now() - interval '1 millisecond' * sqlc.arg(gap_ms)::bigint THEN COALESCE(failing_since, now()) ELSE now() END,
       failures = CASE WHEN failed_at > now() - interval '1 millisecond' * sqlc.arg(gap_ms)::bigint THEN failures + 1 ELSE 1 END,
       failed_at = now()
 WHERE id = @id;

-- name: DisableEndpoint :execrows
UPDATE webhook_endpoints SET disabled_at = now(), disabled_reason = @reason WHERE id = @id AND disabled_at IS NULL;

-- name: EndpointLacksSecret :one
-- What an older release left behind: see SetTestSecret.
SELECT (w.sealed_for IS NOT NULL AND w.mode = 'test' AND m.test_callback_secret IS NULL)::boolean
  FROM webhook_endpoints w JOIN merchants m ON m.id = w.merchant_id WHERE w.id = @id;

-- name: EnableEndpoint :execrows
UPDATE webhook_endpoints SET disabled_at = NULL, disabled_reason = NULL, failing_since = NULL, failures = 0, failed_at = NULL
 WHERE id = @id AND disabled_at IS NOT NULL;

-- name: ParkStreamCallbacks :execrows
UPDATE callbacks SET status = 'parked', park_reason = @reason
 WHERE stream = @stream AND endpoint_id = @endpoint_id AND status = 'pending';

-- name: ParkEndpointCallbacks :execrows
-- Some of them; the caller has the endpoint's row and sees that it is disabled. One that somebody else has is left to him.
UPDATE callbacks SET status = 'parked', park_reason = @reason
 WHERE id IN (SELECT c.id FROM callbacks c
               WHERE c.endpoint_id = @endpoint_id AND c.status = 'pending'
               ORDER BY c.id LIMIT @max_rows FOR NO KEY UPDATE SKIP LOCKED);

-- name: BreakerWait :one
-- How long the server is to be left alone. No row: it never stopped answering.
SELECT (open_until IS NOT NULL)::boolean AS tripped,
       (GREATEST(0, COALESCE(extract(epoch FROM open_until - now()), 0)) * 1000)::bigint AS wait_ms
  FROM endpoint_breakers WHERE merchant_id = @merchant_id AND target = @target;

-- name: ProbeBreaker :execrows
-- After the wait one sender may try; the others keep waiting until it reported or its time is up.
UPDATE endpoint_breakers SET open_until = now() + interval '1 millisecond' * sqlc.arg(probe_ms)::bigint
 WHERE merchant_id = @merchant_id AND target = @target AND open_until <= now();

-- name: BreakerSilence :one
-- Counts one more attempt that got no answer.
INSERT INTO endpoint_breakers (merchant_id, target, failures) VALUES (@merchant_id, @target, 1)
ON CONFLICT (merchant_id, target) DO UPDATE SET failures = endpoint_breakers.failures + 1
RETURNING failures;

-- name: OpenBreaker :exec
UPDATE endpoint_breakers SET open_until = now() + interval '1 millisecond' * sqlc.arg(open_ms)::bigint WHERE merchant_id = @merchant_id AND target = @target;

-- name: CloseBreaker :exec
UPDATE endpoint_breakers SET failures = 0, open_until = NULL WHERE merchant_id = @merchant_id AND target = @target AND failures > 0;

-- name: QueueForSlot :one
-- Whoever finds no slot free is given a moment to ask again, one after the other; those who come after the last one share it.
INSERT INTO endpoint_breakers (merchant_id, target, queued_until)
VALUES (@merchant_id, @target, now() + interval '1 millisecond' * sqlc.arg(step_ms)::bigint)
ON CONFLICT (merchant_id, target) DO UPDATE
   SET queued_until = LEAST(GREATEST(COALESCE(endpoint_breakers.queued_until, now()), now()) + interval '1 millisecond' * sqlc.arg(step_ms)::bigint,
                            now() + interval '1 millisecond' * sqlc.arg(most_ms)::bigint)
RETURNING (extract(epoch FROM queued_until - now()) * 1000)::bigint AS wait_ms;

-- name: MakeEndpointSlots :exec
INSERT INTO endpoint_slots (merchant_id, target, slot) SELECT @merchant_id, @target, generate_series(1, @slots::integer) ON CONFLICT DO NOTHING;

-- name: HeldEndpointSlot :execrows
UPDATE endpoint_slots SET until = now() + interval '1 millisecond' * sqlc.arg(ttl_ms)::bigint
 WHERE merchant_id = @merchant_id AND target = @target AND owner = @owner::text;

-- name: TakeEndpointSlot :execrows
UPDATE endpoint_slots s SET owner = @owner::text, until = now() + interval '1 millisecond' * sqlc.arg(ttl_ms)::bigint
 WHERE s.merchant_id = @merchant_id AND s.target = @target
   AND s.slot = (SELECT f.slot FROM endpoint_slots f
                  WHERE f.merchant_id = @merchant_id AND f.target = @target AND (f.owner IS NULL OR f.until < now())
                  ORDER BY f.slot LIMIT 1 FOR UPDATE SKIP LOCKED);

-- name: FreeEndpointSlots :exec
UPDATE endpoint_slots SET owner = NULL, until = NULL WHERE merchant_id = @merchant_id AND target = ANY(@targets::text[]) AND owner = @owner::text;

-- name: LockCallback :one
SELECT id, endpoint_id, status, park_reason, attempts, round FROM callbacks WHERE id = @id FOR NO KEY UPDATE;

-- name: AttemptExists :one
SELECT EXISTS (SELECT FROM callback_attempts WHERE token = @token);

-- name: InsertAttempt :exec
INSERT INTO callback_attempts (callback_id, round, n, token, outcome, status, latency_ms, excerpt, started_at)
SELECT @callback_id::text, @round::integer,
       COALESCE((SELECT max(a.n) FROM callback_attempts a WHERE a.callback_id = @callback_id AND a.round = @round), 0) + 1,
       @token::text, @outcome::text, sqlc.narg(status)::integer, @latency_ms::integer, @excerpt::text, @started_at::timestamptz;

-- name: CallbackDelivered :exec
UPDATE callbacks SET status = 'delivered', park_reason = NULL, delivered_at = now(), attempts = attempts + 1 WHERE id = @id;

-- name: CallbackRetry :exec
UPDATE callbacks SET attempts = attempts + 1, due_at = now() + interval '1 millisecond' * sqlc.arg(delay_ms)::bigint WHERE id = @id;

-- name: CallbackParked :exec
UPDATE callbacks SET attempts = attempts + 1, status = 'parked', park_reason = @reason WHERE id = @id;

-- name: RedeliverCallbacks :many
-- Parked callbacks of one stream go back to the beginning of the schedule. Those of a disabled endpoint stay parked.
UPDATE callbacks c SET status = 'pending', park_reason = NULL, attempts = 0, round = c.round + 1, due_at = now()
  FROM webhook_endpoints w
 WHERE c.stream = @stream AND c.status = 'parked' AND w.id = c.endpoint_id AND w.disabled_at IS NULL
   AND (@callback_id::text = '' OR c.id = @callback_id)
RETURNING c.id, c.endpoint_id;

-- name: ParkedCallbacks :many
SELECT c.id, c.endpoint_id, e.type, c.park_reason, c.attempts
  FROM callbacks c JOIN events e ON e.id = c.event_id
 WHERE c.stream = @stream AND c.status = 'parked'
 ORDER BY c.seq, c.id LIMIT 100;

-- name: PendingEndpoints :many
SELECT DISTINCT endpoint_id FROM callbacks WHERE stream = @stream AND status = 'pending' ORDER BY endpoint_id LIMIT 100;

-- name: StreamMerchant :one
SELECT o.merchant_id FROM orders o WHERE o.id = @stream::text
UNION ALL
SELECT p.merchant_id FROM payments p WHERE p.id = @stream::text;

-- name: CallbackOfStream :one
SELECT c.status, (w.disabled_at IS NOT NULL)::boolean AS endpoint_disabled
  FROM callbacks c JOIN webhook_endpoints w ON w.id = c.endpoint_id
 WHERE c.id = @id AND c.stream = @stream;

-- name: CallbackAttempts :many
SELECT round, n, outcome, status, latency_ms, excerpt, started_at
  FROM callback_attempts WHERE callback_id = @callback_id ORDER BY round, n LIMIT 500;
