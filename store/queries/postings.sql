-- The books. Rows are added and read, nothing else.

-- name: InsertAccount :exec
INSERT INTO ledger_accounts (kind, asset_id, merchant_id, mode, address_id)
VALUES (@kind, @asset_id, @merchant_id, @mode, @address_id)
ON CONFLICT DO NOTHING;

-- name: FindCustody :one
-- The three kinds of owner are three queries: IS NULL finds its way in the unique index, IS NOT DISTINCT FROM does not.
SELECT id FROM ledger_accounts
 WHERE kind = @kind AND asset_id = @asset_id AND merchant_id IS NULL AND mode IS NULL AND address_id = sqlc.arg(address_id)::text;

-- name: FindMerchantAccount :one
SELECT id FROM ledger_accounts
 WHERE kind = @kind AND asset_id = @asset_id AND merchant_id = sqlc.arg(merchant_id)::text AND mode = sqlc.arg(mode)::text AND address_id IS NULL;

-- name: FindOwnAccount :one
SELECT id FROM ledger_accounts
 WHERE kind = @kind AND asset_id = @asset_id AND merchant_id IS NULL AND mode IS NULL AND address_id IS NULL;

-- name: InsertPosting :one
INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount, payment_id, inclusion, order_id, reverses)
VALUES (@key, @kind, @debit_account, @credit_account, @asset_id, @amount, @payment_id, @inclusion, @order_id, @reverses)
ON CONFLICT (key) DO NOTHING
RETURNING id;

-- name: CreditEntry :one
-- The credit of one inclusion with the accounts it moved, and what became of it.
SELECT p.id, p.key, p.amount, p.order_id, p.asset_id,
       d.address_id AS debit_address, c.kind AS credit_kind, c.merchant_id AS credit_merchant, c.mode AS credit_mode,
       EXISTS (SELECT FROM ledger_postings r WHERE r.payment_id = p.payment_id AND r.inclusion = p.inclusion AND r.kind = 'release') AS released,
       EXISTS (SELECT FROM ledger_postings r WHERE r.reverses = p.id) AS reversed
  FROM ledger_postings p
  JOIN ledger_accounts d ON d.id = p.debit_account
  JOIN ledger_accounts c ON c.id = p.credit_account
 WHERE p.payment_id = @payment_id::text AND p.inclusion = @inclusion::integer AND p.kind = 'credit';
