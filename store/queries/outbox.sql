-- Wake-ups on their way to workflows.

-- name: InsertOutbox :exec
-- The request id names the effect: writing it twice is writing it once.
INSERT INTO outbox (chain, signal, payment_id, inclusion, order_id, review_cause, request_id)
VALUES (@chain, @signal, @payment_id, @inclusion, @order_id, @review_cause, @request_id)
ON CONFLICT (request_id) DO NOTHING;

-- name: ClaimOutbox :many
WITH due AS (
  SELECT id FROM outbox
   WHERE sent_at IS NULL AND due_at <= now() AND chain = ANY(@chains::text[])
   ORDER BY due_at LIMIT @max_rows FOR UPDATE SKIP LOCKED)
UPDATE outbox o
   SET lease_owner = @owner::text, attempts = o.attempts + 1, due_at = now() + interval '1 millisecond' * sqlc.arg(lease_ms)::bigint
  FROM due WHERE o.id = due.id
RETURNING o.id, o.chain, o.signal, o.payment_id, o.inclusion, o.order_id, o.review_cause, o.request_id, o.attempts;

-- name: MarkOutboxSent :execrows
UPDATE outbox SET sent_at = now(), outcome = @outcome::text, lease_owner = NULL WHERE id = @id AND sent_at IS NULL;

-- name: RetryOutboxLater :execrows
UPDATE outbox SET due_at = now() + interval '1 millisecond' * sqlc.arg(delay_ms)::bigint, lease_owner = NULL
 WHERE id = @id AND sent_at IS NULL AND lease_owner = @owner::text;

-- name: PruneOutbox :execrows
DELETE FROM outbox WHERE id IN (
  SELECT id FROM outbox WHERE sent_at < now() - interval '1 millisecond' * sqlc.arg(older_ms)::bigint ORDER BY sent_at LIMIT @max_rows);

-- name: RouteFacts :one
-- What decides where a wake-up goes that found no running workflow.
SELECT p.status, p.inclusion, COALESCE(o.state, '')::text AS state,
       COALESCE(o.late_until > now(), false)::boolean AS within_late_window, (p.mode <> adr.mode)::boolean AS wrong_mode
  FROM payments p JOIN addresses adr ON adr.id = p.address_id LEFT JOIN orders o ON o.id = sqlc.narg(order_id)
 WHERE p.id = @payment_id;

-- name: SweepPayments :execrows
-- Payments that are on their way and whose process was not told for a while are told again, each time under a new key.
WITH forgotten AS (
  SELECT p.id FROM payments p
   WHERE p.chain = @chain AND p.status = 'detected'
     AND p.last_woken_at < now() - interval '1 millisecond' * sqlc.arg(older_ms)::bigint
     AND NOT EXISTS (SELECT FROM outbox b WHERE b.payment_id = p.id AND b.sent_at IS NULL)
   ORDER BY p.last_woken_at LIMIT @max_rows FOR NO KEY UPDATE OF p SKIP LOCKED),
woken AS (
  UPDATE payments p SET wakes = p.wakes + 1, last_woken_at = now() FROM forgotten f WHERE p.id = f.id
  RETURNING p.id, p.chain, p.inclusion, p.order_id, p.wakes)
INSERT INTO outbox (chain, signal, payment_id, inclusion, order_id, request_id)
SELECT w.chain, 'payment_seen', w.id, w.inclusion, w.order_id, w.id || '/' || w.inclusion || '/wake/' || w.wakes FROM woken w;

-- name: SweepReviews :execrows
-- The same for open reviews: one whose process was lost is started again.
WITH forgotten AS (
  SELECT r.id FROM reviews r JOIN payments p ON p.id = r.payment_id
   WHERE p.chain = @chain AND r.status = 'open'
     AND r.last_woken_at < now() - interval '1 millisecond' * sqlc.arg(older_ms)::bigint
     AND NOT EXISTS (SELECT FROM outbox b WHERE b.payment_id = r.payment_id AND b.review_cause = r.cause AND b.sent_at IS NULL)
   ORDER BY r.last_woken_at LIMIT @max_rows FOR NO KEY UPDATE OF r SKIP LOCKED),
woken AS (
  UPDATE reviews r SET wakes = r.wakes + 1, last_woken_at = now() FROM forgotten f WHERE r.id = f.id
  RETURNING r.payment_id, r.inclusion, r.cause, r.order_id, r.wakes)
INSERT INTO outbox (chain, signal, payment_id, inclusion, order_id, review_cause, request_id)
SELECT p.chain, 'payment_seen', w.payment_id, w.inclusion, w.order_id, w.cause,
       w.payment_id || '/' || w.inclusion || '/review/' || w.cause || '/wake/' || w.wakes
  FROM woken w JOIN payments p ON p.id = w.payment_id;
