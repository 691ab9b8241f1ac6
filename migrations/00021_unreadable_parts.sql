-- +goose Up
-- Of a block that cannot be read in full a part may be: what is lacking is written down by method, and holds no more than that. A
-- person may accept that a block is not read: its orders wait no longer, and it is still tried again.
ALTER TABLE quarantined_blocks
  ADD COLUMN lacking text[] NOT NULL DEFAULT '{native,token_logs}' CHECK (lacking <@ '{native,token_logs}'),
  ADD COLUMN accepted_at timestamptz;

-- +goose Down
ALTER TABLE quarantined_blocks DROP COLUMN lacking, DROP COLUMN accepted_at;
