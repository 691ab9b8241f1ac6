// Package config reads the programs' configuration from the environment: typed, checked at start, and printable with its
// secrets masked. Zero values are useful defaults for one machine; what has no safe default is required.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/sluicepay/sluice/internal/seal"
)

// Database is how the application role reaches PostgreSQL.
type Database struct {
	URL      seal.Secret `env:"SLUICE_DATABASE_URL,required,notEmpty"`
	MaxConns int32       `env:"SLUICE_DATABASE_MAX_CONNS" envDefault:"10"`
	PlainDatabase
}

// PlainDatabase is shared by everything that connects to PostgreSQL.
type PlainDatabase struct {
	// DatabaseInsecure admits a connection that proves no server, to an address that is not loopback, for a private network of containers.
	DatabaseInsecure bool `env:"SLUICE_DATABASE_INSECURE" envDefault:"false"`
}

// Migrate is how the owner role reaches PostgreSQL. Only `sluice migrate` and `sluice ledger settle-finding` have it.
type Migrate struct {
	URL seal.Secret `env:"SLUICE_MIGRATE_DATABASE_URL,required,notEmpty"`
	PlainDatabase
}

// Temporal is where workflows run.
type Temporal struct {
	Address   string `env:"SLUICE_TEMPORAL_ADDRESS" envDefault:"127.0.0.1:7233"`
	Namespace string `env:"SLUICE_TEMPORAL_NAMESPACE" envDefault:"sluice"`
	// Mutual TLS. Whoever reaches Temporal can signal workflows, so anything but loopback needs it.
	TLSCert string `env:"SLUICE_TEMPORAL_TLS_CERT"`
	TLSKey  string `env:"SLUICE_TEMPORAL_TLS_KEY"`
	TLSCA   string `env:"SLUICE_TEMPORAL_TLS_CA"`
	// Insecure admits a plain connection to an address that is not loopback, for a private network of containers.
	Insecure bool `env:"SLUICE_TEMPORAL_INSECURE" envDefault:"false"`
}

// Keys seal what must be read back: "id:base64(32 bytes)", comma-separated. The first seals, all open.
type Keys struct {
	Master seal.Secret `env:"SLUICE_MASTER_KEYS,required,notEmpty"`
}

// Log is how the programs log.
type Log struct {
	Level  slog.Level `env:"SLUICE_LOG_LEVEL" envDefault:"INFO"`
	Format string     `env:"SLUICE_LOG_FORMAT" envDefault:"json"`
}

// Common is what every long-running program takes.
type Common struct {
	Database
	Temporal
	Keys
	Log
	ShutdownTimeout time.Duration `env:"SLUICE_SHUTDOWN_TIMEOUT" envDefault:"20s"`
}

// API is the configuration of `sluice api`.
type API struct {
	Common
	Listen string `env:"SLUICE_API_LISTEN" envDefault:"127.0.0.1:8080"`
	// MetricsListen serves the metrics, apart from what merchants reach; empty serves none.
	MetricsListen string `env:"SLUICE_API_METRICS_LISTEN"`
	// TrustedProxies are the only peers whose X-Forwarded-For counts.
	TrustedProxies []netip.Prefix `env:"SLUICE_TRUSTED_PROXIES"`
	OpenTimeout    time.Duration  `env:"SLUICE_OPEN_TIMEOUT" envDefault:"5s"`
}

// Worker is the configuration of `sluice worker`.
type Worker struct {
	Common
	// Listen serves health and metrics.
	Listen string `env:"SLUICE_WORKER_LISTEN" envDefault:"127.0.0.1:8081"`
	// ChainURL is how the role chains reaches PostgreSQL: as the only role that may record what a chain shows.
	ChainURL seal.Secret `env:"SLUICE_CHAIN_DATABASE_URL"`
	// Roles are the groups of task queues this process serves.
	Roles []string `env:"SLUICE_WORKER_ROLES" envDefault:"orders,callbacks,chains"`
	// Chains limits the role chains to these; empty means every enabled one.
	Chains           []string      `env:"SLUICE_CHAINS"`
	CallbackSchedule string        `env:"SLUICE_CALLBACK_SCHEDULE" envDefault:"0s,5s,5m,30m,2h,5h,10h,14h,20h,24h"`
	CallbackTimeout  time.Duration `env:"SLUICE_CALLBACK_TIMEOUT" envDefault:"15s"`
}

