package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/migrations"
)

// Role is what a program logs in as. See docs/decisions/0016-two-roles.md.
type Role string

// The roles of programs.
const (
	// RoleApp reads what chain workers recorded, and writes everything else.
	RoleApp Role = "sluice_app"
	// RoleChain also records what a chain shows, and credits it.
	RoleChain Role = "sluice_chain"
)

// RightsError says that a connection has other rights than its program should have, and what to run. It is nothing that waiting mends.
type RightsError struct{ text string }

func (e *RightsError) Error() string { return "store: " + e.text }

const readRights = `SELECT current_user::text, current_database()::text,
	(SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR COALESCE((SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = p), false),
	has_database_privilege(current_database(), 'CREATE') OR has_database_privilege(current_database(), 'TEMPORARY')
	  OR has_schema_privilege('public', 'CREATE'),
	COALESCE(has_table_privilege(p, 'INSERT'), false), p IS NOT NULL
	FROM to_regclass('public.payments') AS p`

// checkRights refuses a connection that could do what its role must not be able to, or not what it has to. It is asked of each connection: a
// database that was restored, or that another server took over, has rights of its own.
func (r Role) checkRights(ctx context.Context, conn *pgx.Conn) error {
	var user, database string
	var owns, makes, records, migrated bool
	if err := conn.QueryRow(ctx, readRights).Scan(&user, &database, &owns, &makes, &records, &migrated); err != nil {
		return fmt.Errorf("read the rights of the connection: %w", err)
	}
	var text string
	switch {
	case owns:
		text = fmt.Sprintf("%s owns the tables or is a superuser, and could change the books: log in as %s", user, r)
	case makes:
		text = fmt.Sprintf("%s may make objects in the database %s, and could put them in front of the books: run sluice migrate, or as the database's owner: "+
			"REVOKE CREATE ON SCHEMA public FROM PUBLIC; %s", user, database, migrations.Restrict(database))
	case !migrated:
		text = "the database has no tables yet: run sluice migrate"
	case r == RoleApp && records:
		text = fmt.Sprintf("%s may record payments, which is the chain worker's: log in as %s", user, RoleApp)
	case r == RoleChain && !records:
		text = fmt.Sprintf("%s may not record payments: run sluice migrate, and log in as %s", user, RoleChain)
	default:
		return nil
	}
	return &RightsError{text: text}
}

// CheckRights asks the database what this program may do there. Errors: *RightsError; CodeUnavailable while the database is away.
func (db *DB) CheckRights(ctx context.Context) error { return db.Ping(ctx) }
