-- +goose Up
-- Balance findings: settled by hand, with an interval that reaches back to the last agreement, and one rule of which payment explains which.

-- Recording and comparing take the cursor first: whoever does waits, and none of them has what is changed here.
LOCK TABLE cursors IN EXCLUSIVE MODE;

ALTER TABLE balance_checks
  -- The newest block at which the comparison agreed, or was explained in full by a finding: a transfer that is found later came after it.
  -- A comparison that showed less than recorded explains nothing and leaves it where it was.
  ADD COLUMN agreed_block bigint NOT NULL DEFAULT -1,
  -- Nothing was paid to the address up to this block: it was not there. One horizon before the cursor, so that a reorganisation does not matter.
  ADD COLUMN born_block bigint NOT NULL DEFAULT -1;
UPDATE balance_checks b SET agreed_block =
  CASE WHEN b.shortfall = 0 THEN b.block
       ELSE COALESCE((SELECT max(f.block) FROM balance_findings f
                       WHERE f.address_id = b.address_id AND f.asset_id = b.asset_id AND f.withdrawn_at IS NULL), -1) END;
-- Whose turn it is, by how far back they agreed, and those that lack something by when that was last seen: each the head of an index, however
-- many addresses there are.
CREATE INDEX balance_checks_behind ON balance_checks (asset_id, (GREATEST(agreed_block, born_block))) WHERE shortfall = 0;
CREATE INDEX balance_checks_lacking ON balance_checks (asset_id, checked_at NULLS FIRST) WHERE shortfall > 0;
CREATE INDEX balance_checks_height ON balance_checks (asset_id, (GREATEST(block, born_block)));

ALTER TABLE balance_findings
  -- What a person moved from suspense to settled_account and no payment has taken back since. It is still custody that no payment explains.
  ADD COLUMN settled base_units NOT NULL DEFAULT 0,
  ADD COLUMN settled_account bigint REFERENCES ledger_accounts,
  ADD COLUMN settled_at timestamptz,
  -- What payments took back; consumed is that and what was withdrawn.
  ADD COLUMN explained base_units NOT NULL DEFAULT 0,
  ADD CHECK (consumed + settled <= amount),
  ADD CHECK (explained <= consumed),
  ADD CHECK ((settled_account IS NULL) = (settled_at IS NULL));
UPDATE balance_findings f SET explained = p.amount
  FROM (SELECT substring(l.key FROM '/finding/([0-9]+)$')::bigint AS id, sum(l.amount) AS amount
          FROM ledger_postings l WHERE l.kind = 'finding' AND l.payment_id IS NOT NULL GROUP BY 1) p
 WHERE p.id = f.id;
-- What was taken back from where a person had settled it to: a merchant may have had it paid out.
CREATE INDEX balance_findings_taken_back ON balance_findings (withdrawn_at) WHERE settled_account IS NOT NULL AND withdrawn_at IS NOT NULL;

-- When the row was written, not when its transaction began: one that waited for a comparison of balances was recorded after it. Rows of an older
-- release have none.
ALTER TABLE inclusions ADD COLUMN recorded_at timestamptz;
ALTER TABLE inclusions ALTER COLUMN recorded_at SET DEFAULT clock_timestamp();

-- An address and a coin that are inserted at the same moment do not see each other. Coins are few, so inserting one waits for the addresses
-- under way, and addresses wait for it.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION balance_checks_of_address() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(hashtextextended('balance_checks', 0));
  INSERT INTO balance_checks (address_id, asset_id, born_block)
  SELECT NEW.id, a.id, COALESCE((SELECT GREATEST(cur.block_number - c.horizon, -1) FROM cursors cur WHERE cur.chain = c.name), -1)
    FROM assets a JOIN chains c ON c.name = a.chain WHERE a.contract IS NULL AND c.family = NEW.family
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION balance_checks_of_asset() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('balance_checks', 0));
  INSERT INTO balance_checks (address_id, asset_id)
  SELECT adr.id, NEW.id FROM addresses adr JOIN chains c ON c.name = NEW.chain AND c.family = adr.family
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
-- +goose StatementEnd
INSERT INTO balance_checks (address_id, asset_id)
SELECT adr.id, a.id FROM assets a JOIN chains c ON c.name = a.chain JOIN addresses adr ON adr.family = c.family WHERE a.contract IS NULL
ON CONFLICT DO NOTHING;

