-- +goose Up
-- Limits are for each mode of a merchant apart, and requests have one besides orders.
ALTER TABLE merchants ADD COLUMN requests_per_minute integer NOT NULL DEFAULT 1200 CHECK (requests_per_minute BETWEEN 1 AND 1000000);

CREATE INDEX orders_open_by_mode ON orders (merchant_id, mode) WHERE state IN ('opening', 'awaiting_payment', 'confirming');
CREATE INDEX orders_rate_by_mode ON orders (merchant_id, mode, created_at);
DROP INDEX orders_open;
DROP INDEX orders_rate;

-- +goose Down
CREATE INDEX orders_open ON orders (merchant_id) WHERE state IN ('opening', 'awaiting_payment', 'confirming');
CREATE INDEX orders_rate ON orders (merchant_id, created_at);
DROP INDEX orders_open_by_mode;
DROP INDEX orders_rate_by_mode;
ALTER TABLE merchants DROP COLUMN requests_per_minute;
