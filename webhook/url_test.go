package webhook_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/webhook"
)

func TestValidateURL(t *testing.T) {
	t.Parallel()
	const (
		fine      = payment.Code("")
		invalid   = payment.CodeInvalidCallbackURL
		forbidden = payment.CodeCallbackTargetForbidden
	)
	tests := map[string]payment.Code{
		"https://shop.example.com/hooks":                                     fine,
		"http://shop.example.com":                                            fine,
		"HTTPS://Shop.Example.COM/Hooks?key=a%20b&x=1":                       fine,
		"https://shop.example.com:443/":                                      fine,
		"https://shop.example.com:8443/":                                     fine,
		"https://xn--bcher-kva.example/":                                     fine,
		"https://a_b.example.com/":                                           fine,
		"https://8.8.8.8/":                                                   fine,
		"https://8.8.8.8:65535/":                                             fine,
		"https://[2606:4700:4700::1111]/":                                    fine,
		"https://[2606:4700:4700::1111]:8443/":                               fine,
		"https://shop.example.com/?next=http://127.0.0.1":                    fine,
		"https://shop.example.com/" + strings.Repeat("a", webhook.MaxURL-25): fine,

		"":                                                     invalid,
		"shop.example.com/hooks":                               invalid,
		"//shop.example.com/hooks":                             invalid,
		"/hooks":                                               invalid,
		"ftp://shop.example.com/":                              invalid,
		"file:///etc/passwd":                                   invalid,
		"gopher://shop.example.com/":                           invalid,
		"javascript:alert(1)":                                  invalid,
		"http:shop.example.com":                                invalid,
		"http:///hooks":                                        invalid,
		"http://:8080/":                                        invalid,
		"https://user:pass@shop.example.com/":                  invalid,
		"https://user@shop.example.com/":                       invalid,
		"https://@shop.example.com/":                           invalid,
		"https://shop.example.com/#part":                       invalid,
		"https://shop.example.com/#":                           invalid,
		"https://shop.example.com:/":                           invalid,
		"https://shop.example.com:0/":                          invalid,
		"https://shop.example.com:22/":                         invalid,
		"https://shop.example.com:1023/":                       invalid,
		"https://shop.example.com:65536/":                      invalid,
		"https://shop.example.com:0443/":                       invalid,
		"https://shop.example.com:-1/":                         invalid,
		"https://shop.example.com:http/":                       invalid,
		"https://shop.example.com./":                           invalid,
		"https://127.0.0.1./":                                  invalid,
		"https://localhost./":                                  invalid,
		"https://.example.com/":                                invalid,
		"https://shop..example.com/":                           invalid,
		"https://-shop.example.com/":                           invalid,
		"https://shop-.example.com/":                           invalid,
		"https://" + strings.Repeat("a", 64) + ".example.com/": invalid,
		"https://bücher.example/":                              invalid,
		"https://b%C3%BCcher.example/":                         invalid,
		"https://１２７.０.０.１/":                                   invalid,
		"https://127。0。0。1/":                                   invalid,
		"https://%31%32%37.0.0.1/":                             invalid,
		"https://shop.example.com%2f@127.0.0.1":                invalid,
		"https://shop.example.com\\@127.0.0.1/":                invalid,
		"https://shop.example.com/a b":                         invalid,
		" https://shop.example.com/":                           invalid,
		"https://shop.example.com/\r\nX: y":                    invalid,
		"https://shop.example.com/\x00":                        invalid,
		"https://shop.example.com/\x7f":                        invalid,
		"https://shop.example.com/\xff":                        invalid,
		"https://shop.example.com/\u202e":                      invalid,
		"https://shop.example.com/%zz":                         invalid,
		"https://shop!example.com/":                            invalid,
		"https://*.example.com/":                               invalid,
		"https://[::1/":                                        invalid,
		"https://::1/":                                         invalid,
		"https://[shop.example.com]/":                          invalid,
		"https://shop.example.com/" + strings.Repeat("a", webhook.MaxURL-24): invalid,

		"http://localhost/":                            forbidden,
		"http://LocalHost:8080/":                       forbidden,
		"http://shop.localhost/":                       forbidden,
		"http://localhost.localdomain/":                forbidden,
		"http://printer.local/":                        forbidden,
		"http://metadata.google.internal/":             forbidden,
		"http://kubernetes.default.svc.cluster.local/": forbidden,
		"http://router.lan/":                           forbidden,
		"http://nas.home.arpa/":                        forbidden,
		"http://postgres:5432/":                        forbidden,
		"http://com/":                                  forbidden,
		"http://127.0.0.1/":                            forbidden,
		"http://127.0.0.1:8080/":                       forbidden,
		"http://127.1/":                                forbidden,
		"http://127.0.1/":                              forbidden,
		"http://2130706433/":                           forbidden,
		"http://017700000001/":                         forbidden,
		"http://0177.0.0.1/":                           forbidden,
		"http://127.0.0.01/":                           forbidden,
		"http://0x7f000001/":                           forbidden,
		"http://0x7f.0x0.0x0.0x1/":                     forbidden,
		"http://0X7F.1/":                               forbidden,
		"http://127.0.0.0x1/":                          forbidden,
		"http://256.256.256.256/":                      forbidden,
		"http://8.8.8.8.8/":                            forbidden,
		"http://0/":                                    forbidden,
		"http://0x/":                                   forbidden,
		"http://[::1]/":                                forbidden,
		"http://[::]/":                                 forbidden,
		"http://[::ffff:127.0.0.1]/":                   forbidden,
		"http://[::ffff:7f00:1]/":                      forbidden,
		"http://[::ffff:8.8.8.8]/":                     forbidden,
		"http://[64:ff9b::7f00:1]/":                    forbidden,
		"http://[2002:7f00:1::]/":                      forbidden,
		"http://[fe80::1%25eth0]/":                     forbidden,
		"http://[2606:4700:4700::1111%25eth0]/":        forbidden,
		"http://[fd00:ec2::254]/":                      forbidden,
		"http://169.254.169.254/latest/meta-data":      forbidden,
		"http://168.63.129.16/machine":                 forbidden,
		"http://100.100.100.200/":                      forbidden,
	}
	for raw, want := range tests {
		t.Run(raw, func(t *testing.T) {
			t.Parallel()
			err := webhook.ValidateURL(raw)
			if want == fine {
				require.NoError(t, err)
				return
			}
			requireURLError(t, err, raw)
			require.Equal(t, want, payment.CodeOf(err))
		})
	}
}

