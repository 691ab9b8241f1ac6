package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"strings"

	"github.com/sluicepay/sluice/internal/config"
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

// admin is what the operator's commands work with.
type admin struct {
	db   *store.DB
	keys *seal.Keyring
	by   process.By
}

// audited is embedded by commands that change something: who does it and why goes into the audit.
type audited struct {
	Actor  string `help:"Who does this, for the audit. Default: the user of this machine." placeholder:"NAME"`
	Reason string `help:"Why, for the audit." placeholder:"TEXT"`
}

func (a audited) by() process.By {
	by := process.By{Actor: a.Actor, Reason: a.Reason}
	if by.Actor == "" {
		by.Actor = machineUser()
	}
	return by
}

func machineUser() string {
	name := os.Getenv("SUDO_USER")
	if name == "" {
		if u, err := user.Current(); err == nil {
			name = u.Username
		}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return name + "@" + host
}

// withAdmin opens the database as the application role, runs fn and closes it.
func withAdmin(ctx context.Context, who audited, fn func(admin) error) error {
	settings, err := config.Load[config.Admin]()
	if err != nil {
		return err
	}
	keys, err := seal.ParseKeyring(settings.Master.Reveal())
	if err != nil {
		return fmt.Errorf("SLUICE_MASTER_KEYS: %w", err)
	}
	db, err := store.Open(ctx, settings.Database.URL.Reveal(), store.Options{
		MaxConns: 2, ApplicationName: "sluice-cli", Logger: settings.Logger(), Role: store.RoleApp,
	})
	if err != nil {
		return err
	}
	defer db.Close()
	return fn(admin{db: db, keys: keys, by: who.by()})
}

// printed is embedded by commands whose result another program may read.
type printed struct {
	JSON bool `name:"json" help:"Print one JSON object."`
}

// field is one line of a result.
type field struct{ name, value string }

// show prints fields: as an object with --json, else aligned, underscores as spaces.
func (p printed) show(c console, fields ...field) error {
	if p.JSON {
		object := make(map[string]string, len(fields))
		for _, f := range fields {
			object[f.name] = f.value
		}
		encoder := json.NewEncoder(c.out)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(object)
	}
	width := 0
	for _, f := range fields {
		width = max(width, len(f.name))
	}
	for _, f := range fields {
		if _, err := fmt.Fprintf(c.out, "%-*s  %s\n", width, strings.ReplaceAll(f.name, "_", " "), f.value); err != nil {
			return err
		}
	}
	return nil
}
