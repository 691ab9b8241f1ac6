-- +goose Up
-- What is needed to notice a mistake of the past: which blocks were read a second time, which were once recorded far below
-- the horizon, and what the chain called final.

-- The newest block that the chain called final when it was recorded. A reorganisation below it is not undone in silence.
ALTER TABLE cursors ADD COLUMN final_number bigint;

-- Blocks that were the cursor, some minutes apart and kept for ever. They say how far the chain was recorded at a time, and
-- where a reorganisation below the horizon may have begun.
CREATE TABLE recorded_marks (
  chain       text NOT NULL REFERENCES chains,
  number      bigint NOT NULL,
  hash        hash32 NOT NULL,
  block_time  timestamptz NOT NULL,
  marked_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (chain, number)
);
CREATE INDEX recorded_marks_time ON recorded_marks (chain, marked_at DESC);

-- Which blocks were asked for once more after they had become final, and how many transfers the first reading had missed.
CREATE TABLE second_looks (
  chain     text PRIMARY KEY REFERENCES chains,
  blocks    int8multirange NOT NULL DEFAULT '{}',
  found     bigint NOT NULL DEFAULT 0,
  found_at  timestamptz
);

GRANT SELECT, INSERT, UPDATE ON second_looks TO sluice_app;
GRANT SELECT, INSERT, DELETE ON recorded_marks TO sluice_app;

-- +goose Down
DROP TABLE second_looks, recorded_marks;
ALTER TABLE cursors DROP COLUMN final_number;
