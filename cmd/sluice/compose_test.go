package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/core"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest/gethnode"
	"github.com/sluicepay/sluice/internal/config"
)

// variables lists what a configuration reads from the environment.
func variables(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		field := t.Field(i)
		if field.Anonymous {
			names = append(names, variables(field.Type)...)
			continue
		}
		if name, _, _ := strings.Cut(field.Tag.Get("env"), ","); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func allVariables() []string {
	var names []string
	for _, c := range []any{config.API{}, config.Worker{}, config.Migrate{}, config.Admin{}} {
		names = append(names, variables(reflect.TypeOf(c))...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{"..", ".."}, path...)...))
	require.NoError(t, err)
	return string(text)
}

func TestComposeIsTrueToThePrograms(t *testing.T) {
	t.Parallel()
	text := read(t, "docker-compose.yml")
	set := regexp.MustCompile(`(?m)^\s+(SLUICE_[A-Z_]+):`).FindAllStringSubmatch(text, -1)
	require.NotEmpty(t, set)
	// What the PostgreSQL container's own script reads.
	known := append(allVariables(), "SLUICE_OWNER_PASSWORD", "SLUICE_APP_PASSWORD", "SLUICE_CHAIN_PASSWORD")
	for _, match := range set {
		require.Contains(t, known, match[1], "no program takes this variable")
	}
	for _, port := range []string{`"127.0.0.1:8080:8080"`, `"127.0.0.1:8082:8082"`, `"127.0.0.1:8081:8081"`} {
		require.Contains(t, text, port)
	}
	require.Contains(t, text, "SLUICE_API_LISTEN: 0.0.0.0:8080")
	require.Contains(t, text, "SLUICE_WORKER_LISTEN: 0.0.0.0:8081")
}

// The second node is the local stack's second chain: the file that it starts from is what that would be made from.
func TestComposeHasTwoChains(t *testing.T) {
	t.Parallel()
	text := read(t, "docker-compose.yml")
	for _, part := range []string{`"127.0.0.1:8545:8545"`, `"127.0.0.1:8645:8545"`, "./docker/dev2-genesis.json:/dev2-genesis.json:ro"} {
		require.Contains(t, text, part)
	}
	var genesis core.Genesis
	require.NoError(t, json.Unmarshal([]byte(read(t, "docker", "dev2-genesis.json")), &genesis))
	const dev2 = 31338
	require.EqualValues(t, dev2, genesis.Config.ChainID.Uint64())
	require.Equal(t, gethnode.Genesis(dev2, nil).ToBlock().Hash(), genesis.ToBlock().Hash())
	require.NoError(t, genesis.Config.CheckConfigForkOrder())
	require.NotEqual(t, gethnode.Genesis(dev2-1, nil).ToBlock().Hash(), genesis.ToBlock().Hash())
}

func TestEveryVariableIsDocumented(t *testing.T) {
	t.Parallel()
	page := read(t, "docs", "operations.md")
	page = strings.ReplaceAll(page, "`SLUICE_TEMPORAL_TLS_CERT`, `_KEY`, `_CA`",
		"`SLUICE_TEMPORAL_TLS_CERT` `SLUICE_TEMPORAL_TLS_KEY` `SLUICE_TEMPORAL_TLS_CA`")
	for _, name := range allVariables() {
		require.Contains(t, page, "`"+name+"`")
	}
}
