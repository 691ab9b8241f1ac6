-- What a payment has to show before it counts, by the amount at stake.

-- name: ConfirmationTiersOf :many
-- The tiers of each asset, from_amount in its base units. A tier of any asset counts whole coins; what that is in base units
-- may be more than there can be, and is never reached then.
SELECT a.id AS asset_id, t.confirmations, t.finality_tag,
       LEAST(t.from_amount * CASE WHEN t.asset_id IS NULL THEN ('1e' || a.decimals)::numeric ELSE 1 END,
             115792089237316195423570985008687907853269984665640564039457584007913129639935)::base_units AS from_amount
  FROM assets a JOIN confirmation_tiers t ON t.chain = a.chain AND (t.asset_id IS NULL OR t.asset_id = a.id)
 WHERE a.id = ANY(@assets::text[]);

-- name: EvidenceTiersOf :many
SELECT t.evidence,
       LEAST(t.from_amount * CASE WHEN t.asset_id IS NULL THEN ('1e' || a.decimals)::numeric ELSE 1 END,
             115792089237316195423570985008687907853269984665640564039457584007913129639935)::base_units AS from_amount
  FROM assets a JOIN evidence_tiers t ON t.chain = a.chain AND (t.asset_id IS NULL OR t.asset_id = a.id)
 WHERE a.id = @asset_id;

-- name: PaymentStakes :many
-- The amount that picks a payment's tiers: what its order is due in the payment's asset, or what all payments of the order
-- in this asset sum up to, whichever is more. A deposit, which has no order, or is what its order does not take of it, counts
-- with all others at its customer's address within an hour, either side. One large sum in small pieces is a large sum.
SELECT p.id,
       LEAST(GREATEST(CASE WHEN o.asset_id = i.asset_id THEN o.amount ELSE 0 END, of_order.total, of_customer.total),
             115792089237316195423570985008687907853269984665640564039457584007913129639935)::base_units AS stake
  FROM payments p
  JOIN inclusions i ON i.payment_id = p.id AND i.n = p.inclusion
  LEFT JOIN orders o ON o.id = p.order_id
  LEFT JOIN allocations al ON al.payment_id = p.id
 CROSS JOIN LATERAL (
       SELECT COALESCE(sum(si.amount), 0) AS total
         FROM payments s JOIN inclusions si ON si.payment_id = s.id AND si.n = s.inclusion
        WHERE s.order_id = p.order_id AND si.asset_id = i.asset_id AND s.status NOT IN ('dropped', 'ignored')) of_order
 CROSS JOIN LATERAL (
       SELECT COALESCE(sum(CASE WHEN s.order_id IS NULL THEN si.amount
                                ELSE si.amount - LEAST(si.amount, COALESCE(sal.amount, si.amount)) END), 0) AS total
         FROM payments s JOIN inclusions si ON si.payment_id = s.id AND si.n = s.inclusion
         LEFT JOIN allocations sal ON sal.payment_id = s.id
        WHERE (p.order_id IS NULL OR al.amount < i.amount) AND s.address_id = p.address_id
          AND s.first_included_at BETWEEN p.first_included_at - interval '1 hour' AND p.first_included_at + interval '1 hour'
          AND si.asset_id = i.asset_id AND s.status NOT IN ('dropped', 'ignored')) of_customer
 WHERE p.id = ANY(@ids::text[]);

-- name: OrderStakes :many
-- The amount that picks an order's own tiers.
SELECT o.id,
       LEAST(GREATEST(o.amount, of_order.total),
             115792089237316195423570985008687907853269984665640564039457584007913129639935)::base_units AS stake
  FROM orders o
 CROSS JOIN LATERAL (
       SELECT COALESCE(sum(si.amount), 0) AS total
         FROM payments s JOIN inclusions si ON si.payment_id = s.id AND si.n = s.inclusion
        WHERE s.order_id = o.id AND si.asset_id = o.asset_id AND s.status NOT IN ('dropped', 'ignored')) of_order
 WHERE o.id = ANY(@ids::text[]);

