package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/sluicepay/sluice/payment"
)

// Fields and parameters that have rules of their own beside the document's.
const (
	fieldAmount        = "amount"
	fieldCallbackURL   = "callback_url"
	fieldConfirmations = "confirmations"
	fieldCustomerID    = "customer_id"
	fieldExpiresIn     = "expires_in"
	fieldMetadata      = "metadata"
	paramCursor        = "cursor"
)

// maxMetadataKey is the longest key of metadata, in characters.
const maxMetadataKey = 40

// validator checks requests against openapi.yaml, and says what is wrong in the codes of the domain, always the same one
// for the same request.
type validator struct {
	create *openapi3.Schema
	// queries are the query parameters by operation.
	queries map[string]openapi3.Parameters
}

func newValidator() (*validator, error) {
	spec, err := GetSpec()
	if err != nil {
		return nil, fmt.Errorf("api: read the embedded document: %w", err)
	}
	v := &validator{queries: map[string]openapi3.Parameters{}}
	schema := spec.Components.Schemas["CreateOrderRequest"]
	if schema == nil || schema.Value == nil {
		return nil, errors.New("api: the document has no CreateOrderRequest")
	}
	v.create = schema.Value
	for _, item := range spec.Paths.Map() {
		for _, operation := range item.Operations() {
			id := operationName(operation.OperationID)
			if open := operation.Security != nil && len(*operation.Security) == 0; open != (scopes()[id] == "") {
				return nil, fmt.Errorf("api: the document and the code differ on who may call %s", id)
			}
			v.queries[id] = queryParameters(operation.Parameters)
		}
	}
	return v, nil
}

// operationName undoes the generator's spelling of operation ids in the document that it embeds.
func operationName(id string) string { return strings.ToLower(id[:1]) + id[1:] }

func queryParameters(all openapi3.Parameters) openapi3.Parameters {
	return slices.DeleteFunc(slices.Clone(all), func(p *openapi3.ParameterRef) bool { return p.Value.In != openapi3.ParameterInQuery })
}

// createOrder reads the body of a request for an order. What needs the database is not checked here.
func (v *validator) createOrder(body []byte) (CreateOrderRequest, error) {
	var request CreateOrderRequest
	object, err := parseObject(body)
	if err != nil {
		return request, err
	}
	names := slices.Sorted(maps.Keys(object))
	for _, name := range names {
		if v.create.Properties[name] == nil {
			return request, payment.E(payment.CodeUnknownField, echoedName(name), "this field is not part of the request")
		}
	}
	for _, name := range v.create.Required {
		if _, ok := object[name]; !ok {
			return request, payment.E(payment.CodeMissingParameter, name, "%s is missing", name)
		}
	}
	for _, name := range names {
		if err := v.create.Properties[name].Value.VisitJSON(object[name]); err != nil {
			return request, fieldError(name)
		}
	}
	if err := checkMetadataKeys(object[fieldMetadata]); err != nil {
		return request, err
	}
	return decodeCreateOrder(object)
}

// decodeCreateOrder fills in the request. Only integers that are written in an unusual way can fail here.
func decodeCreateOrder(object map[string]any) (CreateOrderRequest, error) {
	var request CreateOrderRequest
	clean, err := json.Marshal(object)
	if err != nil {
		return request, payment.Wrap(err, payment.CodeInvalidJSON, "", "the body cannot be read")
	}
	if err := json.Unmarshal(clean, &request); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return request, fieldError(wrong.Field)
		}
		return request, payment.Wrap(err, payment.CodeInvalidJSON, "", "the body cannot be read")
	}
	return request, nil
}

// fieldError says that a field breaks its schema. The texts are ours, because the checker's repeat the value.
func fieldError(name string) error {
	switch name {
	case fieldAmount:
		return payment.E(payment.CodeInvalidAmount, name, "amount must be a string of digits like \"25\" or \"25.50\", without sign or exponent")
	case fieldExpiresIn:
		return payment.E(payment.CodeInvalidExpiry, name, "expires_in must be a whole number of seconds from 60 to 604800")
	case fieldCallbackURL:
		return payment.E(payment.CodeInvalidCallbackURL, name, "callback_url must be an absolute http or https URL of at most 2048 bytes")
	case fieldMetadata:
		return payment.E(payment.CodeInvalidParameter, name, "metadata must be at most 20 texts of up to 500 characters, without control characters")
	case fieldCustomerID:
		return payment.CheckCustomerID("")
	case fieldConfirmations:
		return payment.E(payment.CodeInvalidParameter, name, "confirmations must be a whole number from 1 to 100000")
	default:
		return payment.E(payment.CodeInvalidParameter, name, "%s is outside its rules", name)
	}
}

// checkMetadataKeys checks what the document can only say in words.
func checkMetadataKeys(metadata any) error {
	object, _ := metadata.(map[string]any)
	for key := range object {
		if key == "" || utf8.RuneCountInString(key) > maxMetadataKey || strings.ContainsFunc(key, unicode.IsControl) {
			return payment.E(payment.CodeInvalidParameter, fieldMetadata, "a key of metadata has 1 to 40 characters, no control characters")
		}
	}
	return nil
}

// query checks the query string of an operation: each parameter known, given once, and within its schema. A misspelt
// filter must not list everything.
func (v *validator) query(operation, raw string) error {
	if !utf8.ValidString(raw) {
		return payment.E(payment.CodeInvalidEncoding, "", "the query is not valid UTF-8")
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return payment.E(payment.CodeInvalidParameter, "", "the query cannot be read")
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		i := slices.IndexFunc(v.queries[operation], func(p *openapi3.ParameterRef) bool { return p.Value.Name == name })
		if i < 0 {
			return payment.E(payment.CodeInvalidParameter, echoedName(name), "there is no such parameter here")
		}
		if err := checkParameter(v.queries[operation][i].Value, values[name]); err != nil {
			return err
		}
	}
	return nil
}

func checkParameter(parameter *openapi3.Parameter, values []string) error {
	wrong := payment.E(payment.CodeInvalidParameter, parameter.Name, "%s is outside its rules", parameter.Name)
	if len(values) != 1 {
		return payment.E(payment.CodeInvalidParameter, parameter.Name, "%s is given more than once", parameter.Name)
	}
	text := values[0]
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return payment.E(payment.CodeInvalidEncoding, parameter.Name, "%s is not valid UTF-8 text", parameter.Name)
	}
	schema := parameter.Schema.Value
	var value any = text
	if schema.Type.Is(openapi3.TypeInteger) {
		n, err := strconv.Atoi(text)
		if err != nil || strconv.Itoa(n) != text {
			return wrong
		}
		value = n
	}
	if schema.VisitJSON(value) != nil {
		return wrong
	}
	return nil
}
