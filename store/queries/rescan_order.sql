-- Reading again for one order.

-- name: OrderElsewhere :many
-- The other chains on which the order's address can be paid, and what of them was recorded since it was made.
SELECT ch.name AS chain, cur.block_number::bigint AS last,
       GREATEST(ch.start_block, COALESCE((SELECT max(m.number) FROM recorded_marks m
                                           WHERE m.chain = ch.name AND m.marked_at <= a.created_at), 0) - ch.horizon)::bigint AS first
  FROM orders o JOIN addresses a ON a.id = o.address_id
  JOIN chains ch ON ch.family = a.family AND ch.name <> o.chain AND takes_money(ch.mode, a.mode)
  JOIN cursors cur ON cur.chain = ch.name AND cur.block_number IS NOT NULL
 WHERE o.id = @order_id ORDER BY ch.name;
