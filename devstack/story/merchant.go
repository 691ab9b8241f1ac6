package story

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
)

// merchant is what a merchant keeps: its key and the secret of its endpoint. Both are shown once, so a play that has
// lost them starts over as a new merchant.
type merchant struct {
	ID       string `json:"merchant_id"`
	Key      string `json:"key"`
	Secret   string `json:"secret"`
	Endpoint string `json:"endpoint"` // where callbacks go
}

// enter returns the merchant of the last play when it can go on, or creates one. back tells which.
func (w World) enter(ctx context.Context, endpoint string) (m merchant, back bool, err error) {
	if known, ok := w.remember(); ok && known.Endpoint == endpoint {
		if _, err := newClient(w.API, known.Key).balances(ctx); err == nil {
			return known, true, nil
		}
	}
	m = merchant{Endpoint: endpoint}
	var created struct {
		MerchantID string `json:"merchant_id"`
	}
	if err := w.command(ctx, &created, "merchant", "create", "--name", "Corner shop", "--json"); err != nil {
		return m, false, err
	}
	m.ID = created.MerchantID
	var key struct{ Key string }
	if err := w.command(ctx, &key, "key", "create", "--merchant", m.ID, "--mode", "test", "--json"); err != nil {
		return m, false, err
	}
	m.Key = key.Key
	at, err := url.Parse(endpoint)
	if err != nil {
		return m, false, fmt.Errorf("read the endpoint's URL: %w", err)
	}
	// The shop is on this machine, where callbacks may not go unless the operator lets them.
	if _, err := w.Sluice(ctx, "endpoint", "allow", "--merchant", m.ID, "--mode", "test", at.Host); err != nil {
		return m, false, err
	}
	var hook struct{ Secret string }
	err = w.command(ctx, &hook, "endpoint", "create", "--merchant", m.ID, "--mode", "test", "--url", endpoint, "--json")
	if err != nil {
		return m, false, err
	}
	m.Secret = hook.Secret
	return m, false, w.keep(m)
}

// command runs a sluice command that prints JSON.
func (w World) command(ctx context.Context, answer any, args ...string) error {
	output, err := w.Sluice(ctx, args...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(output, answer); err != nil {
		return fmt.Errorf("read what sluice %s %s printed: %w", args[0], args[1], err)
	}
	return nil
}

func (w World) remember() (merchant, bool) {
	var m merchant
	content, err := os.ReadFile(w.Memory)
	if errors.Is(err, fs.ErrNotExist) || err != nil || json.Unmarshal(content, &m) != nil {
		return m, false
	}
	return m, true
}

func (w World) keep(m merchant) error {
	content, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("keep the merchant's key: %w", err)
	}
	if err := os.WriteFile(w.Memory, append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("keep the merchant's key: %w", err)
	}
	return nil
}
