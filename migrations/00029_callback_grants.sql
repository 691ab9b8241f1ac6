-- +goose Up
-- Which targets inside the operator's network one merchant's callbacks may reach, in one mode: an exact host and port, as a URL spells them.
-- The operator grants them one by one.
CREATE TABLE callback_grants (
  merchant_id  text NOT NULL REFERENCES merchants,
  mode         mode NOT NULL,
  target       text NOT NULL CHECK (length(target) BETWEEN 3 AND 300 AND target = lower(target)),
  created_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (merchant_id, mode, target)
);
GRANT SELECT, INSERT, DELETE ON callback_grants TO sluice_app;

-- +goose Down
DROP TABLE callback_grants;
