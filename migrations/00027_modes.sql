-- +goose Up
-- A chain belongs to test or live, for ever, and a payment's mode is its chain's. Whatever has a mode is held to that by the database:
-- play money reaches neither a live order nor a live balance nor a live endpoint, whatever the code does.

-- Recording takes the cursor first: whoever does waits, and has none of what is changed here.
LOCK TABLE cursors IN ACCESS EXCLUSIVE MODE;

-- The networks that the catalogue knew so far are live; of the others those that only live orders were made on. The default is for the
-- release before this one, which names no mode: a live chain that is taken for a test chain takes no live orders, and is noticed.
ALTER TABLE chains ADD COLUMN mode mode NOT NULL DEFAULT 'test';
UPDATE chains c SET mode = 'live'
 WHERE c.family = 'evm' AND c.chain_id IN (1, 10, 56, 137, 8453, 42161, 43114)
    OR EXISTS (SELECT FROM orders o WHERE o.chain = c.name AND o.mode = 'live')
       AND NOT EXISTS (SELECT FROM orders o WHERE o.chain = c.name AND o.mode = 'test');
ALTER TABLE chains ADD UNIQUE (name, mode);

-- +goose StatementBegin
DO $$
BEGIN
  IF EXISTS (SELECT FROM payments p JOIN chains c ON c.name = p.chain WHERE p.mode <> c.mode AND p.status IN ('detected', 'parked')) THEN
    RAISE EXCEPTION 'payments of another mode than their chain''s are being confirmed, or parked: migrate when they are settled';
  END IF;
END $$;
-- +goose StatementEnd

-- The one rule about addresses, which the chains of a family share: live money counts wherever it comes to, test money only at test addresses.
-- +goose StatementBegin
CREATE FUNCTION takes_money(chain_mode mode, address_mode mode) RETURNS boolean
  LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp
  AS $$ SELECT chain_mode = 'live' OR address_mode = 'test' $$;
-- +goose StatementEnd
COMMENT ON FUNCTION takes_money(mode, mode) IS 'Whether what arrives on a chain of the one mode at an address of the other is money at all.';

-- +goose StatementBegin
CREATE FUNCTION mode_is_for_ever() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NEW.mode <> OLD.mode THEN
    RAISE EXCEPTION 'the mode of a row of % never changes', TG_TABLE_NAME USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER mode_is_for_ever BEFORE UPDATE OF mode ON chains FOR EACH ROW EXECUTE FUNCTION mode_is_for_ever();
CREATE TRIGGER mode_is_for_ever BEFORE UPDATE OF mode ON api_keys FOR EACH ROW EXECUTE FUNCTION mode_is_for_ever();
CREATE TRIGGER mode_is_for_ever BEFORE UPDATE OF mode ON webhook_endpoints FOR EACH ROW EXECUTE FUNCTION mode_is_for_ever();
CREATE TRIGGER mode_is_for_ever BEFORE UPDATE OF mode ON orders FOR EACH ROW EXECUTE FUNCTION mode_is_for_ever();

-- An asset's mode is its chain's. A trigger fills it in, so that nobody has to know it twice.
ALTER TABLE assets ADD COLUMN mode mode;
UPDATE assets a SET mode = c.mode FROM chains c WHERE c.name = a.chain;
ALTER TABLE assets ALTER COLUMN mode SET NOT NULL, ADD UNIQUE (id, mode), ADD FOREIGN KEY (chain, mode) REFERENCES chains (name, mode);
-- +goose StatementBegin
CREATE FUNCTION asset_of_mode() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  SELECT c.mode INTO NEW.mode FROM chains c WHERE c.name = NEW.chain;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER asset_of_mode BEFORE INSERT OR UPDATE OF chain, mode ON assets FOR EACH ROW EXECUTE FUNCTION asset_of_mode();

-- NOT VALID: what the release before wrote stays as it is. A payment at an address of the other mode has no order.
ALTER TABLE webhook_endpoints ADD UNIQUE (id, mode);
ALTER TABLE orders ADD UNIQUE (id, mode),
  ADD CONSTRAINT orders_mode_of_chain FOREIGN KEY (chain, mode) REFERENCES chains (name, mode) NOT VALID,
  ADD CONSTRAINT orders_mode_of_endpoint FOREIGN KEY (callback_endpoint_id, mode) REFERENCES webhook_endpoints (id, mode) NOT VALID;
