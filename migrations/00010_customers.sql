-- +goose Up
-- Customers' standing addresses: an address that all orders of a customer share, which of them a payment to it is for, and
-- events about payments that are for none.

ALTER TABLE orders
  ADD CONSTRAINT orders_customer_named CHECK (address_mode = 'per_order' OR customer_id IS NOT NULL),
  ADD CONSTRAINT orders_customer_length CHECK (length(customer_id) BETWEEN 1 AND 200);
CREATE INDEX orders_customer ON orders (merchant_id, mode, customer_id, created_at DESC, id DESC) WHERE customer_id IS NOT NULL;
-- The orders that a payment to a customer's address may be for. Expired ones leave with their late window, by the second column.
CREATE INDEX orders_payable ON orders (address_id, late_until)
  WHERE address_mode = 'per_customer' AND state IN ('awaiting_payment', 'confirming', 'expired');

-- Locking a row needs the right to change a column of it. Whose an address is must stay what it is, so there is one that says nothing.
ALTER TABLE addresses ADD COLUMN lock_only boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN addresses.lock_only IS 'Means nothing. The right to update it lets a customer''s address be locked while payments to it are allocated.';
GRANT UPDATE (lock_only) ON addresses TO sluice_app;

-- For which order a payment to a customer's address is, decided when it is first recorded. A payment to an order's own address
-- has no row: it is for that order, all of it.
CREATE TABLE allocations (
  payment_id  text PRIMARY KEY REFERENCES payments,
  address_id  text NOT NULL REFERENCES addresses,
  asset_id    text NOT NULL REFERENCES assets,
  -- NULL: a deposit. Otherwise the same as payments.order_id.
  order_id    text REFERENCES orders,
  -- How much of it counts for the order: at most what the order still owed. The rest is a deposit.
  amount      base_units CHECK (amount > 0),
  created_at  timestamptz NOT NULL DEFAULT now(),
  CHECK ((order_id IS NULL) = (amount IS NULL))
);
CREATE INDEX allocations_order ON allocations (order_id) WHERE order_id IS NOT NULL;
GRANT SELECT, INSERT, UPDATE, DELETE ON allocations TO sluice_app;

-- 'deposit' needs no person: it confirms money that is for no order, and is resolved by itself.
ALTER TABLE reviews DROP CONSTRAINT reviews_cause_check;
ALTER TABLE reviews ADD CONSTRAINT reviews_cause_check CHECK (cause IN (
  'late', 'closed_order', 'wrong_asset', 'reversal', 'held', 'disagreement', 'stuck', 'negative_balance', 'deposit'));

-- What is told in order, one after the other: the events of an order, or of a payment that is for none.
CREATE UNIQUE INDEX events_payment_seq ON events (payment_id, seq) WHERE order_id IS NULL;
ALTER TABLE callbacks ADD COLUMN payment_id text REFERENCES payments;
ALTER TABLE callbacks ADD COLUMN stream text NOT NULL GENERATED ALWAYS AS (COALESCE(order_id, payment_id)) STORED;
COMMENT ON COLUMN callbacks.payment_id IS 'Set when the event is about no order.';
CREATE INDEX callbacks_stream ON callbacks (stream, endpoint_id, seq) WHERE status <> 'delivered';
ALTER TABLE callback_leases DROP CONSTRAINT callback_leases_order_id_fkey;
COMMENT ON COLUMN callback_leases.order_id IS 'The stream: an order, or a payment that is for none.';

-- +goose Down
DELETE FROM callback_leases WHERE order_id NOT IN (SELECT id FROM orders);
ALTER TABLE callback_leases ADD CONSTRAINT callback_leases_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders;
DROP INDEX callbacks_stream;
ALTER TABLE callbacks DROP COLUMN stream, DROP COLUMN payment_id;
DROP INDEX events_payment_seq;
DELETE FROM reviews WHERE cause = 'deposit';
ALTER TABLE reviews DROP CONSTRAINT reviews_cause_check;
ALTER TABLE reviews ADD CONSTRAINT reviews_cause_check CHECK (cause IN (
  'late', 'closed_order', 'wrong_asset', 'reversal', 'held', 'disagreement', 'stuck', 'negative_balance'));
DROP TABLE allocations;
REVOKE UPDATE (lock_only) ON addresses FROM sluice_app;
ALTER TABLE addresses DROP COLUMN lock_only;
DROP INDEX orders_payable, orders_customer;
ALTER TABLE orders DROP CONSTRAINT orders_customer_length, DROP CONSTRAINT orders_customer_named;
