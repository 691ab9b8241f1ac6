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


-- Money that is on the chain and that no payment explains: what a transfer looks like that no node could be asked about. It is
-- posted from suspense to custody and is nobody's until a payment of that interval is proven, which consumes it.
CREATE TABLE balance_findings (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  chain        text NOT NULL REFERENCES chains,
  address_id   text NOT NULL REFERENCES addresses,
  asset_id     text NOT NULL REFERENCES assets,
  -- It came after the one block, where the balance was last compared, and not after the other.
  after_block  bigint NOT NULL,
  block        bigint NOT NULL,
  block_hash   hash32 NOT NULL,
  amount       base_units NOT NULL CHECK (amount > 0),
  consumed     base_units NOT NULL DEFAULT 0 CHECK (consumed <= amount),
  posting_key  text NOT NULL UNIQUE REFERENCES ledger_postings (key),
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (address_id, asset_id, block),
  CHECK (after_block < block)
);
CREATE INDEX balance_findings_open ON balance_findings (address_id, asset_id) WHERE consumed < amount;

-- When each address's balance of the chain's own coin was last compared. Rows come with the address and with the coin, so that the
-- oldest comparison is found in one index.
CREATE TABLE balance_checks (
  address_id  text NOT NULL REFERENCES addresses,
  asset_id    text NOT NULL REFERENCES assets,
  block       bigint NOT NULL DEFAULT -1,
  -- How much less than recorded was there: an alarm, never a posting.
  shortfall   base_units NOT NULL DEFAULT 0,
  checked_at  timestamptz,
  PRIMARY KEY (address_id, asset_id)
);
CREATE INDEX balance_checks_oldest ON balance_checks (asset_id, checked_at NULLS FIRST);
CREATE INDEX balance_checks_short ON balance_checks (asset_id) WHERE shortfall > 0;

-- +goose StatementBegin
CREATE FUNCTION balance_checks_of_address() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO balance_checks (address_id, asset_id)
  SELECT NEW.id, a.id FROM assets a JOIN chains c ON c.name = a.chain WHERE a.contract IS NULL AND c.family = NEW.family
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER balance_checks_of_address AFTER INSERT ON addresses FOR EACH ROW EXECUTE FUNCTION balance_checks_of_address();
-- +goose StatementBegin
CREATE FUNCTION balance_checks_of_asset() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO balance_checks (address_id, asset_id)
  SELECT adr.id, NEW.id FROM addresses adr JOIN chains c ON c.name = NEW.chain AND c.family = adr.family
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER balance_checks_of_asset AFTER INSERT ON assets FOR EACH ROW WHEN (NEW.contract IS NULL)
  EXECUTE FUNCTION balance_checks_of_asset();
INSERT INTO balance_checks (address_id, asset_id)
SELECT adr.id, a.id FROM assets a JOIN chains c ON c.name = a.chain JOIN addresses adr ON adr.family = c.family WHERE a.contract IS NULL;

-- The two postings about findings run as the owner, because the application may write none of its own. They move suspense and
-- custody only, so no merchant gains by them.
-- +goose StatementBegin
CREATE FUNCTION ledger_post_finding(
  of_address text, of_asset text, since bigint, at_block bigint, at_hash bytea, difference numeric
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  on_chain text;
  posting text;
BEGIN
  SELECT a.chain INTO on_chain FROM assets a JOIN chains c ON c.name = a.chain
    JOIN addresses adr ON adr.id = of_address AND adr.family = c.family
    JOIN cursors cur ON cur.chain = a.chain AND cur.block_number >= at_block
    JOIN chain_blocks b ON b.chain = a.chain AND b.number = at_block AND b.hash = at_hash
   WHERE a.id = of_asset;
  IF NOT FOUND OR difference IS NULL OR difference <= 0 OR since >= at_block THEN
    RAISE EXCEPTION 'finding at block % is not about a recorded block, or of nothing', at_block USING ERRCODE = 'check_violation';
  END IF;
  IF EXISTS (SELECT FROM balance_findings f WHERE f.address_id = of_address AND f.asset_id = of_asset AND f.block >= at_block) THEN
    RETURN false;
  END IF;
  posting := 'finding/' || on_chain || '/' || of_address || '/' || of_asset || '/' || at_block;
  INSERT INTO ledger_accounts (kind, asset_id, address_id) VALUES ('custody', of_asset, of_address) ON CONFLICT DO NOTHING;
  INSERT INTO ledger_accounts (kind, asset_id) VALUES ('suspense:unattributed', of_asset) ON CONFLICT DO NOTHING;
  INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount)
  SELECT posting, 'finding', d.id, c.id, of_asset, difference
    FROM ledger_accounts d, ledger_accounts c
   WHERE d.kind = 'custody' AND d.asset_id = of_asset AND d.address_id = of_address
     AND c.kind = 'suspense:unattributed' AND c.asset_id = of_asset AND c.merchant_id IS NULL AND c.mode IS NULL AND c.address_id IS NULL;
  INSERT INTO balance_findings (chain, address_id, asset_id, after_block, block, block_hash, amount, posting_key)
  VALUES (on_chain, of_address, of_asset, since, at_block, at_hash, difference, posting);
  RETURN true;
