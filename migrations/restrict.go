package migrations

import (
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Restrict is a statement that keeps everybody but a database's owner from making objects in it, temporary ones included: a temporary table
// stands in front of the real one for whoever made it. It belongs to each database by itself: neither a template nor a dump carries it.
func Restrict(database string) string {
	return fmt.Sprintf(`REVOKE CREATE, TEMPORARY ON DATABASE %s FROM PUBLIC, sluice_app, sluice_chain`, pgx.Identifier{database}.Sanitize())
}