// Whoever is refused learns why, in words that need no table.
func TestARefusedURLSaysWhy(t *testing.T) {
	t.Parallel()
	for raw, why := range map[string]string{
		"https://shop.example.com:25/": "lower ones belong to services that are no web servers",
		"https://10.0.0.1/":            "is not public",
		"https://shop/":                "without a domain",
		"https://shop.lan/":            "inside a network",
		"https://2130706433/":          "unusual form",
	} {
		require.ErrorContains(t, webhook.ValidateURL(raw), why, raw)
	}
}

// A target on the list passes as written, and nothing else does because of it.
func TestValidateURLWithTargets(t *testing.T) {
	t.Parallel()
	targets, err := webhook.NewTargets([]string{"127.0.0.1:9000", "Receiver.internal:8080", "[::1]:9000", "shop:80", "postgres:25"})
	require.NoError(t, err)
	for _, raw := range []string{
		"http://127.0.0.1:9000/hooks", "https://127.0.0.1:9000/", "http://receiver.internal:8080/", "http://RECEIVER.internal:8080/",
		"http://[::1]:9000/", "http://shop/", "http://shop:80/", "http://postgres:25/", "https://public.example.com/",
	} {
		require.NoError(t, targets.ValidateURL(raw), raw)
	}
	for _, raw := range []string{
		"http://127.0.0.1:9001/", "http://127.0.0.1/", "http://127.0.0.2:9000/", "http://localhost:9000/", "http://127.1:9000/",
		"http://2130706433:9000/", "http://[::ffff:127.0.0.1]:9000/", "http://127.0.0.1.:9000/", "http://127.0.0.1:09000/",
		"http://receiver.internal/", "http://a.receiver.internal:8080/", "http://receiver.internal.:8080/", "http://[0::1]:9000/",
		"https://shop/", "http://user@shop/", "http://shop/#x", "http://shop:8080/", "ftp://shop:80/",
	} {
		requireURLError(t, targets.ValidateURL(raw), raw)
	}
}

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{"127.0.0.1:1", "a:65535", "a-b_c.d:80", "[fd00::1]:80", "8.8.8.8:53"} {
		target, err := webhook.ParseTarget(entry)
		require.NoError(t, err, entry)
		require.Equal(t, entry, target)
	}
	target, err := webhook.ParseTarget(" Shop.INTERNAL:80 ")
	require.NoError(t, err)
	require.Equal(t, "shop.internal:80", target, "in one spelling")
	for _, entry := range []string{
		"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:080", "127.0.0.1:65536", "127.0.0.1:*", "*:80", "*.internal:80", "10.0.0.0/8:80",
		"10.0.0.0/8", "http://a:80", "a:80,", "a:80,b:80", ":80", "::1:80", "[fe80::1%eth0]:80", "a.:80", "a b:80", "all", "true",
	} {
		_, err := webhook.ParseTarget(entry)
		require.ErrorIs(t, err, webhook.ErrTarget, entry)
		_, err = webhook.NewTargets([]string{"a:80", entry})
		require.ErrorIs(t, err, webhook.ErrTarget, entry)
	}
}

// FuzzValidateURL looks for a URL that is taken and is not what it should be, and for
// an error that repeats it.
func FuzzValidateURL(f *testing.F) {
	for _, seed := range []string{
		"https://shop.example.com/hooks?a=b", "http://user:pass@127.0.0.1:80/#x", "http://[::ffff:127.0.0.1%25eth0]:1/", "http://0x7f.1/",
		"http://2130706433/", "http://１２７.0.0.1/", "https://8.8.8.8:8443", "http://localhost.", "http:\\\\a", "http://a:99999/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if err := webhook.ValidateURL(raw); err != nil {
			requireURLError(t, err, raw)
			return
		}
		requirePublicURL(t, raw)
	})
}

func requireURLError(t *testing.T, err error, raw string) {
	t.Helper()
	var refused *payment.Error
	require.ErrorAs(t, err, &refused, "%q must be refused", raw)
	require.Equal(t, "callback_url", refused.Param)
	require.Contains(t, []payment.Code{payment.CodeInvalidCallbackURL, payment.CodeCallbackTargetForbidden}, refused.Code)
	if len(raw) > 12 { // shorter ones may be a word of the sentence
		require.NotContains(t, err.Error(), raw)
	}
}
