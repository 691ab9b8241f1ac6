-- +goose Up
-- Recording takes the cursor first: whoever does waits, and has none of what is changed here.
LOCK TABLE cursors IN EXCLUSIVE MODE;

-- A node can tell of transfers that there are not. What operators contradict when they read the block again ends, unless it was
-- credited; either way it is known when that was.
ALTER TABLE inclusions ADD COLUMN refuted_at timestamptz;
ALTER TABLE inclusions DROP CONSTRAINT inclusions_end_reason_check;
ALTER TABLE inclusions ADD CONSTRAINT inclusions_end_reason_check CHECK (end_reason IN ('reorg', 'content_changed', 'refuted'));
CREATE INDEX inclusions_refuted ON inclusions (chain) WHERE refuted_at IS NOT NULL;
GRANT UPDATE (refuted_at) ON inclusions TO sluice_app;

-- What was credited on less than two operators say, or on less than was asked for, by when: the single-source limit adds up the newest. What
-- is reversed or credited anew stays.
CREATE TABLE weak_credits (
  payment_id  text NOT NULL,
  inclusion   integer NOT NULL,
  chain       text NOT NULL,
  asset_id    text NOT NULL,
  amount      base_units NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (payment_id, inclusion),
  FOREIGN KEY (payment_id, inclusion) REFERENCES inclusions (payment_id, n)
);
CREATE INDEX weak_credits_recent ON weak_credits (chain, created_at) INCLUDE (asset_id, amount);
GRANT SELECT, INSERT ON weak_credits TO sluice_app;
INSERT INTO weak_credits (payment_id, inclusion, chain, asset_id, amount, created_at)
SELECT po.payment_id, po.inclusion, p.chain, po.asset_id, po.amount, po.created_at
  FROM ledger_postings po JOIN payments p ON p.id = po.payment_id
 WHERE po.created_at > now() - interval '1 hour' AND po.kind = 'credit' AND COALESCE(p.evidence, 'single') IN ('single', 'self_consistent');

COMMENT ON TABLE single_source_limits IS 'What a chain may credit within an hour on one operator''s word, in units of each asset: what is credited of each is a share of it.';

-- +goose Down
DROP TABLE weak_credits;
COMMENT ON TABLE single_source_limits IS NULL;
DROP INDEX inclusions_refuted;
UPDATE inclusions SET end_reason = 'content_changed' WHERE end_reason = 'refuted';
ALTER TABLE inclusions DROP CONSTRAINT inclusions_end_reason_check;
ALTER TABLE inclusions ADD CONSTRAINT inclusions_end_reason_check CHECK (end_reason IN ('reorg', 'content_changed'));
ALTER TABLE inclusions DROP COLUMN refuted_at;
