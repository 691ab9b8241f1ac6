-- +goose Up
-- Who may do what. Chain workers log in as a role of their own, sluice_chain: only it writes down what a chain shows and moves money by it. All other
-- programs log in as sluice_app, which reads that, asks for it to be read again, and releases what is held. sluice_chain is a member of
-- sluice_app: what is granted to that is granted to both. See docs/decisions/0016-two-roles.md.

-- +goose StatementBegin
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sluice_chain') OR NOT pg_has_role('sluice_chain', 'sluice_app', 'USAGE') THEN
    RAISE EXCEPTION 'role sluice_chain is missing, or no member of sluice_app; create it first: CREATE ROLE sluice_chain LOGIN PASSWORD ''...'' IN ROLE sluice_app';
  END IF;
END $$;
-- +goose StatementEnd

-- Recording takes the cursor first: whoever does waits, and has none of what is changed here.
LOCK TABLE cursors IN ACCESS EXCLUSIVE MODE;

-- A function looks into the schema first, whatever the session that calls it put in front. Nobody may call one who was not named: functions that are
-- used in queries are the application's, triggers fire without such a right. Functions of later migrations say both themselves; a test looks.
-- +goose StatementBegin
DO $$
DECLARE
  f record;
BEGIN
  FOR f IN SELECT p.oid::regprocedure AS name, p.prorettype = 'trigger'::regtype OR p.prosecdef AS internal,
                  has_function_privilege('public', p.oid, 'EXECUTE') AS open
             FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND pg_has_role(p.proowner, 'USAGE')
  LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, public, pg_temp', f.name);
    CONTINUE WHEN NOT f.open;
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f.name);
    CONTINUE WHEN f.internal;
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO sluice_app', f.name);
  END LOOP;
END $$;
-- +goose StatementEnd

-- What was granted of these to sluice_app, by tables or columns, is the chain worker's from here on.
-- +goose StatementBegin
DO $$
DECLARE
  recorded CONSTANT text[] := ARRAY['payments', 'inclusions', 'weak_credits', 'allocations', 'cursors', 'chain_blocks', 'recorded_marks', 'coverage',
    'quarantined_blocks', 'second_looks', 'rescans', 'outbox', 'unknown_transfers', 'unknown_contracts', 'balance_checks'];
  held record;
BEGIN
  FOR held IN
    SELECT c.relname, a.privilege_type, NULL AS columns
      FROM pg_class c, aclexplode(c.relacl) a
     WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY(recorded) AND a.grantee = 'sluice_app'::regrole
       AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE')
    UNION ALL
    SELECT c.relname, a.privilege_type, string_agg(quote_ident(t.attname), ', ')
      FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a
     WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY(recorded) AND a.grantee = 'sluice_app'::regrole
       AND a.privilege_type IN ('INSERT', 'UPDATE') AND NOT t.attisdropped
     GROUP BY 1, 2
  LOOP
    EXECUTE format('GRANT %s %s ON %I TO sluice_chain', held.privilege_type, '(' || held.columns || ')', held.relname);
  END LOOP;
  EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON %s FROM sluice_app', array_to_string(recorded, ', '));
  -- That a hole is accepted is a person's decision.
  IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'quarantined_blocks'::regclass AND attname = 'accepted_at') THEN
    GRANT UPDATE (accepted_at) ON quarantined_blocks TO sluice_app;
  END IF;
END $$;
-- +goose StatementEnd

-- What is left of it to the others. Payments are parked and woken by hand, a chain is enabled with a cursor that is nowhere, blocks are asked to be
-- read again, and workflows are woken.
GRANT UPDATE (status, last_woken_at, wakes) ON payments TO sluice_app;
GRANT INSERT (chain) ON cursors TO sluice_app;
GRANT INSERT ON rescans, outbox TO sluice_app;
REVOKE EXECUTE ON FUNCTION ledger_post_finding(text, text, bigint, bigint, bytea, numeric), ledger_consume_findings(text, integer),
  ledger_withdraw_findings(text, bigint) FROM sluice_app;
GRANT EXECUTE ON FUNCTION ledger_post_finding(text, text, bigint, bigint, bytea, numeric), ledger_consume_findings(text, integer),
  ledger_withdraw_findings(text, bigint) TO sluice_chain;

-- An address and a coin have their checks whoever inserts them.
ALTER FUNCTION balance_checks_of_address() SECURITY DEFINER;
ALTER FUNCTION balance_checks_of_asset() SECURITY DEFINER;

-- Rows get their numbers from the database: a posting with a number far ahead would hide all later ones from balances. Nor does anybody say when it
-- was posted, or done.
-- +goose StatementBegin
DO $$
DECLARE
  numbered record;
