package payment

import "slices"

// Code names one way an operation can be refused or fail. Codes are part of
// the public API: they are added, never renamed.
type Code string

// Codes about what a caller sent.
const (
	// CodeInvalidAmount: not a canonical decimal string, too precise for the asset, zero, or above 2^256-1.
	CodeInvalidAmount Code = "invalid_amount"
	// CodeUnknownAsset: no such asset on this chain.
	CodeUnknownAsset Code = "unknown_asset"
	// CodeAssetDisabled: the asset exists and takes no new orders.
	CodeAssetDisabled Code = "asset_disabled"
	// CodeUnknownChain: no such chain.
	CodeUnknownChain Code = "unknown_chain"
	// CodeChainDisabled: the chain exists and takes no new orders.
	CodeChainDisabled Code = "chain_disabled"
	// CodeWrongMode: the chain is of the other mode than the key.
	CodeWrongMode Code = "wrong_mode"
	// CodeInvalidExpiry: the order would live shorter or longer than allowed.
	CodeInvalidExpiry Code = "invalid_expiry"
	// CodeInvalidCallbackURL: the callback URL is not an absolute http(s) URL.
	CodeInvalidCallbackURL Code = "invalid_callback_url"
	// CodeCallbackTargetForbidden: the callback URL points to an address that callbacks may not reach.
	CodeCallbackTargetForbidden Code = "callback_target_forbidden"
	// CodeConfirmationsTooLow: the order asks for fewer confirmations than the policy demands.
	CodeConfirmationsTooLow Code = "confirmations_too_low"
	// CodeInvalidAddress: not an address of this family, or its checksum is wrong.
	CodeInvalidAddress Code = "invalid_address"
	// CodeInvalidHash: not 0x and 64 hex digits.
	CodeInvalidHash Code = "invalid_hash"
	// CodeInvalidID: not an id of the expected kind.
	CodeInvalidID Code = "invalid_id"
	// CodeInvalidParameter: any other parameter outside its rules.
	CodeInvalidParameter Code = "invalid_parameter"
	// CodeMissingParameter: a required parameter is absent.
	CodeMissingParameter Code = "missing_parameter"
	// CodeUnknownField: the body has a field that this endpoint does not know.
	CodeUnknownField Code = "unknown_field"
	// CodeBodyTooLarge: the body exceeds the size limit.
	CodeBodyTooLarge Code = "body_too_large"
	// CodeInvalidEncoding: the body or a parameter is not valid UTF-8.
	CodeInvalidEncoding Code = "invalid_encoding"
	// CodeInvalidJSON: the body is not one JSON value of the expected shape.
	CodeInvalidJSON Code = "invalid_json"
	// CodeUnsupportedMediaType: the body is not declared as JSON.
	CodeUnsupportedMediaType Code = "unsupported_media_type"
	// CodePrivateKeyMaterial: a private key or mnemonic was given where only public keys are taken.
	CodePrivateKeyMaterial Code = "private_key_material"
	// CodeInvalidXPub: not a valid extended public key of the expected depth.
	CodeInvalidXPub Code = "invalid_xpub"
)

// Codes about who asks, how often and whether it was asked before.
const (
	// CodeUnauthorized: no key, a malformed key, or a key nobody has.
	CodeUnauthorized Code = "unauthorized"
	// CodeKeyRevoked: the key was valid once.
	CodeKeyRevoked Code = "key_revoked"
	// CodeForbiddenScope: the key is valid and lacks the scope.
	CodeForbiddenScope Code = "forbidden_scope"
	// CodeMerchantDisabled: the merchant takes no new orders; everything else goes on.
	CodeMerchantDisabled Code = "merchant_disabled"
	// CodeNotFound: no such thing, or it belongs to another merchant.
	CodeNotFound Code = "not_found"
	// CodeMethodNotAllowed: the path exists, the method on it does not.
	CodeMethodNotAllowed Code = "method_not_allowed"
	// CodeIdempotencyKeyMissing: the request must carry an Idempotency-Key.
	CodeIdempotencyKeyMissing Code = "idempotency_key_missing"
	// CodeIdempotencyKeyInvalid: the Idempotency-Key is too long or holds forbidden characters.
	CodeIdempotencyKeyInvalid Code = "idempotency_key_invalid"
	// CodeIdempotencyMismatch: the key was used with another body.
	CodeIdempotencyMismatch Code = "idempotency_mismatch"
	// CodeIdempotencyInFlight: the first request with this key is still running.
	CodeIdempotencyInFlight Code = "idempotency_in_flight"
	// CodeOpenOrderCap: the merchant has as many open orders as it may.
	CodeOpenOrderCap Code = "open_order_cap"
	// CodeRateLimited: the merchant asks too often.
	CodeRateLimited Code = "rate_limited"
)

// Codes about the state of an order, a chain or the engine.
const (
	// CodeOrderState: the order's state does not allow this move.
	CodeOrderState Code = "order_state"
	// CodePaymentLive: a payment is on its way, so the order can be neither cancelled nor expired.
	CodePaymentLive Code = "payment_live"
	// CodeStale: the facts changed since they were read; read again and decide again.
	CodeStale Code = "stale"
	// CodeChainHalted: the chain is halted; nothing is credited on it.
	CodeChainHalted Code = "chain_halted"
	// CodeChainLagging: the chain has not been read far enough, or has a hole, to decide this.
	CodeChainLagging Code = "chain_lagging"
	// CodeAssetHalted: the asset is halted; nothing is credited in it.
	CodeAssetHalted Code = "asset_halted"
	// CodeAddressesExhausted: no address can be derived for this merchant until an operator acts.
	CodeAddressesExhausted Code = "addresses_exhausted"
	// CodeUnavailable: a part of the engine is away; the same request can be repeated.
	CodeUnavailable Code = "unavailable"
	// CodeInternal: a defect; the details are in the log, never in the answer.
	CodeInternal Code = "internal"
)

// Codes lists every code, for documentation and for tests that each is handled.
func Codes() []Code {
	return slices.Concat(inputCodes(), callerCodes(), stateCodes())
}

func inputCodes() []Code {
	return []Code{
		CodeInvalidAmount, CodeUnknownAsset, CodeAssetDisabled, CodeUnknownChain, CodeChainDisabled, CodeWrongMode,
		CodeInvalidExpiry, CodeInvalidCallbackURL, CodeCallbackTargetForbidden, CodeConfirmationsTooLow,
		CodeInvalidAddress, CodeInvalidHash, CodeInvalidID, CodeInvalidParameter, CodeMissingParameter,
		CodeUnknownField, CodeBodyTooLarge, CodeInvalidEncoding, CodeInvalidJSON,
		CodeUnsupportedMediaType, CodePrivateKeyMaterial, CodeInvalidXPub,
	}
}

func callerCodes() []Code {
	return []Code{
		CodeUnauthorized, CodeKeyRevoked, CodeForbiddenScope, CodeMerchantDisabled, CodeNotFound, CodeMethodNotAllowed,
		CodeIdempotencyKeyMissing, CodeIdempotencyKeyInvalid, CodeIdempotencyMismatch,
		CodeIdempotencyInFlight, CodeOpenOrderCap, CodeRateLimited,
	}
}

func stateCodes() []Code {
	return []Code{
		CodeOrderState, CodePaymentLive, CodeStale, CodeChainHalted, CodeChainLagging,
		CodeAssetHalted, CodeAddressesExhausted, CodeUnavailable, CodeInternal,
	}
}
