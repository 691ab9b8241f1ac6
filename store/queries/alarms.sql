-- What operators are woken for.

-- name: UntracedBlocks :many
-- Of chains that are traced: how many blocks were not, since the first one that was, and how many of those are older than the window in which they
-- are asked for again.
SELECT ch.name,
       COALESCE((SELECT sum(upper(h) - lower(h)) FROM unnest(missing.blocks) h), 0)::bigint AS untraced,
       COALESCE((SELECT sum(upper(h) - lower(h)) FROM unnest(missing.blocks * int8multirange(int8range(NULL, missing.tried, '()'))) h), 0)::bigint AS given_up
  FROM chains ch JOIN cursors cur ON cur.chain = ch.name JOIN coverage c ON c.chain = ch.name AND c.method = 'traces'
  CROSS JOIN LATERAL (
    SELECT int8multirange(int8range(LEAST(lower(c.blocks), cur.block_number), cur.block_number, '[]')) - c.blocks AS blocks,
           cur.block_number - sqlc.arg(window_ms)::bigint / ch.block_time_ms AS tried) missing
 WHERE ch.traces AND cur.block_number IS NOT NULL AND NOT isempty(c.blocks);

-- name: ChainAlarms :many
SELECT ch.name, (ch.halted_at IS NOT NULL)::boolean AS halted,
       (SELECT count(*) FROM quarantined_blocks q WHERE q.chain = ch.name AND q.resolved_at IS NULL AND q.accepted_at IS NULL)::bigint AS quarantined,
       COALESCE((SELECT extract(epoch FROM now() - min(q.created_at)) FROM quarantined_blocks q
                  WHERE q.chain = ch.name AND q.resolved_at IS NULL AND q.accepted_at IS NULL), 0)::bigint AS quarantined_seconds,
       (SELECT count(*) FROM rescans r WHERE r.chain = ch.name AND r.finished_at IS NULL)::bigint AS rescans,
       (SELECT count(*) FROM balance_findings f WHERE f.chain = ch.name AND f.consumed + f.settled < f.amount)::bigint AS findings,
       (SELECT count(*) FROM balance_findings f WHERE f.chain = ch.name AND f.explained > 0)::bigint AS explained,
       (SELECT count(*) FROM balance_checks b JOIN assets a ON a.id = b.asset_id
         WHERE a.chain = ch.name AND b.shortfall > 0)::bigint AS shortfalls,
       (SELECT count(*) FROM ledger_balances b
         WHERE b.account_id = ANY(ARRAY(SELECT f.settled_account FROM balance_findings f
                                         WHERE f.chain = ch.name AND f.settled_account IS NOT NULL AND f.withdrawn_at IS NOT NULL))
           AND b.kind = 'merchant:available' AND b.balance < 0)::bigint AS overdrawn,
       (SELECT count(*) FROM inclusions i WHERE i.chain = ch.name AND i.refuted_at IS NOT NULL AND NOT i.canonical)::bigint AS refuted,
       (SELECT count(*) FROM inclusions i WHERE i.chain = ch.name AND i.refuted_at IS NOT NULL AND i.canonical)::bigint AS refuted_credits,
       COALESCE((SELECT cur.times_held FROM cursors cur WHERE cur.chain = ch.name), 0)::bigint AS times_held,
       COALESCE((SELECT s.found FROM second_looks s WHERE s.chain = ch.name), 0)::bigint AS second_look_found
  FROM chains ch ORDER BY ch.name;
