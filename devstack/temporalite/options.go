package temporalite

import (
	"errors"
	"path/filepath"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
)

// Defaults that the rest of the product expects.
const (
	DefaultNamespace = "sluice"
	DefaultRetention = 30 * 24 * time.Hour
)

// databaseFile is the file in Options.Dir that holds all state.
const databaseFile = "temporal.db"

// Options say where a server keeps its state and where it listens.
type Options struct {
	// Dir holds the database. It is created if missing. Required.
	Dir string
	// FrontendPort is where clients connect; 0 picks a free port.
	FrontendPort int
	// UIPort is where the web UI listens; 0 picks a free port.
	UIPort int
	// NoUI leaves the web UI out; tests start faster without it.
	NoUI bool
	// LogFile takes the server's messages; empty means Dir/temporal.log.
	LogFile string
	// Namespace is ensured at every start; empty means DefaultNamespace.
	Namespace string
	// Retention is how long closed workflows stay readable; 0 means DefaultRetention.
	Retention time.Duration
	// SearchAttributes are added to the namespace when they are missing. Attributes are never removed.
	SearchAttributes map[string]enumspb.IndexedValueType
	// Settings override the server's dynamic configuration, by key.
	Settings map[string]any
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("temporalite: Options.Dir is empty")
	}
	if o.LogFile == "" {
		o.LogFile = filepath.Join(o.Dir, "temporal.log")
	}
	if o.Namespace == "" {
		o.Namespace = DefaultNamespace
	}
	if o.Retention == 0 {
		o.Retention = DefaultRetention
	}
	return o, nil
}

func (o Options) databasePath() string { return filepath.Join(o.Dir, databaseFile) }
