#!/bin/sh
# Runs once, on an empty data folder: the owner and the two roles of Sluice's programs, and Temporal's own role.
set -eu
psql -v ON_ERROR_STOP=1 --username postgres \
  -v owner_password="$SLUICE_OWNER_PASSWORD" -v app_password="$SLUICE_APP_PASSWORD" -v chain_password="$SLUICE_CHAIN_PASSWORD" \
  -v temporal_password="$TEMPORAL_PASSWORD" <<'SQL'
CREATE ROLE sluice_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE sluice_app LOGIN PASSWORD :'app_password';
CREATE ROLE sluice_chain LOGIN PASSWORD :'chain_password' IN ROLE sluice_app;
CREATE ROLE temporal LOGIN CREATEDB PASSWORD :'temporal_password';
CREATE DATABASE sluice OWNER sluice_owner;
REVOKE CREATE, TEMPORARY ON DATABASE sluice FROM PUBLIC;
SQL
