-- +goose Up
-- Foundations: merchants and their keys, networks, assets, and the wallets that addresses come from.
--
-- Two roles. The role that runs this file owns everything and is used by nothing else. `sluice_app` is what the API and
-- the workers log in as; it owns nothing, and each table below grants it only what the code needs. Amounts are whole
-- base units up to 2^256-1. Addresses and hashes are bytes: one spelling, compared without rules.

-- +goose StatementBegin
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sluice_app') THEN
    RAISE EXCEPTION 'role sluice_app is missing; create it first: CREATE ROLE sluice_app LOGIN PASSWORD ''...''';
  END IF;
END $$;
-- +goose StatementEnd

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO sluice_app;

-- Without a declared scale: numeric(78,0) would round a fraction instead of refusing it.
CREATE DOMAIN base_units AS numeric
  CHECK (VALUE >= 0 AND VALUE < 115792089237316195423570985008687907853269984665640564039457584007913129639936 AND scale(VALUE) = 0);
COMMENT ON DOMAIN base_units IS 'An amount in the smallest unit of its asset, 0 .. 2^256-1, whole.';
CREATE DOMAIN hash32 AS bytea CHECK (octet_length(VALUE) = 32);
CREATE DOMAIN mode AS text CHECK (VALUE IN ('test', 'live'));

CREATE TABLE merchants (
  id                    text PRIMARY KEY CHECK (id LIKE 'mer\_%'),
  name                  text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  -- Where confirmed money goes first: straight to the merchant, or held until somebody releases it.
  payment_policy        text NOT NULL DEFAULT 'available' CHECK (payment_policy IN ('available', 'hold')),
  -- What money that arrives after expiry does, and how long the order itself still takes it.
  late_policy           text NOT NULL DEFAULT 'credit_only' CHECK (late_policy IN ('fulfil', 'credit_only', 'hold')),
  late_window_seconds   integer NOT NULL DEFAULT 86400 CHECK (late_window_seconds BETWEEN 0 AND 2592000),
  -- How much less than the quote still fulfils: the larger of the two. Absolute tolerance is per asset.
  tolerance_bps         integer NOT NULL DEFAULT 0 CHECK (tolerance_bps BETWEEN 0 AND 10000),
  max_open_orders       integer NOT NULL DEFAULT 1000 CHECK (max_open_orders > 0),
  orders_per_minute     integer NOT NULL DEFAULT 120 CHECK (orders_per_minute > 0),
  -- Signs callbacks to a callback_url that an order names itself. Sealed; see package internal/seal.
  callback_secret       bytea NOT NULL,
  callback_secret_key   text NOT NULL,
  disabled_at           timestamptz,
  created_at            timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN merchants.callback_secret IS 'AES-256-GCM; the master key is outside the database.';

CREATE TABLE api_keys (
  id           text PRIMARY KEY CHECK (id LIKE 'key\_%'),
  merchant_id  text NOT NULL REFERENCES merchants,
  mode         mode NOT NULL,
  -- SHA-256 of a key with 256 random bits: there is nothing to guess, so a slow hash would only slow us.
  hash         hash32 NOT NULL UNIQUE,
  prefix       text NOT NULL CHECK (length(prefix) BETWEEN 8 AND 20),
  scopes       text[] NOT NULL CHECK (scopes <@ ARRAY['orders:read', 'orders:write', 'balances:read'] AND cardinality(scopes) > 0),
  name         text NOT NULL DEFAULT '',
  created_at   timestamptz NOT NULL DEFAULT now(),
  revoked_at   timestamptz
);
CREATE INDEX api_keys_merchant ON api_keys (merchant_id);

CREATE TABLE chains (
  name               text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9-]{0,31}$'),
  family             text NOT NULL CHECK (family IN ('evm')),
  chain_id           bigint NOT NULL CHECK (chain_id > 0),
  genesis_hash       hash32,
  display_name       text NOT NULL,
  block_time_ms      integer NOT NULL CHECK (block_time_ms > 0),
  -- The confirmation policy: this many blocks, the inclusion's own block counting as the first, and the tag if one is named.
  confirmations      integer NOT NULL CHECK (confirmations BETWEEN 1 AND 100000),
  finality_tag       text CHECK (finality_tag IN ('safe', 'finalized')),
  -- How deep a reorganisation is undone by itself. A deeper one halts crediting.
  horizon            integer NOT NULL DEFAULT 256 CHECK (horizon BETWEEN 1 AND 100000),
  -- The first block that is watched.
  start_block        bigint NOT NULL DEFAULT 0 CHECK (start_block >= 0),
  max_range          integer NOT NULL DEFAULT 500 CHECK (max_range BETWEEN 1 AND 100000),
  max_lag_seconds    integer NOT NULL DEFAULT 600 CHECK (max_lag_seconds > 0),
  enabled            boolean NOT NULL DEFAULT true,
  paused_at          timestamptz,
  halted_at          timestamptz,
  halted_reason      text,
  created_at         timestamptz NOT NULL DEFAULT now(),
  UNIQUE (family, chain_id),
  CHECK ((halted_at IS NULL) = (halted_reason IS NULL))
);
COMMENT ON COLUMN chains.halted_at IS 'Set: nothing is credited on this chain; recording goes on.';

