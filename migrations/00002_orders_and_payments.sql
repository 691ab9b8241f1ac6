-- +goose Up
-- Orders, the addresses they are paid to, and what was seen on chain.

CREATE TABLE orders (
  id              text PRIMARY KEY CHECK (id LIKE 'ord\_%'),
  merchant_id     text NOT NULL REFERENCES merchants,
  mode            mode NOT NULL,
  -- 'opening' is an order that was accepted and has no address yet; merchants never see it.
  state           text NOT NULL DEFAULT 'opening'
                  CHECK (state IN ('opening', 'awaiting_payment', 'confirming', 'paid', 'expired', 'cancelled')),
  labels          text[] NOT NULL DEFAULT '{}'
                  CHECK (labels <@ ARRAY['underpaid', 'overpaid', 'late', 'manual', 'wrong_asset', 'wrong_network', 'reversed']),
  chain           text NOT NULL REFERENCES chains,
  asset_id        text NOT NULL,
  amount          base_units NOT NULL CHECK (amount > 0),
  -- What fulfils: amount less the merchant's tolerance when the order was made.
  fulfil_amount   base_units NOT NULL CHECK (fulfil_amount > 0),
  -- Less than this of the order's asset is dust. Copied like the policies: what counted when it was seen counts when it is
  -- confirmed. Above what fulfils, no payment could ever be enough.
  dust_below      base_units NOT NULL DEFAULT 0 CHECK (dust_below <= fulfil_amount),
  confirmations   integer NOT NULL CHECK (confirmations > 0),
  finality_tag    text CHECK (finality_tag IN ('safe', 'finalized')),
  expires_in_seconds  integer NOT NULL CHECK (expires_in_seconds BETWEEN 60 AND 604800),
  -- Policies are copied: a merchant's change is for later orders.
  payment_policy  text NOT NULL CHECK (payment_policy IN ('available', 'hold')),
  late_policy     text NOT NULL CHECK (late_policy IN ('fulfil', 'credit_only', 'hold')),
  late_window_seconds integer NOT NULL,
  reference       text CHECK (length(reference) <= 200),
  metadata        jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
  customer_id     text,
  address_mode    text NOT NULL DEFAULT 'per_order' CHECK (address_mode IN ('per_order', 'per_customer')),
  callback_endpoint_id text REFERENCES webhook_endpoints,
  -- Set with the address, when the order begins to wait.
  address_id      text,
  expires_at      timestamptz,
  late_until      timestamptz,
  -- The chain's cursor when the address was handed out: nothing for this order was mined before it.
  birth_block     bigint,
  -- Numbers this order's events, in the order in which they became true.
  event_seq       integer NOT NULL DEFAULT 0,
  created_at      timestamptz NOT NULL DEFAULT now(),
  updated_at      timestamptz NOT NULL DEFAULT now(),
  paid_at         timestamptz,
  closed_at       timestamptz,
  -- Why the workflow waits for a person, if it does.
  blocked_step    text,
  -- When its workflow was last started by the sweep for orders that nobody seems to move.
  last_woken_at   timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (asset_id, chain) REFERENCES assets (id, chain),
  CHECK ((state = 'opening') = (address_id IS NULL)),
  CHECK (num_nulls(address_id, expires_at, late_until) IN (0, 3)),
  CHECK (state <> 'paid' OR paid_at IS NOT NULL)
);
CREATE INDEX orders_page ON orders (merchant_id, mode, created_at DESC, id DESC) WHERE state <> 'opening';
CREATE INDEX orders_reference ON orders (merchant_id, mode, reference) WHERE reference IS NOT NULL;
CREATE INDEX orders_open ON orders (merchant_id) WHERE state IN ('opening', 'awaiting_payment', 'confirming');
CREATE INDEX orders_overdue ON orders (expires_at) WHERE state IN ('awaiting_payment', 'confirming');
CREATE INDEX orders_rate ON orders (merchant_id, created_at);

