-- +goose Up
-- What the application role may do. Money and history: add and read. Everything else: no more than the code needs.
GRANT SELECT, INSERT, UPDATE ON
  merchants, api_keys, chains, rpc_endpoints, assets, xpubs, webhook_endpoints,
  orders, idempotency_keys, payments, unknown_transfers, unknown_contracts, reviews,
  cursors, chain_blocks, coverage, quarantined_blocks, rescans, outbox,
  callbacks, callback_leases, endpoint_slots, endpoint_breakers
  TO sluice_app;
GRANT SELECT, INSERT ON addresses, ledger_accounts, ledger_postings, events, callback_attempts, audit TO sluice_app;
-- An inclusion can be ended; what it says stays.
GRANT SELECT, INSERT, UPDATE (canonical, ended_at, end_reason) ON inclusions TO sluice_app;
GRANT SELECT ON ledger_snapshots, ledger_balances TO sluice_app;
-- The programs refuse to run against a schema that is older than they are.
GRANT SELECT ON goose_db_version TO sluice_app;
GRANT EXECUTE ON FUNCTION ledger_take_snapshot() TO sluice_app;
-- Pruned or expired rows that carry no money and no history.
GRANT DELETE ON chain_blocks, idempotency_keys, callback_leases, outbox TO sluice_app;

-- +goose Down
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM sluice_app;
REVOKE ALL ON FUNCTION ledger_take_snapshot() FROM sluice_app;
