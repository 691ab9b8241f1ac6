package redact_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/redact"
)

func TestClean(t *testing.T) {
	t.Parallel()
	r := redact.New("s3cr3t-Key", `a/b+c="d"<e`, "s3cr3t-Key-too", "eth", "")
	for text, want := range map[string]string{
		"":                                    "",
		"nothing of eth":                      "nothing of eth",
		"s3cr3t-Key":                          "[redacted]",
		"s3cr3t-Key-too or s3cr3t-Key-to":     "[redacted] or [redacted]-to",
		"in S3CR3T-KEY, any s3cr3t-key":       "in [redacted], any [redacted]",
		"s3cr3t-Keys3cr3t-Key":                "[redacted][redacted]",
		`as a/b+c="d"<e it is`:                "as [redacted] it is",
		"in a URL a%2Fb%2Bc%3D%22d%22%3Ce is": "in a URL [redacted] is",
		"in lower a%2fb%2bc%3d%22d%22%3ce is": "in lower [redacted] is",
		"in HTML a/b+c=&#34;d&#34;&lt;e is":   "in HTML [redacted] is",
		`in JSON a/b+c=\"d\"` + "\\u003ce is": "in JSON [redacted] is",
		"bytes \xff s3cr3t-Key that are none": "bytes \xff [redacted] that are none",
	} {
		require.Equal(t, want, r.Clean(text))
	}
	require.Equal(t, "s3cr3t", redact.New("short").Clean("s3cr3t"))
	require.Equal(t, "text", redact.Redactor{}.Clean("text"))
}

func TestCleanHead(t *testing.T) {
	t.Parallel()
	r := redact.New("0123456789")
	text := "ab0123456789cd0123456789"
	for n, want := range []string{"", "a", "ab", "ab[redacted]", "ab[redacted]"} {
		require.Equal(t, want, r.CleanHead(text, n), n)
	}
	require.Equal(t, "ab[redacted]", r.CleanHead(text, 12))
	require.Equal(t, "ab[redacted]c", r.CleanHead(text, 13))
	require.Equal(t, "ab[redacted]cd", r.CleanHead(text, 14))
	require.Equal(t, "ab[redacted]cd[redacted]", r.CleanHead(text, 15))
	require.Equal(t, "ab[redacted]cd[redacted]", r.CleanHead(text, 100))
	require.Equal(t, "te", redact.Redactor{}.CleanHead("text", 2))
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	u, err := url.Parse("https://operator:pass%2Fword@node.example/v3?key=a%2Bbcdef&x=1&flag")
	require.NoError(t, err)
	secrets := redact.Credentials(u)
	for _, want := range []string{"operator", "pass/word", "operator:pass%2Fword", "b3BlcmF0b3I6cGFzcy93b3Jk", "a+bcdef", "a%2Bbcdef", "key=a%2Bbcdef&x=1&flag"} {
		require.Contains(t, secrets, want)
	}
	text := "GET https://operator:pass%2Fword@node.example/v3?key=a%2Bbcdef&amp;x=1 with Basic b3BlcmF0b3I6cGFzcy93b3Jk: a+bcdef"
	cleaned := redact.New(secrets...).Clean(text)
	require.NotContains(t, cleaned, "bcdef")
	require.NotContains(t, cleaned, "word")
	require.NotContains(t, cleaned, "b3Bl")
	require.Contains(t, cleaned, "node.example/v3")
}