CREATE TABLE rpc_endpoints (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  chain           text NOT NULL REFERENCES chains,
  -- Agreement counts operators, not endpoints.
  operator        text NOT NULL CHECK (length(operator) BETWEEN 1 AND 64),
  -- URLs carry API keys. Sealed; the fingerprint only keeps one URL from being added twice.
  url             bytea NOT NULL,
  url_key         text NOT NULL,
  ws_url          bytea,
  ws_url_key      text,
  url_fingerprint hash32 NOT NULL,
  weight          integer NOT NULL DEFAULT 100 CHECK (weight BETWEEN 0 AND 1000),
  enabled         boolean NOT NULL DEFAULT true,
  created_at      timestamptz NOT NULL DEFAULT now(),
  UNIQUE (chain, url_fingerprint)
);

-- An asset is (chain, contract or native), never a symbol: code is the operator's own name for it, not what the
-- contract says of itself, and decimals are pinned here when it is enabled.
CREATE TABLE assets (
  id             text PRIMARY KEY,
  chain          text NOT NULL REFERENCES chains,
  contract       bytea,
  code           text NOT NULL CHECK (code ~ '^[A-Z][A-Z0-9.]{0,15}$'),
  decimals       smallint NOT NULL CHECK (decimals BETWEEN 0 AND 36),
  -- Less than this is dust: posted to the dust account, fulfils nothing.
  dust_below     base_units NOT NULL DEFAULT 0,
  tolerance      base_units NOT NULL DEFAULT 0,
  -- Pinned when enabled and checked again later; a change halts the asset.
  code_hash      hash32,
  enabled        boolean NOT NULL DEFAULT true,
  enabled_at     timestamptz NOT NULL DEFAULT now(),
  halted_at      timestamptz,
  halted_reason  text,
  UNIQUE NULLS NOT DISTINCT (chain, contract),
  UNIQUE (chain, code),
  UNIQUE (id, chain),
  CHECK (id = chain || '/' || COALESCE('0x' || encode(contract, 'hex'), 'native')),
  CHECK ((halted_at IS NULL) = (halted_reason IS NULL))
);

-- Extended public keys: all the engine ever holds of a wallet.
CREATE TABLE xpubs (
  id           text PRIMARY KEY CHECK (id LIKE 'xpb\_%'),
  family       text NOT NULL CHECK (family IN ('evm')),
  -- NULL: the family's default, for merchants without a wallet of their own.
  merchant_id  text REFERENCES merchants,
  xpub         text NOT NULL CHECK (xpub LIKE 'xpub%'),
  fingerprint  bytea NOT NULL UNIQUE CHECK (octet_length(fingerprint) = 32),
  path         text NOT NULL,
  -- Binds id, family, merchant and xpub: a row that somebody swapped in the database derives no address.
  mac          bytea NOT NULL CHECK (octet_length(mac) = 32),
  mac_key      text NOT NULL,
  -- The next index to hand out. It only grows, in a transaction of its own, so an index is never used again even when
  -- what it was handed out for rolls back.
  next_index   bigint NOT NULL DEFAULT 0 CHECK (next_index BETWEEN 0 AND 2147483648),
  -- Set by a restore: nothing is allocated until the indices were advanced past anything handed out.
  locked_at    timestamptz,
  retired_at   timestamptz,
  created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX xpubs_active ON xpubs (family, merchant_id) NULLS NOT DISTINCT WHERE retired_at IS NULL;

-- +goose StatementBegin
CREATE FUNCTION xpubs_index_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.next_index < OLD.next_index THEN
    RAISE EXCEPTION 'xpubs.next_index only grows' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER xpubs_index_only_grows BEFORE UPDATE ON xpubs FOR EACH ROW EXECUTE FUNCTION xpubs_index_only_grows();

CREATE TABLE webhook_endpoints (
  id               text PRIMARY KEY CHECK (id LIKE 'whk\_%'),
  merchant_id      text NOT NULL REFERENCES merchants,
  mode             mode NOT NULL,
  url              text NOT NULL CHECK (length(url) <= 2048),
  -- 'merchant': told of all the merchant's events it subscribed to. 'order': only of orders that name its URL.
  source           text NOT NULL CHECK (source IN ('merchant', 'order')),
  events           text[] NOT NULL DEFAULT '{}',
  secret           bytea NOT NULL,
  secret_key       text NOT NULL,
  -- Set: the secrets are copies of this merchant's callback secret and sealed for its row, not for this one.
  sealed_for       text REFERENCES merchants,
  -- During a rotation both sign, until previous_secret_until.
  previous_secret        bytea,
  previous_secret_key    text,
  previous_secret_until  timestamptz,
  failing_since    timestamptz,
  disabled_at      timestamptz,
  disabled_reason  text,
  created_at       timestamptz NOT NULL DEFAULT now(),
  UNIQUE (merchant_id, mode, url)
);
CREATE INDEX webhook_endpoints_merchant ON webhook_endpoints (merchant_id, mode) WHERE source = 'merchant';
COMMENT ON COLUMN webhook_endpoints.events IS 'Event types it wants; empty means all.';

-- +goose Down
DROP TABLE webhook_endpoints, xpubs, assets, rpc_endpoints, chains, api_keys, merchants;
DROP FUNCTION xpubs_index_only_grows();
DROP DOMAIN mode; DROP DOMAIN hash32; DROP DOMAIN base_units;