BEGIN
  FOR numbered IN
    SELECT c.relname, a.grantee::regrole::text AS role, string_agg(quote_ident(t.attname), ', ') AS columns
      FROM pg_class c, aclexplode(c.relacl) a, pg_attribute t
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.privilege_type = 'INSERT'
       AND a.grantee IN ('sluice_app'::regrole, 'sluice_chain'::regrole)
       AND EXISTS (SELECT FROM pg_attribute n WHERE n.attrelid = c.oid AND n.attidentity <> '')
       AND t.attrelid = c.oid AND t.attnum > 0 AND NOT t.attisdropped AND t.attidentity = '' AND t.attgenerated = ''
       AND (c.relname, t.attname) NOT IN (('ledger_postings', 'created_at'), ('ledger_accounts', 'created_at'), ('audit', 'at'))
     GROUP BY 1, 2
  LOOP
    EXECUTE format('REVOKE INSERT ON %I FROM %s', numbered.relname, numbered.role);
    EXECUTE format('GRANT INSERT (%s) ON %I TO %s', numbered.columns, numbered.relname, numbered.role);
  END LOOP;
END $$;
-- +goose StatementEnd

-- Payments are credited and reversed by whoever recorded them; the application releases what is held. It parks payments and puts them back, no more.
-- +goose StatementBegin
CREATE FUNCTION recorded_by_chain_worker() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT pg_has_role(current_user, 'sluice_chain', 'USAGE')
     AND NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
    RAISE EXCEPTION '% on % refused: this is the chain worker''s', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION recorded_by_chain_worker() FROM PUBLIC;
CREATE TRIGGER ledger_postings_by_chain_worker BEFORE INSERT ON ledger_postings FOR EACH ROW
  WHEN (NEW.kind IN ('credit', 'reversal', 'hold')) EXECUTE FUNCTION recorded_by_chain_worker();
CREATE TRIGGER payments_by_chain_worker BEFORE UPDATE ON payments FOR EACH ROW
  WHEN (OLD.status <> NEW.status AND (OLD.status NOT IN ('detected', 'parked') OR NEW.status NOT IN ('detected', 'parked')))
  EXECUTE FUNCTION recorded_by_chain_worker();

-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE format('REVOKE CREATE, TEMPORARY ON DATABASE %I FROM PUBLIC, sluice_app, sluice_chain', current_database());
  REVOKE CREATE ON SCHEMA public FROM PUBLIC, sluice_app, sluice_chain;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER payments_by_chain_worker ON payments;
DROP TRIGGER ledger_postings_by_chain_worker ON ledger_postings;
DROP FUNCTION recorded_by_chain_worker();
ALTER FUNCTION balance_checks_of_address() SECURITY INVOKER;
ALTER FUNCTION balance_checks_of_asset() SECURITY INVOKER;
-- The release before has one role, which does all.
-- +goose StatementBegin
DO $$
DECLARE
  held record;
BEGIN
  FOR held IN
    SELECT c.relname, a.privilege_type, NULL AS columns FROM pg_class c, aclexplode(c.relacl) a
     WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = 'sluice_chain'::regrole
    UNION ALL
    SELECT c.relname, a.privilege_type, string_agg(quote_ident(t.attname), ', ')
      FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a
     WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = 'sluice_chain'::regrole AND NOT t.attisdropped GROUP BY 1, 2
  LOOP
    EXECUTE format('GRANT %s %s ON %I TO sluice_app', held.privilege_type, '(' || held.columns || ')', held.relname);
    EXECUTE format('REVOKE %s ON %I FROM sluice_chain', held.privilege_type, held.relname);
  END LOOP;
  FOR held IN
    SELECT DISTINCT c.relname FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid AND t.attidentity <> ''
     WHERE c.relnamespace = 'public'::regnamespace AND has_any_column_privilege('sluice_app', c.oid, 'INSERT')
  LOOP
    EXECUTE format('GRANT INSERT ON %I TO sluice_app', held.relname);
  END LOOP;
END $$;
-- +goose StatementEnd
GRANT EXECUTE ON FUNCTION ledger_post_finding(text, text, bigint, bigint, bytea, numeric), ledger_consume_findings(text, integer),
  ledger_withdraw_findings(text, bigint) TO sluice_app;
REVOKE EXECUTE ON FUNCTION ledger_post_finding(text, text, bigint, bigint, bytea, numeric), ledger_consume_findings(text, integer),
  ledger_withdraw_findings(text, bigint) FROM sluice_chain;