ALTER TABLE addresses ADD CONSTRAINT addresses_mode_of_order FOREIGN KEY (order_id, mode) REFERENCES orders (id, mode) NOT VALID;
ALTER TABLE idempotency_keys ADD CONSTRAINT idempotency_keys_mode_of_order FOREIGN KEY (order_id, mode) REFERENCES orders (id, mode) NOT VALID;
ALTER TABLE payments ADD UNIQUE (id, mode),
  ADD CONSTRAINT payments_mode_of_chain FOREIGN KEY (chain, mode) REFERENCES chains (name, mode) NOT VALID,
  ADD CONSTRAINT payments_mode_of_order FOREIGN KEY (order_id, mode) REFERENCES orders (id, mode) NOT VALID;
ALTER TABLE ledger_accounts
  ADD CONSTRAINT ledger_accounts_mode_of_asset FOREIGN KEY (asset_id, mode) REFERENCES assets (id, mode) NOT VALID;
ALTER TABLE events
  ADD CONSTRAINT events_mode_of_order FOREIGN KEY (order_id, mode) REFERENCES orders (id, mode) NOT VALID,
  ADD CONSTRAINT events_mode_of_payment FOREIGN KEY (payment_id, mode) REFERENCES payments (id, mode) NOT VALID;

-- An event is told to endpoints of its own merchant and mode.
-- +goose StatementBegin
CREATE FUNCTION callback_of_one_mode() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM events e JOIN webhook_endpoints w ON w.merchant_id = e.merchant_id AND w.mode = e.mode
                  WHERE e.id = NEW.event_id AND w.id = NEW.endpoint_id) THEN
    RAISE EXCEPTION 'callback %: its endpoint is another merchant''s, or of another mode than its event', NEW.id USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER callback_of_one_mode BEFORE INSERT OR UPDATE OF event_id, endpoint_id ON callbacks FOR EACH ROW EXECUTE FUNCTION callback_of_one_mode();

-- Money at an address of the other mode is credited to the held account of its own, and a person decides.
ALTER TABLE reviews DROP CONSTRAINT reviews_cause_check;
ALTER TABLE reviews ADD CONSTRAINT reviews_cause_check CHECK (cause IN (
  'late', 'closed_order', 'wrong_asset', 'wrong_mode', 'reversal', 'held', 'disagreement', 'stuck', 'negative_balance', 'deposit'));

ALTER TABLE cursors ADD COLUMN play_money bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN cursors.play_money IS 'Transfers of test money to live addresses: counted, and nothing else.';

-- The secret that signs callbacks to URLs that orders name is one per mode: callback_secret is the live one. NULL: the merchant is of an older
-- release, whose live secret signed test callbacks too. Such endpoints are called again once they have a secret of their own.
ALTER TABLE merchants ADD COLUMN test_callback_secret bytea, ADD COLUMN test_callback_secret_key text,
  ADD CHECK ((test_callback_secret IS NULL) = (test_callback_secret_key IS NULL));
UPDATE webhook_endpoints SET disabled_at = now(), disabled_reason = 'shares_the_live_secret'
 WHERE mode = 'test' AND sealed_for IS NOT NULL AND disabled_at IS NULL;

-- What test money does at a live address is no difference of balances: nobody compares them there.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION balance_checks_of_address() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(hashtextextended('balance_checks', 0));
  INSERT INTO balance_checks (address_id, asset_id, born_block)
  SELECT NEW.id, a.id, COALESCE((SELECT GREATEST(cur.block_number - c.horizon, -1) FROM cursors cur WHERE cur.chain = c.name), -1)
    FROM assets a JOIN chains c ON c.name = a.chain
   WHERE a.contract IS NULL AND c.family = NEW.family AND takes_money(c.mode, NEW.mode)
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION balance_checks_of_asset() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('balance_checks', 0));
  INSERT INTO balance_checks (address_id, asset_id)
  SELECT adr.id, NEW.id FROM addresses adr JOIN chains c ON c.name = NEW.chain AND c.family = adr.family AND takes_money(c.mode, adr.mode)
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
-- +goose StatementEnd
-- Without findings: those of an older release go on.
DELETE FROM balance_checks b USING assets a, addresses adr
 WHERE a.id = b.asset_id AND adr.id = b.address_id AND NOT takes_money(a.mode, adr.mode)
   AND NOT EXISTS (SELECT FROM balance_findings f WHERE f.address_id = b.address_id AND f.asset_id = b.asset_id);
