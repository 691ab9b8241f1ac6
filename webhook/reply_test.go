package webhook_test

import (
	"html"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/webhook"
)

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := map[string]time.Duration{
		"":                               0,
		"0":                              0,
		"1":                              time.Second,
		" 120 ":                          2 * time.Minute,
		"007":                            7 * time.Second,
		"86400":                          24 * time.Hour,
		"86401":                          webhook.MaxRetryAfter,
		"18446744073709551617":           webhook.MaxRetryAfter,
		strings.Repeat("9", 1000):        webhook.MaxRetryAfter,
		"-1":                             0,
		"+1":                             0,
		"1.5":                            0,
		"1e3":                            0,
		"0x10":                           0,
		"soon":                           0,
		"１２":                             0,
		"Fri, 02 Jan 2026 03:05:05 GMT":  time.Minute,
		"Friday, 02-Jan-26 03:05:05 GMT": time.Minute, // RFC 850
		"Fri Jan  2 03:05:05 2026":       time.Minute, // asctime
		"Fri, 02 Jan 2026 03:04:05 GMT":  0,
		"Thu, 01 Jan 1970 00:00:00 GMT":  0,
		"Fri, 31 Dec 9999 23:59:59 GMT":  webhook.MaxRetryAfter,
		"2026-01-02T03:05:05Z":           0,
	}
	for value, want := range tests {
		require.Equal(t, want, webhook.ParseRetryAfter(value, now), "value %q", value)
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	for _, seed := range []string{"120", "-1", "99999999999999999999", "Fri, 02 Jan 2026 03:05:05 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", " 0"} {
		f.Add(seed, int64(1767323045))
	}
	f.Fuzz(func(t *testing.T, value string, now int64) {
		wait := webhook.ParseRetryAfter(value, time.Unix(now, 0))
		require.GreaterOrEqual(t, wait, time.Duration(0))
		require.LessOrEqual(t, wait, webhook.MaxRetryAfter)
	})
}

func TestExcerpt(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ reply, want string }{
		"plain":           {"thank you", "thank you"},
		"lines":           {"one\r\ntwo\tthree\n", "one  two three"},
		"terminal colour": {"\x1b[31mred\x1b[0m", "[31mred[0m"},
		"NUL and bell":    {"a\x00b\x07c\x7fd\u0085e", "abcde"},
		"bidirectional":   {"pay\u202egro.elgoog\u202c\u2066x\u2069\u200f\u061c", "paygro.elgoogx"},
		"invisible":       {"a\u200bb\ufeffc\u00add\U000e0041e", "abcde"},
		"separators":      {"a\u2028b\u2029c", "a b c"},
		"invalid UTF-8":   {"a\xff\xfeb\xc3", "a\ufffd\ufffdb\ufffd"},
		"surrogates":      {"a\xed\xa0\x80b", "a\ufffd\ufffd\ufffdb"},
		"other scripts":   {"订单已收到 — ありがとう é", "订单已收到 — ありがとう é"},
		"markup stays":    {"<b onclick=x>|`", "<b onclick=x>|`"}, // escaping is for whoever shows it
		"cut":             {strings.Repeat("a", 5000), strings.Repeat("a", webhook.MaxExcerpt)},
		"cut inside":      {strings.Repeat("a", 1023) + "é", strings.Repeat("a", 1023)},
		"growing":         {strings.Repeat("\xff", 2000), strings.Repeat("\ufffd", 341)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			receiver := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusTeapot)
				_, _ = io.WriteString(w, tt.reply)
			})
			excerpt := send(t, webhook.Config{}, receiver.URL, receiver.allowed(t)).Excerpt
			require.Equal(t, tt.want, excerpt)
			require.LessOrEqual(t, len(excerpt), webhook.MaxExcerpt)
			require.True(t, utf8.ValidString(excerpt))
			require.NotContains(t, strings.Map(func(r rune) rune {
				if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Bidi_Control) {
					return '!'
				}
				return 'x'
			}, excerpt), "!")
		})
	}
}

// Receivers show what they were asked for when something is wrong with them; it is not kept.
func TestExcerptHoldsNoSecrets(t *testing.T) {
	t.Parallel()
	const path, query = "/services/T0AB/XCVbn45gh78Xcvbn45gh", "token=q-t0k%2Ben&shop=7"
	secret := webhook.NewSecret()
	page := func(r *http.Request) string {
		return "POST " + r.RequestURI + " with " + r.URL.Query().Get("token") + " or " + html.EscapeString(query) + "; X-TOKEN: Q-T0K%2BEN; " +
			secret.Reveal() + " " + strings.TrimPrefix(secret.Reveal(), "whsec_") + " q-t0\u200bk+en goes on"
	}
	tests := map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		want   string
	}{
		"error page": {
			func(w http.ResponseWriter, r *http.Request) { http.Error(w, page(r), http.StatusInternalServerError) },
			"POST /services/T0AB/[redacted]?[redacted] with [redacted] or [redacted]; X-TOKEN: [redacted]; [redacted] [redacted] [redacted] goes on",
		},
		"redirect": {
			func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "/login?session=abcdef012345")
				w.WriteHeader(http.StatusFound)
				_, _ = io.WriteString(w, `<a href="/login?session=abcdef012345">here</a>`)
			},
			`<a href="/login?[redacted]">here</a>`,
		},
		"redirect to what is no URL": {
			func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "http://[?session=abcdef012345")
				w.WriteHeader(http.StatusFound)
				_, _ = io.WriteString(w, "to http://[?session=abcdef012345")
			},
			"to [redacted]",
		},
		"across the end": {
			func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, strings.Repeat("a", webhook.MaxExcerpt-10)+" "+secret.Reveal()+" and more")
			},
			strings.Repeat("a", webhook.MaxExcerpt-10) + " [redacted",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			receiver := newReceiver(t, tt.answer)
			sender := webhook.NewSender(webhook.Config{})
			t.Cleanup(sender.Close)
			result, err := sender.Send(t.Context(), webhook.Message{
				ID: "evt_1", URL: receiver.URL + path + "?" + query, Body: []byte(`{}`), Secrets: []webhook.Secret{secret}, Targets: receiver.allowed(t),
			})
			require.NoError(t, err)
			require.Equal(t, tt.want, result.Excerpt)
		})
	}
}
