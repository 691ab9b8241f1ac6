-- +goose Up
-- The ledger. A posting is one row that debits one account and credits another in the same asset, so it balances by
-- construction; rows are only ever added. The application may insert and read, and owns nothing here.

CREATE TABLE ledger_accounts (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind         text NOT NULL CHECK (kind IN ('custody', 'merchant:available', 'merchant:held', 'suspense:unattributed',
                                             'dust', 'fees', 'loss', 'in_transit')),
  asset_id     text NOT NULL REFERENCES assets,
  merchant_id  text REFERENCES merchants,
  mode         mode,
  address_id   text REFERENCES addresses,
  created_at   timestamptz NOT NULL DEFAULT now(),
  UNIQUE NULLS NOT DISTINCT (kind, asset_id, merchant_id, mode, address_id),
  UNIQUE (id, asset_id),
  CHECK ((kind = 'custody') = (address_id IS NOT NULL)),
  CHECK ((kind LIKE 'merchant:%') = (merchant_id IS NOT NULL)),
  CHECK ((merchant_id IS NULL) = (mode IS NULL))
);

CREATE INDEX ledger_accounts_merchant ON ledger_accounts (merchant_id) WHERE merchant_id IS NOT NULL;

-- Custody grows on the debit side (what we hold), a merchant's accounts on the credit side (what we owe).
CREATE TABLE ledger_postings (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- <payment>/<inclusion>/<kind>, or another deterministic name of the effect: a second posting of it is refused.
  key             text NOT NULL UNIQUE,
  kind            text NOT NULL CHECK (kind IN ('credit', 'reversal', 'release', 'hold', 'internal', 'manual', 'finding')),
  debit_account   bigint NOT NULL,
  credit_account  bigint NOT NULL,
  asset_id        text NOT NULL,
  amount          base_units NOT NULL CHECK (amount > 0),
  payment_id      text,
  inclusion       integer,
  order_id        text REFERENCES orders,
  reverses        bigint UNIQUE REFERENCES ledger_postings,
  created_at      timestamptz NOT NULL DEFAULT now(),
  -- Both accounts are in the posting's asset, because the key says so.
  FOREIGN KEY (debit_account, asset_id) REFERENCES ledger_accounts (id, asset_id),
  FOREIGN KEY (credit_account, asset_id) REFERENCES ledger_accounts (id, asset_id),
  FOREIGN KEY (payment_id, inclusion) REFERENCES inclusions (payment_id, n),
  CHECK (debit_account <> credit_account),
  CHECK ((payment_id IS NULL) = (inclusion IS NULL)),
  CHECK (kind NOT IN ('credit', 'reversal', 'release', 'hold') OR payment_id IS NOT NULL),
  CHECK ((kind = 'reversal') = (reverses IS NOT NULL)),
  -- One of each per inclusion. 'hold' takes a release back.
  CHECK (kind <> 'credit' OR key = payment_id || '/' || inclusion || '/credit'),
  CHECK (kind <> 'reversal' OR key = payment_id || '/' || inclusion || '/reversal'),
  CHECK (kind <> 'release' OR key = payment_id || '/' || inclusion || '/release'),
  CHECK (kind <> 'hold' OR key = payment_id || '/' || inclusion || '/unrelease')
);
CREATE INDEX ledger_postings_debit ON ledger_postings (debit_account, id) INCLUDE (amount);
CREATE INDEX ledger_postings_credit ON ledger_postings (credit_account, id) INCLUDE (amount);
CREATE INDEX ledger_postings_payment ON ledger_postings (payment_id, inclusion);

-- +goose StatementBegin
CREATE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on % refused: the ledger is append-only', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
-- +goose StatementEnd
CREATE TRIGGER ledger_postings_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_postings
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();
CREATE TRIGGER ledger_accounts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_accounts
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();

-- A credit posts exactly what its inclusion carried, while that inclusion is canonical, from the custody of its address
-- to the merchant or to dust; a release moves exactly that from held to available; a reversal is the mirror of what it
-- reverses, and of a release before that. The application cannot write anything else even if it wanted to. Movements that
-- are not a payment's (internal, manual, finding) nothing in it makes, so it may not: by hand, money could be moved to a
-- merchant that no payment brought. The owner may, within limits: internal ones touch no merchant, manual ones no custody.
-- +goose StatementBegin
CREATE FUNCTION ledger_posting_is_true() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  seen record;
  original ledger_postings;
  debit ledger_accounts;
  credit ledger_accounts;
  said text := 'posting ' || NEW.key;
