-- +goose Up
-- The times of blocks: what is recorded is what is believed of them.

-- On how many blocks a time that one operator told was not believed.
ALTER TABLE cursors ADD COLUMN times_held bigint NOT NULL DEFAULT 0;

COMMENT ON COLUMN cursors.block_time IS 'The believed time of the last block: proven by its header, else agreed, else one operator''s word, held between its parent''s and the database clock + 2 minutes.';
COMMENT ON COLUMN inclusions.block_time IS 'The believed time of the block, as in cursors.';
COMMENT ON COLUMN payments.first_included_at IS 'Decides "on time": the earlier of the believed time of the block and the time of the recording transaction, at the first inclusion that was not refuted. Being mined again keeps it.';

-- +goose Down
COMMENT ON COLUMN payments.first_included_at IS NULL;
COMMENT ON COLUMN inclusions.block_time IS NULL;
COMMENT ON COLUMN cursors.block_time IS NULL;
ALTER TABLE cursors DROP COLUMN times_held;