-- name: LockWeakCredits :exec
-- Credits that rest on less than two operators go one by one on each chain, so that each sees the sum of those before it.
SELECT pg_advisory_xact_lock(hashtextextended('weak_credits/' || @chain::text, 0));

-- name: SingleSourceLimited :one
SELECT EXISTS (SELECT FROM single_source_limits WHERE asset_id = @asset_id);

-- name: WeakCredits :many
-- What was credited like that within the last hour of each asset of a chain that has a limit, and that limit. What was reversed
-- since counts too.
SELECT l.asset_id, l.amount AS allowed, COALESCE(c.credited, 0)::numeric AS credited
  FROM single_source_limits l
  LEFT JOIN (SELECT w.asset_id, sum(w.amount) AS credited FROM weak_credits w
              WHERE w.chain = @chain AND w.created_at > now() - interval '1 hour' GROUP BY w.asset_id) c ON c.asset_id = l.asset_id
 WHERE l.chain = @chain;

-- name: AddWeakCredit :exec
INSERT INTO weak_credits (payment_id, inclusion, chain, asset_id, amount) VALUES (@payment_id, @inclusion, @chain, @asset_id, @amount);

-- name: ListConfirmationTiers :many
SELECT t.asset_id, a.code, a.decimals, t.from_amount, t.confirmations, t.finality_tag
  FROM confirmation_tiers t LEFT JOIN assets a ON a.id = t.asset_id
 WHERE t.chain = @chain ORDER BY a.code NULLS FIRST, t.from_amount;

-- name: ListEvidenceTiers :many
SELECT t.asset_id, a.code, a.decimals, t.from_amount, t.evidence
  FROM evidence_tiers t LEFT JOIN assets a ON a.id = t.asset_id
 WHERE t.chain = @chain ORDER BY a.code NULLS FIRST, t.from_amount;

-- name: ListSingleSourceLimits :many
SELECT l.asset_id, a.code, a.decimals, l.amount
  FROM single_source_limits l JOIN assets a ON a.id = l.asset_id
 WHERE l.chain = @chain ORDER BY a.code;

-- name: SetConfirmationTier :execrows
INSERT INTO confirmation_tiers AS t (chain, asset_id, from_amount, confirmations, finality_tag)
VALUES (@chain, sqlc.narg(asset_id), @from_amount, @confirmations, sqlc.narg(finality_tag))
ON CONFLICT (chain, asset_id, from_amount) DO UPDATE SET confirmations = EXCLUDED.confirmations, finality_tag = EXCLUDED.finality_tag
 WHERE (t.confirmations, t.finality_tag) IS DISTINCT FROM (EXCLUDED.confirmations, EXCLUDED.finality_tag);

-- name: RemoveConfirmationTier :execrows
DELETE FROM confirmation_tiers WHERE chain = @chain AND asset_id IS NOT DISTINCT FROM sqlc.narg(asset_id)::text AND from_amount = @from_amount;

-- name: DecideTiers :execrows
-- Zero rows: the asset's tiers are nobody's to complete any more.
UPDATE assets SET tiers_pending = false WHERE id = @id AND tiers_pending;

-- name: SetEvidenceTier :execrows
INSERT INTO evidence_tiers AS t (chain, asset_id, from_amount, evidence)
VALUES (@chain, sqlc.narg(asset_id), @from_amount, @evidence)
ON CONFLICT (chain, asset_id, from_amount) DO UPDATE SET evidence = EXCLUDED.evidence WHERE t.evidence <> EXCLUDED.evidence;

-- name: RemoveEvidenceTier :execrows
DELETE FROM evidence_tiers WHERE chain = @chain AND asset_id IS NOT DISTINCT FROM sqlc.narg(asset_id)::text AND from_amount = @from_amount;

-- name: SetSingleSourceLimit :execrows
INSERT INTO single_source_limits AS l (chain, asset_id, amount) VALUES (@chain, @asset_id, @amount)
ON CONFLICT (chain, asset_id) DO UPDATE SET amount = EXCLUDED.amount WHERE l.amount <> EXCLUDED.amount;

-- name: RemoveSingleSourceLimit :execrows
DELETE FROM single_source_limits WHERE chain = @chain AND asset_id = @asset_id;
