package pgcluster

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/migrations"
)

// The roles of a cluster.
const (
	Superuser = "postgres"     // creates databases and roles; used by the launcher and the test kit only
	OwnerRole = "sluice_owner" // runs migrations and owns every object
	AppRole   = "sluice_app"   // what programs log in as; owns nothing
	ChainRole = "sluice_chain" // what chain workers log in as: AppRole's rights, and recording what a chain shows
)

// URL is how role connects to database db. It holds the role's password: do not log it.
func (c *Cluster) URL(role, db string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(role, RolePassword(c.password, role)),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)),
		Path:     db,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// RolePassword is the password that EnsureRoles gives to a role, derived from the superuser's, so that whoever may
// administer a cluster can also connect as its roles and nothing else needs to be stored.
func RolePassword(superuserPassword, role string) string {
	if role == Superuser {
		return superuserPassword
	}
	mac := hmac.New(sha256.New, []byte(superuserPassword))
	mac.Write([]byte("role:" + role))
	return hex.EncodeToString(mac.Sum(nil))
}

// rolesLock serialises changes to roles, which PostgreSQL refuses when they happen at once.
const rolesLock = 0x736c75696365 // "sluice"

// EnsureRoles creates the owner and the two roles of programs, or sets their passwords and rights again. conn is a
// superuser's. Idempotent; safe to run from several processes at once, as long as all use database `postgres`.
func EnsureRoles(ctx context.Context, conn *pgx.Conn, superuserPassword string) error {
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(rolesLock)); err != nil {
		return fmt.Errorf("lock roles: %w", err)
	}
	defer func() {
		_, _ = conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, int64(rolesLock))
	}()
	for _, role := range []string{OwnerRole, AppRole, ChainRole} {
		var exists bool
		err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`, role).Scan(&exists)
		if err != nil {
			return fmt.Errorf("look for role %s: %w", role, err)
		}
		verb := "CREATE"
		if exists {
			verb = "ALTER"
		}
		// The password is hexadecimal, and the role one of ours: nothing to quote.
		sql := fmt.Sprintf(`%s ROLE %s LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD '%s'`,
			verb, role, RolePassword(superuserPassword, role))
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s role %s: %w", verb, role, err)
		}
	}
	if _, err := conn.Exec(ctx, `GRANT `+AppRole+` TO `+ChainRole); err != nil {
		return fmt.Errorf("make %s a member of %s: %w", ChainRole, AppRole, err)
	}
	return nil
}

// EnsureDatabase creates the roles and a database that the owner role owns. Idempotent.
func (c *Cluster) EnsureDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, c.URL(Superuser, Superuser))
	if err != nil {
		return fmt.Errorf("connect to the cluster: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := EnsureRoles(ctx, conn, c.password); err != nil {
		return err
	}
	var exists bool
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&exists)
	if err != nil {
		return fmt.Errorf("look for database %s: %w", name, err)
	}
	if !exists {
		sql := fmt.Sprintf(`CREATE DATABASE %s OWNER %s`, pgx.Identifier{name}.Sanitize(), OwnerRole)
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("create database %s: %w", name, err)
		}
	}
	if _, err := conn.Exec(ctx, migrations.Restrict(name)); err != nil {
		return fmt.Errorf("restrict database %s: %w", name, err)
	}
	return nil
}
