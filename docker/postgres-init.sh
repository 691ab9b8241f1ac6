#!/bin/sh
# Runs once, on an empty data folder: the owner and the application role of Sluice, and Temporal's own role.
set -eu
psql -v ON_ERROR_STOP=1 --username postgres \
  -v owner_password="$SLUICE_OWNER_PASSWORD" -v app_password="$SLUICE_APP_PASSWORD" -v temporal_password="$TEMPORAL_PASSWORD" <<'SQL'
CREATE ROLE sluice_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE sluice_app LOGIN PASSWORD :'app_password';
CREATE ROLE temporal LOGIN CREATEDB PASSWORD :'temporal_password';
CREATE DATABASE sluice OWNER sluice_owner;
SQL
