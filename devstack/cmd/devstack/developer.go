package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/sluicepay/sluice/devstack/stack"
	"github.com/sluicepay/sluice/devstack/term"
)

// developer is a merchant of the state folder for whoever wants to try the API by hand. It has no endpoint: nothing
// would listen there.
type developer struct {
	Merchant string `json:"merchant_id"`
	Key      string `json:"key"`
}

// tryIt prints what a shell needs to call the API by hand.
func tryIt(ctx context.Context, out *term.Printer, r stack.Running, dir string) error {
	d, err := ensureDeveloper(ctx, r, filepath.Join(dir, "developer.json"))
	if err != nil {
		return err
	}
	out.Row("try it", "export API="+r.API+" KEY="+d.Key, "")
	return nil
}

// ensureDeveloper returns the merchant kept in a file while its key works, or creates one.
func ensureDeveloper(ctx context.Context, r stack.Running, path string) (developer, error) {
	var d developer
	content, err := os.ReadFile(path)
	if err == nil && json.Unmarshal(content, &d) == nil && keyWorks(ctx, r.API, d.Key) {
		return d, nil
	}
	d = developer{}
	if err := sluiceJSON(ctx, r, &d, "merchant", "create", "--name", "Developer", "--json"); err != nil {
		return d, err
	}
	if err := sluiceJSON(ctx, r, &d, "key", "create", "--merchant", d.Merchant, "--mode", "test", "--json"); err != nil {
		return d, err
	}
	content, err = json.MarshalIndent(d, "", "  ")
	if err != nil {
		return d, err
	}
	return d, os.WriteFile(path, append(content, '\n'), 0o600)
}

func keyWorks(ctx context.Context, api, key string) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, api+"/v1/balances", nil)
	if err != nil {
		return false
	}
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// sluiceJSON runs a short sluice command on a running stack and reads what it prints.
func sluiceJSON(ctx context.Context, r stack.Running, answer any, args ...string) error {
	output, err := runSluice(ctx, r, args...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(output, answer); err != nil {
		return fmt.Errorf("read what sluice %s %s printed: %w", args[0], args[1], err)
	}
	return nil
}
