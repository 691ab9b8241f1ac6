package payment

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func eventFixture(t *testing.T) Event {
	t.Helper()
	token, err := ParseAddress(FamilyEVM, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
	require.NoError(t, err)
	due, err := ParseDecimal("25.00", 6)
	require.NoError(t, err)
	hash, err := ParseHash("0x" + strings.Repeat("ab", 32))
	require.NoError(t, err)
	elsewhere := time.FixedZone("UTC+2", 2*60*60)
	at := time.Date(2026, 1, 2, 5, 4, 5, 123456789, elsewhere)
	asset := TokenAsset("dev", token)
	return Event{
		Type: EventOrderPaid, Mode: ModeTest, Timestamp: at,
		Data: EventData{
			Order: OrderSnapshot{
				ID: "ord_1", Mode: ModeTest, State: StatePaid,
				Chain: "dev", Asset: "USDC", AssetID: asset,
				Amount: due.Decimal(6), AmountBaseUnits: due, AmountReceived: due.Decimal(6), AmountReceivedBaseUnits: due,
				Address: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8", ConfirmationsRequired: 3,
				ExpiresAt: at, CreatedAt: at, UpdatedAt: at, PaidAt: &at,
			},
			Payment: &PaymentSnapshot{
				ID: "pay_1", State: PaymentCredited, Chain: "dev", Asset: "USDC", AssetID: asset,
				Amount: due.Decimal(6), AmountBaseUnits: due, TxHash: hash, BlockNumber: 7, BlockHash: hash,
				From: "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", To: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
				Confirmations: 3, ConfirmationsRequired: 3, FirstSeenAt: at, CreditedAt: &at,
			},
		},
	}
}

// Merchants parse these bytes: the test pins every name and spelling.
func TestEventEncode(t *testing.T) {
	t.Parallel()
	body, err := eventFixture(t).Encode()
	require.NoError(t, err)
	const hash = `0xabababababababababababababababababababababababababababababababab`
	const want = `{"type":"order.paid","mode":"test","timestamp":"2026-01-02T03:04:05.123456Z","data":{"order":{` +
		`"id":"ord_1","object":"order","mode":"test","state":"paid","labels":[],` +
		`"chain":"dev","asset":"USDC","asset_id":"dev/0x5fbdb2315678afecb367f032d93f642f64180aa3",` +
		`"amount":"25","amount_base_units":"25000000","amount_received":"25","amount_received_base_units":"25000000",` +
		`"address":"0x70997970C51812dc3A010C7d01b50e0d17dc79C8","confirmations_required":3,` +
		`"expires_at":"2026-01-02T03:04:05.123456Z","created_at":"2026-01-02T03:04:05.123456Z",` +
		`"updated_at":"2026-01-02T03:04:05.123456Z","paid_at":"2026-01-02T03:04:05.123456Z","metadata":{}},` +
		`"payment":{"id":"pay_1","object":"payment","state":"credited","chain":"dev","asset":"USDC",` +
		`"asset_id":"dev/0x5fbdb2315678afecb367f032d93f642f64180aa3","amount":"25","amount_base_units":"25000000",` +
		`"tx_hash":"` + hash + `","block_number":7,"block_hash":"` + hash + `",` +
		`"from":"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266","to":"0x70997970C51812dc3A010C7d01b50e0d17dc79C8",` +
		`"confirmations":3,"confirmations_required":3,"late":false,` +
		`"first_seen_at":"2026-01-02T03:04:05.123456Z","credited_at":"2026-01-02T03:04:05.123456Z"}}}`
	require.Equal(t, want, string(body))

	var again Event
	require.NoError(t, json.Unmarshal(body, &again))
	encoded, err := again.Encode()
	require.NoError(t, err)
	require.Equal(t, string(body), string(encoded))
}

// Encoding leaves its argument as it was, times and all.
func TestEventEncodeChangesNothing(t *testing.T) {
	t.Parallel()
	event := eventFixture(t)
	_, err := event.Encode()
	require.NoError(t, err)
	require.Equal(t, eventFixture(t), event)
}

func TestEventEncodeRefuses(t *testing.T) {
	t.Parallel()
	event := eventFixture(t)
	event.Type = "order.imagined"
	_, err := event.Encode()
	require.Equal(t, CodeInternal, CodeOf(err))

	for _, mode := range []Mode{"", ModeLive} {
		event := eventFixture(t)
		event.Mode = mode
		_, err := event.Encode()
		require.Equal(t, CodeInternal, CodeOf(err), "the order is of test mode")
	}

	for _, about := range []EventType{EventOrderPaymentDetected, EventPaymentReversed} {
		event := eventFixture(t)
		event.Type, event.Data.Payment = about, nil
		_, err := event.Encode()
		require.Equal(t, CodeInternal, CodeOf(err), about)
	}
}

func TestPaymentURI(t *testing.T) {
	t.Parallel()
	to, err := ParseAddress(FamilyEVM, "0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
	require.NoError(t, err)
	token, err := ParseAddress(FamilyEVM, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
	require.NoError(t, err)
	require.Equal(t, "ethereum:0x70997970C51812dc3A010C7d01b50e0d17dc79C8@1337?value=1000000000000000000",
		PaymentURI(1337, NativeAsset("dev"), to, AmountFromUint64(1_000_000_000_000_000_000)))
	require.Equal(t, "ethereum:0x5FbDB2315678afecb367f032d93F642f64180aa3@1/transfer?address=0x70997970C51812dc3A010C7d01b50e0d17dc79C8&uint256=25000000",
		PaymentURI(1, TokenAsset("ethereum", token), to, AmountFromUint64(25_000_000)))
	require.Empty(t, PaymentURI(1, NativeAsset("dev"), Address{}, AmountFromUint64(1)))
}
