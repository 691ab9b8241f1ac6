-- +goose Up
-- How much a payment has to show before it counts: the more money, the more blocks and the better evidence.

-- From an amount on, this many confirmations are asked for, and the tag if one is named. The policy on the chain's own row
-- is the lowest tier; of all tiers that an amount reaches, the strongest counts in each part.
CREATE TABLE confirmation_tiers (
  chain          text NOT NULL REFERENCES chains,
  -- NULL: any asset of the chain, and from_amount counts whole coins instead of base units.
  asset_id       text,
  from_amount    base_units NOT NULL,
  confirmations  integer NOT NULL CHECK (confirmations BETWEEN 1 AND 100000),
  finality_tag   text CHECK (finality_tag IN ('safe', 'finalized')),
  created_at     timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (asset_id, chain) REFERENCES assets (id, chain),
  UNIQUE NULLS NOT DISTINCT (chain, asset_id, from_amount)
);

-- From an amount on, a credit must rest on this. Without any row, one operator's word is enough.
CREATE TABLE evidence_tiers (
  chain        text NOT NULL REFERENCES chains,
  asset_id     text, -- as above
  from_amount  base_units NOT NULL,
  evidence     text NOT NULL CHECK (evidence IN ('single', 'self_consistent', 'agreed', 'proven')),
  created_at   timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (asset_id, chain) REFERENCES assets (id, chain),
  UNIQUE NULLS NOT DISTINCT (chain, asset_id, from_amount)
);

-- What may be credited of an asset within an hour on less evidence than its tier asks for. No row: nothing.
CREATE TABLE single_source_limits (
  chain       text NOT NULL REFERENCES chains,
  asset_id    text NOT NULL,
  amount      base_units NOT NULL CHECK (amount > 0),
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (chain, asset_id),
  FOREIGN KEY (asset_id, chain) REFERENCES assets (id, chain)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON confirmation_tiers, evidence_tiers, single_source_limits TO sluice_app;

-- What the newest credit of the payment rested on; NULL before the first, and where nobody wrote it down.
ALTER TABLE payments ADD COLUMN evidence text CHECK (evidence IN ('single', 'self_consistent', 'agreed', 'proven'));

-- What was credited within the last hour is at the end of a table that only grows.
CREATE INDEX ledger_postings_recent ON ledger_postings USING brin (created_at);
-- The deposits of one customer near a moment.
CREATE INDEX payments_deposits ON payments (address_id, first_included_at) WHERE order_id IS NULL;

-- How long a payment may take to confirm before a person looks at it. NULL: ten times what its confirmations usually take,
-- six hours at least.
ALTER TABLE chains ADD COLUMN settle_after_seconds integer CHECK (settle_after_seconds BETWEEN 60 AND 31536000);
CREATE INDEX payments_overdue ON payments (chain, settle_deadline) WHERE status = 'detected';

-- +goose StatementBegin
CREATE FUNCTION settle_window(chain_name text, needed integer) RETURNS interval LANGUAGE sql STABLE AS $$
  SELECT COALESCE(interval '1 second' * settle_after_seconds,
                  GREATEST(interval '6 hours', interval '10 milliseconds' * block_time_ms * GREATEST(confirmations, needed)))
    FROM chains WHERE name = chain_name
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION settle_window(text, integer) IS 'How long a payment that needs so many confirmations may take before it is reviewed.';

-- 'chain_resumed': a halt is over; a review that gave up because of it goes on.
ALTER TABLE outbox DROP CONSTRAINT outbox_signal_check;
ALTER TABLE outbox ADD CONSTRAINT outbox_signal_check CHECK (signal IN ('payment_seen', 'payment_dropped', 'chain_resumed'));

-- +goose Down
DELETE FROM outbox WHERE signal = 'chain_resumed';
ALTER TABLE outbox DROP CONSTRAINT outbox_signal_check;
ALTER TABLE outbox ADD CONSTRAINT outbox_signal_check CHECK (signal IN ('payment_seen', 'payment_dropped'));
DROP FUNCTION settle_window(text, integer);
DROP INDEX payments_overdue, payments_deposits, ledger_postings_recent;
ALTER TABLE chains DROP COLUMN settle_after_seconds;
ALTER TABLE payments DROP COLUMN evidence;
DROP TABLE single_source_limits, evidence_tiers, confirmation_tiers;
