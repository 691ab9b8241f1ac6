-- Customers' standing addresses, and for which order a payment to one is.

-- name: CustomerOfOrder :one
-- Read before anything is locked: none of this changes during an order's life.
SELECT o.merchant_id, o.mode, c.family, o.customer_id FROM orders o JOIN chains c ON c.name = o.chain
 WHERE o.id = @id AND o.address_mode = 'per_customer';

-- name: CustomerAddress :one
SELECT id FROM addresses
 WHERE merchant_id = @merchant_id AND mode = @mode AND family = @family AND customer_id = sqlc.arg(customer_id)::text;

-- name: CustomerOrigin :one
-- A wallet that was retired gives no new addresses; those that it gave stay what they are.
SELECT adr.bytes, adr.family, adr.derivation_index, x.id, x.merchant_id, x.xpub, x.path, x.mac, x.mac_key
  FROM addresses adr JOIN xpubs x ON x.id = adr.xpub_id
 WHERE adr.merchant_id = @merchant_id AND adr.mode = @mode AND adr.family = @family AND adr.customer_id = sqlc.arg(customer_id)::text;

-- name: InsertCustomerAddress :execrows
-- Zero rows: the customer has an address, or these bytes or this index are an address already.
INSERT INTO addresses (id, family, bytes, xpub_id, derivation_index, merchant_id, mode, customer_id)
VALUES (@id, @family, @bytes, @xpub_id, @derivation_index, @merchant_id, @mode, sqlc.arg(customer_id)::text)
ON CONFLICT DO NOTHING;

-- name: LockAddresses :many
-- Sorted, so that two transactions that lock the same addresses wait for each other instead of deadlocking.
SELECT id, bytes FROM addresses WHERE id = ANY(@ids::text[]) ORDER BY id FOR NO KEY UPDATE;