END $$;
-- +goose StatementEnd

-- Gives back what a credit has proven to be a payment after all: of the findings whose interval it lies in and that were made before it
-- was recorded, the oldest first, at most what it carried. Doing it again gives back nothing.
-- +goose StatementBegin
CREATE FUNCTION ledger_consume_findings(of_payment text, of_inclusion integer) RETURNS numeric
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  seen record;
  finding balance_findings;
  rest numeric;
  part numeric;
  total numeric := 0;
BEGIN
  SELECT i.amount, i.asset_id, i.block_number, i.created_at, p.address_id, l.debit_account INTO seen
    FROM inclusions i JOIN payments p ON p.id = i.payment_id
    JOIN ledger_postings l ON l.payment_id = i.payment_id AND l.inclusion = i.n AND l.kind = 'credit'
   WHERE i.payment_id = of_payment AND i.n = of_inclusion AND i.canonical
     AND NOT EXISTS (SELECT FROM ledger_postings r WHERE r.reverses = l.id)
     AND NOT EXISTS (SELECT FROM ledger_postings f WHERE f.payment_id = i.payment_id AND f.inclusion = i.n AND f.kind = 'finding');
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  rest := seen.amount;
  FOR finding IN SELECT * FROM balance_findings f
     WHERE f.address_id = seen.address_id AND f.asset_id = seen.asset_id AND f.consumed < f.amount
       AND f.after_block < seen.block_number AND f.block >= seen.block_number AND f.created_at < seen.created_at
     ORDER BY f.block FOR UPDATE
  LOOP
    EXIT WHEN rest <= 0;
    part := LEAST(rest, finding.amount - finding.consumed);
    INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount, payment_id, inclusion)
    SELECT of_payment || '/' || of_inclusion || '/finding/' || finding.id, 'finding', l.credit_account, l.debit_account, l.asset_id, part,
           of_payment, of_inclusion
      FROM ledger_postings l WHERE l.key = finding.posting_key;
    UPDATE balance_findings SET consumed = consumed + part WHERE id = finding.id;
    rest := rest - part;
    total := total + part;
  END LOOP;
  RETURN total;
END $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION ledger_post_finding(text, text, bigint, bigint, bytea, numeric), ledger_consume_findings(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_post_finding(text, text, bigint, bigint, bytea, numeric), ledger_consume_findings(text, integer) TO sluice_app;
GRANT SELECT ON balance_findings TO sluice_app;
GRANT SELECT, INSERT, UPDATE (block, shortfall, checked_at) ON balance_checks TO sluice_app;

-- +goose Down
DROP FUNCTION ledger_consume_findings(text, integer);
DROP FUNCTION ledger_post_finding(text, text, bigint, bigint, bytea, numeric);
DROP TRIGGER balance_checks_of_asset ON assets;
DROP TRIGGER balance_checks_of_address ON addresses;
DROP FUNCTION balance_checks_of_asset();
DROP FUNCTION balance_checks_of_address();
DROP TABLE balance_checks, balance_findings;
DROP TABLE second_looks, recorded_marks;
ALTER TABLE cursors DROP COLUMN final_number;
