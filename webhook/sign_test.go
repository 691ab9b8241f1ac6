package webhook_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicepay/sluice/webhook"
)

// The example that the Standard Webhooks project and its libraries publish.
func TestSignPublishedVector(t *testing.T) {
	t.Parallel()
	secret, err := webhook.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	require.NoError(t, err)
	signer, err := webhook.NewSigner(secret)
	require.NoError(t, err)
	header, err := signer.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	require.NoError(t, err)
	require.Equal(t, "msg_p5jXN8AQM9LWM0D4loKWxJek", header.Get("webhook-id"))
	require.Equal(t, "1614265330", header.Get("webhook-timestamp"))
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", header.Get("webhook-signature"))
}

// During a rotation receivers that know the old secret, the new one or both accept
// the message; nobody else does.
func TestSignRotation(t *testing.T) {
	t.Parallel()
	older, newer, stranger := webhook.NewSecret(), webhook.NewSecret(), webhook.NewSecret()
	signer, err := webhook.NewSigner(older, newer)
	require.NoError(t, err)
	body := []byte(`{"type":"order.paid"}`)
	header, err := signer.Sign("evt_1", time.Now(), body)
	require.NoError(t, err)
	require.Len(t, strings.Split(header.Get("webhook-signature"), " "), 2)

	for _, secret := range []webhook.Secret{older, newer} {
		require.NoError(t, verifier(t, secret).Verify(body, header))
	}
	require.ErrorIs(t, verifier(t, stranger).Verify(body, header), standardwebhooks.ErrNoMatchingSignature)
}

// Whatever is signed verifies, and no other id, time or body does.
func TestSignBindsEverything(t *testing.T) {
	t.Parallel()
	secret := webhook.NewSecret()
	signer, err := webhook.NewSigner(secret)
	require.NoError(t, err)
	verify := verifier(t, secret)
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`[A-Za-z0-9_-]{1,128}`).Draw(t, "id")
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		at := time.Unix(rapid.Int64Range(1, 1<<40).Draw(t, "at"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		header, err := signer.Sign(id, at, body)
		if err != nil || verify.VerifyIgnoringTimestamp(body, header) != nil {
			t.Fatalf("a signed message does not verify: %v", err)
		}
		other := header.Clone()
		other.Set("webhook-id", id+"x")
		if verify.VerifyIgnoringTimestamp(body, other) == nil {
			t.Fatal("another id verifies")
		}
		other = header.Clone()
		other.Set("webhook-timestamp", strconv.FormatInt(at.Unix()+1, 10))
		if verify.VerifyIgnoringTimestamp(body, other) == nil {
			t.Fatal("another time verifies")
		}
		if verify.VerifyIgnoringTimestamp(append(body, ' '), header) == nil {
			t.Fatal("another body verifies")
		}
	})
}

func TestSignerRefuses(t *testing.T) {
	t.Parallel()
	_, err := webhook.NewSigner()
	require.ErrorIs(t, err, webhook.ErrNoSecrets)
	_, err = webhook.NewSigner(webhook.Secret{})
	require.ErrorIs(t, err, webhook.ErrSecret)
	s := webhook.NewSecret()
	_, err = webhook.NewSigner(s, s, s, s, s)
	require.ErrorIs(t, err, webhook.ErrTooManySecrets)

	signer, err := webhook.NewSigner(s)
	require.NoError(t, err)
	for _, id := range []string{"", "evt_1.2", "evt 1", "evt_1\r\nx: y", "évt", strings.Repeat("a", 129)} {
		_, err := signer.Sign(id, time.Now(), nil)
		require.ErrorIs(t, err, webhook.ErrMessageID, "id %q", id)
	}
}

func verifier(t *testing.T, secret webhook.Secret) *standardwebhooks.Webhook {
	t.Helper()
	verify, err := standardwebhooks.NewWebhook(secret.Reveal())
	require.NoError(t, err)
	return verify
}
