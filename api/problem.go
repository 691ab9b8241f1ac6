package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

const (
	mimeProblem = "application/problem+json"
	mimeJSON    = "application/json"

	headerAuthorization  = "Authorization"
	headerIdempotencyKey = "Idempotency-Key"
	headerReplayed       = "Idempotency-Replayed"
	headerRequestID      = "X-Request-Id"
	headerRetryAfter     = "Retry-After"
	headerAuthenticate   = "WWW-Authenticate"
)

// rendering is how a code is answered.
type rendering struct {
	status int
	// retryAfter is when the same request is worth repeating, unless the error knows better; zero: never as it is.
	retryAfter time.Duration
}

// renderings lists every code that may reach a merchant, as openapi.yaml documents them. Any other is a defect.
func renderings() map[payment.Code]rendering {
	const soon, later, much = 2 * time.Second, 10 * time.Second, time.Minute
	return map[payment.Code]rendering{
		payment.CodeInvalidJSON:             {status: http.StatusBadRequest},
		payment.CodeInvalidEncoding:         {status: http.StatusBadRequest},
		payment.CodeUnknownField:            {status: http.StatusBadRequest},
		payment.CodeMissingParameter:        {status: http.StatusBadRequest},
		payment.CodeInvalidParameter:        {status: http.StatusBadRequest},
		payment.CodeInvalidAmount:           {status: http.StatusBadRequest},
		payment.CodeUnknownChain:            {status: http.StatusBadRequest},
		payment.CodeChainDisabled:           {status: http.StatusBadRequest},
		payment.CodeWrongMode:               {status: http.StatusBadRequest},
		payment.CodeUnknownAsset:            {status: http.StatusBadRequest},
		payment.CodeAssetDisabled:           {status: http.StatusBadRequest},
		payment.CodeInvalidExpiry:           {status: http.StatusBadRequest},
		payment.CodeConfirmationsTooLow:     {status: http.StatusBadRequest},
		payment.CodeInvalidCallbackURL:      {status: http.StatusBadRequest},
		payment.CodeCallbackTargetForbidden: {status: http.StatusBadRequest},
		payment.CodeIdempotencyKeyMissing:   {status: http.StatusBadRequest},
		payment.CodeIdempotencyKeyInvalid:   {status: http.StatusBadRequest},
		payment.CodeUnauthorized:            {status: http.StatusUnauthorized},
		payment.CodeKeyRevoked:              {status: http.StatusUnauthorized},
		payment.CodeForbiddenScope:          {status: http.StatusForbidden},
		payment.CodeMerchantDisabled:        {status: http.StatusForbidden},
		payment.CodeNotFound:                {status: http.StatusNotFound},
		payment.CodeMethodNotAllowed:        {status: http.StatusMethodNotAllowed},
		payment.CodeIdempotencyInFlight:     {status: http.StatusConflict, retryAfter: soon},
		payment.CodeOrderState:              {status: http.StatusConflict},
		payment.CodePaymentLive:             {status: http.StatusConflict},
		payment.CodeBodyTooLarge:            {status: http.StatusRequestEntityTooLarge},
		payment.CodeUnsupportedMediaType:    {status: http.StatusUnsupportedMediaType},
		payment.CodeIdempotencyMismatch:     {status: http.StatusUnprocessableEntity},
		payment.CodeRateLimited:             {status: http.StatusTooManyRequests, retryAfter: later},
		payment.CodeOpenOrderCap:            {status: http.StatusTooManyRequests, retryAfter: much},
		payment.CodeInternal:                {status: http.StatusInternalServerError},
		payment.CodeUnavailable:             {status: http.StatusServiceUnavailable, retryAfter: soon},
		payment.CodeChainLagging:            {status: http.StatusServiceUnavailable, retryAfter: later},
		payment.CodeAddressesExhausted:      {status: http.StatusServiceUnavailable, retryAfter: much},
	}
}

// problemOf turns any error into the problem document that is answered, and its Retry-After (zero: none). What the
// document says comes from a payment.Error's Code, Param and Message only.
func problemOf(err error, requestID string) (Problem, time.Duration) {
	known := asPaymentError(err)
	how, ok := renderings()[known.Code]
	if !ok || known.Code == payment.CodeInternal {
		known = payment.E(payment.CodeInternal, "", "something went wrong here; quote the request id to support")
		how = renderings()[payment.CodeInternal]
	}
	problem := Problem{
		Title: http.StatusText(how.status), Status: how.status, Code: string(known.Code), RequestID: requestID,
		Detail: optional(known.Message), Param: optional(known.Param),
	}
	retryAfter := how.retryAfter
	if after, ok := store.RetryAfterOf(err); ok && retryAfter > 0 {
		retryAfter = after
	}
	return problem, retryAfter
}

// asPaymentError finds the error with a code, or makes one of what the router and the standard library return.
func asPaymentError(err error) *payment.Error {
	var known *payment.Error
	var router *echo.HTTPError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &tooLarge):
		return errTooLarge()
	case errors.As(err, &router):
		return routerError(router)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return payment.Wrap(err, payment.CodeUnavailable, "", "the request was cut off; repeat it")
	default:
		return payment.Wrap(err, payment.CodeInternal, "", "")
	}
}

// routerError gives the router's refusals their codes. Its messages repeat what was sent, so they are dropped.
func routerError(err *echo.HTTPError) *payment.Error {
	switch err.Code {
	case http.StatusNotFound:
		return payment.Wrap(err, payment.CodeNotFound, "", "there is no such path")
	case http.StatusMethodNotAllowed:
		return payment.Wrap(err, payment.CodeMethodNotAllowed, "", "this path does not take this method")
	case http.StatusBadRequest:
		return payment.Wrap(err, payment.CodeInvalidParameter, "", "a parameter cannot be read")
	default:
		return payment.Wrap(err, payment.CodeInternal, "", "")
	}
}

// writeProblem answers with a problem document.
func writeProblem(w http.ResponseWriter, problem Problem, retryAfter time.Duration) error {
	header := w.Header()
	if challenge := challengeOf(payment.Code(problem.Code)); challenge != "" {
		header.Set(headerAuthenticate, challenge)
	}
	if retryAfter > 0 {
		header.Set(headerRetryAfter, strconv.Itoa(*seconds(retryAfter)))
	}
	body, err := json.Marshal(problem)
	if err != nil {
		return err
	}
	header.Set("Content-Type", mimeProblem)
	w.WriteHeader(problem.Status)
	_, err = w.Write(append(body, '\n'))
	return err
}

// challengeOf is the WWW-Authenticate of a problem with the key (RFC 6750), "" of any other.
func challengeOf(code payment.Code) string {
	const bearer = `Bearer realm="sluice"` //nolint:gosec // a challenge, no credential
	switch code {
	case payment.CodeUnauthorized:
		return bearer
	case payment.CodeKeyRevoked:
		return bearer + `, error="invalid_token"`
	case payment.CodeForbiddenScope:
		return bearer + `, error="insufficient_scope"`
	default:
		return ""
	}
}

// seconds rounds up, so that whoever obeys does not come too early.
func seconds(d time.Duration) *int {
	n := max(1, int((d+time.Second-1)/time.Second))
	return &n
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
