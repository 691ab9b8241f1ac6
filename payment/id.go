package payment

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
)

// Ids are a prefix that names the kind, an underscore, and 128 random bits in
// lower-case base32: ord_mfzwizltoqqgk3tdn5sgk43ume. They are not secrets, yet
// cannot be guessed, and each has exactly one spelling.
type (
	// OrderID names an order.
	OrderID string
	// PaymentID names a payment: one transfer seen on a chain.
	PaymentID string
	// EventID names an event; it is the webhook-id that merchants deduplicate by.
	EventID string
	// EndpointID names a merchant's webhook endpoint.
	EndpointID string
	// MerchantID names a merchant.
	MerchantID string
	// KeyID names an API key; the key itself is a secret and is something else.
	KeyID string
	// CallbackID names the delivery of one event to one endpoint.
	CallbackID string
	// AddressID names a payment address.
	AddressID string
	// XPubID names an extended public key.
	XPubID string
	// ReviewID names a review: money that needs a person.
	ReviewID string
	// AuditID names an audit row.
	AuditID string
)

const (
	prefixOrder    = "ord_"
	prefixPayment  = "pay_"
	prefixEvent    = "evt_"
	prefixEndpoint = "whk_"
	prefixMerchant = "mer_"
	prefixKey      = "key_"
	prefixCallback = "cbk_"
	prefixAddress  = "adr_"
	prefixXPub     = "xpb_"
	prefixReview   = "rev_"
	prefixAudit    = "aud_"
)

const (
	idAlphabet = "abcdefghijklmnopqrstuvwxyz234567"
	idBytes    = 16
	idChars    = 26 // 128 bits in groups of five; the last character carries two spare bits
)

func idEncoding() *base32.Encoding {
	return base32.NewEncoding(idAlphabet).WithPadding(base32.NoPadding)
}

// newID makes a fresh id. crypto/rand.Read never returns an error: it ends the
// program when the system has no randomness.
func newID[T ~string](prefix string) T {
	var b [idBytes]byte
	_, _ = rand.Read(b[:])
	return T(prefix + idEncoding().EncodeToString(b[:]))
}

// parseID checks that s is an id with this prefix, in its one spelling.
func parseID[T ~string](prefix, s string) (T, error) {
	body, ok := strings.CutPrefix(s, prefix)
	if !ok || len(body) != idChars {
		return "", E(CodeInvalidID, "", "id must be %s followed by %d characters", prefix, idChars)
	}
	raw, err := idEncoding().DecodeString(body)
	if err != nil || idEncoding().EncodeToString(raw) != body {
		return "", E(CodeInvalidID, "", "id is misspelt")
	}
	return T(s), nil
}

// NewOrderID makes a random order id.
func NewOrderID() OrderID { return newID[OrderID](prefixOrder) }

// NewPaymentID makes a random payment id.
func NewPaymentID() PaymentID { return newID[PaymentID](prefixPayment) }

// NewEventID makes a random event id.
func NewEventID() EventID { return newID[EventID](prefixEvent) }

// NewEndpointID makes a random endpoint id.
func NewEndpointID() EndpointID { return newID[EndpointID](prefixEndpoint) }

// NewMerchantID makes a random merchant id.
func NewMerchantID() MerchantID { return newID[MerchantID](prefixMerchant) }

// NewKeyID makes a random API key id.
func NewKeyID() KeyID { return newID[KeyID](prefixKey) }

// NewCallbackID makes a random callback id.
func NewCallbackID() CallbackID { return newID[CallbackID](prefixCallback) }

// NewAddressID makes a random address id.
func NewAddressID() AddressID { return newID[AddressID](prefixAddress) }

// NewXPubID makes a random id for an extended public key.
func NewXPubID() XPubID { return newID[XPubID](prefixXPub) }

// NewReviewID makes a random review id.
func NewReviewID() ReviewID { return newID[ReviewID](prefixReview) }

// NewAuditID makes a random audit id.
func NewAuditID() AuditID { return newID[AuditID](prefixAudit) }

// ParseOrderID returns CodeInvalidID unless s is an order id.
func ParseOrderID(s string) (OrderID, error) { return parseID[OrderID](prefixOrder, s) }

// ParsePaymentID returns CodeInvalidID unless s is a payment id.
func ParsePaymentID(s string) (PaymentID, error) { return parseID[PaymentID](prefixPayment, s) }

// ParseEventID returns CodeInvalidID unless s is an event id.
func ParseEventID(s string) (EventID, error) { return parseID[EventID](prefixEvent, s) }

// ParseEndpointID returns CodeInvalidID unless s is an endpoint id.
func ParseEndpointID(s string) (EndpointID, error) { return parseID[EndpointID](prefixEndpoint, s) }

// ParseMerchantID returns CodeInvalidID unless s is a merchant id.
func ParseMerchantID(s string) (MerchantID, error) { return parseID[MerchantID](prefixMerchant, s) }

// ParseKeyID returns CodeInvalidID unless s is an API key id.
func ParseKeyID(s string) (KeyID, error) { return parseID[KeyID](prefixKey, s) }

// ParseCallbackID returns CodeInvalidID unless s is a callback id.
func ParseCallbackID(s string) (CallbackID, error) { return parseID[CallbackID](prefixCallback, s) }

// ParseAddressID returns CodeInvalidID unless s is an address id.
func ParseAddressID(s string) (AddressID, error) { return parseID[AddressID](prefixAddress, s) }

// ParseXPubID returns CodeInvalidID unless s is the id of an extended public key.
func ParseXPubID(s string) (XPubID, error) { return parseID[XPubID](prefixXPub, s) }

// ParseReviewID returns CodeInvalidID unless s is a review id.
func ParseReviewID(s string) (ReviewID, error) { return parseID[ReviewID](prefixReview, s) }

// ParseAuditID returns CodeInvalidID unless s is an audit id.
func ParseAuditID(s string) (AuditID, error) { return parseID[AuditID](prefixAudit, s) }
