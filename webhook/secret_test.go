package webhook_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/webhook"
)

func TestParseSecret(t *testing.T) {
	t.Parallel()
	encoded := func(n int) string {
		return "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xfb}, n))
	}
	tests := []struct {
		name string
		text string
		ok   bool
	}{
		{"24 bytes", encoded(24), true},
		{"64 bytes", encoded(64), true},
		{"23 bytes", encoded(23), false},
		{"65 bytes", encoded(65), false},
		{"empty", "", false},
		{"prefix alone", "whsec_", false},
		{"no prefix", strings.TrimPrefix(encoded(32), "whsec_"), false},
		{"another prefix", "whpk_" + strings.TrimPrefix(encoded(32), "whsec_"), false},
		{"upper-case prefix", "WHSEC_" + strings.TrimPrefix(encoded(32), "whsec_"), false},
		{"URL alphabet", strings.ReplaceAll(encoded(32), "+", "-"), false},
		{"no padding", strings.TrimRight(encoded(32), "="), false},
		{"loose padding bits", strings.TrimSuffix(encoded(25), "w==") + "x==", false},
		{"line end inside", encoded(24)[:20] + "\n" + encoded(24)[20:], false},
		{"space behind", encoded(24) + " ", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			secret, err := webhook.ParseSecret(tt.text)
			if tt.ok {
				require.NoError(t, err)
				require.Equal(t, tt.text, secret.Reveal())
				return
			}
			require.ErrorIs(t, err, webhook.ErrSecret)
			require.True(t, secret.IsZero())
			require.Empty(t, secret.Reveal())
		})
	}
}

func TestNewSecret(t *testing.T) {
	t.Parallel()
	first, second := webhook.NewSecret(), webhook.NewSecret()
	require.NotEqual(t, first.Reveal(), second.Reveal())
	again, err := webhook.ParseSecret(first.Reveal())
	require.NoError(t, err)
	require.Equal(t, first.Reveal(), again.Reveal())
}

// A secret must not come out through any of the ways in which values are printed by
// accident.
func TestSecretPrintsAsMask(t *testing.T) {
	t.Parallel()
	secret := webhook.NewSecret()
	hidden := strings.TrimPrefix(secret.Reveal(), "whsec_")
	type holder struct {
		Exported   webhook.Secret
		unexported webhook.Secret
		list       []webhook.Secret
	}
	held := holder{Exported: secret, unexported: secret, list: []webhook.Secret{secret}}
	message := webhook.Message{ID: "evt_1", URL: "https://canary.example.com/token", Secrets: []webhook.Secret{secret}}

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n", secret)
		fmt.Fprintf(&out, verb+"\n", &secret)
		fmt.Fprintf(&out, verb+"\n", held)
		fmt.Fprintf(&out, verb+"\n", message)
	}
	for _, logger := range []*slog.Logger{
		slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil)),
	} {
		logger.Info("printed", "secret", secret, "held", held, "message", message)
	}
	marshalled, err := json.Marshal(map[string]any{"secret": secret, "exported": held.Exported})
	require.NoError(t, err)
	out.Write(marshalled)

	require.Contains(t, out.String(), "whsec_***")
	require.Contains(t, out.String(), "evt_1")
	require.NotContains(t, out.String(), hidden)
	require.NotContains(t, out.String(), fmt.Sprintf("%x", hidden))
	require.NotContains(t, out.String(), "canary.example.com")
}
