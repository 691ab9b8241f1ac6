package api

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sluicepay/sluice/payment"
)

// maxDepth is how deeply a body may nest. No request needs more than two levels.
const maxDepth = 16

// parseObject reads a body that must be exactly one JSON object. The standard decoder lets much through that two readers
// may understand differently; here it is refused: repeated names (CodeInvalidJSON, with the name at the top level),
// anything behind the object (CodeInvalidJSON), text that is not UTF-8 or not text: lone surrogates, NUL
// (CodeInvalidEncoding). Numbers stay as they were written.
func parseObject(body []byte) (map[string]any, error) {
	if !utf8.Valid(body) {
		return nil, payment.E(payment.CodeInvalidEncoding, "", "the body is not valid UTF-8")
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, payment.E(payment.CodeInvalidJSON, "", "the body is empty")
	}
	if !json.Valid(body) {
		return nil, payment.E(payment.CodeInvalidJSON, "", "the body is not one JSON value")
	}
	if loneSurrogate(body) {
		return nil, payment.E(payment.CodeInvalidEncoding, "", "the body escapes half a character")
	}
	p := jsonReader{decoder: json.NewDecoder(bytes.NewReader(body))}
	p.decoder.UseNumber()
	value, err := p.value(0)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, payment.E(payment.CodeInvalidJSON, "", "the body is not a JSON object")
	}
	return object, nil
}

// jsonReader builds a value from the tokens of a body that is known to be valid JSON.
type jsonReader struct {
	decoder *json.Decoder
	// field is the name at the top level that is being read, for errors.
	field string
}

func (p *jsonReader) value(depth int) (any, error) {
	token, err := p.decoder.Token()
	if err != nil {
		return nil, payment.Wrap(err, payment.CodeInvalidJSON, p.field, "the body is not one JSON value")
	}
	switch token := token.(type) {
	case json.Delim:
		if depth == maxDepth {
			return nil, payment.E(payment.CodeInvalidJSON, p.field, "the body nests too deeply")
		}
		if token == '{' {
			return p.object(depth)
		}
		return p.array(depth)
	case string:
		return token, p.checkText(token)
	default:
		return token, nil
	}
}

func (p *jsonReader) object(depth int) (any, error) {
	object := map[string]any{}
	for p.decoder.More() {
		token, err := p.decoder.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, payment.E(payment.CodeInvalidJSON, p.field, "the body is not one JSON value")
		}
		if depth == 0 {
			p.field = echoedName(name)
		}
		if err := p.checkText(name); err != nil {
			return nil, err
		}
		if _, ok := object[name]; ok {
			return nil, payment.E(payment.CodeInvalidJSON, p.field, "a name is repeated")
		}
		if object[name], err = p.value(depth + 1); err != nil {
			return nil, err
		}
	}
	_, _ = p.decoder.Token() // the closing brace of a valid value
	return object, nil
}

func (p *jsonReader) array(depth int) (any, error) {
	array := []any{}
	for p.decoder.More() {
		value, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	_, _ = p.decoder.Token()
	return array, nil
}

// checkText refuses NUL, which the database cannot keep and other programs take for an end.
func (p *jsonReader) checkText(text string) error {
	if strings.ContainsRune(text, 0) {
		return payment.E(payment.CodeInvalidEncoding, p.field, "a text holds the character NUL")
	}
	return nil
}

// loneSurrogate finds an escape of half a character, which the decoder would silently replace. In valid JSON a backslash
// occurs in strings only.
func loneSurrogate(body []byte) bool {
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		i++ // whatever is escaped is no backslash that escapes
		high, ok := unicodeEscape(body[i-1:])
		switch {
		case !ok || high < 0xd800 || high > 0xdfff:
			continue
		case high >= 0xdc00:
			return true
		}
		low, ok := unicodeEscape(body[i+5:])
		if !ok || low < 0xdc00 || low > 0xdfff {
			return true
		}
		i += 6
	}
	return false
}

// unicodeEscape reads \uXXXX at the beginning of text.
func unicodeEscape(text []byte) (uint64, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return n, err == nil
}

const (
	// maxEchoed bounds the names of unknown fields and parameters that an answer repeats.
	maxEchoed = 64
	// longestWord is longer than any name of ours. What is longer may be a secret in the place of a name.
	longestWord = 15
)

// echoedName is a name as an answer may repeat it: short, without secrets, and of plain letters, or a question mark in place
// of others.
func echoedName(name string) string {
	// A name that holds a secret is left out as a whole: where it ends cannot be told once a query was unescaped.
	if len(name) > longestWord && scrub(name) != name {
		return mask
	}
	plain := func(r rune) rune {
		if r > ' ' && r < 0x7f && r != '"' && r != '<' && r != '>' && r != '&' && r != '\\' {
			return r
		}
		return '?'
	}
	name = strings.Map(plain, name)
	return name[:min(len(name), maxEchoed)]
}
