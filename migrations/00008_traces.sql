-- +goose Up
-- Whether the nodes of a chain are asked for internal transfers. Where none can trace, none is asked twice in vain; switched
-- off, none is asked at all, for nodes that take more money or time for it than it is worth.
ALTER TABLE chains ADD COLUMN traces boolean NOT NULL DEFAULT true;

-- +goose Down
ALTER TABLE chains DROP COLUMN traces;
