package api_test

import (
	"encoding/json"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/api"
	"github.com/sluicepay/sluice/payment"
)

func loadSpec(t *testing.T) *openapi3.T {
	t.Helper()
	spec, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	require.NoError(t, err)
	return spec
}

// The document is valid, its examples fit their schemas, and so is what the server
// carries.
func TestSpecIsValid(t *testing.T) {
	t.Parallel()
	require.NoError(t, loadSpec(t).Validate(t.Context(), openapi3.EnableExamplesValidation()))
	embedded, err := api.GetSpec()
	require.NoError(t, err)
	require.NoError(t, embedded.Validate(t.Context()))
}

// The words of the document are the words of the domain.
func TestSpecEnumsAreTheDomains(t *testing.T) {
	t.Parallel()
	spec := loadSpec(t)
	states := slices.DeleteFunc(payment.States(), func(s payment.State) bool { return s == payment.StateOpening })
	require.Equal(t, words(states), enumOf(t, spec, "OrderState"))
	require.Equal(t, words(payment.AllLabels()), enumOf(t, spec, "OrderLabel"))
	require.Equal(t, words(payment.PaymentStates()), enumOf(t, spec, "PaymentState"))
	require.Equal(t, words(payment.EventTypes()), enumOf(t, spec, "EventType"))
	require.Equal(t, words([]payment.Mode{payment.ModeTest, payment.ModeLive}), enumOf(t, spec, "Mode"))

	for _, name := range []string{"OrderState", "OrderLabel", "PaymentState", "EventType"} {
		description := spec.Components.Schemas[name].Value.Description
		for _, word := range enumOf(t, spec, name) {
			require.Contains(t, description, "| `"+word+"` |", "%s is explained", name)
		}
	}
}

// Every code of the domain is documented, unless it cannot reach a merchant, and
// nothing else is.
func TestSpecCodesAreTheDomains(t *testing.T) {
	t.Parallel()
	operatorsOnly := []payment.Code{
		payment.CodeInvalidAddress, payment.CodeInvalidHash, payment.CodeInvalidID, // an id that is none is not found
		payment.CodePrivateKeyMaterial, payment.CodeInvalidXPub,
		payment.CodeStale, payment.CodeChainHalted, payment.CodeAssetHalted,
	}
	var want []string
	for _, code := range payment.Codes() {
		if !slices.Contains(operatorsOnly, code) {
			want = append(want, string(code))
		}
	}
	var got []string
	row := regexp.MustCompile("(?m)^\\| [0-9]{3} \\| `([a-z_]+)` \\|")
	for _, match := range row.FindAllStringSubmatch(loadSpec(t).Components.Schemas["Problem"].Value.Description, -1) {
		got = append(got, match[1])
	}
	require.ElementsMatch(t, want, got)
}

// Whatever the engine writes as an event is what the document promises.
func TestEventsFitTheSpec(t *testing.T) {
	t.Parallel()
	spec := loadSpec(t)
	for _, kind := range payment.EventTypes() {
		for _, about := range []*payment.PaymentSnapshot{nil, somePayment(t)} {
			body, err := payment.Event{Type: kind, Mode: payment.ModeLive, Timestamp: time.Now(), Data: payment.EventData{Order: someOrder(t), Payment: about, Deposit: someDeposit()}}.Encode()
			if err != nil {
				require.Nil(t, about, "only an event about a payment is refused without one")
				continue
			}
			require.NoError(t, visit(t, spec, "Event", string(body)), kind)
			requireKnownFields(t, spec, "Order", body, "data", "order")
			requireKnownFields(t, spec, "Deposit", body, "data", "deposit")
			if about != nil {
				requireKnownFields(t, spec, "Payment", body, "data", "payment")
			}
		}
	}
}

// The published examples are events that the engine could have written.
func TestExamplesAreEvents(t *testing.T) {
	t.Parallel()
	for name, example := range loadSpec(t).Components.Examples {
		published, err := json.Marshal(example.Value.Value)
		require.NoError(t, err)
		var event payment.Event
		require.NoError(t, json.Unmarshal(published, &event), name)
		written, err := event.Encode()
		require.NoError(t, err, name)
		require.JSONEq(t, string(published), string(written), name)
	}
}

