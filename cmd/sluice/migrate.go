package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/sluicepay/sluice/internal/config"
	"github.com/sluicepay/sluice/migrations"
)

type migrateCommand struct {
	Status bool `help:"Only say which migrations are applied."`
}

// Help is shown by --help.
func (migrateCommand) Help() string {
	return "Reads SLUICE_MIGRATE_DATABASE_URL (the owner role). Running it twice, or twice at once, is harmless."
}

// Run applies what is missing. Each migration and its version row are one transaction.
func (m migrateCommand) Run(ctx context.Context, c console) error {
	settings, err := config.Load[config.Migrate]()
	if err != nil {
		return err
	}
	provider, closeDB, err := newMigrator(settings.URL.Reveal())
	if err != nil {
		return err
	}
	defer closeDB()
	if m.Status {
		return printMigrations(ctx, c, provider)
	}
	results, err := provider.Up(ctx)
	for _, r := range results {
		fmt.Fprintln(c.out, r)
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if len(results) == 0 {
		fmt.Fprintln(c.out, "the schema is up to date")
	}
	return restrict(ctx, settings.URL.Reveal())
}

// restrict takes the right to make objects from everybody else, at each run: a database that was restored has that of a new one.
func restrict(ctx context.Context, databaseURL string) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	statement := migrations.Restrict(conn.Config().Database)
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	var open bool
	err = conn.QueryRow(ctx, `SELECT bool_or(has_database_privilege(role, current_database(), 'CREATE, TEMPORARY') OR has_schema_privilege(role, 'public', 'CREATE'))
		FROM unnest(ARRAY['sluice_app', 'sluice_chain']) AS role`).Scan(&open)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if open { // somebody else owns the database, and a REVOKE of what another one granted takes nothing
		return fmt.Errorf("migrate: the programs' roles may still make objects in the database; as its owner run: REVOKE CREATE ON SCHEMA public FROM PUBLIC; %s", statement)
	}
	return nil
}

// newMigrator locks the database while it migrates, so that two deployments at once do each step once.
func newMigrator(databaseURL string) (*goose.Provider, func(), error) {
	settings, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return nil, nil, errors.New("migrate: SLUICE_MIGRATE_DATABASE_URL is not a PostgreSQL URL")
	}
	db := stdlib.OpenDB(*settings)
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, nil, closing(db, err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS, goose.WithSessionLocker(locker))
	if err != nil {
		return nil, nil, closing(db, err)
	}
	return provider, func() { _ = provider.Close() }, nil
}

func closing(db *sql.DB, err error) error {
	_ = db.Close()
	return fmt.Errorf("migrate: %w", err)
}

func printMigrations(ctx context.Context, c console, provider *goose.Provider) error {
	all, err := provider.Status(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	for _, s := range all {
		fmt.Fprintf(c.out, "%-8s %s\n", s.State, s.Source.Path)
	}
	return nil
}