BEGIN
  SELECT * INTO debit FROM ledger_accounts WHERE id = NEW.debit_account;
  SELECT * INTO credit FROM ledger_accounts WHERE id = NEW.credit_account;
  IF NEW.kind NOT IN ('credit', 'release', 'reversal', 'hold')
     AND NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
    RAISE EXCEPTION '% is of a kind that only the owner writes', said USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF NEW.kind IN ('credit', 'release', 'reversal', 'hold') THEN
    -- One posting about a payment at a time, whoever inserts.
    PERFORM FROM payments WHERE id = NEW.payment_id FOR NO KEY UPDATE;
  END IF;

  IF NEW.kind = 'credit' THEN
    SELECT i.amount, i.asset_id, i.canonical, p.address_id, p.merchant_id, p.mode INTO seen
      FROM inclusions i JOIN payments p ON p.id = i.payment_id
      WHERE i.payment_id = NEW.payment_id AND i.n = NEW.inclusion;
    IF NOT FOUND OR NOT seen.canonical OR seen.amount <> NEW.amount OR seen.asset_id <> NEW.asset_id THEN
      RAISE EXCEPTION '% differs from its inclusion', said USING ERRCODE = 'check_violation';
    END IF;
    IF debit.kind <> 'custody' OR debit.address_id <> seen.address_id THEN
      RAISE EXCEPTION '% must debit the custody of its address', said USING ERRCODE = 'check_violation';
    END IF;
    IF credit.kind NOT IN ('merchant:available', 'merchant:held', 'suspense:unattributed', 'dust')
       OR credit.merchant_id <> seen.merchant_id OR credit.mode <> seen.mode THEN
      RAISE EXCEPTION '% must credit its merchant', said USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (SELECT FROM ledger_postings c WHERE c.payment_id = NEW.payment_id AND c.kind = 'credit'
               AND NOT EXISTS (SELECT FROM ledger_postings r WHERE r.reverses = c.id)) THEN
      RAISE EXCEPTION 'payment % is credited already', NEW.payment_id USING ERRCODE = 'check_violation';
    END IF;
  ELSIF NEW.kind = 'reversal' THEN
    SELECT * INTO original FROM ledger_postings WHERE id = NEW.reverses;
    IF original.kind <> 'credit' OR original.payment_id <> NEW.payment_id OR original.inclusion <> NEW.inclusion
       OR original.asset_id <> NEW.asset_id OR original.amount <> NEW.amount
       OR original.debit_account <> NEW.credit_account OR original.credit_account <> NEW.debit_account THEN
      RAISE EXCEPTION '% is not the mirror of what it reverses', said USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (SELECT FROM ledger_postings l WHERE l.payment_id = NEW.payment_id AND l.inclusion = NEW.inclusion AND l.kind = 'release')
       AND NOT EXISTS (SELECT FROM ledger_postings h WHERE h.payment_id = NEW.payment_id AND h.inclusion = NEW.inclusion AND h.kind = 'hold') THEN
      RAISE EXCEPTION '%: its release must be taken back first', said USING ERRCODE = 'check_violation';
    END IF;
  ELSIF NEW.kind = 'release' THEN
    SELECT * INTO original FROM ledger_postings
      WHERE payment_id = NEW.payment_id AND inclusion = NEW.inclusion AND kind = 'credit';
    IF NOT FOUND OR debit.kind <> 'merchant:held' OR credit.kind <> 'merchant:available'
       OR original.credit_account <> NEW.debit_account OR original.amount <> NEW.amount
       OR debit.merchant_id <> credit.merchant_id OR debit.mode <> credit.mode
       OR EXISTS (SELECT FROM ledger_postings r WHERE r.reverses = original.id) THEN
      RAISE EXCEPTION '% releases what is not held', said USING ERRCODE = 'check_violation';
    END IF;
  ELSIF NEW.kind = 'hold' THEN
    SELECT * INTO original FROM ledger_postings
      WHERE payment_id = NEW.payment_id AND inclusion = NEW.inclusion AND kind = 'release';
    IF NOT FOUND OR original.amount <> NEW.amount
       OR original.debit_account <> NEW.credit_account OR original.credit_account <> NEW.debit_account THEN
      RAISE EXCEPTION '% is not the mirror of a release', said USING ERRCODE = 'check_violation';
    END IF;
  ELSIF NEW.kind = 'internal' AND (debit.merchant_id IS NOT NULL OR credit.merchant_id IS NOT NULL) THEN
    RAISE EXCEPTION '%: a movement of our own is nobody''s income', said USING ERRCODE = 'check_violation';
  ELSIF NEW.kind = 'manual' AND 'custody' IN (debit.kind, credit.kind) THEN
    RAISE EXCEPTION '%: a decision by hand creates no custody', said USING ERRCODE = 'check_violation';
  ELSIF NEW.kind = 'finding' AND NOT ('custody' IN (debit.kind, credit.kind) AND 'suspense:unattributed' IN (debit.kind, credit.kind)) THEN
    RAISE EXCEPTION '%: a finding is between custody and suspense', said USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER ledger_posting_is_true BEFORE INSERT ON ledger_postings
  FOR EACH ROW EXECUTE FUNCTION ledger_posting_is_true();

