-- Orders that nobody seems to move: their workflow was terminated, or lost with Temporal's own data.

-- name: SweepOrders :many
-- Open long after their deadline, or with callbacks long due. A workflow that is at it is not disturbed by being started
-- again, so an order that has a good reason to wait costs one call per sweep.
WITH stalled AS (
  SELECT o.id FROM orders o
   WHERE o.last_woken_at < now() - interval '1 millisecond' * sqlc.arg(older_ms)::bigint
     AND (o.id IN (SELECT d.id FROM orders d
                    WHERE d.state IN ('awaiting_payment', 'confirming')
                      AND d.expires_at < now() - interval '1 millisecond' * sqlc.arg(older_ms)::bigint)
       OR o.id IN (SELECT c.order_id FROM callbacks c
                    WHERE c.status = 'pending' AND c.due_at < now() - interval '1 millisecond' * sqlc.arg(older_ms)::bigint))
   ORDER BY o.last_woken_at LIMIT @max_rows FOR UPDATE OF o SKIP LOCKED)
UPDATE orders o SET last_woken_at = now() FROM stalled s WHERE o.id = s.id
RETURNING o.id, (o.state IN ('awaiting_payment', 'confirming')
                 OR o.state IN ('expired', 'cancelled') AND COALESCE(o.late_until > now(), false))::boolean AS takes_payments;
