package workers

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/sluicepay/sluice/activities"
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

// Config is what a process of workers needs. Client, Namespace, Store and Keys are required, for RoleChains ChainStore too, and stay the
// caller's to close.
type Config struct {
	Client    client.Client // a lazy one lets workers start while Temporal is away
	Namespace string
	Store     *store.DB
	// ChainStore may record what chains show. Only RoleChains uses it, and nothing else.
	ChainStore *store.DB
	Keys       *seal.Keyring
	// Roles are what this process does; all of them when empty.
	Roles []Role
	// Chains limits RoleChains to these; empty means every configured one.
	Chains    []string
	Callbacks CallbackConfig
	// ShutdownTimeout is how long activities may finish; 20 s when zero.
	ShutdownTimeout time.Duration
	Log             *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
	// Patience and WatchOptions are for tests; the zero values are for production.
	Patience     activities.Patience
	WatchOptions activities.WatchOptions
}

// CallbackConfig is how callbacks are sent.
type CallbackConfig struct {
	Schedule webhook.Schedule // the recommended one when it has no attempts
	Timeout  time.Duration    // of one attempt; the webhook package's default when zero
}

const shutdownTimeout = 20 * time.Second

func (c Config) withDefaults() (Config, error) {
	if c.Client == nil || c.Store == nil || c.Keys == nil || c.Namespace == "" {
		return c, errors.New("workers: Client, Namespace, Store and Keys are required")
	}
	if len(c.Roles) == 0 {
		c.Roles = Roles()
	}
	c.Roles = slices.Compact(slices.Sorted(slices.Values(c.Roles)))
	for _, role := range c.Roles {
		if !slices.Contains(Roles(), role) {
			return c, fmt.Errorf("workers: there is no role %q", role)
		}
	}
	if slices.Contains(c.Roles, RoleChains) && c.ChainStore == nil {
		return c, errors.New("workers: the role chains needs ChainStore")
	}
	if c.Callbacks.Schedule.Attempts() == 0 {
		schedule, err := webhook.ParseSchedule(webhook.DefaultSchedule)
		if err != nil {
			return c, err
		}
		c.Callbacks.Schedule = schedule
	}
	if c.Callbacks.Timeout <= 0 {
		c.Callbacks.Timeout = webhook.DefaultTimeout
	}
	if c.ShutdownTimeout <= 0 {
		c.ShutdownTimeout = shutdownTimeout
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c, nil
}
