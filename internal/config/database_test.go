package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// authority writes the certificate of an authority to a file.
func authority(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), 0o600))
	return path
}

// TestTheDatabaseIsProvenOffLoopback: in every way in which a URL, its environment or a service file can say where the database is.
func TestTheDatabaseIsProvenOffLoopback(t *testing.T) {
	ca := authority(t)
	services := filepath.Join(t.TempDir(), "pg_service.conf")
	require.NoError(t, os.WriteFile(services, []byte("[far]\nhost=db.example\nsslmode=require\n[near]\nhost=127.0.0.1\n"), 0o600))
	for _, c := range []struct {
		name, url string
		env       map[string]string
		fine      bool
	}{
		{name: "loopback", url: "postgres://u:canary@127.0.0.1/x", fine: true},
		{name: "loopback by name", url: "postgres://u:canary@localhost/x?sslmode=disable", fine: true},
		{name: "IPv6 loopback", url: "postgres://u:canary@[::1]:5432/x", fine: true},
		{name: "socket", url: "host=/var/run/postgresql user=u password=canary", fine: true},
		{name: "nothing said", url: "postgres://u:canary@db.example/x"},
		{name: "disable", url: "postgres://u:canary@db.example/x?sslmode=disable"},
		{name: "allow", url: "postgres://u:canary@db.example/x?sslmode=allow"},
		{name: "prefer", url: "postgres://u:canary@db.example/x?sslmode=prefer&sslrootcert=" + ca},
		{name: "require", url: "postgres://u:canary@db.example/x?sslmode=require"},
		{name: "require, direct", url: "postgres://u:canary@db.example/x?sslmode=require&sslnegotiation=direct"},
		{name: "require with an authority", url: "postgres://u:canary@db.example/x?sslmode=require&sslrootcert=" + ca, fine: true},
		{name: "verify-ca", url: "postgres://u:canary@db.example/x?sslmode=verify-ca&sslrootcert=" + ca, fine: true},
		{name: "verify-full", url: "postgres://u:canary@db.example/x?sslmode=verify-full", fine: true},
		{name: "system's authorities", url: "postgres://u:canary@db.example/x?sslrootcert=system", fine: true},
		{name: "private address", url: "postgres://u:canary@10.0.0.5/x"},
		{name: "looks like loopback", url: "postgres://u:canary@127.0.0.1.db.example/x"},
		{name: "second of two hosts", url: "postgres://u:canary@127.0.0.1:5432,db.example:5432/x"},
		{name: "two hosts, proven", url: "postgres://u:canary@a.example:5432,b.example:5432/x?sslmode=verify-full", fine: true},
		{name: "host overridden", url: "postgres://u:canary@127.0.0.1/x?host=db.example"},
		{name: "host of the environment", url: "postgres:///x?user=u&password=canary", env: map[string]string{"PGHOST": "db.example"}},
		{name: "mode of the environment", url: "postgres://u:canary@db.example/x", env: map[string]string{"PGSSLMODE": "verify-full"}, fine: true},
		{name: "weak mode of the environment", url: "postgres://u:canary@db.example/x", env: map[string]string{"PGSSLMODE": "require"}},
		{name: "service of a file", url: "service=far user=u password=canary", env: map[string]string{"PGSERVICEFILE": services}},
		{name: "near service of a file", url: "service=near user=u password=canary", env: map[string]string{"PGSERVICEFILE": services}, fine: true},
		{name: "no URL", url: "postgres://u:canary@127.0.0.1:port/x"},
		{name: "an authority that is not there", url: "postgres://u:canary@db.example/x?sslmode=verify-full&sslrootcert=/nowhere/canary.pem"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, name := range []string{"PGHOST", "PGSSLMODE", "PGSSLROOTCERT", "PGSERVICE", "PGSERVICEFILE"} {
				t.Setenv(name, c.env[name])
			}
			for variable, load := range map[string]func() error{
				"SLUICE_DATABASE_URL":         func() error { _, err := Load[API](); return err },
				"SLUICE_CHAIN_DATABASE_URL":   func() error { _, err := Load[Worker](); return err },
				"SLUICE_MIGRATE_DATABASE_URL": func() error { _, err := Load[Migrate](); return err },
			} {
				setRequired(t)
				t.Setenv(variable, c.url)
				err := load()
				if variable == "SLUICE_DATABASE_URL" {
					_, admin := Load[Admin]()
					require.Equal(t, err == nil, admin == nil)
				}
				if c.fine {
					require.NoError(t, err)
					continue
				}
				require.ErrorContains(t, err, variable)
				require.NotContains(t, err.Error(), "canary")
			}
		})
	}
	setRequired(t)
	t.Setenv("SLUICE_DATABASE_URL", "postgres://u:canary@db.example/x")
	t.Setenv("SLUICE_DATABASE_INSECURE", "true")
	_, err := Load[API]()
	require.NoError(t, err)
}
