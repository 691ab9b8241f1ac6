package e2e_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math/big"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// finder looks for many secrets in a text at once. It finds every piece of a secret, in every spelling that programs
// give to what they print, upper or lower case: half a key, cut off where a line ends, is a leak too.
type finder struct {
	// filter has a bit for every beginning that a pattern has; most places of a text are done with after one look at it.
	filter   [1 << 15]uint64
	patterns map[string][]pattern // by their beginning
}

type pattern struct{ text, name, spelling string }

// pieceLength is how many bytes of a random secret are taken for a leak of it. Shorter ones occur by chance.
const pieceLength = 12

// beginning is the length by which patterns are looked up.
const beginning = 8

func newFinder() *finder { return &finder{patterns: map[string][]pattern{}} }

// add looks for all pieces of a secret, each so many bytes long; for the whole when it is shorter.
func (f *finder) add(name string, secret []byte, piece int) {
	piece = min(piece, len(secret))
	if piece < pieceLength {
		panic(fmt.Sprintf("%s is too short to be looked for", name))
	}
	for start := 0; start+piece <= len(secret); start++ {
		f.insertAll(name, secret[start:start+piece])
	}
}

// marker begins the names of what must be found: where it is not, nothing was looked at.
const marker = "marker: "

// mark looks for the whole of a text that is no secret.
func (f *finder) mark(name, text string) {
	f.insertAll(marker+name, []byte(text))
}

func (f *finder) insertAll(name string, piece []byte) {
	f.insert(pattern{text: string(lower(piece)), name: name, spelling: "raw bytes"}) // what needs no other spelling is called so
	for spelling, texts := range spellings(piece) {
		for _, text := range texts {
			f.insert(pattern{text: string(lower(text)), name: name, spelling: spelling})
		}
	}
}

func (f *finder) insert(p pattern) {
	key := p.text[:beginning]
	if slices.ContainsFunc(f.patterns[key], func(known pattern) bool { return known.text == p.text }) {
		return
	}
	f.patterns[key] = append(f.patterns[key], p)
	bit := hashOf([]byte(key))
	f.filter[bit/64] |= 1 << (bit % 64)
}

func hashOf(key []byte) uint64 {
	return binary.LittleEndian.Uint64(key) * 0x9e3779b97f4a7c15 >> (64 - 21)
}

// hit is a secret that was found.
type hit struct{ name, spelling, around string }

// find returns each secret of a text once, with the text around it.
func (f *finder) find(text []byte) []hit {
	text = lower(text)
	var hits []hit
	for i := 0; i+beginning <= len(text); i++ {
		bit := hashOf(text[i : i+beginning])
		if f.filter[bit/64]&(1<<(bit%64)) == 0 {
			continue
		}
		for _, p := range f.patterns[string(text[i:i+beginning])] {
			known := slices.ContainsFunc(hits, func(h hit) bool { return h.name == p.name })
			if !known && bytes.HasPrefix(text[i:], []byte(p.text)) {
				around := text[max(0, i-120):min(len(text), i+len(p.text)+60)]
				hits = append(hits, hit{name: p.name, spelling: p.spelling, around: fmt.Sprintf("%q", around)})
			}
		}
	}
	return hits
}

// lower changes ASCII letters only, so that places stay where they are whatever the encoding.
func lower[T string | []byte](text T) []byte {
	changed := append([]byte(nil), text...)
	for i, c := range changed {
		if 'A' <= c && c <= 'Z' {
			changed[i] = c + 'a' - 'A'
		}
	}
	return changed
}

// spellings are the ways in which bytes get into texts.
func spellings(piece []byte) map[string][]string {
	all := map[string][]string{
		"hex":          {hex.EncodeToString(piece)},
		"base64":       append(base64Cores(base64.RawStdEncoding, piece), base64Cores(base64.RawURLEncoding, piece)...),
		"numbers":      {each(piece, " ", "%d"), each(piece, ",", "%d"), each(piece, ", ", "%d"), each(piece, ", ", "0x%02x"), each(piece, ", ", "0x%x")},
		"hex escapes":  {each(piece, "", `\x%02x`), each(piece, "", `\\x%02x`)},
		"spaced hex":   {each(piece, " ", "%02x"), each(piece, ":", "%02x")},
		"URL, escaped": {url.QueryEscape(string(piece)), url.PathEscape(string(piece)), each(piece, "", "%%%02x")},
	}
	if !utf8.Valid(piece) {
		return all
	}
	text := string(piece)
	once := inJSON(text)
	all["JSON"] = []string{once, inJSON(once), each(piece, "", `\u%04x`), each(piece, "", `\\u%04x`)}
	all["quoted"] = []string{inQuotes(text), inQuotes(inQuotes(text))}
	all["HTML"] = []string{html.EscapeString(text), each(piece, "", "&#%d;")}
	all["Markdown"] = []string{inMarkdown(text), inJSON(inMarkdown(text))}
	return all
}

