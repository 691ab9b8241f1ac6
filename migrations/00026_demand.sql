-- +goose Up
-- What every credit of a chain must rest on follows how many operators are configured, unless somebody decided otherwise.

-- Somebody decided that less will do than the operators of a chain could give. Without a row more is asked for as soon as a second
-- operator is configured.
CREATE TABLE demand_decisions (
  chain       text PRIMARY KEY REFERENCES chains,
  decided_by  text NOT NULL,
  reason      text NOT NULL,
  decided_at  timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE, DELETE ON demand_decisions TO sluice_app;

-- Whoever removed the tier of a chain for every amount has decided.
INSERT INTO demand_decisions (chain, decided_by, reason, decided_at)
SELECT DISTINCT ON (c.name) c.name, a.actor, a.reason, a.at
  FROM chains c JOIN audit a ON a.subject = c.name AND a.action = 'chain.evidence.remove' AND a.detail->>'asset' IS NULL AND a.detail->>'from' = '0'
 WHERE NOT EXISTS (SELECT FROM evidence_tiers t WHERE t.chain = c.name AND t.asset_id IS NULL AND t.from_amount = 0)
 ORDER BY c.name, a.at DESC;

-- +goose Down
DROP TABLE demand_decisions;
