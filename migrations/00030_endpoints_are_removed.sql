-- +goose Up
-- An RPC endpoint that is removed is gone: its URL may hold a key that somebody else has by now. The audit keeps who ran it.
GRANT DELETE ON rpc_endpoints TO sluice_app;

COMMENT ON COLUMN chains.enabled IS 'Whether new orders are taken. A chain is watched and credited either way; paused_at ends that.';
COMMENT ON COLUMN assets.enabled IS 'Whether new orders are taken. Money in the asset is found and credited either way.';
COMMENT ON COLUMN merchants.disabled_at IS 'Set: no new orders are taken. Open ones go on, and keys still read and cancel.';

-- +goose Down
REVOKE DELETE ON rpc_endpoints FROM sluice_app;
COMMENT ON COLUMN chains.enabled IS NULL;
COMMENT ON COLUMN assets.enabled IS NULL;
COMMENT ON COLUMN merchants.disabled_at IS NULL;
