-- +goose Up
-- Support lists what is newest, whosever it is.
CREATE INDEX orders_newest ON orders (created_at DESC, id DESC);
CREATE INDEX payments_newest ON payments (created_at DESC, id DESC);

-- +goose Down
DROP INDEX orders_newest, payments_newest;