-- Which payment explains which finding: it lies in the finding's interval and was recorded after the comparison. Crediting it consumes the
-- finding, and until then the two are one sum on the chain.
CREATE VIEW balance_finding_claims AS
SELECT f.id AS finding_id, f.address_id, f.asset_id, f.block AS found_block, f.amount - f.consumed AS unexplained,
       p.id AS payment_id, i.n AS inclusion, i.amount, i.block_number, p.credited_inclusion IS NOT DISTINCT FROM i.n AS credited
  FROM balance_findings f
  JOIN payments p ON p.address_id = f.address_id AND p.chain = f.chain
  JOIN inclusions i ON i.payment_id = p.id AND i.asset_id = f.asset_id AND i.canonical
 WHERE f.consumed < f.amount AND i.block_number > f.after_block AND i.block_number <= f.block
   AND COALESCE(i.recorded_at, i.created_at) > f.created_at;
GRANT SELECT ON balance_finding_claims TO sluice_app;
GRANT UPDATE (agreed_block) ON balance_checks TO sluice_app;

-- As before, and its interval never begins before the newest finding: what that found is explained.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledger_post_finding(
  of_address text, of_asset text, since bigint, at_block bigint, at_hash bytea, difference numeric
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  on_chain text;
  posting text;
  newest bigint;
BEGIN
  SELECT a.chain INTO on_chain FROM assets a JOIN chains c ON c.name = a.chain
    JOIN addresses adr ON adr.id = of_address AND adr.family = c.family
    JOIN cursors cur ON cur.chain = a.chain AND cur.block_number >= at_block
    JOIN chain_blocks b ON b.chain = a.chain AND b.number = at_block AND b.hash = at_hash
   WHERE a.id = of_asset;
  IF NOT FOUND OR difference IS NULL OR difference <= 0 OR since >= at_block THEN
    RAISE EXCEPTION 'finding at block % is not about a recorded block, or of nothing', at_block USING ERRCODE = 'check_violation';
  END IF;
  SELECT max(f.block) INTO newest FROM balance_findings f
   WHERE f.address_id = of_address AND f.asset_id = of_asset AND f.withdrawn_at IS NULL;
  IF newest >= at_block THEN
    RETURN false;
  END IF;
  posting := 'finding/' || on_chain || '/' || of_address || '/' || of_asset || '/' || at_block || '/' || encode(at_hash, 'hex');
  INSERT INTO ledger_accounts (kind, asset_id, address_id) VALUES ('custody', of_asset, of_address) ON CONFLICT DO NOTHING;
  INSERT INTO ledger_accounts (kind, asset_id) VALUES ('suspense:unattributed', of_asset) ON CONFLICT DO NOTHING;
  INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount)
  SELECT posting, 'finding', d.id, c.id, of_asset, difference
    FROM ledger_accounts d, ledger_accounts c
   WHERE d.kind = 'custody' AND d.asset_id = of_asset AND d.address_id = of_address
     AND c.kind = 'suspense:unattributed' AND c.asset_id = of_asset AND c.merchant_id IS NULL AND c.mode IS NULL AND c.address_id IS NULL;
  INSERT INTO balance_findings (chain, address_id, asset_id, after_block, block, block_hash, amount, posting_key)
  VALUES (on_chain, of_address, of_asset, GREATEST(since, newest), at_block, at_hash, difference, posting);
  RETURN true;
END $$;
-- +goose StatementEnd

-- Takes what is needed of a finding back into suspense, from where a person had settled it to: a payment explains it, or it is not there.
-- Nobody may call it by itself.
-- +goose StatementBegin
CREATE FUNCTION ledger_unsettle_finding(of_finding bigint, part numeric, posting text, of_payment text, of_inclusion integer) RETURNS void
  LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  finding balance_findings;
  back numeric;
BEGIN
  SELECT * INTO finding FROM balance_findings WHERE id = of_finding;
  back := part - (finding.amount - finding.consumed - finding.settled); -- what is still in suspense goes first
  IF back <= 0 THEN
    RETURN;
  END IF;
  INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount, payment_id, inclusion)
  SELECT posting, 'manual', finding.settled_account, l.credit_account, l.asset_id, back, of_payment, of_inclusion
    FROM ledger_postings l WHERE l.key = finding.posting_key;
  UPDATE balance_findings SET settled = settled - back WHERE id = finding.id;
END $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION ledger_unsettle_finding(bigint, numeric, text, text, integer) FROM PUBLIC;

-- Gives back what a credit has proven to be a payment after all: of the findings that it explains, the oldest first, at most what it
-- carried. What a person had settled is taken back from there first. Doing it again gives back nothing.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledger_consume_findings(of_payment text, of_inclusion integer) RETURNS numeric
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  rest numeric;
  finding balance_findings;
  part numeric;
  total numeric := 0;
  stem text := of_payment || '/' || of_inclusion;
