-- +goose Up
-- How far and how fast chains are read, tokens that nobody enabled, and what is known of a token's code.

-- When the watcher last recorded a block or told of the head, and how fast it records: whether a chain takes orders, and when
-- it will again. The age of a block would not say that: on a quiet chain it grows, with nothing unread.
ALTER TABLE cursors
  ADD COLUMN reported_at timestamptz NOT NULL DEFAULT now(),
  ADD COLUMN blocks_per_minute bigint CHECK (blocks_per_minute >= 0);

-- Transfers of nothing to addresses of ours, which poison address books: counted, and nothing else.
ALTER TABLE cursors ADD COLUMN poisonings bigint NOT NULL DEFAULT 0;

-- Whether transfers of tokens that are not enabled are looked for.
ALTER TABLE chains ADD COLUMN any_token boolean NOT NULL DEFAULT true;
ALTER TABLE coverage DROP CONSTRAINT coverage_method_check;
ALTER TABLE coverage ADD CONSTRAINT coverage_method_check CHECK (method IN ('token_logs', 'native', 'traces', 'any_token'));

-- An unknown token's log keeps its index in the block as its position: rows are of one block's hash, and go with it, so
-- that nobody has to read the receipt of what carries no money.
CREATE INDEX unknown_transfers_contract ON unknown_transfers (chain, contract, block_number);
CREATE INDEX unknown_transfers_block ON unknown_transfers (chain, block_number);
GRANT DELETE ON unknown_transfers TO sluice_app;

-- What is pinned of a token's code, and from which amount on it is looked at again before a payment is credited.
ALTER TABLE assets
  ADD COLUMN implementation_hash hash32,
  ADD COLUMN deprecated boolean NOT NULL DEFAULT false,
  ADD COLUMN recheck_from base_units,
  ADD COLUMN checked_at timestamptz;
COMMENT ON COLUMN assets.recheck_from IS 'NULL: the daily look is enough.';

-- +goose Down
ALTER TABLE assets DROP COLUMN implementation_hash, DROP COLUMN deprecated, DROP COLUMN recheck_from, DROP COLUMN checked_at;
REVOKE DELETE ON unknown_transfers FROM sluice_app;
DROP INDEX unknown_transfers_contract, unknown_transfers_block;
DELETE FROM coverage WHERE method = 'any_token';
ALTER TABLE coverage DROP CONSTRAINT coverage_method_check;
ALTER TABLE coverage ADD CONSTRAINT coverage_method_check CHECK (method IN ('token_logs', 'native', 'traces'));
ALTER TABLE chains DROP COLUMN any_token;
ALTER TABLE cursors DROP COLUMN reported_at, DROP COLUMN blocks_per_minute, DROP COLUMN poisonings;