// The generated response types keep the one form of an order: UTC, nothing null.
func TestResponsesKeepTheWireForm(t *testing.T) {
	t.Parallel()
	order := api.OrderDocument{OrderSnapshot: someOrder(t)}
	spec := loadSpec(t)
	single := httptest.NewRecorder()
	require.NoError(t, api.GetOrder200JSONResponse(order).VisitGetOrderResponse(single))
	created := httptest.NewRecorder()
	require.NoError(t, api.CreateOrder201JSONResponse{Body: order}.VisitCreateOrderResponse(created))
	list := httptest.NewRecorder()
	require.NoError(t, api.ListOrders200JSONResponse{Object: api.OrderListObjectList, Data: []api.Order{order}}.VisitListOrdersResponse(list))

	require.NoError(t, visit(t, spec, "Order", single.Body.String()))
	require.JSONEq(t, single.Body.String(), created.Body.String())
	require.NoError(t, visit(t, spec, "OrderList", list.Body.String()))
	require.Contains(t, single.Body.String(), `"labels":[]`)
	require.Contains(t, single.Body.String(), `"metadata":{}`)
	require.Contains(t, single.Body.String(), `"created_at":"2026-01-02T03:04:05.123456Z"`)
	require.Contains(t, list.Body.String(), `"created_at":"2026-01-02T03:04:05.123456Z"`)
}

func TestCreateOrderRequestSchema(t *testing.T) {
	t.Parallel()
	spec := loadSpec(t)
	with := func(field, value string) string {
		fields := map[string]json.RawMessage{
			"chain": json.RawMessage(`"dev"`), "asset": json.RawMessage(`"USDC"`), "amount": json.RawMessage(`"25.00"`),
		}
		if value == "" {
			delete(fields, field)
		} else {
			fields[field] = json.RawMessage(value)
		}
		body, err := json.Marshal(fields)
		require.NoError(t, err)
		return string(body)
	}
	long := func(n int) string { return `"` + strings.Repeat("é", n) + `"` }
	many := func(n int) string {
		entries := make([]string, 0, n)
		for i := range n {
			entries = append(entries, `"k`+strings.Repeat("x", i)+`":"v"`)
		}
		return "{" + strings.Join(entries, ",") + "}"
	}
	taken := []string{
		with("amount", `"25"`), with("amount", `"0.000001"`), with("amount", `"0"`), // zero is refused later, with its own code
		with("amount", `"`+strings.Repeat("9", 78)+`"`),
		with("expires_in", "60"), with("expires_in", "604800"), with("confirmations", "1"),
		with("reference", long(200)), with("metadata", "{}"), with("metadata", many(20)), with("metadata", `{"k":""}`),
		with("callback_url", `"https://shop.example.com/"`),
	}
	for _, body := range taken {
		require.NoError(t, visit(t, spec, "CreateOrderRequest", body), body)
	}
	refused := []string{
		`{}`, `[]`, `null`, `"x"`, with("chain", ""), with("asset", ""), with("amount", ""), with("chain", "null"), with("chain", `""`),
		with("amount", "25"), with("amount", "25.00"), with("amount", "null"), with("amount", `""`), with("amount", `"-1"`),
		with("amount", `"+1"`), with("amount", `"1e3"`), with("amount", `"1."`), with("amount", `".5"`), with("amount", `"01"`),
		with("amount", `"1,000"`), with("amount", `" 1"`), with("amount", `"1\n"`), with("amount", `"0x10"`), with("amount", `"NaN"`),
		with("amount", `"１"`), with("amount", `"`+strings.Repeat("9", 121)+`"`),
		with("expires_in", "59"), with("expires_in", "604801"), with("expires_in", "90.5"), with("expires_in", `"60"`),
		with("confirmations", "0"), with("confirmations", "-1"), with("confirmations", "1.5"),
		with("reference", `""`), with("reference", long(201)), with("reference", `"a\u0000b"`), with("reference", `"a\nb"`),
		with("metadata", `{"k":1}`), with("metadata", `{"k":null}`), with("metadata", `{"k":"a\u0000"}`), with("metadata", many(21)),
		with("metadata", `{"k":`+long(501)+`}`), with("metadata", "[]"),
		with("callback_url", `""`), with("callback_url", `"`+strings.Repeat("a", 2049)+`"`),
		with("address", `"0x0"`), with("Amount", `"25.00"`),
	}
	for _, body := range refused {
		require.Error(t, visit(t, spec, "CreateOrderRequest", body), body)
	}
}