BEGIN
  PERFORM FROM payments WHERE id = of_payment FOR NO KEY UPDATE;
  SELECT i.amount INTO rest FROM inclusions i
    JOIN ledger_postings l ON l.payment_id = i.payment_id AND l.inclusion = i.n AND l.kind = 'credit'
   WHERE i.payment_id = of_payment AND i.n = of_inclusion AND i.canonical
     AND NOT EXISTS (SELECT FROM ledger_postings r WHERE r.reverses = l.id)
     AND NOT EXISTS (SELECT FROM ledger_postings f WHERE f.payment_id = i.payment_id AND f.inclusion = i.n AND f.kind = 'finding');
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  FOR finding IN SELECT f.* FROM balance_findings f
     WHERE f.id IN (SELECT c.finding_id FROM balance_finding_claims c WHERE c.payment_id = of_payment AND c.inclusion = of_inclusion)
     ORDER BY f.block, f.id FOR UPDATE
  LOOP
    part := LEAST(rest, finding.amount - finding.consumed);
    CONTINUE WHEN part <= 0;
    PERFORM ledger_unsettle_finding(finding.id, part, stem || '/unsettled/' || finding.id, of_payment, of_inclusion);
    INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount, payment_id, inclusion)
    SELECT stem || '/finding/' || finding.id, 'finding', l.credit_account, l.debit_account, l.asset_id, part, of_payment, of_inclusion
      FROM ledger_postings l WHERE l.key = finding.posting_key;
    UPDATE balance_findings SET consumed = consumed + part, explained = explained + part WHERE id = finding.id;
    rest := rest - part;
    total := total + part;
  END LOOP;
  RETURN total;
END $$;
-- +goose StatementEnd

-- Takes back what is left of one finding, from where it was settled to if it was. The finding is locked.
-- +goose StatementBegin
CREATE FUNCTION ledger_withdraw_finding(of_finding bigint) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  finding balance_findings;
BEGIN
  SELECT * INTO finding FROM balance_findings WHERE id = of_finding;
  PERFORM ledger_unsettle_finding(finding.id, finding.amount - finding.consumed, finding.posting_key || '/unsettled', NULL, NULL);
  INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount)
  SELECT finding.posting_key || '/withdrawn', 'finding', l.credit_account, l.debit_account, l.asset_id, finding.amount - finding.consumed
    FROM ledger_postings l WHERE l.key = finding.posting_key AND finding.consumed < finding.amount;
  UPDATE balance_findings SET consumed = amount, withdrawn_at = clock_timestamp() WHERE id = finding.id;
  -- What it had explained is not explained any more: its whole interval is open again.
  UPDATE balance_checks SET agreed_block = LEAST(agreed_block, finding.after_block)
   WHERE address_id = finding.address_id AND asset_id = finding.asset_id;
END $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION ledger_withdraw_finding(bigint) FROM PUBLIC;

-- As before, and from where they were settled to, with an audit row of each. Only what was undone: a reorganisation forgets the blocks
-- and the marks above the common ancestor first.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledger_withdraw_findings(of_chain text, above bigint) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  finding balance_findings;
BEGIN
  IF above IS NULL OR EXISTS (SELECT FROM chain_blocks b WHERE b.chain = of_chain AND b.number > above)
     OR EXISTS (SELECT FROM recorded_marks m WHERE m.chain = of_chain AND m.number > above) THEN
    RAISE EXCEPTION 'blocks above % are recorded: what was found in them stays', above USING ERRCODE = 'check_violation';
  END IF;
  FOR finding IN SELECT * FROM balance_findings f
     WHERE f.chain = of_chain AND f.block > above AND f.withdrawn_at IS NULL ORDER BY f.id FOR UPDATE
  LOOP
    PERFORM ledger_withdraw_finding(finding.id);
    CONTINUE WHEN finding.consumed = finding.amount;
    INSERT INTO audit (actor, action, subject, reason, detail, request_id)
    VALUES ('engine', 'ledger.finding_withdrawn', finding.id::text, 'its block was undone',
            jsonb_build_object('amount', (finding.amount - finding.consumed)::text, 'asset', finding.asset_id, 'address', finding.address_id,
                               'block', finding.block, 'settled', finding.settled::text,
                               'settled_to', (SELECT l.kind FROM ledger_accounts l WHERE l.id = finding.settled_account),
                               'merchant', (SELECT l.merchant_id FROM ledger_accounts l WHERE l.id = finding.settled_account)),
            finding.posting_key || '/withdrawn')
    ON CONFLICT (request_id) DO NOTHING;
  END LOOP;
  UPDATE balance_checks b SET block = LEAST(b.block, above), agreed_block = LEAST(b.agreed_block, above), born_block = LEAST(b.born_block, above),
         shortfall = CASE WHEN b.block > above THEN 0 ELSE b.shortfall END
    FROM assets a WHERE a.id = b.asset_id AND a.chain = of_chain AND a.contract IS NULL AND GREATEST(b.block, b.born_block) > above;
