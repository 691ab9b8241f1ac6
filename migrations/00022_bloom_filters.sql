-- +goose Up
-- Networks exist whose blocks have wrong bloom filters: there they are not looked at.
ALTER TABLE chains ADD COLUMN ignore_bloom boolean NOT NULL DEFAULT false;

-- +goose Down
ALTER TABLE chains DROP COLUMN ignore_bloom;