func visit(t *testing.T, spec *openapi3.T, schema, body string) error {
	t.Helper()
	var value any
	require.NoError(t, json.Unmarshal([]byte(body), &value))
	return spec.Components.Schemas[schema].Value.VisitJSON(value, openapi3.EnableFormatValidation())
}

// requireKnownFields finds fields that the engine writes and the document does not name.
func requireKnownFields(t *testing.T, spec *openapi3.T, schema string, body []byte, path ...string) {
	t.Helper()
	var value map[string]any
	require.NoError(t, json.Unmarshal(body, &value))
	for _, step := range path {
		value = value[step].(map[string]any)
	}
	for field := range value {
		require.Contains(t, spec.Components.Schemas[schema].Value.Properties, field)
	}
}

func enumOf(t *testing.T, spec *openapi3.T, schema string) []string {
	t.Helper()
	var list []string
	for _, value := range spec.Components.Schemas[schema].Value.Enum {
		list = append(list, value.(string))
	}
	require.NotEmpty(t, list)
	return list
}

func words[T ~string](values []T) []string {
	list := make([]string, 0, len(values))
	for _, value := range values {
		list = append(list, string(value))
	}
	return list
}

// someTime is a time as the database hands it out on a machine far from UTC.
func someTime() time.Time {
	return time.Date(2026, 1, 2, 11, 4, 5, 123456789, time.FixedZone("CST", 8*60*60))
}

func someOrder(t *testing.T) payment.OrderSnapshot {
	t.Helper()
	most, err := payment.ParseBaseUnits("115792089237316195423570985008687907853269984665640564039457584007913129639935")
	require.NoError(t, err)
	at := someTime()
	return payment.OrderSnapshot{
		ID: payment.NewOrderID(), Mode: payment.ModeLive, State: payment.StatePaid, Chain: "dev", Asset: "ETH", AssetID: payment.NativeAsset("dev"),
		Amount: most.Decimal(18), AmountBaseUnits: most, AmountReceived: payment.Amount{}.Decimal(18),
		Address: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8", ConfirmationsRequired: 12,
		ExpiresAt: at, CreatedAt: at, UpdatedAt: at, PaidAt: &at, Reference: "invoice-1001",
		CustomerID: "ann", AddressMode: payment.AddressPerCustomer,
	}
}

func somePayment(t *testing.T) *payment.PaymentSnapshot {
	t.Helper()
	hash, err := payment.ParseHash("0x" + strings.Repeat("AB", 32))
	require.NoError(t, err)
	amount := payment.AmountFromUint64(1)
	return &payment.PaymentSnapshot{
		ID: payment.NewPaymentID(), State: payment.PaymentConfirming, Chain: "dev", Asset: "ETH", AssetID: payment.NativeAsset("dev"),
		Amount: amount.Decimal(18), AmountBaseUnits: amount, TxHash: hash, BlockHash: hash, BlockNumber: 1 << 40,
		From: "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", To: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
		Confirmations: 0, ConfirmationsRequired: 12, Late: true, FirstSeenAt: someTime(),
		AllocatedAmount: "0", AllocatedAmountBaseUnits: new(payment.Amount),
	}
}

func someDeposit() *payment.DepositSnapshot {
	amount := payment.AmountFromUint64(1)
	return &payment.DepositSnapshot{
		CustomerID: "ann", Chain: "dev", Asset: "ETH", AssetID: payment.NativeAsset("dev"), Amount: amount.Decimal(18), AmountBaseUnits: amount,
	}
}
