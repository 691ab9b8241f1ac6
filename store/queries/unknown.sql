-- Tokens that nobody enabled, sent to addresses of ours, and transfers of nothing. None of it is money.

-- name: CountUnknownTransfers :exec
-- How many of each contract in each block. A block that was looked through before was counted then.
WITH covered AS (
  SELECT blocks FROM coverage WHERE chain = @chain AND method = 'any_token' AND contract = '')
INSERT INTO unknown_contracts (chain, contract, transfers)
SELECT @chain, c.contract, sum(c.transfers)::bigint
  FROM (SELECT unnest(@contracts::bytea[]) AS contract, unnest(@blocks::bigint[]) AS block, unnest(@counts::bigint[]) AS transfers) c
 WHERE NOT COALESCE((SELECT blocks @> c.block FROM covered), false)
 GROUP BY c.contract ORDER BY c.contract
ON CONFLICT (chain, contract) DO UPDATE SET transfers = unknown_contracts.transfers + EXCLUDED.transfers;

-- name: KeepUnknownTransfers :exec
-- The first of each contract are kept in full, as many as there is room for.
WITH seen AS (
  SELECT unnest(@contracts::bytea[]) AS contract, unnest(@tx_hashes::bytea[]) AS tx_hash, unnest(@positions::integer[]) AS position,
         unnest(@address_ids::text[]) AS address_id, unnest(@amounts::text[])::numeric AS amount, unnest(@numbers::bigint[]) AS number,
         unnest(@hashes::bytea[]) AS hash),
kept AS (
  SELECT u.contract, count(*) AS n FROM unknown_transfers u
   WHERE u.chain = sqlc.arg(chain)::text AND u.contract = ANY (@contracts::bytea[]) GROUP BY u.contract)
INSERT INTO unknown_transfers (chain, tx_hash, position, contract, address_id, raw_amount, block_number, block_hash)
SELECT sqlc.arg(chain)::text, s.tx_hash, s.position, s.contract, s.address_id, s.amount, s.number, s.hash
  FROM (SELECT seen.*, row_number() OVER (PARTITION BY seen.contract ORDER BY seen.number, seen.position) AS n FROM seen
         WHERE NOT EXISTS (SELECT FROM coverage c WHERE c.chain = sqlc.arg(chain)::text AND c.method = 'any_token' AND c.contract = ''
                              AND c.blocks @> seen.number)) s
  LEFT JOIN kept k ON k.contract = s.contract
 WHERE s.n + COALESCE(k.n, 0) <= sqlc.arg(max_rows)::bigint
ON CONFLICT DO NOTHING;

-- name: ForgetUnknownAbove :exec
-- What is kept of blocks that are undone goes, and is not counted any more. What was only counted stays counted.
WITH gone AS (
  DELETE FROM unknown_transfers u WHERE u.chain = @chain AND u.block_number > @above RETURNING u.contract),
less AS (SELECT gone.contract, count(*) AS n FROM gone GROUP BY gone.contract)
UPDATE unknown_contracts c SET transfers = GREATEST(0, c.transfers - less.n)
  FROM less WHERE c.chain = @chain AND c.contract = less.contract;

-- name: CountPoisonings :exec
UPDATE cursors SET poisonings = poisonings + @n::bigint WHERE chain = @chain;

-- name: CountDust :exec
UPDATE cursors SET dust = dust + @n::bigint WHERE chain = @chain;

-- name: CountPlayMoney :exec
UPDATE cursors SET play_money = play_money + @n::bigint WHERE chain = @chain;

-- name: SetAnyToken :execrows
UPDATE chains SET any_token = @any_token WHERE name = @name AND any_token <> @any_token;

-- name: SetIgnoreBloom :execrows
UPDATE chains SET ignore_bloom = @ignore_bloom WHERE name = @name AND ignore_bloom <> @ignore_bloom;

