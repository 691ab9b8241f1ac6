-- What the API reads of deposits: what of payments to customers' addresses is for no order.

-- name: PageDeposits :many
-- Newest first, behind the cursor.
SELECT payment_id, created_at FROM deposits
 WHERE merchant_id = sqlc.arg(merchant_id)::text AND mode = sqlc.arg(mode)::mode
   AND (sqlc.narg(chain)::text IS NULL OR chain = sqlc.narg(chain))
   AND (sqlc.narg(code)::text IS NULL OR code = sqlc.narg(code))
   AND (sqlc.narg(state)::text IS NULL OR state = sqlc.narg(state))
   AND (sqlc.narg(created_from)::timestamptz IS NULL OR created_at >= sqlc.narg(created_from))
   AND (sqlc.narg(created_before)::timestamptz IS NULL OR created_at < sqlc.narg(created_before))
   AND (sqlc.narg(before_at)::timestamptz IS NULL OR (created_at, payment_id) < (sqlc.narg(before_at), sqlc.narg(before_id)::text))
 ORDER BY created_at DESC, payment_id DESC LIMIT @max_rows;

-- name: PageDepositsByCustomer :many
-- A customer has one address of each family. Whose it is says whose its deposits are: asked for the merchant too, the list would be
-- looked for among all of his.
SELECT payment_id, created_at FROM deposits
 WHERE address_id = ANY(ARRAY(SELECT adr.id FROM addresses adr
                               WHERE adr.merchant_id = sqlc.arg(merchant_id)::text AND adr.mode = sqlc.arg(mode)::mode
                                 AND adr.customer_id = sqlc.arg(customer_id)::text))
   AND (sqlc.narg(chain)::text IS NULL OR chain = sqlc.narg(chain))
   AND (sqlc.narg(code)::text IS NULL OR code = sqlc.narg(code))
   AND (sqlc.narg(state)::text IS NULL OR state = sqlc.narg(state))
   AND (sqlc.narg(created_from)::timestamptz IS NULL OR created_at >= sqlc.narg(created_from))
   AND (sqlc.narg(created_before)::timestamptz IS NULL OR created_at < sqlc.narg(created_before))
   AND (sqlc.narg(before_at)::timestamptz IS NULL OR (created_at, payment_id) < (sqlc.narg(before_at), sqlc.narg(before_id)::text))
 ORDER BY created_at DESC, payment_id DESC LIMIT @max_rows;

-- name: DepositsOf :many
-- Of payments, those that are the merchant's deposits.
SELECT payment_id, created_at FROM deposits
 WHERE payment_id = ANY(@payment_ids::text[]) AND merchant_id = sqlc.arg(merchant_id)::text AND mode = sqlc.arg(mode)::mode;
