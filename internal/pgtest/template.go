package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/sluicepay/sluice/internal/pgcluster"
	"github.com/sluicepay/sluice/migrations"
)

// templateLock serialises the building of templates among the test binaries that share a cluster.
const templateLock = 0x736c7569636574 // "sluicet"

// template returns the name of the migrated template database, building it when this cluster has none for exactly
// these migrations.
func (s *server) template(ctx context.Context) (string, error) {
	s.templateOnce.Do(func() {
		s.templateName, s.templateErr = s.ensureTemplate(ctx, migrations.FS)
	})
	return s.templateName, s.templateErr
}

func (s *server) ensureTemplate(ctx context.Context, files fs.FS) (string, error) {
	hash, err := hashOf(files)
	if err != nil {
		return "", err
	}
	name := "sluice_template_" + hash
	return name, s.admin.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(templateLock)); err != nil {
			return fmt.Errorf("lock the template: %w", err)
		}
		defer func() {
			_, _ = conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, int64(templateLock))
		}()
		return s.buildTemplate(ctx, conn, name, files)
	})
}

// buildTemplate marks the database as a template only when it is complete; an unmarked one is a leftover.
func (s *server) buildTemplate(ctx context.Context, conn *pgxpool.Conn, name string, files fs.FS) error {
	var complete bool
	err := conn.QueryRow(ctx, `SELECT datistemplate FROM pg_database WHERE datname = $1`, name).Scan(&complete)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("look for the template: %w", err)
	}
	if complete {
		return nil
	}
	quoted := pgx.Identifier{name}.Sanitize()
	run := func(format string, args ...any) error {
		_, err := conn.Exec(ctx, fmt.Sprintf(format, args...))
		return err
	}
	if err := run(`DROP DATABASE IF EXISTS %s WITH (FORCE)`, quoted); err != nil {
		return fmt.Errorf("drop an unfinished template: %w", err)
	}
	if err := run(`CREATE DATABASE %s TEMPLATE template0 OWNER %s`, quoted, pgcluster.OwnerRole); err != nil {
		return fmt.Errorf("create the template: %w", err)
	}
	if err := Migrate(ctx, s.roleURL(pgcluster.OwnerRole, name), files); err != nil {
		return err
	}
	if err := run(`ALTER DATABASE %s WITH IS_TEMPLATE true ALLOW_CONNECTIONS false`, quoted); err != nil {
		return fmt.Errorf("mark the template as complete: %w", err)
	}
	return nil
}

// Migrate applies all migrations in files to the database that ownerURL names. No migrations are no error.
func Migrate(ctx context.Context, ownerURL string, files fs.FS) error {
	config, err := pgx.ParseConfig(ownerURL)
	if err != nil {
		return fmt.Errorf("parse the owner's URL: %w", err)
	}
	db := stdlib.OpenDB(*config)
	defer func() { _ = db.Close() }()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithDisableGlobalRegistry(true))
	if errors.Is(err, goose.ErrNoMigrations) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// hashOf changes whenever the name or the content of a file does.
func hashOf(files fs.FS) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%d:%s%d:", len(path), path, len(raw))
		sum.Write(raw)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("hash the migrations: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}
