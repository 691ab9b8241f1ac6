-- +goose Up
-- A node can tell of transfers that there are not. What operators contradict when they read the block again ends, unless it was
-- credited; either way it is known when that was.
ALTER TABLE inclusions ADD COLUMN refuted_at timestamptz;
ALTER TABLE inclusions DROP CONSTRAINT inclusions_end_reason_check;
ALTER TABLE inclusions ADD CONSTRAINT inclusions_end_reason_check CHECK (end_reason IN ('reorg', 'content_changed', 'refuted'));
CREATE INDEX inclusions_refuted ON inclusions (chain) WHERE refuted_at IS NOT NULL;
GRANT UPDATE (refuted_at) ON inclusions TO sluice_app;

COMMENT ON TABLE single_source_limits IS 'What a chain may credit within an hour on one operator''s word, in units of each asset: what is credited of each is a share of it.';

-- +goose Down
COMMENT ON TABLE single_source_limits IS NULL;
DROP INDEX inclusions_refuted;
UPDATE inclusions SET end_reason = 'content_changed' WHERE end_reason = 'refuted';
ALTER TABLE inclusions DROP CONSTRAINT inclusions_end_reason_check;
ALTER TABLE inclusions ADD CONSTRAINT inclusions_end_reason_check CHECK (end_reason IN ('reorg', 'content_changed'));
ALTER TABLE inclusions DROP COLUMN refuted_at;
