-- +goose Up
-- Balances that operators do not agree about wait for their turn apart, so that however many there are the others have theirs.
ALTER TABLE balance_checks
  -- When operators last told different balances; NULL when the last comparison was one.
  ADD COLUMN disputed_at timestamptz;
DROP INDEX balance_checks_behind;
CREATE INDEX balance_checks_behind ON balance_checks (asset_id, (GREATEST(agreed_block, born_block))) WHERE shortfall = 0 AND disputed_at IS NULL;
CREATE INDEX balance_checks_disputed ON balance_checks (asset_id, checked_at NULLS FIRST) WHERE disputed_at IS NOT NULL;
GRANT UPDATE (disputed_at) ON balance_checks TO sluice_app;

-- +goose Down
DROP INDEX balance_checks_behind;
DROP INDEX balance_checks_disputed;
ALTER TABLE balance_checks DROP COLUMN disputed_at;
CREATE INDEX balance_checks_behind ON balance_checks (asset_id, (GREATEST(agreed_block, born_block))) WHERE shortfall = 0;
