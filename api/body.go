package api

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/sluicepay/sluice/payment"
)

// bodyBinder stands in for the framework's binder, which lets through whatever it does not know.
type bodyBinder struct{ rules *validator }

// Bind reads the body of a creation. Errors: CodeUnsupportedMediaType, CodeBodyTooLarge, and those of the fields.
func (b bodyBinder) Bind(into any, c echo.Context) error {
	request, ok := into.(*CreateOrderRequest)
	if !ok {
		return fmt.Errorf("api: there are no rules for a body of type %T", into)
	}
	body, err := readBody(c.Response().Writer, c.Request())
	if err != nil {
		return err
	}
	*request, err = b.rules.createOrder(body)
	return err
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if err := checkMediaType(r.Header); err != nil {
		return nil, err
	}
	if r.ContentLength > MaxBody {
		return nil, errTooLarge()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, errTooLarge()
	}
	if err != nil {
		return nil, payment.Wrap(err, payment.CodeInvalidJSON, "", "the body could not be read to its end")
	}
	return body, nil
}

func checkMediaType(header http.Header) error {
	wrong := payment.E(payment.CodeUnsupportedMediaType, "Content-Type", "send the body as application/json, in UTF-8 and not compressed")
	mediaType, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || mediaType != mimeJSON || header.Get("Content-Encoding") != "" {
		return wrong
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return wrong
	}
	return nil
}

func errTooLarge() *payment.Error {
	return payment.E(payment.CodeBodyTooLarge, "", "the body is larger than %d kB", MaxBody>>10)
}

// maxIdempotencyKey is the longest Idempotency-Key, in characters.
const maxIdempotencyKey = 255

// requireIdempotencyKey checks the header before the body is read.
func requireIdempotencyKey(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		values := c.Request().Header.Values(headerIdempotencyKey)
		if len(values) == 0 || (len(values) == 1 && values[0] == "") {
			return payment.E(payment.CodeIdempotencyKeyMissing, headerIdempotencyKey,
				"send an Idempotency-Key, so that repeating the request does not make a second order")
		}
		unprintable := func(r rune) bool { return r < '!' || r > '~' }
		if len(values) > 1 || len(values[0]) > maxIdempotencyKey || strings.ContainsFunc(values[0], unprintable) {
			return payment.E(payment.CodeIdempotencyKeyInvalid, headerIdempotencyKey,
				"an Idempotency-Key is one header of 1 to 255 printable ASCII characters without spaces")
		}
		return next(c)
	}
}
