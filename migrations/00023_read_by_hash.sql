-- +goose Up
-- How blocks were looked at. A range is answered from an index, which may have holes or end at so many logs without a word, so each block
-- is also asked for by its hash.

-- Recording takes the cursor first: whoever does waits, and has none of what is changed here.
LOCK TABLE cursors IN ACCESS EXCLUSIVE MODE;

ALTER TABLE coverage ADD COLUMN by_hash int8multirange NOT NULL DEFAULT '{}';
COMMENT ON COLUMN coverage.by_hash IS 'Which of the blocks were read by themselves, by their hash. The rest was read in ranges only.';

-- How the release before read its blocks is not known. What it looked at twice is left alone: a rescan reads it by hash.
UPDATE coverage c SET by_hash = c.blocks * s.blocks FROM second_looks s WHERE s.chain = c.chain;

-- The open orders of a chain whose deadlines come first: the blocks of their lives are read by hash before others.
CREATE INDEX orders_due ON orders (chain, expires_at) WHERE state IN ('awaiting_payment', 'confirming');

-- +goose Down
LOCK TABLE cursors IN ACCESS EXCLUSIVE MODE;
DROP INDEX orders_due;
ALTER TABLE coverage DROP COLUMN by_hash;
