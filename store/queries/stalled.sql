-- Orders that nobody seems to move: their workflow was terminated, or lost with Temporal's own data.

-- name: SweepOrders :many
-- Open long after their deadline, or with callbacks long due. A workflow that is at it is not disturbed by being started
-- again, so an order that has a good reason to wait costs one call per sweep.
-- What is overdue is gathered from its two indexes first: a condition on orders that names both would read every order.
WITH overdue AS MATERIALIZED (
  SELECT d.id FROM orders d
   WHERE d.state IN ('awaiting_payment', 'confirming')
     AND d.expires_at < now() - interval '1 millisecond' * sqlc.arg(older_ms)::bigint
   UNION
  SELECT c.order_id FROM callbacks c
   WHERE c.status = 'pending' AND c.due_at < now() - interval '1 millisecond' * sqlc.arg(older_ms)::bigint),
stalled AS (
  SELECT o.id FROM overdue d JOIN orders o ON o.id = d.id
   WHERE o.last_woken_at < now() - interval '1 millisecond' * sqlc.arg(older_ms)::bigint
   ORDER BY o.last_woken_at LIMIT @max_rows FOR UPDATE OF o SKIP LOCKED)
UPDATE orders o SET last_woken_at = now() FROM stalled s WHERE o.id = s.id
RETURNING o.id, (o.state IN ('awaiting_payment', 'confirming')
                 OR o.state IN ('expired', 'cancelled') AND COALESCE(o.late_until > now(), false))::boolean AS takes_payments;