-- One creation request. The row is committed before anything else is begun, so whatever dies later, the same request
-- finds the same order.
CREATE TABLE idempotency_keys (
  merchant_id      text NOT NULL REFERENCES merchants,
  mode             mode NOT NULL,
  key              text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
  body_hash        hash32 NOT NULL,
  order_id         text NOT NULL UNIQUE REFERENCES orders,
  -- In flight while response_status is NULL; another process takes over after locked_until.
  locked_by        text,
  locked_until     timestamptz,
  response_status  smallint,
  response_body    bytea,
  created_at       timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (merchant_id, mode, key),
  CHECK ((response_status IS NULL) = (response_body IS NULL))
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- An address is (family, bytes), unique over all merchants and wallets, for ever.
CREATE TABLE addresses (
  id                text PRIMARY KEY CHECK (id LIKE 'adr\_%'),
  family            text NOT NULL CHECK (family IN ('evm')),
  bytes             bytea NOT NULL CHECK (octet_length(bytes) BETWEEN 20 AND 32),
  xpub_id           text NOT NULL REFERENCES xpubs,
  derivation_index  bigint NOT NULL CHECK (derivation_index BETWEEN 0 AND 2147483647),
  merchant_id       text NOT NULL REFERENCES merchants,
  mode              mode NOT NULL,
  -- Exactly one owner: an order, or a customer whose orders share it.
  order_id          text UNIQUE REFERENCES orders,
  customer_id       text,
  created_at        timestamptz NOT NULL DEFAULT now(),
  UNIQUE (family, bytes),
  UNIQUE (xpub_id, derivation_index),
  CHECK (num_nonnulls(order_id, customer_id) = 1)
);
CREATE UNIQUE INDEX addresses_customer ON addresses (merchant_id, mode, family, customer_id) WHERE customer_id IS NOT NULL;
ALTER TABLE orders ADD FOREIGN KEY (address_id) REFERENCES addresses;
CREATE INDEX orders_address ON orders (address_id);

-- A transfer seen on chain. Identity is the transaction and the position in it: for a token the position of its log in
-- the receipt's complete logs; for native money 0 is the top-level value and n the n-th value-bearing internal frame.
-- A block-wide log index changes when a transaction is mined again, so it is not identity.
CREATE TABLE payments (
  id                  text PRIMARY KEY CHECK (id LIKE 'pay\_%'),
  chain               text NOT NULL REFERENCES chains,
  tx_hash             hash32 NOT NULL,
  native              boolean NOT NULL,
  position            integer NOT NULL CHECK (position >= 0),
  address_id          text NOT NULL REFERENCES addresses,
  -- The order it is attributed to; NULL while no order can take it.
  order_id            text REFERENCES orders,
  merchant_id         text NOT NULL REFERENCES merchants,
  mode                mode NOT NULL,
  -- The newest inclusion. Settled means: nothing more is to be done for it.
  inclusion           integer NOT NULL CHECK (inclusion >= 1),
  status              text NOT NULL CHECK (status IN ('detected', 'credited', 'dropped', 'ignored', 'parked')),
  -- The one inclusion that is credited and not reversed. It lives on this row, which every credit locks.
  credited_inclusion  integer,
  -- Block time of the first canonical inclusion; being mined again keeps it. Decides "on time".
  first_included_at   timestamptz NOT NULL,
  dropped_at          timestamptz,
  -- A dropped payment usually comes back, so it counts as live until the cursor has passed this block: one confirmation
  -- window after the loss, in blocks, because a clock would run on while the chain cannot be read. The recorder clears it
  -- then; live is "detected, or dropped and this is set".
  returns_by_block    bigint,
  settle_deadline     timestamptz,
  -- When the process was last told, and how often the sweep had to remind it: the number makes each reminder's key.
  last_woken_at       timestamptz NOT NULL DEFAULT now(),
  wakes               integer NOT NULL DEFAULT 0,
  created_at          timestamptz NOT NULL DEFAULT now(),
  UNIQUE (chain, tx_hash, native, position),
  UNIQUE (id, chain),
  CHECK ((status = 'credited') = (credited_inclusion IS NOT NULL)),
  CHECK ((status = 'dropped') = (dropped_at IS NOT NULL)),
  CHECK (status = 'dropped' OR returns_by_block IS NULL)
);
CREATE INDEX payments_order ON payments (order_id);
CREATE INDEX payments_address ON payments (address_id);
CREATE INDEX payments_unsettled ON payments (chain, last_woken_at) WHERE status = 'detected';
CREATE INDEX payments_returning ON payments (chain, returns_by_block) WHERE returns_by_block IS NOT NULL;

-- A payment's place in one block. A new one begins whenever canonicity or content changes; rows are ended, never deleted.
CREATE TABLE inclusions (
  payment_id    text NOT NULL,
  n             integer NOT NULL CHECK (n >= 1),
  -- The payment's chain, repeated so that what a rollback must end is found by block number in one index.
  chain         text NOT NULL,
  block_number  bigint NOT NULL CHECK (block_number >= 0),
  block_hash    hash32 NOT NULL,
  block_time    timestamptz NOT NULL,
  tx_index      integer NOT NULL,
  log_index     integer,
  asset_id      text NOT NULL REFERENCES assets,
  amount        base_units NOT NULL,
  sender        bytea NOT NULL,
  recipient     bytea NOT NULL,
  canonical     boolean NOT NULL DEFAULT true,
  ended_at      timestamptz,
  end_reason    text CHECK (end_reason IN ('reorg', 'content_changed')),
  created_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (payment_id, n),
  FOREIGN KEY (payment_id, chain) REFERENCES payments (id, chain),
  CHECK (canonical = (ended_at IS NULL)),
  CHECK ((ended_at IS NULL) = (end_reason IS NULL))
);
CREATE UNIQUE INDEX inclusions_one_canonical ON inclusions (payment_id) WHERE canonical;
CREATE INDEX inclusions_block ON inclusions (chain, block_number) WHERE canonical;
ALTER TABLE payments ADD FOREIGN KEY (id, inclusion) REFERENCES inclusions (payment_id, n) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE payments ADD FOREIGN KEY (id, credited_inclusion) REFERENCES inclusions (payment_id, n) DEFERRABLE INITIALLY DEFERRED;

-- Tokens that are not enabled, sent to an address of ours: the first rows per contract, then only a count.
CREATE TABLE unknown_transfers (
  chain         text NOT NULL REFERENCES chains,
  tx_hash       hash32 NOT NULL,
  position      integer NOT NULL,
  contract      bytea NOT NULL,
  address_id    text NOT NULL REFERENCES addresses,
  raw_amount    base_units NOT NULL,
  block_number  bigint NOT NULL,
  block_hash    hash32 NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (chain, tx_hash, position, block_hash)
);
CREATE TABLE unknown_contracts (
  chain        text NOT NULL REFERENCES chains,
  contract     bytea NOT NULL,
  transfers    bigint NOT NULL DEFAULT 0,
  first_seen   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (chain, contract)
);

-- Money that needs a person.
CREATE TABLE reviews (
  id           text PRIMARY KEY CHECK (id LIKE 'rev\_%'),
  payment_id   text NOT NULL REFERENCES payments,
  inclusion    integer NOT NULL,
  cause        text NOT NULL CHECK (cause IN ('late', 'closed_order', 'wrong_asset', 'reversal', 'held', 'disagreement', 'stuck', 'negative_balance')),
  merchant_id  text NOT NULL REFERENCES merchants,
  order_id     text REFERENCES orders,
  status       text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'resolved')),
  resolution   text,
  resolved_by  text,
  resolved_at  timestamptz,
  -- As on payments: an open review whose process was lost is started again.
  last_woken_at timestamptz NOT NULL DEFAULT now(),
  wakes        integer NOT NULL DEFAULT 0,
  created_at   timestamptz NOT NULL DEFAULT now(),
  UNIQUE (payment_id, inclusion, cause),
  FOREIGN KEY (payment_id, inclusion) REFERENCES inclusions (payment_id, n),
  CHECK ((status = 'resolved') = (resolved_at IS NOT NULL))
);
CREATE INDEX reviews_open ON reviews (merchant_id, created_at) WHERE status = 'open';
CREATE INDEX reviews_forgotten ON reviews (last_woken_at) WHERE status = 'open';

-- +goose Down
DROP TABLE reviews, unknown_contracts, unknown_transfers;
ALTER TABLE payments DROP CONSTRAINT payments_id_inclusion_fkey, DROP CONSTRAINT payments_id_credited_inclusion_fkey;
DROP TABLE inclusions, payments;
ALTER TABLE orders DROP CONSTRAINT orders_address_id_fkey;
DROP TABLE addresses, idempotency_keys, orders;
