-- +goose Up
-- A reorganisation moves the births of orders: the height at which an order was opened is one on a chain that may be undone.
CREATE INDEX orders_birth ON orders (chain, birth_block) WHERE birth_block IS NOT NULL;

-- +goose Down
DROP INDEX orders_birth;
