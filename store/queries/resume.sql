-- The end of a halt, of a chain or of one asset of it.

-- name: WakeHaltedPayments :execrows
-- Every payment of the chain, or of the asset, that is on its way, whenever it was told last.
WITH waiting AS (
  SELECT p.id FROM payments p
   WHERE p.chain = @chain AND p.status = 'detected'
     AND (sqlc.narg(asset_id)::text IS NULL
          OR EXISTS (SELECT FROM inclusions i WHERE i.payment_id = p.id AND i.n = p.inclusion AND i.asset_id = sqlc.narg(asset_id)))
   ORDER BY p.id FOR NO KEY UPDATE),
woken AS (
  UPDATE payments p SET wakes = p.wakes + 1, last_woken_at = now() FROM waiting w WHERE p.id = w.id
  RETURNING p.id, p.chain, p.inclusion, p.order_id, p.wakes)
INSERT INTO outbox (chain, signal, payment_id, inclusion, order_id, request_id)
SELECT w.chain, 'payment_seen', w.id, w.inclusion, w.order_id, w.id || '/' || w.inclusion || '/wake/' || w.wakes FROM woken w;

-- name: WakeHaltedReviews :execrows
-- The signal says what is over: a review that runs is not told of anything else.
WITH waiting AS (
  SELECT r.id FROM reviews r JOIN payments p ON p.id = r.payment_id
   WHERE p.chain = @chain AND r.status = 'open'
     AND (sqlc.narg(asset_id)::text IS NULL
          OR EXISTS (SELECT FROM inclusions i WHERE i.payment_id = p.id AND i.n = p.inclusion AND i.asset_id = sqlc.narg(asset_id)))
   ORDER BY r.id FOR NO KEY UPDATE OF r),
woken AS (
  UPDATE reviews r SET wakes = r.wakes + 1, last_woken_at = now() FROM waiting w WHERE r.id = w.id
  RETURNING r.payment_id, r.inclusion, r.cause, r.order_id, r.wakes)
INSERT INTO outbox (chain, signal, payment_id, inclusion, order_id, review_cause, request_id)
SELECT p.chain, 'chain_resumed', w.payment_id, w.inclusion, w.order_id, w.cause,
       w.payment_id || '/' || w.inclusion || '/review/' || w.cause || '/wake/' || w.wakes
  FROM woken w JOIN payments p ON p.id = w.payment_id;
