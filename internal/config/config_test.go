package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func setRequired(t *testing.T) {
	t.Helper()
	t.Setenv("SLUICE_DATABASE_URL", "postgres://app:canary-password@127.0.0.1/sluice")
	t.Setenv("SLUICE_CHAIN_DATABASE_URL", "postgres://chain:canary-password@127.0.0.1/sluice")
	t.Setenv("SLUICE_MASTER_KEYS", "k1:canary-key")
}

func TestSecretsAreMaskedHoweverTheyArePrinted(t *testing.T) {
	setRequired(t)
	c, err := Load[Worker]()
	require.NoError(t, err)
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).LogAttrs(t.Context(), slog.LevelInfo, "start", Describe(c)...)
	asJSON, err := json.Marshal(c)
	require.NoError(t, err)
	printed := out.String() + string(asJSON) + fmt.Sprintf("%v %+v %#v %s %q", c, c, c, c.Master, c.Master)
	require.NotContains(t, printed, "canary")
	require.Contains(t, out.String(), "SLUICE_CALLBACK_SCHEDULE")
	require.Equal(t, "k1:canary-key", c.Master.Reveal())
}

func TestErrorsNameTheVariableAndNotItsValue(t *testing.T) {
	setRequired(t)
	t.Setenv("SLUICE_DATABASE_MAX_CONNS", "canary")
	_, err := Load[Worker]()
	require.ErrorContains(t, err, "MaxConns")
	require.NotContains(t, err.Error(), "canary")
}

func TestMissingVariablesAreNamed(t *testing.T) {
	t.Setenv("SLUICE_DATABASE_URL", "")
	_, err := Load[Admin]()
	require.ErrorContains(t, err, "SLUICE_DATABASE_URL")
}

func TestRejectedCombinations(t *testing.T) {
	for _, c := range []struct{ name, value, says string }{
		{"SLUICE_WORKER_ROLES", "orders,signer", "SLUICE_WORKER_ROLES"},
		{"SLUICE_LOG_FORMAT", "xml", "SLUICE_LOG_FORMAT"},
		{"SLUICE_TEMPORAL_ADDRESS", "temporal.internal:7233", "SLUICE_TEMPORAL_INSECURE"},
		{"SLUICE_TEMPORAL_TLS_CERT", "cert.pem", "go together"},
		{"SLUICE_CALLBACK_TIMEOUT", "2m", "SLUICE_CALLBACK_TIMEOUT"},
		{"SLUICE_CHAIN_DATABASE_URL", "", "logs in as sluice_chain"},
	} {
		t.Run(c.name, func(t *testing.T) {
			setRequired(t)
			t.Setenv(c.name, c.value)
			_, err := Load[Worker]()
			require.ErrorContains(t, err, c.says)
		})
	}
}
