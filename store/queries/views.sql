-- An order as its workflow sees it.

-- name: UnsettledPayments :many
-- What is still to be confirmed. What holds the order (see OrderMoney) comes first, so that no number of other payments, which anybody
-- can send for next to nothing, hides it; then the oldest.
SELECT COALESCE(i.asset_id = o.asset_id AND i.amount >= o.dust_below AND p.first_included_at <= o.expires_at, false)::boolean AS counts,
       p.id, p.inclusion, p.chain, p.status, i.amount, al.amount AS allocated, i.block_number, a.code, a.decimals, c.confirmations,
       c.finality_tag, i.asset_id, p.evidence, EXISTS (SELECT FROM confirmation_tiers t WHERE t.chain = p.chain) AS tiered
  FROM payments p
  JOIN orders o ON o.id = p.order_id
  JOIN inclusions i ON i.payment_id = p.id AND i.n = p.inclusion
  JOIN assets a ON a.id = i.asset_id
  JOIN chains c ON c.name = p.chain
  LEFT JOIN allocations al ON al.payment_id = p.id
 WHERE p.order_id = @order_id AND p.status IN ('detected', 'parked')
 ORDER BY counts DESC, (i.amount >= a.dust_below) DESC, p.created_at, p.id LIMIT 100;

-- name: CallbackBacklog :one
SELECT array_remove(array_agg(DISTINCT CASE WHEN status = 'pending' THEN endpoint_id END), NULL)::text[] AS pending_endpoints,
       count(*) FILTER (WHERE status = 'parked') AS parked
  FROM callbacks WHERE stream = @stream AND status <> 'delivered';

-- name: SetBlockedStep :exec
UPDATE orders SET blocked_step = @blocked_step, updated_at = clock_timestamp() WHERE id = @id;