// Admin is the configuration of the short commands that write rows.
type Admin struct {
	Database
	Keys
	Log
}

// Load reads T from the environment. The error names variables and never their values.
func Load[T any]() (T, error) {
	var c T
	if err := env.Parse(&c); err != nil {
		return c, scrub(err)
	}
	if v, ok := any(&c).(interface{ validate() error }); ok {
		if err := v.validate(); err != nil {
			return c, err
		}
	}
	return c, nil
}

// scrub keeps a value that could not be parsed out of the message: it may be a secret put in the wrong variable.
func scrub(err error) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return errors.New("config: the environment could not be read")
	}
	var parts []string
	for _, e := range all.Errors {
		var parse env.ParseError
		if errors.As(e, &parse) {
			parts = append(parts, fmt.Sprintf("field %s: not a valid %s", parse.Name, parse.Type))
			continue
		}
		parts = append(parts, e.Error())
	}
	return fmt.Errorf("config: %s", strings.Join(parts, "; "))
}

func (c *API) validate() error {
	if c.OpenTimeout <= 0 {
		return errors.New("config: SLUICE_OPEN_TIMEOUT must be positive")
	}
	return c.Common.validate()
}

func (c *Worker) validate() error {
	known := []string{"orders", "callbacks", "chains"}
	if len(c.Roles) == 0 {
		return errors.New("config: SLUICE_WORKER_ROLES names no role")
	}
	for _, r := range c.Roles {
		if !slices.Contains(known, r) {
			return fmt.Errorf("config: SLUICE_WORKER_ROLES: roles are %s", strings.Join(known, ", "))
		}
	}
	if slices.Contains(c.Roles, "chains") {
		if c.ChainURL.Reveal() == "" {
			return errors.New("config: the role chains needs SLUICE_CHAIN_DATABASE_URL, which logs in as sluice_chain")
		}
		if err := c.protected("SLUICE_CHAIN_DATABASE_URL", c.ChainURL); err != nil {
			return err
		}
	}
	if c.CallbackTimeout <= 0 || c.CallbackTimeout > time.Minute {
		return errors.New("config: SLUICE_CALLBACK_TIMEOUT must be between 0 and 1m")
	}
	return c.Common.validate()
}

func (c *Migrate) validate() error { return c.protected("SLUICE_MIGRATE_DATABASE_URL", c.URL) }

func (c *Admin) validate() error { return c.protected("SLUICE_DATABASE_URL", c.Database.URL) }

func (c *Common) validate() error {
	if err := c.protected("SLUICE_DATABASE_URL", c.Database.URL); err != nil {
		return err
	}
	if c.Log.Format != "json" && c.Log.Format != "text" {
		return errors.New("config: SLUICE_LOG_FORMAT is json or text")
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("config: SLUICE_TEMPORAL_TLS_CERT and SLUICE_TEMPORAL_TLS_KEY go together")
	}
	if c.TLSCert == "" && !c.Insecure && !loopback(c.Temporal.Address) {
		return errors.New("config: SLUICE_TEMPORAL_ADDRESS is not loopback: set the TLS variables, " +
			"or SLUICE_TEMPORAL_INSECURE=true where the network itself is private")
	}
	return nil
}

func loopback(address string) bool {
	host := address
	if i := strings.LastIndexByte(address, ':'); i >= 0 {
		host = address[:i]
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback()
}

// Logger makes the program's logger as configured.
func (l Log) Logger() *slog.Logger {
	options := &slog.HandlerOptions{Level: l.Level}
	if l.Format == "text" {
		return slog.New(slog.NewTextHandler(os.Stderr, options))
	}
	return slog.New(slog.NewJSONHandler(os.Stderr, options))
}

// Describe lists the configuration by variable, secrets masked, for the log line at start.
func Describe(c any) []slog.Attr {
	var attrs []slog.Attr
	describe(reflect.ValueOf(c), &attrs)
	return attrs
}

func describe(v reflect.Value, attrs *[]slog.Attr) {
	v = reflect.Indirect(v)
	t := v.Type()
	for i := range t.NumField() {
		field := t.Field(i)
		if field.Anonymous {
			describe(v.Field(i), attrs)
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("env"), ",")
		if name != "" {
			*attrs = append(*attrs, slog.Any(name, v.Field(i).Interface()))
		}
	}
}