-- name: UnknownContracts :many
-- Contracts that are still not enabled, the busiest first.
SELECT u.chain, ch.family, u.contract, u.transfers, u.first_seen,
       (SELECT count(DISTINCT t.address_id) FROM unknown_transfers t WHERE t.chain = u.chain AND t.contract = u.contract)::bigint AS addresses
  FROM unknown_contracts u JOIN chains ch ON ch.name = u.chain
 WHERE (sqlc.narg(chain)::text IS NULL OR u.chain = sqlc.narg(chain)) AND u.transfers > 0
   AND NOT EXISTS (SELECT FROM assets a WHERE a.chain = u.chain AND a.contract = u.contract)
 ORDER BY u.transfers DESC, u.chain, u.contract LIMIT @max_rows;

-- name: StrangeCounts :many
-- For metrics: transfers of nothing, of next to nothing, and of tokens that are not enabled.
SELECT cur.chain, cur.poisonings, cur.dust, cur.play_money,
       COALESCE((SELECT sum(u.transfers) FROM unknown_contracts u WHERE u.chain = cur.chain), 0)::bigint AS unknown_transfers,
       (SELECT count(*) FROM unknown_contracts u WHERE u.chain = cur.chain)::bigint AS unknown_contracts
  FROM cursors cur ORDER BY cur.chain;

-- name: SweepDue :one
-- The lowest run of blocks that are final, in which nobody looked for tokens that are not enabled, on a chain that is to be looked
-- through. Where the chain calls nothing final, what is below the horizon counts as final.
SELECT ch.family, ch.max_range, lower(r)::bigint AS first, (upper(r) - 1)::bigint AS last
  FROM cursors cur JOIN chains ch ON ch.name = cur.chain,
       unnest(CASE WHEN LEAST(cur.block_number, COALESCE(cur.final_number, cur.block_number - ch.horizon)) >= ch.start_block
                   THEN int8multirange(int8range(ch.start_block,
                          LEAST(cur.block_number, COALESCE(cur.final_number, cur.block_number - ch.horizon)), '[]'))
                   ELSE '{}'::int8multirange END
              - COALESCE((SELECT c.blocks FROM coverage c
                           WHERE c.chain = cur.chain AND c.method = 'any_token' AND c.contract = ''), '{}'::int8multirange)) AS r
 WHERE cur.chain = @chain AND ch.any_token AND ch.paused_at IS NULL AND ch.halted_at IS NULL
 ORDER BY lower(r) LIMIT 1;

-- name: SweptUnrecorded :many
-- The blocks of transfers that a sweep has found, of tokens that have an asset and were looked for there, and that are not recorded: those that are
-- money. What was refuted was recorded.
SELECT DISTINCT s.number::bigint AS number, s.hash::bytea AS hash
  FROM (SELECT unnest(@contracts::bytea[]) AS contract, unnest(@tx_hashes::bytea[]) AS tx_hash, unnest(@log_indices::integer[]) AS log_index,
               unnest(@recipients::bytea[]) AS recipient, unnest(@numbers::bigint[]) AS number, unnest(@hashes::bytea[]) AS hash) s
  JOIN chains ch ON ch.name = sqlc.arg(chain)::text
  JOIN addresses adr ON adr.family = ch.family AND adr.bytes = s.recipient AND takes_money(ch.mode, adr.mode)
  JOIN coverage c ON c.chain = sqlc.arg(chain)::text AND c.method = 'token_logs' AND c.contract = s.contract AND c.blocks @> s.number
 WHERE EXISTS (SELECT FROM assets a WHERE a.chain = sqlc.arg(chain)::text AND a.contract = s.contract)
   AND NOT EXISTS (SELECT FROM payments p JOIN inclusions i ON i.payment_id = p.id
                    WHERE p.chain = sqlc.arg(chain)::text AND p.tx_hash = s.tx_hash AND i.block_hash = s.hash AND i.log_index = s.log_index
                      AND (i.canonical OR i.refuted_at IS NOT NULL))
 ORDER BY 1;

-- name: IssuedAddresses :many
-- All addresses at which a chain's money counts, page by page. Who was given an address while the pages are read cannot have been paid in
-- blocks that were final before.
SELECT a.id, a.bytes FROM addresses a JOIN chains ch ON ch.name = @chain AND ch.family = a.family AND takes_money(ch.mode, a.mode)
 WHERE a.id > @after::text ORDER BY a.id LIMIT @max_rows;