-- A finding is settled to its merchant in the mode of its chain, which may not be its address's.
-- +goose StatementBegin
DO $$
DECLARE
  body text := pg_get_functiondef('ledger_settle_finding(bigint, text, text, text, text)'::regprocedure);
  changed text := replace(body, 'SELECT * INTO owned FROM addresses WHERE id = finding.address_id;',
    'SELECT * INTO owned FROM addresses WHERE id = finding.address_id;
  SELECT a.mode INTO owned.mode FROM assets a WHERE a.id = finding.asset_id;');
BEGIN
  IF changed = body THEN
    RAISE EXCEPTION 'ledger_settle_finding is not what this migration expects';
  END IF;
  EXECUTE changed;
END $$;
-- +goose StatementEnd

-- +goose Down
LOCK TABLE cursors IN ACCESS EXCLUSIVE MODE;
-- +goose StatementBegin
DO $$
DECLARE
  body text := pg_get_functiondef('ledger_settle_finding(bigint, text, text, text, text)'::regprocedure);
  changed text := replace(body, 'SELECT * INTO owned FROM addresses WHERE id = finding.address_id;
  SELECT a.mode INTO owned.mode FROM assets a WHERE a.id = finding.asset_id;',
    'SELECT * INTO owned FROM addresses WHERE id = finding.address_id;');
BEGIN
  IF changed = body THEN
    RAISE EXCEPTION 'ledger_settle_finding is not what this migration expects';
  END IF;
  EXECUTE changed;
END $$;
-- +goose StatementEnd
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
ALTER FUNCTION balance_checks_of_address() RESET ALL;
ALTER FUNCTION balance_checks_of_asset() RESET ALL;
INSERT INTO balance_checks (address_id, asset_id)
SELECT adr.id, a.id FROM assets a JOIN chains c ON c.name = a.chain JOIN addresses adr ON adr.family = c.family WHERE a.contract IS NULL
ON CONFLICT DO NOTHING;
ALTER TABLE merchants DROP COLUMN test_callback_secret, DROP COLUMN test_callback_secret_key;
ALTER TABLE cursors DROP COLUMN play_money;
UPDATE reviews SET cause = 'held' WHERE cause = 'wrong_mode';
ALTER TABLE reviews DROP CONSTRAINT reviews_cause_check;
ALTER TABLE reviews ADD CONSTRAINT reviews_cause_check CHECK (cause IN (
  'late', 'closed_order', 'wrong_asset', 'reversal', 'held', 'disagreement', 'stuck', 'negative_balance', 'deposit'));
DROP TRIGGER callback_of_one_mode ON callbacks;
DROP FUNCTION callback_of_one_mode();
ALTER TABLE events DROP CONSTRAINT events_mode_of_order, DROP CONSTRAINT events_mode_of_payment;
ALTER TABLE ledger_accounts DROP CONSTRAINT ledger_accounts_mode_of_asset;
ALTER TABLE payments DROP CONSTRAINT payments_mode_of_chain, DROP CONSTRAINT payments_mode_of_order, DROP CONSTRAINT payments_id_mode_key;
ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_mode_of_order;
ALTER TABLE addresses DROP CONSTRAINT addresses_mode_of_order;
ALTER TABLE orders DROP CONSTRAINT orders_mode_of_chain, DROP CONSTRAINT orders_mode_of_endpoint, DROP CONSTRAINT orders_id_mode_key;
ALTER TABLE webhook_endpoints DROP CONSTRAINT webhook_endpoints_id_mode_key;
DROP TRIGGER asset_of_mode ON assets;
DROP FUNCTION asset_of_mode();
ALTER TABLE assets DROP COLUMN mode;
DROP TRIGGER mode_is_for_ever ON orders;
DROP TRIGGER mode_is_for_ever ON webhook_endpoints;
DROP TRIGGER mode_is_for_ever ON api_keys;
DROP TRIGGER mode_is_for_ever ON chains;
DROP FUNCTION mode_is_for_ever();
DROP FUNCTION takes_money(mode, mode);
ALTER TABLE chains DROP COLUMN mode;
