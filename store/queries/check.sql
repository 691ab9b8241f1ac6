-- Proving the books. Each query lists what should not be.

-- name: CheckAssets :many
-- Postings whose accounts are in another asset.
SELECT p.id, p.key FROM ledger_postings p
  JOIN ledger_accounts d ON d.id = p.debit_account
  JOIN ledger_accounts c ON c.id = p.credit_account
 WHERE d.asset_id <> p.asset_id OR c.asset_id <> p.asset_id OR p.debit_account = p.credit_account OR p.amount <= 0
 ORDER BY p.id LIMIT @max_rows;

-- name: CheckBalances :many
-- Accounts whose snapshot plus tail is not the sum of their postings.
WITH full_sums AS (
  SELECT account_id, sum(delta) AS total FROM (
    SELECT credit_account AS account_id, amount::numeric AS delta FROM ledger_postings
    UNION ALL
    SELECT debit_account, -(amount::numeric) FROM ledger_postings) d
  GROUP BY account_id)
SELECT b.account_id, b.kind, b.balance::numeric AS balance, COALESCE(f.total, 0)::numeric AS total
  FROM ledger_balances b LEFT JOIN full_sums f ON f.account_id = b.account_id
 WHERE b.balance <> COALESCE(f.total, 0)
 ORDER BY b.account_id LIMIT @max_rows;

-- name: CheckSnapshots :many
-- Snapshots that were not the sum of the postings up to them.
SELECT s.account_id, s.through_posting FROM ledger_snapshots s
 WHERE s.balance <> COALESCE((SELECT sum(p.amount) FROM ledger_postings p WHERE p.credit_account = s.account_id AND p.id <= s.through_posting), 0)
                  - COALESCE((SELECT sum(p.amount) FROM ledger_postings p WHERE p.debit_account = s.account_id AND p.id <= s.through_posting), 0)
 ORDER BY s.through_posting, s.account_id LIMIT @max_rows;

-- name: CheckTotals :many
-- Assets whose accounts do not sum up to zero.
SELECT asset_id, sum(balance)::numeric AS total FROM ledger_balances GROUP BY asset_id HAVING sum(balance) <> 0 ORDER BY asset_id LIMIT @max_rows;

-- name: CheckCreditedPayments :many
-- Payments that are credited without exactly one unreversed credit of that inclusion, or whose credit is not what the
-- inclusion carried to the address's custody.
SELECT p.id, p.credited_inclusion::integer AS inclusion FROM payments p
  JOIN inclusions i ON i.payment_id = p.id AND i.n = p.credited_inclusion
 WHERE p.status = 'credited'
   AND (NOT i.canonical
        OR (SELECT count(*) FROM ledger_postings c WHERE c.payment_id = p.id AND c.kind = 'credit'
              AND NOT EXISTS (SELECT FROM ledger_postings r WHERE r.reverses = c.id)) <> 1
        OR NOT EXISTS (SELECT FROM ledger_postings c JOIN ledger_accounts d ON d.id = c.debit_account
                        WHERE c.payment_id = p.id AND c.inclusion = p.credited_inclusion AND c.kind = 'credit'
                          AND c.amount = i.amount AND c.asset_id = i.asset_id AND d.kind = 'custody' AND d.address_id = p.address_id
                          AND NOT EXISTS (SELECT FROM ledger_postings r WHERE r.reverses = c.id)))
 ORDER BY p.id LIMIT @max_rows;

-- name: CheckCredits :many
-- Unreversed credits whose payment is not credited by that inclusion.
SELECT c.id, c.key FROM ledger_postings c JOIN payments p ON p.id = c.payment_id
 WHERE c.kind = 'credit' AND NOT EXISTS (SELECT FROM ledger_postings r WHERE r.reverses = c.id)
   AND p.credited_inclusion IS DISTINCT FROM c.inclusion
 ORDER BY c.id LIMIT @max_rows;

