package workers

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/webhook"
)

// Role is a group of task queues that a process serves.
type Role string

// The roles.
const (
	RoleOrders    Role = "orders"
	RoleCallbacks Role = "callbacks"
	RoleChains    Role = "chains"
)

// Roles lists every role.
func Roles() []Role { return []Role{RoleOrders, RoleCallbacks, RoleChains} }

// Config is what Run needs. Client, Store and Keys are required and stay the caller's to close.
type Config struct {
	Client    client.Client // a lazy one lets workers start while Temporal is away
	Namespace string
	Store     *store.DB
	Keys      *seal.Keyring
	// Roles are what this process does; all of them when empty.
	Roles []Role
	// Chains limits the role chains to these; every configured one when empty.
	Chains    []string
	Callbacks CallbackConfig
	// ShutdownTimeout is how long activities may finish; 20 s when zero.
	ShutdownTimeout time.Duration
	Log             *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
	// Tuning is for tests and for machines of unusual size.
	Tuning Tuning
}

// CallbackConfig is how callbacks are sent.
type CallbackConfig struct {
	Schedule webhook.Schedule // the default one when it has no attempts
	Targets  webhook.Targets  // excepted from the guard
	Timeout  time.Duration    // of one attempt; the webhook package's default when zero
}

// Tuning are the periods of what runs in the background. A zero field takes its default.
type Tuning struct {
	// Retention is how long closed workflows stay readable: 30 days.
	Retention time.Duration
	// Relay is the pause between two looks at an empty outbox: 200 ms.
	Relay time.Duration
	// Ensure is the time between two looks for chains without a watcher: one minute.
	Ensure time.Duration
	// Sweep is the time between two sweeps: one minute; Silent is how long something must have been silent: ten minutes.
	Sweep, Silent time.Duration
	// Prune is the time between two prunings: one hour.
	Prune time.Duration
	// Scan bounds how watchers go about their chains; Turn is how long they watch in one history.
	Scan scan.Policy
	Turn time.Duration
	// Fault is called at every point of a scanner's step. Tests kill the process there.
	Fault func(scan.Point)
}

func (c Config) withDefaults() (Config, error) {
	if c.Client == nil || c.Store == nil || c.Keys == nil || c.Namespace == "" {
		return c, errors.New("workers: Client, Namespace, Store and Keys are required")
	}
	if len(c.Roles) == 0 {
		c.Roles = Roles()
	}
	for _, role := range c.Roles {
		if !slices.Contains(Roles(), role) {
			return c, fmt.Errorf("workers: there is no role %q", role)
		}
	}
	if c.Callbacks.Schedule.Attempts() == 0 {
		schedule, err := webhook.ParseSchedule(webhook.DefaultSchedule)
		if err != nil {
			return c, err
		}
		c.Callbacks.Schedule = schedule
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	setDefault(&c.Callbacks.Timeout, webhook.DefaultTimeout)
	setDefault(&c.ShutdownTimeout, 20*time.Second)
	setDefault(&c.Tuning.Retention, 30*24*time.Hour)
	setDefault(&c.Tuning.Relay, 200*time.Millisecond)
	setDefault(&c.Tuning.Ensure, time.Minute)
	setDefault(&c.Tuning.Sweep, time.Minute)
	setDefault(&c.Tuning.Silent, 10*time.Minute)
	setDefault(&c.Tuning.Prune, time.Hour)
	return c, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c Config) has(role Role) bool { return slices.Contains(c.Roles, role) }
