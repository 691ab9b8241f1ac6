package webhook

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// The names of the headers as Standard Webhooks spells them.
const (
	HeaderID        = standardwebhooks.HeaderWebhookID
	HeaderTimestamp = standardwebhooks.HeaderWebhookTimestamp
	HeaderSignature = standardwebhooks.HeaderWebhookSignature
)

// maxSecrets bounds how many secrets sign one message: a rotation needs two.
const maxSecrets = 4

// Errors of the signer. None of them carries a secret.
var (
	ErrNoSecrets      = errors.New("webhook: no signing secret given")
	ErrTooManySecrets = errors.New("webhook: more than four signing secrets given")
	ErrMessageID      = errors.New("webhook: message id must be 1 to 128 letters, digits, '_' or '-'")
)

// Signer signs messages with every secret of an endpoint: one in ordinary times,
// the old and the new one while a rotation lasts. A receiver accepts a message
// when any of the signatures matches. It is safe for concurrent use.
type Signer struct {
	keys []*standardwebhooks.Webhook
}

// NewSigner makes a signer; signatures appear in the order of the secrets. It
// returns ErrNoSecrets, ErrTooManySecrets or, for a zero Secret, ErrSecret.
func NewSigner(secrets ...Secret) (*Signer, error) {
	switch {
	case len(secrets) == 0:
		return nil, ErrNoSecrets
	case len(secrets) > maxSecrets:
		return nil, ErrTooManySecrets
	}
	s := &Signer{keys: make([]*standardwebhooks.Webhook, 0, len(secrets))}
	for _, secret := range secrets {
		if secret.IsZero() {
			return nil, ErrSecret
		}
		key, err := standardwebhooks.NewWebhook(secret.Reveal())
		if err != nil {
			return nil, ErrSecret // the library's error may quote the text
		}
		s.keys = append(s.keys, key)
	}
	return s, nil
}

// Sign returns the three Standard Webhooks headers for a body. The id stays the
// same over all attempts of one message, because receivers recognise repeats by
// it; the timestamp is the attempt's, because receivers refuse old ones. The only
// error of a signer made by NewSigner is ErrMessageID.
func (s *Signer) Sign(id string, at time.Time, body []byte) (http.Header, error) {
	if !validMessageID(id) {
		return nil, ErrMessageID
	}
	signatures := make([]string, 0, len(s.keys))
	for _, key := range s.keys {
		signature, err := key.Sign(id, at, body)
		if err != nil {
			return nil, err
		}
		signatures = append(signatures, signature)
	}
	header := make(http.Header, 3)
	header.Set(HeaderID, id)
	header.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(HeaderSignature, strings.Join(signatures, " "))
	return header, nil
}

// validMessageID refuses what would make the signed text ambiguous (a dot) or
// break a header.
func validMessageID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
