-- +goose Up
-- A reorganisation moves the births of orders: the height at which an order was opened is one on a chain that may be undone.
CREATE INDEX orders_birth ON orders (chain, birth_block) WHERE birth_block IS NOT NULL;

-- And it undoes the blocks at which balances were compared. What was found there is withdrawn, and may be found again at the same height
-- of another block.
ALTER TABLE balance_findings
  -- Set when a reorganisation undid its block: what was left of it is taken back, and the balance is compared anew.
  ADD COLUMN withdrawn_at timestamptz,
  DROP CONSTRAINT balance_findings_address_id_asset_id_block_key,
  ADD UNIQUE (address_id, asset_id, block, block_hash);

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

-- Takes back what is left of findings in blocks that a reorganisation undid, and has the balances compared again from there. What they
-- found may be mined again in another block, where no payment would consume it.
-- +goose StatementBegin
CREATE FUNCTION ledger_withdraw_findings(of_chain text, above bigint) RETURNS void
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

REVOKE ALL ON FUNCTION ledger_withdraw_findings(text, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_withdraw_findings(text, bigint) TO sluice_app;

-- +goose Down
DROP FUNCTION ledger_withdraw_findings(text, bigint);
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
ALTER TABLE balance_findings
  DROP CONSTRAINT balance_findings_address_id_asset_id_block_block_hash_key,
  DROP COLUMN withdrawn_at,
  ADD UNIQUE (address_id, asset_id, block);
DROP INDEX orders_birth;