-- name: CheckCustody :many
-- Addresses whose custody, by their payments' postings, is not the sum of what is credited there.
SELECT a.id AS account_id, a.address_id::text AS address_id FROM ledger_accounts a
 WHERE a.kind = 'custody'
   AND COALESCE((SELECT sum(i.amount) FROM payments p JOIN inclusions i ON i.payment_id = p.id AND i.n = p.credited_inclusion
                  WHERE p.address_id = a.address_id AND i.asset_id = a.asset_id), 0)
    <> COALESCE((SELECT sum(CASE WHEN p.debit_account = a.id THEN p.amount ELSE -p.amount END) FROM ledger_postings p
                  WHERE a.id IN (p.debit_account, p.credit_account) AND p.kind IN ('credit', 'reversal')), 0)
 ORDER BY a.id LIMIT @max_rows;

-- name: CheckReleases :many
-- Releases of what was not held, or of a credit that was reversed without taking them back.
SELECT l.id, l.key FROM ledger_postings l
  LEFT JOIN ledger_postings c ON c.payment_id = l.payment_id AND c.inclusion = l.inclusion AND c.kind = 'credit'
 WHERE l.kind = 'release'
   AND (c.id IS NULL OR c.credit_account <> l.debit_account OR c.amount <> l.amount
        OR (EXISTS (SELECT FROM ledger_postings r WHERE r.reverses = c.id)
            AND NOT EXISTS (SELECT FROM ledger_postings h WHERE h.payment_id = l.payment_id AND h.inclusion = l.inclusion AND h.kind = 'hold')))
 ORDER BY l.id LIMIT @max_rows;

-- name: CheckKinds :many
-- Postings of kinds that nothing writes: whoever made one went around the application. Those by hand are about findings.
SELECT p.id, p.key, p.kind FROM ledger_postings p
 WHERE p.kind NOT IN ('credit', 'reversal', 'release', 'hold', 'finding')
   AND NOT (p.kind = 'manual' AND EXISTS (SELECT FROM balance_findings f
              WHERE p.asset_id = f.asset_id AND f.settled_account IN (p.debit_account, p.credit_account)
                AND (p.key IN (f.posting_key || '/settled', f.posting_key || '/unsettled')
                     OR p.key = p.payment_id || '/' || p.inclusion || '/unsettled/' || f.id)))
 ORDER BY p.id LIMIT @max_rows;

-- name: CheckSize :one
SELECT (SELECT count(*) FROM ledger_postings) AS postings, (SELECT count(*) FROM ledger_accounts) AS accounts,
       (SELECT count(*) FROM payments WHERE status = 'credited') AS credited,
       (SELECT count(*) FROM inclusions WHERE canonical) AS inclusions,
       (SELECT count(*) FROM balance_findings WHERE consumed < amount) AS findings;

-- name: CheckPayments :many
-- Payments that are not their address's: another merchant's, to other bytes, or in an asset of another kind or chain.
SELECT p.id FROM payments p
  JOIN inclusions i ON i.payment_id = p.id AND i.n = p.inclusion
  JOIN assets a ON a.id = i.asset_id
  JOIN addresses adr ON adr.id = p.address_id
 WHERE p.merchant_id <> adr.merchant_id OR i.recipient <> adr.bytes OR a.chain <> p.chain OR p.native <> (a.contract IS NULL)
 ORDER BY p.id LIMIT @max_rows;

-- name: BooksBalances :many
-- What each kind of account holds of each asset.
SELECT b.asset_id, a.code, a.decimals, b.kind, sum(b.balance)::numeric AS balance
  FROM ledger_balances b JOIN assets a ON a.id = b.asset_id GROUP BY b.asset_id, a.code, a.decimals, b.kind ORDER BY b.asset_id, b.kind;

-- name: TakeSnapshot :one
SELECT ledger_take_snapshot();

-- name: NoStatementTimeout :exec
SELECT set_config('statement_timeout', '0', true);

-- name: AddressOrigins :many
-- Every address with what it says that it was derived from, page by page.
SELECT adr.id, adr.merchant_id AS owner_id, adr.bytes, adr.family, adr.derivation_index,
       x.id AS wallet_id, x.family AS wallet_family, x.merchant_id, x.xpub, x.path, x.mac, x.mac_key
  FROM addresses adr JOIN xpubs x ON x.id = adr.xpub_id
 WHERE adr.id > @after::text ORDER BY adr.id LIMIT @max_rows;