-- A balance is a snapshot plus the postings after it. Crediting touches neither this table nor any balance row, so a busy
-- merchant is no lock.
CREATE TABLE ledger_snapshots (
  account_id       bigint NOT NULL REFERENCES ledger_accounts,
  through_posting  bigint NOT NULL,
  -- Credits less debits; negative for custody.
  balance          numeric NOT NULL,
  created_at       timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (account_id, through_posting)
);

-- Takes a snapshot of every account that moved. Ids are handed out before they commit, so "up to id n" is only a
-- fact while nobody is inserting: the table lock waits for those under way and is held for one short statement. It runs
-- as the owner, because the application may not write snapshots.
-- +goose StatementBegin
CREATE FUNCTION ledger_take_snapshot() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  through bigint;
  previous bigint;
BEGIN
  LOCK TABLE ledger_postings IN SHARE MODE;
  SELECT COALESCE(max(id), 0) INTO through FROM ledger_postings;
  SELECT COALESCE(max(through_posting), 0) INTO previous FROM ledger_snapshots;
  IF through = previous THEN
    RETURN through;
  END IF;
  INSERT INTO ledger_snapshots (account_id, through_posting, balance)
  SELECT m.account_id, through, m.moved + COALESCE(
           (SELECT s.balance FROM ledger_snapshots s WHERE s.account_id = m.account_id ORDER BY s.through_posting DESC LIMIT 1), 0)
    FROM (SELECT account_id, sum(delta) AS moved FROM (
            SELECT credit_account AS account_id, amount AS delta FROM ledger_postings WHERE id > previous AND id <= through
            UNION ALL
            SELECT debit_account, -amount FROM ledger_postings WHERE id > previous AND id <= through) d
          GROUP BY account_id) m;
  RETURN through;
END $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION ledger_take_snapshot() FROM PUBLIC;

-- Credits less debits, for every account: the newest snapshot plus the tail since.
CREATE VIEW ledger_balances AS
SELECT a.id AS account_id, a.kind, a.asset_id, a.merchant_id, a.mode, a.address_id,
       COALESCE(s.balance, 0) + COALESCE(c.total, 0) - COALESCE(d.total, 0) AS balance
  FROM ledger_accounts a
  LEFT JOIN LATERAL (SELECT balance, through_posting FROM ledger_snapshots
                      WHERE account_id = a.id ORDER BY through_posting DESC LIMIT 1) s ON true
  LEFT JOIN LATERAL (SELECT sum(amount) AS total FROM ledger_postings
                      WHERE credit_account = a.id AND id > COALESCE(s.through_posting, 0)) c ON true
  LEFT JOIN LATERAL (SELECT sum(amount) AS total FROM ledger_postings
                      WHERE debit_account = a.id AND id > COALESCE(s.through_posting, 0)) d ON true;

-- +goose Down
DROP VIEW ledger_balances;
DROP FUNCTION ledger_take_snapshot();
DROP TABLE ledger_snapshots, ledger_postings, ledger_accounts;
DROP FUNCTION ledger_posting_is_true();
DROP FUNCTION ledger_append_only();
