-- What a reversal may leave behind.

-- name: Overdrawn :one
-- Whether taking back an inclusion's credit, or what was settled by hand before its payment was proven, left the merchant with less than nothing
-- available.
SELECT EXISTS (
  SELECT FROM ledger_postings po JOIN ledger_balances b ON b.account_id = po.debit_account
   WHERE po.payment_id = @payment_id::text AND po.inclusion = @inclusion::integer AND po.kind IN ('reversal', 'hold', 'manual')
     AND b.kind = 'merchant:available' AND b.balance < 0);