END $$;
-- +goose StatementEnd

-- What a person decides about what is left of a finding, with its audit row. Only the owner's role may call it: the application could
-- otherwise give a merchant money that no payment brought. It moves suspense, never custody, unless a comparison since then has shown that the
-- money is not there ('withdraw').
--
-- Answers 'settled', or 'already' when this request was carried out before, or why it is refused: 'not_found', 'other_request' (the request's
-- name was used for something else), 'explained' (nothing is left of it), 'withdrawn', 'settled_before', 'halted' (chain or coin),
-- 'payment_live' (a payment that was recorded since explains it once it is credited), 'short' (the newest comparison showed less than recorded
-- at the address), 'not_shown' (no comparison of the last hour has shown that it is not there).
-- +goose StatementBegin
CREATE FUNCTION ledger_settle_finding(of_finding bigint, destination text, because text, by_actor text, of_request text) RETURNS text
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  finding balance_findings;
  owned addresses;
  target bigint;
  kind_of text := CASE destination WHEN 'merchant' THEN 'merchant:available' ELSE destination END;
  rest numeric;
BEGIN
  IF destination IS NULL OR destination NOT IN ('merchant', 'dust', 'fees', 'loss', 'withdraw') OR COALESCE(by_actor, '') = '' OR COALESCE(because, '') = '' THEN
    RAISE EXCEPTION 'a finding is settled to merchant, dust, fees, loss or withdraw, by somebody, for a reason' USING ERRCODE = 'check_violation';
  END IF;
  -- No block is recorded and no balance compared meanwhile.
  PERFORM FROM cursors WHERE chain = (SELECT chain FROM balance_findings WHERE id = of_finding) FOR NO KEY UPDATE;
  SELECT * INTO finding FROM balance_findings WHERE id = of_finding FOR UPDATE;
  IF NOT FOUND THEN
    RETURN 'not_found';
  END IF;
  IF EXISTS (SELECT FROM audit WHERE request_id = of_request) THEN
    RETURN CASE WHEN EXISTS (SELECT FROM audit WHERE request_id = of_request AND action = 'ledger.settle_finding' AND subject = of_finding::text
                                AND detail ->> 'to' = destination) THEN 'already' ELSE 'other_request' END;
  END IF;
  rest := finding.amount - finding.consumed;
  SELECT * INTO owned FROM addresses WHERE id = finding.address_id;
  IF finding.withdrawn_at IS NOT NULL THEN RETURN 'withdrawn'; END IF;
  IF rest = 0 THEN RETURN 'explained'; END IF;
  IF EXISTS (SELECT FROM balance_finding_claims c WHERE c.finding_id = finding.id AND NOT c.credited) THEN RETURN 'payment_live'; END IF;

  IF destination = 'withdraw' THEN
    UPDATE balance_checks SET shortfall = shortfall - rest
     WHERE address_id = finding.address_id AND asset_id = finding.asset_id AND block > finding.block AND shortfall >= rest
       AND checked_at > clock_timestamp() - interval '1 hour';
    IF NOT FOUND THEN RETURN 'not_shown'; END IF;
    PERFORM ledger_withdraw_finding(finding.id);
  ELSE
    IF finding.settled_at IS NOT NULL THEN RETURN 'settled_before'; END IF;
    IF EXISTS (SELECT FROM chains c JOIN assets a ON a.chain = c.name
                WHERE a.id = finding.asset_id AND (c.halted_at IS NOT NULL OR a.halted_at IS NOT NULL)) THEN RETURN 'halted'; END IF;
    IF EXISTS (SELECT FROM balance_checks b WHERE b.address_id = finding.address_id AND b.asset_id = finding.asset_id AND b.shortfall > 0) THEN
      RETURN 'short';
    END IF;
    INSERT INTO ledger_accounts (kind, asset_id, merchant_id, mode)
    VALUES (kind_of, finding.asset_id, CASE destination WHEN 'merchant' THEN owned.merchant_id END, CASE destination WHEN 'merchant' THEN owned.mode END)
    ON CONFLICT DO NOTHING;
    SELECT l.id INTO STRICT target FROM ledger_accounts l
     WHERE l.kind = kind_of AND l.asset_id = finding.asset_id AND l.address_id IS NULL
       AND (destination = 'merchant' AND l.merchant_id = owned.merchant_id AND l.mode = owned.mode
            OR destination <> 'merchant' AND l.merchant_id IS NULL AND l.mode IS NULL);
    INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount)
    SELECT finding.posting_key || '/settled', 'manual', l.credit_account, target, l.asset_id, rest
      FROM ledger_postings l WHERE l.key = finding.posting_key;
    UPDATE balance_findings SET settled = rest, settled_account = target, settled_at = clock_timestamp() WHERE id = finding.id;
  END IF;
  INSERT INTO audit (actor, action, subject, reason, detail, request_id)
  VALUES (by_actor, 'ledger.settle_finding', of_finding::text, because,
          jsonb_build_object('to', destination, 'amount', rest::text, 'asset', finding.asset_id, 'address', finding.address_id,
                             'merchant', CASE destination WHEN 'merchant' THEN owned.merchant_id END),
          of_request);
  RETURN 'settled';
