-- +goose Up
-- Callbacks in flight are counted per server of a merchant and mode, and per merchant and mode: one merchant with many servers must
-- not take up what a worker sends at once. Both are rows of this table. Its target is "live https://shop.example" for a server and
-- "live" for all of them; the rows without a mode are of the release before and are used no more.
ALTER TABLE endpoint_slots DROP CONSTRAINT endpoint_slots_slot_check, ADD CHECK (slot BETWEEN 1 AND 16);

-- +goose Down
DELETE FROM endpoint_slots WHERE slot > 4;
ALTER TABLE endpoint_slots DROP CONSTRAINT endpoint_slots_slot_check, ADD CHECK (slot BETWEEN 1 AND 4);
