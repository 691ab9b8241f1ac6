package stack

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// state is what a stack remembers between runs.
type state struct {
	Ports Ports `json:"ports"`
	// Wallet tells that the development wallet has been imported.
	Wallet bool `json:"wallet,omitempty"`
	// Token and Token2 are the test token's contracts on the two chains.
	Token  string `json:"token,omitempty"`
	Token2 string `json:"token2,omitempty"`
}

// secrets are generated once and never leave the folder but through the environment of the sluice commands.
type secrets struct {
	MasterKeys string `json:"master_keys"`
	// Mnemonic is the development wallet's. Nothing in the stack needs it again; it is kept so that test money on a
	// long-lived folder can be moved by hand.
	Mnemonic string `json:"mnemonic,omitempty"`
}

const (
	stateFile   = "state.json"
	secretsFile = "secrets.json"
	runningFile = "running.json"
	envFile     = "env"
)

func (f *folder) path(elements ...string) string {
	return filepath.Join(append([]string{f.dir}, elements...)...)
}

// load reads a JSON file of the folder. A missing one leaves value as it is.
func (f *folder) load(name string, value any) error {
	content, err := os.ReadFile(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the stack's state: %w", err)
	}
	if err := json.Unmarshal(content, value); err != nil {
		return fmt.Errorf("read %s: %w", f.path(name), err)
	}
	return nil
}

func (f *folder) save(name string, value any) error {
	content, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return writeFile(f.path(name), append(content, '\n'))
}

// writeFile replaces a file in one step, so that a reader never sees half of it.
func writeFile(path string, content []byte) error {
	fresh := path + ".new"
	if err := os.WriteFile(fresh, content, 0o600); err != nil {
		return fmt.Errorf("write the stack's state: %w", err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("write the stack's state: %w", err)
	}
	return nil
}

// loadSecrets returns the folder's secrets, made on first use.
func (f *folder) loadSecrets() (secrets, error) {
	var s secrets
	if err := f.load(secretsFile, &s); err != nil {
		return s, err
	}
	if s.MasterKeys != "" {
		return s, nil
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	s.MasterKeys = "local1:" + base64.StdEncoding.EncodeToString(key)
	return s, f.save(secretsFile, s)
}