func each(piece []byte, between, format string) string {
	parts := make([]string, len(piece))
	for i, b := range piece {
		parts[i] = fmt.Sprintf(format, b)
	}
	return strings.Join(parts, between)
}

// base64Cores are what bytes look like within longer ones: three ways, by where they begin, without the ends that depend on
// their neighbours.
func base64Cores(encoding *base64.Encoding, piece []byte) []string {
	cores := make([]string, 3)
	for offset := range cores {
		text := encoding.EncodeToString(append(bytes.Repeat([]byte{0}, offset), piece...))
		cores[offset] = text[(8*offset+5)/6 : 8*(offset+len(piece))/6]
	}
	return cores
}

func inJSON(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(quoted[1 : len(quoted)-1])
}

func inQuotes(text string) string {
	quoted := strconv.Quote(text)
	return quoted[1 : len(quoted)-1]
}

func inMarkdown(text string) string {
	var out strings.Builder
	for _, r := range text {
		if strings.ContainsRune("\\`*_{}[]<>()#+-.!|~&:@", r) {
			out.WriteByte('\\')
		}
		out.WriteRune(r)
	}
	return out.String()
}

const base58Digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// base58Bytes undoes the spelling of extended keys.
func base58Bytes(t *testing.T, text string) []byte {
	t.Helper()
	number := new(big.Int)
	for _, digit := range text {
		value := strings.IndexRune(base58Digits, digit)
		require.GreaterOrEqual(t, value, 0)
		number.Add(number.Mul(number, big.NewInt(58)), big.NewInt(int64(value)))
	}
	return number.Bytes()
}

// What proves the absence of secrets must be able to find them.
func TestCanaryFinder(t *testing.T) {
	t.Parallel()
	secret := rand.Text() + `+/="<&-_` + rand.Text()
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	f := newFinder()
	f.add("the text", []byte(secret), pieceLength)
	f.add("the bytes", raw, pieceLength)
	inside := func(write func(string) string) func(string) string {
		return func(s string) string { return write(`{"error":"` + s + `","x":1}`) }
	}
	for name, write := range map[string]func(string) string{
		"raw":                  func(s string) string { return s },
		"lower":                strings.ToLower,
		"query":                url.QueryEscape,
		"path":                 url.PathEscape,
		"hex":                  func(s string) string { return hex.EncodeToString([]byte(s)) },
		"HEX":                  func(s string) string { return fmt.Sprintf("%X", s) },
		"base64":               func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"base64 for URLs":      func(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) },
		"base64 of a document": inside(func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }),
		"hex of a document":    inside(func(s string) string { return `\x` + hex.EncodeToString([]byte(s)) }),
		"%v of bytes":          func(s string) string { return fmt.Sprint([]byte(s)) },
		"%#v of bytes":         func(s string) string { return fmt.Sprintf("%#v", []byte(s)) },
		"%q":                   strconv.Quote,
		"JSON":                 inJSON,
		"JSON in JSON":         func(s string) string { return inJSON(inJSON(s)) },
		"HTML":                 html.EscapeString,
		"Markdown":             inMarkdown,
	} {
		for _, length := range []int{len(secret), pieceLength + 8} {
			for start := 0; start+length <= len(secret); start++ {
				text := "before " + write(secret[start:start+length]) + " after"
				require.Len(t, f.find([]byte(text)), 1, "%s: %s", name, text)
			}
		}
		require.Empty(t, f.find([]byte("before "+write(secret[:pieceLength-1])+" after")), "%s: too short to be sure", name)
	}
	for _, text := range []string{
		"a" + string(raw), fmt.Sprintf("%x", raw), fmt.Sprintf("% X", raw), fmt.Sprint(raw), fmt.Sprintf("%#v", raw),
		base64.StdEncoding.EncodeToString(append([]byte("ab"), raw...)), base64.RawURLEncoding.EncodeToString(raw),
	} {
		require.Equal(t, "the bytes", f.find([]byte(text))[0].name, text)
	}
	noise := make([]byte, 3<<19)
	_, _ = rand.Read(noise)
	for _, text := range []string{string(noise), hex.EncodeToString(noise), base64.StdEncoding.EncodeToString(noise), fmt.Sprint(noise)} {
		require.Empty(t, f.find([]byte(text)))
	}
	require.Panics(t, func() { newFinder().add("short", []byte("12345678901"), pieceLength) })
}
