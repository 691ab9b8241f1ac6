package api_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/api"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// with is the simple order with one field changed; "" leaves the field out.
func with(field, value string) string {
	fields := map[string]string{"chain": `"dev"`, "asset": `"USDC"`, "amount": `"25.00"`}
	fields[field] = value
	var parts []string
	for name, value := range fields {
		if value != "" {
			parts = append(parts, `"`+name+`":`+value)
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func texts(n int, text string) string { return `"` + strings.Repeat(text, n) + `"` }

// badBodies are refused for what the body says.
func badBodies() []badBody {
	const most = "115792089237316195423570985008687907853269984665640564039457584007913129639936" // 2^256
	list := []badBody{
		// Amounts.
		{with("amount", `"0"`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `"0.00"`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `"-1"`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `"+1"`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `"1e3"`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `"1E-3"`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `"0.0000001"`), payment.CodeInvalidAmount, "amount"}, // seven decimals, the token has six
		{with("amount", `"25.0000000"`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `"`+most+`"`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `"`+most[:72]+`.639936"`), payment.CodeInvalidAmount, "amount"},
		{with("amount", texts(121, "9")), payment.CodeInvalidAmount, "amount"},
		{with("amount", `25`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `25.5`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `1e400`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `true`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `null`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `["25"]`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `{"25":1}`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `""`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `" 25"`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `"25\n"`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `"025"`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `"25."`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `"0x19"`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `"２５"`), payment.CodeInvalidAmount, "amount"},
		{with("amount", `"NaN"`), payment.CodeInvalidAmount, "amount"},
		{with("amount", ``), payment.CodeMissingParameter, "amount"},
		// Chains and assets.
		{with("chain", `"mars"`), payment.CodeUnknownChain, "chain"},
		{with("chain", `"DEV"`), payment.CodeUnknownChain, "chain"},
		{with("chain", `"de v"`), payment.CodeUnknownChain, "chain"},
		{with("chain", `"off"`), payment.CodeChainDisabled, "chain"},
		{with("chain", `""`), payment.CodeInvalidParameter, "chain"},
		{with("chain", texts(33, "a")), payment.CodeInvalidParameter, "chain"},
		{with("chain", `7`), payment.CodeInvalidParameter, "chain"},
		{with("chain", ``), payment.CodeMissingParameter, "chain"},
		{with("asset", `"DOGE"`), payment.CodeUnknownAsset, "asset"},
		{with("asset", `"usdc"`), payment.CodeUnknownAsset, "asset"},
		{with("asset", `"'; --"`), payment.CodeUnknownAsset, "asset"},
		{with("asset", `"OFF"`), payment.CodeAssetDisabled, "asset"},
		{with("asset", `null`), payment.CodeInvalidParameter, "asset"},
		{with("asset", texts(17, "A")), payment.CodeInvalidParameter, "asset"},
		{with("asset", ``), payment.CodeMissingParameter, "asset"},
		// Expiry: one minute to seven days.
		{with("expires_in", `59`), payment.CodeInvalidExpiry, "expires_in"},
		{with("expires_in", `604801`), payment.CodeInvalidExpiry, "expires_in"},
		{with("expires_in", `0`), payment.CodeInvalidExpiry, "expires_in"},
		{with("expires_in", `-60`), payment.CodeInvalidExpiry, "expires_in"},
		{with("expires_in", `60.5`), payment.CodeInvalidExpiry, "expires_in"},
		{with("expires_in", `60.0`), payment.CodeInvalidExpiry, "expires_in"},
		{with("expires_in", `6e1`), payment.CodeInvalidExpiry, "expires_in"},
		{with("expires_in", `9223372036854775808`), payment.CodeInvalidExpiry, "expires_in"},
		{with("expires_in", `1e400`), payment.CodeInvalidExpiry, "expires_in"},
		{with("expires_in", `"60"`), payment.CodeInvalidExpiry, "expires_in"},
		{with("expires_in", `null`), payment.CodeInvalidExpiry, "expires_in"},
		// Confirmations: the policy asks for three.
		{with("confirmations", `2`), payment.CodeConfirmationsTooLow, "confirmations"},
		{with("confirmations", `0`), payment.CodeInvalidParameter, "confirmations"},
		{with("confirmations", `-1`), payment.CodeInvalidParameter, "confirmations"},
		{with("confirmations", `100001`), payment.CodeInvalidParameter, "confirmations"},
		{with("confirmations", `4.0`), payment.CodeInvalidParameter, "confirmations"},
		{with("confirmations", `"4"`), payment.CodeInvalidParameter, "confirmations"},
		// Texts.
		{with("reference", `""`), payment.CodeInvalidParameter, "reference"},
		{with("customer_id", `""`), payment.CodeInvalidParameter, "customer_id"},
		{with("customer_id", `7`), payment.CodeInvalidParameter, "customer_id"},
		{with("customer_id", texts(201, "é")), payment.CodeInvalidParameter, "customer_id"},
		{with("customer_id", `"a\nb"`), payment.CodeInvalidParameter, "customer_id"},
		{with("customer_id", `"ann "`), payment.CodeInvalidParameter, "customer_id"},
		{with("customer_id", `"ann\u202e"`), payment.CodeInvalidParameter, "customer_id"},
		{with("customer_id", `"a\u200bnn"`), payment.CodeInvalidParameter, "customer_id"},
		{with("address_mode", `"shared"`), payment.CodeInvalidParameter, "address_mode"},
		{with("address_mode", `""`), payment.CodeInvalidParameter, "address_mode"},
		{with("address_mode", `"per_customer"`), payment.CodeMissingParameter, "customer_id"},
		{with("reference", texts(201, "é")), payment.CodeInvalidParameter, "reference"},
		{with("reference", `"a\nb"`), payment.CodeInvalidParameter, "reference"},
		{with("reference", `"a\u007f"`), payment.CodeInvalidParameter, "reference"},
		{with("metadata", `{"k":1}`), payment.CodeInvalidParameter, "metadata"},
		{with("metadata", `{"k":null}`), payment.CodeInvalidParameter, "metadata"},
		{with("metadata", `{"k":{"deep":"x"}}`), payment.CodeInvalidParameter, "metadata"},
		{with("metadata", `{"":"v"}`), payment.CodeInvalidParameter, "metadata"},
		{with("metadata", `{`+texts(41, "é")+`:"v"}`), payment.CodeInvalidParameter, "metadata"},
		{with("metadata", `{"a\tb":"v"}`), payment.CodeInvalidParameter, "metadata"},
		{with("metadata", `{"a\u0085":"v"}`), payment.CodeInvalidParameter, "metadata"},
		{with("metadata", `{"k":"a\u001b[2J"}`), payment.CodeInvalidParameter, "metadata"},
		{with("metadata", `{"k":`+texts(501, "v")+`}`), payment.CodeInvalidParameter, "metadata"},
		{with("metadata", `[]`), payment.CodeInvalidParameter, "metadata"},
		// Unknown fields.
		{with("recipient", `"0x0"`), payment.CodeUnknownField, "recipient"},
		{with("Amount", `"1"`), payment.CodeUnknownField, "Amount"},
		{with("am\u200bount", `"1"`), payment.CodeUnknownField, "am?ount"},
		{with("", `1`), payment.CodeUnknownField, ""},
		{with(strings.Repeat("x", 100), `1`), payment.CodeUnknownField, strings.Repeat("x", 64)},
	}
	return append(list, badURLs()...)
}

type badBody struct {
	body  string
	code  payment.Code
	param string
}

// badURLs are callback URLs that are none, or that point into a network.
func badURLs() []badBody {
	var list []badBody
	for _, url := range []string{
		"", "shop.example.com", "//shop.example.com/", "/hooks", "ftp://shop.example.com/", "javascript:alert(1)", "file:///etc/passwd",
		"https://", "https:///path", "https://user:password@shop.example.com/", "https://shop.example.com/#f", "https://shop.example.com:22/",
		"https://shop.example.com:0/", "https://shop.example.com:99999/", "https://shop example.com/", "https://shop.example.com/é",
		"https://shop.example.com./", "https://" + strings.Repeat("a", 2048) + ".com/",
	} {
		list = append(list, badBody{with("callback_url", `"`+url+`"`), payment.CodeInvalidCallbackURL, "callback_url"})
	}
	for _, value := range []string{`7`, `null`, `[]`} {
		list = append(list, badBody{with("callback_url", value), payment.CodeInvalidCallbackURL, "callback_url"})
	}
	for _, host := range []string{
		"127.0.0.1", "127.1", "2130706433", "0x7f000001", "0.0.0.0", "localhost", "shop.localhost", "[::1]", "[::]",
		"10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "[fe80::1]", "[fd00::1]", "[fc00::1]",
		"[::ffff:10.0.0.1]", "[64:ff9b::10.0.0.1]", "[2002:0a00:0001::1]", "metadata.google.internal", "db.internal", "printer.local", "intranet",
	} {
		list = append(list, badBody{with("callback_url", `"http://`+host+`/hook"`), payment.CodeCallbackTargetForbidden, "callback_url"})
	}
	return list
}

func disableSome(t *testing.T, k *kit) {
	t.Helper()
	k.EnableChain(t, "off", 9000, payment.Asset{ID: payment.NativeAsset("off"), Symbol: "USDC", Decimals: 6})
	k.Exec(t, `UPDATE chains SET enabled = false WHERE name = 'off'`)
	token := storetest.Address()
	require.NoError(t, k.DB.AddToken(t.Context(), store.NewAsset{ID: payment.TokenAsset("dev", token), Code: "OFF", Decimals: 6}, storetest.By()))
	k.Exec(t, `UPDATE assets SET enabled = false WHERE code = 'OFF'`)
}

// Whatever is wrong with a request, it is named, and nothing has changed.
func TestBadBodiesChangeNothing(t *testing.T) {
	t.Parallel()
	k := setup(t)
	disableSome(t, k)
	before := k.counts(t)
	for _, c := range badBodies() {
		a := k.post(t, "same-key", c.body)
		require.Equal(t, http.StatusBadRequest, a.status, c.body+"\n"+a.body)
		requireProblem(t, a, http.StatusBadRequest, c.code, c.param)
	}
	require.Equal(t, before, k.counts(t))
	require.Empty(t, k.temporal.sent())
	require.Equal(t, http.StatusCreated, k.post(t, "same-key", simple).status, "a refused request does not use up its key")
}

// What is no JSON, or is JSON that two readers may read differently.
func TestMalformedBodies(t *testing.T) {
	t.Parallel()
	k := setup(t)
	before := k.counts(t)
	for _, c := range []badBody{
		{" ", payment.CodeInvalidJSON, ""},
		{"{", payment.CodeInvalidJSON, ""},
		{"null", payment.CodeInvalidJSON, ""},
		{"[]", payment.CodeInvalidJSON, ""},
		{`"x"`, payment.CodeInvalidJSON, ""},
		{`25`, payment.CodeInvalidJSON, ""},
		{simple + simple, payment.CodeInvalidJSON, ""},
		{simple + "x", payment.CodeInvalidJSON, ""},
		{"\ufeff" + simple, payment.CodeInvalidJSON, ""},
		{"chain=dev&asset=USDC&amount=25", payment.CodeInvalidJSON, ""},
		{`{"chain":"dev","asset":"USDC","amount":"25",}`, payment.CodeInvalidJSON, ""},
		{`{'chain':'dev'}`, payment.CodeInvalidJSON, ""},
		{`{"chain":"dev","asset":"USDC","amount":"1","amount":"25"}`, payment.CodeInvalidJSON, "amount"},
		{`{"chain":"dev","asset":"USDC","amount":"1","\u0061mount":"25"}`, payment.CodeInvalidJSON, "amount"},
		{with("metadata", `{"k":"a","k":"b"}`), payment.CodeInvalidJSON, "metadata"},
		{with("metadata", strings.Repeat(`{"k":`, 40)+`1`+strings.Repeat(`}`, 40)), payment.CodeInvalidJSON, "metadata"},
		{with("metadata", strings.Repeat(`[`, 20000)+strings.Repeat(`]`, 20000)), payment.CodeInvalidJSON, ""},
		{with("reference", "\"\xff\""), payment.CodeInvalidEncoding, ""},
		{with("reference", "\"\xed\xa0\x80\""), payment.CodeInvalidEncoding, ""},
		{with("reference", "\"\xc0\x80\""), payment.CodeInvalidEncoding, ""},
		{with("reference", `"\ud800"`), payment.CodeInvalidEncoding, ""},
		{with("reference", `"\udc00\ud800"`), payment.CodeInvalidEncoding, ""},
		{with("reference", `"\\\ud800x"`), payment.CodeInvalidEncoding, ""},
		{with("reference", `"a\u0000b"`), payment.CodeInvalidEncoding, "reference"},
		{with("asset", `"US\u0000DC"`), payment.CodeInvalidEncoding, "asset"},
		{with("metadata", `{"a\u0000":"v"}`), payment.CodeInvalidEncoding, "metadata"},
		{with("metadata", `{"k":["a\u0000"]}`), payment.CodeInvalidEncoding, "metadata"},
		{with("reference", "\"\x00\""), payment.CodeInvalidJSON, ""},
	} {
		a := k.post(t, "same-key", c.body)
		require.Equal(t, string(c.code), a.problem(t).Code, c.body)
		requireProblem(t, a, http.StatusBadRequest, c.code, c.param)
	}
	require.Equal(t, before, k.counts(t))
	for i, reference := range []string{`"\ud83d\ude00"`, `"\\ud800"`, `"\\\\ud800"`, `"😀 �"`} { // whole characters, and no escapes
		require.Equal(t, http.StatusCreated, k.post(t, "fine-"+string(rune('0'+i)), with("reference", reference)).status, reference)
	}
}

// Bodies that are too large, with or without a length, and bodies of another type.
func TestBodyLimits(t *testing.T) {
	t.Parallel()
	k := setup(t)
	before := k.counts(t)
	padded := func(size int) string { return simple + strings.Repeat(" ", size-len(simple)) }

	requireProblem(t, k.post(t, "k", padded(api.MaxBody+1)), http.StatusRequestEntityTooLarge, payment.CodeBodyTooLarge, "")
	chunked := k.creation(t, "k", "")
	chunked.Body = io.NopCloser(io.MultiReader(strings.NewReader(simple), strings.NewReader(strings.Repeat(" ", api.MaxBody))))
	chunked.ContentLength = -1
	chunked.Header.Set("Content-Type", "application/json")
	requireProblem(t, k.do(t, chunked), http.StatusRequestEntityTooLarge, payment.CodeBodyTooLarge, "")

	for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "application/json; charset", "multipart/form-data; boundary=x"} {
		r := k.creation(t, "k", simple)
		r.Header.Del("Content-Type")
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		requireProblem(t, k.do(t, r), http.StatusUnsupportedMediaType, payment.CodeUnsupportedMediaType, "Content-Type")
	}
	r := k.creation(t, "k", simple)
	r.Header.Set("Content-Encoding", "gzip")
	requireProblem(t, k.do(t, r), http.StatusUnsupportedMediaType, payment.CodeUnsupportedMediaType, "Content-Type")
	requireProblem(t, k.do(t, k.creation(t, "k", "")), http.StatusUnsupportedMediaType, payment.CodeUnsupportedMediaType, "Content-Type")
	require.Equal(t, before, k.counts(t))

	r = k.creation(t, "k", padded(api.MaxBody))
	r.Header.Set("Content-Type", "Application/JSON; charset=UTF-8")
	require.Equal(t, http.StatusCreated, k.do(t, r).status)
}

func TestIdempotencyKeyRules(t *testing.T) {
	t.Parallel()
	k := setup(t)
	before := k.counts(t)
	r := k.creation(t, "", simple)
	requireProblem(t, k.do(t, r), http.StatusBadRequest, payment.CodeIdempotencyKeyMissing, "Idempotency-Key")
	r = k.creation(t, "k", simple)
	r.Header.Del("Idempotency-Key")
	requireProblem(t, k.do(t, r), http.StatusBadRequest, payment.CodeIdempotencyKeyMissing, "Idempotency-Key")
	for _, key := range []string{"a b", strings.Repeat("k", 256), "ключ", "a\tb"} {
		requireProblem(t, k.post(t, key, simple), http.StatusBadRequest, payment.CodeIdempotencyKeyInvalid, "Idempotency-Key")
	}
	r = k.creation(t, "one", simple)
	r.Header.Add("Idempotency-Key", "two")
	requireProblem(t, k.do(t, r), http.StatusBadRequest, payment.CodeIdempotencyKeyInvalid, "Idempotency-Key")
	require.Equal(t, before, k.counts(t))

	odd := `%41,%2C;=1&"'{}|\~!`
	require.Equal(t, http.StatusCreated, k.post(t, odd, simple).status)
	require.Equal(t, http.StatusCreated, k.post(t, strings.Repeat("k", 255), simple).status)
	var found int
	require.NoError(t, k.PG.App.QueryRow(t.Context(), `SELECT count(*) FROM idempotency_keys WHERE key = $1`, odd).Scan(&found))
	require.Equal(t, 1, found, "the key is kept as it was sent")
}
