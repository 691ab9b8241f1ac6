-- +goose Up
-- What the watchers know: how far each chain is recorded, under which epoch, and where there are holes.

-- One row per chain. A block's transaction moves it WHERE epoch and parent hash match; zero rows mean that another
-- runner took over, and this one must stop.
CREATE TABLE cursors (
  chain         text PRIMARY KEY REFERENCES chains,
  epoch         bigint NOT NULL DEFAULT 0,
  -- The last block fully recorded; NULL before the first.
  block_number  bigint,
  block_hash    hash32,
  block_time    timestamptz,
  -- The newest head seen on any endpoint, for lag.
  head_number   bigint,
  head_time     timestamptz,
  updated_at    timestamptz NOT NULL DEFAULT now(),
  CHECK (num_nonnulls(block_number, block_hash, block_time) IN (0, 3))
);

-- Recently recorded canonical blocks: where the common ancestor of a reorganisation is looked for. Pruned below the horizon.
CREATE TABLE chain_blocks (
  chain        text NOT NULL REFERENCES chains,
  number       bigint NOT NULL,
  hash         hash32 NOT NULL,
  parent_hash  hash32 NOT NULL,
  block_time   timestamptz NOT NULL,
  PRIMARY KEY (chain, number)
);

-- Which blocks were read, by chain, method and (for logs) contract, as intervals. A gap is a hole, and no order expires
-- across one. A cursor alone could not say that a token was enabled later, or that a block was skipped.
CREATE TABLE coverage (
  chain     text NOT NULL REFERENCES chains,
  method    text NOT NULL CHECK (method IN ('token_logs', 'native', 'traces')),
  contract  bytea NOT NULL DEFAULT '',
  blocks    int8multirange NOT NULL DEFAULT '{}',
  PRIMARY KEY (chain, method, contract),
  CHECK ((method = 'token_logs') = (octet_length(contract) > 0))
);

CREATE TABLE quarantined_blocks (
  chain        text NOT NULL REFERENCES chains,
  number       bigint NOT NULL,
  hash         hash32 NOT NULL,
  reason       text NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  resolved_at  timestamptz,
  PRIMARY KEY (chain, number, hash)
);

-- Ranges to read again, asked for by a person or by a token that was enabled late. Rows, because the watcher polls them.
CREATE TABLE rescans (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  chain         text NOT NULL REFERENCES chains,
  from_block    bigint NOT NULL,
  to_block      bigint NOT NULL,
  next_block    bigint NOT NULL,
  cause         text NOT NULL CHECK (cause IN ('requested', 'backfill', 'second_look', 'quarantine')),
  -- Deterministic, so that asking twice is asking once.
  request_id    text NOT NULL UNIQUE,
  requested_by  text NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT now(),
  finished_at   timestamptz,
  CHECK (from_block >= 0 AND to_block >= from_block AND next_block BETWEEN from_block AND to_block + 1)
);
CREATE INDEX rescans_open ON rescans (chain, id) WHERE finished_at IS NULL;

-- Wake-ups on their way to workflows, written in the transaction that makes them true. request_id is Temporal's own
-- deduplication key.
CREATE TABLE outbox (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  chain        text NOT NULL REFERENCES chains,
  signal       text NOT NULL CHECK (signal IN ('payment_seen', 'payment_dropped')),
  payment_id   text NOT NULL,
  inclusion    integer NOT NULL,
  order_id     text REFERENCES orders,
  -- Set: this wake-up is for a review, whatever state the order is in.
  review_cause text,
  request_id   text NOT NULL UNIQUE,
  attempts     integer NOT NULL DEFAULT 0,
  due_at       timestamptz NOT NULL DEFAULT now(),
  lease_owner  text,
  sent_at      timestamptz,
  -- 'moot': nobody waits for this news any more, such as the loss of a payment that a closed order never counted on.
  outcome      text CHECK (outcome IN ('signalled', 'order_started', 'review_started', 'moot')),
  created_at   timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (payment_id, inclusion) REFERENCES inclusions (payment_id, n) DEFERRABLE INITIALLY DEFERRED,
  CHECK ((sent_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX outbox_due ON outbox (due_at) WHERE sent_at IS NULL;
CREATE INDEX outbox_payment ON outbox (payment_id) WHERE sent_at IS NULL;
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE sent_at IS NOT NULL;

-- +goose Down
DROP TABLE outbox, rescans, quarantined_blocks, coverage, chain_blocks, cursors;
