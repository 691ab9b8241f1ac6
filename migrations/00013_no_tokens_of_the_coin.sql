-- +goose Up
-- Polygon's contract 0x…1010 emits a Transfer for every move of the native coin. Whatever enables tokens, that money has been
-- seen as what it is, and would count twice. The address is reserved there; no network has a token at it.
ALTER TABLE assets ADD CONSTRAINT assets_contract_not_coin_log
  CHECK (contract IS DISTINCT FROM '\x0000000000000000000000000000000000001010'::bytea);

-- +goose Down
ALTER TABLE assets DROP CONSTRAINT assets_contract_not_coin_log;