END $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION ledger_settle_finding(bigint, text, text, text, text) FROM PUBLIC;

-- +goose Down
-- The release before knows nothing of settlements: it would take one back from suspense, where it is not.
-- +goose StatementBegin
DO $$
BEGIN
  LOCK TABLE cursors IN EXCLUSIVE MODE;
  IF EXISTS (SELECT FROM balance_findings WHERE settled_account IS NOT NULL) THEN
    RAISE EXCEPTION 'findings were settled by hand: there is no way back from here';
  END IF;
END $$;
-- +goose StatementEnd
DROP FUNCTION ledger_settle_finding(bigint, text, text, text, text);
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION balance_checks_of_address() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO balance_checks (address_id, asset_id)
  SELECT NEW.id, a.id FROM assets a JOIN chains c ON c.name = a.chain WHERE a.contract IS NULL AND c.family = NEW.family
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION balance_checks_of_asset() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO balance_checks (address_id, asset_id)
  SELECT adr.id, NEW.id FROM addresses adr JOIN chains c ON c.name = NEW.chain AND c.family = adr.family
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledger_post_finding(
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
  IF EXISTS (SELECT FROM balance_findings f WHERE f.address_id = of_address AND f.asset_id = of_asset AND f.block >= at_block AND f.withdrawn_at IS NULL) THEN
    RETURN false;
  END IF;
  posting := 'finding/' || on_chain || '/' || of_address || '/' || of_asset || '/' || at_block || '/' || encode(at_hash, 'hex');
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
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledger_consume_findings(of_payment text, of_inclusion integer) RETURNS numeric
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  seen record;
  finding balance_findings;
  rest numeric;
  part numeric;
  total numeric := 0;
BEGIN
  PERFORM FROM payments WHERE id = of_payment FOR NO KEY UPDATE;
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
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledger_withdraw_findings(of_chain text, above bigint) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  finding balance_findings;
BEGIN
  FOR finding IN SELECT * FROM balance_findings f
     WHERE f.chain = of_chain AND f.block > above AND f.withdrawn_at IS NULL ORDER BY f.id FOR UPDATE
  LOOP
    INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount)
    SELECT finding.posting_key || '/withdrawn', 'finding', l.credit_account, l.debit_account, l.asset_id, finding.amount - finding.consumed
      FROM ledger_postings l WHERE l.key = finding.posting_key AND finding.consumed < finding.amount;
    UPDATE balance_findings SET consumed = amount, withdrawn_at = clock_timestamp() WHERE id = finding.id;
  END LOOP;
  UPDATE balance_checks b SET block = above, shortfall = 0
    FROM assets a WHERE a.id = b.asset_id AND a.chain = of_chain AND b.block > above;
END $$;
-- +goose StatementEnd
DROP FUNCTION ledger_withdraw_finding(bigint);
DROP FUNCTION ledger_unsettle_finding(bigint, numeric, text, text, integer);
DROP VIEW balance_finding_claims;
ALTER TABLE inclusions DROP COLUMN recorded_at;
ALTER TABLE balance_findings DROP COLUMN settled, DROP COLUMN settled_account, DROP COLUMN settled_at, DROP COLUMN explained;
DROP INDEX balance_checks_lacking;
ALTER TABLE balance_checks DROP COLUMN agreed_block, DROP COLUMN born_block;
