-- The migration tool's own table, for sqlc alone: no migration of ours creates it.
CREATE TABLE goose_db_version (
  id          integer PRIMARY KEY,
  version_id  bigint NOT NULL,
  is_applied  boolean NOT NULL,
  tstamp      timestamp NOT NULL
);
