-- +goose Up
-- What happened, and telling the merchant about it.

-- Immutable, written in the transaction that makes it true.
CREATE TABLE events (
  id           text PRIMARY KEY CHECK (id LIKE 'evt\_%'),
  merchant_id  text NOT NULL REFERENCES merchants,
  mode         mode NOT NULL,
  type         text NOT NULL,
  -- What the event is about and where it stands in that order's sequence. Callbacks of one stream go out in this order.
  order_id     text REFERENCES orders,
  payment_id   text REFERENCES payments,
  seq          integer NOT NULL,
  -- The deterministic name of the effect: the same thing cannot happen twice.
  key          text NOT NULL UNIQUE,
  -- The exact bytes that are signed and sent.
  body         bytea NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  CHECK (num_nonnulls(order_id, payment_id) >= 1),
  UNIQUE (order_id, seq)
);
CREATE INDEX events_merchant ON events (merchant_id, mode, created_at);

CREATE TABLE callbacks (
  id            text PRIMARY KEY CHECK (id LIKE 'cbk\_%'),
  event_id      text NOT NULL REFERENCES events,
  endpoint_id   text NOT NULL REFERENCES webhook_endpoints,
  order_id      text REFERENCES orders,
  seq           integer NOT NULL,
  status        text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'parked')),
  park_reason   text CHECK (park_reason IN ('exhausted', 'gone', 'endpoint_disabled', 'target_forbidden')),
  -- Recorded attempts of the present round; a redelivery begins a new round.
  attempts      integer NOT NULL DEFAULT 0,
  round         integer NOT NULL DEFAULT 1,
  due_at        timestamptz NOT NULL DEFAULT now(),
  delivered_at  timestamptz,
  created_at    timestamptz NOT NULL DEFAULT now(),
  UNIQUE (event_id, endpoint_id),
  CHECK ((status = 'parked') = (park_reason IS NOT NULL)),
  CHECK ((status = 'delivered') = (delivered_at IS NOT NULL))
);
CREATE INDEX callbacks_unsettled ON callbacks (order_id, endpoint_id, seq) WHERE status <> 'delivered';
-- A disabled endpoint's are parked in batches.
CREATE INDEX callbacks_pending_endpoint ON callbacks (endpoint_id, id) WHERE status = 'pending';
CREATE INDEX callbacks_due ON callbacks (due_at) WHERE status = 'pending';

CREATE TABLE callback_attempts (
  callback_id  text NOT NULL REFERENCES callbacks,
  round        integer NOT NULL,
  n            integer NOT NULL,
  -- The sender's own name of this attempt: writing it down twice is one attempt.
  token        text NOT NULL UNIQUE,
  outcome      text NOT NULL,
  status       integer,
  latency_ms   integer NOT NULL,
  -- The first kilobyte of the reply, control characters removed.
  excerpt      text NOT NULL DEFAULT '',
  started_at   timestamptz NOT NULL,
  PRIMARY KEY (callback_id, round, n)
);

-- One sender per order and endpoint at a time. The lease is a row, because a transaction must not stay open across HTTP.
CREATE TABLE callback_leases (
  order_id     text NOT NULL REFERENCES orders,
  endpoint_id  text NOT NULL REFERENCES webhook_endpoints,
  owner        text NOT NULL,
  until        timestamptz NOT NULL,
  PRIMARY KEY (order_id, endpoint_id)
);

-- The server that an endpoint is on: scheme, host and port, spelled in one way. Each order may name a URL of its own, so
-- what protects a server, and others from a server that hangs, goes by this and not by the URL.
ALTER TABLE webhook_endpoints ADD COLUMN target text NOT NULL GENERATED ALWAYS AS (
  regexp_replace(regexp_replace(
    COALESCE(substring(lower(url) FROM '^[a-z]+://[^/?#]*'), ''),
    ':0*([0-9]+)$', ':\1'), '^(?:(http://.*):80|(https://.*):443)$', '\1\2')) STORED;

-- What failing_since rests on: how many failures since then, and the newest.
ALTER TABLE webhook_endpoints ADD COLUMN failures integer NOT NULL DEFAULT 0, ADD COLUMN failed_at timestamptz;

-- At most this many deliveries of a merchant in flight per server, over all workers: a sender holds one of its slots.
CREATE TABLE endpoint_slots (
  merchant_id  text NOT NULL REFERENCES merchants,
  target       text NOT NULL,
  slot         smallint NOT NULL CHECK (slot BETWEEN 1 AND 4),
  owner        text,
  until        timestamptz,
  PRIMARY KEY (merchant_id, target, slot)
);
-- A server that keeps timing out is left alone for a while, whoever asks.
CREATE TABLE endpoint_breakers (
  merchant_id  text NOT NULL REFERENCES merchants,
  target       text NOT NULL,
  failures     integer NOT NULL DEFAULT 0,
  open_until   timestamptz,
  -- When the last of those that found no slot free is to ask again.
  queued_until timestamptz,
  PRIMARY KEY (merchant_id, target)
);

-- Who did what by hand, and why. The Temporal UI sends no identity, so actor is a claim; it is written down all the same.
CREATE TABLE audit (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at          timestamptz NOT NULL DEFAULT now(),
  actor       text NOT NULL,
  action      text NOT NULL,
  subject     text NOT NULL,
  reason      text NOT NULL DEFAULT '',
  detail      jsonb NOT NULL DEFAULT '{}',
  -- The update's or command's own id: doing it again is not a second deed.
  request_id  text UNIQUE
);
CREATE INDEX audit_subject ON audit (subject, at);

-- +goose StatementBegin
CREATE FUNCTION history_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on % refused: what happened is not edited', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
-- +goose StatementEnd
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
  FOR EACH STATEMENT EXECUTE FUNCTION history_append_only();
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
  FOR EACH STATEMENT EXECUTE FUNCTION history_append_only();

-- +goose Down
DROP TABLE audit, endpoint_breakers, endpoint_slots, callback_leases, callback_attempts, callbacks, events;
DROP FUNCTION history_append_only();
ALTER TABLE webhook_endpoints DROP COLUMN target, DROP COLUMN failures, DROP COLUMN failed_at;
