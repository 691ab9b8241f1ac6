package main

import (
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// mutant is one planted bug.
type mutant struct {
	name string
	// breaks is the rule that it breaks, for people.
	breaks string
	edits  []edit
	// tests are those that are expected to kill it. One of them is enough.
	tests []suite
}

// edit replaces text that occurs exactly once in a file of the checkout.
type edit struct {
	file, old, new string
}

// suite is tests of one package.
type suite struct {
	pkg string // relative to the checkout, such as "./store"
	run string // as for go test -run
}

// apply returns the changed files by their names. It fails when a replacement does not fit or leaves something that cannot
// be parsed.
func (m mutant) apply(root string) (map[string]string, error) {
	changed := map[string]string{}
	for _, e := range m.edits {
		text, known := changed[e.file]
		if !known {
			raw, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				return nil, err
			}
			text = string(raw)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return nil, fmt.Errorf("%s: %d places to replace instead of one:\n%s", e.file, n, e.old)
		}
		changed[e.file] = strings.Replace(text, e.old, e.new, 1)
	}
	for name, text := range changed {
		if filepath.Ext(name) != ".go" {
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), name, text, 0); err != nil {
			return nil, err
		}
	}
	return changed, nil
}

// overlay writes the changed files into a folder and returns the file that go test -overlay wants.
func (m mutant) overlay(root, folder string) (string, error) {
	changed, err := m.apply(root)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for name, text := range changed {
		copied := filepath.Join(folder, fmt.Sprintf("%d%s", len(replace), filepath.Ext(name)))
		if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, name)] = copied
	}
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	at := filepath.Join(folder, "overlay.json")
	return at, os.WriteFile(at, raw, 0o600)
}
