package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// deposited records a block with payments of these amounts, in base units of the token, to an address.
func (k *kit) deposited(t testing.TB, address string, amounts ...uint64) {
	t.Helper()
	to, err := payment.ParseAddress(payment.FamilyEVM, address)
	require.NoError(t, err)
	recorder := store.NewRecorder(k.DB)
	session, err := recorder.Begin(t.Context(), storetest.Chain)
	require.NoError(t, err)
	watch, err := recorder.Watch(t.Context(), session)
	require.NoError(t, err)
	block := store.SeenBlock{BlockRef: *watch.Cursor}
	block.Number, block.Hash, block.Parent = watch.Cursor.Number+1, storetest.Hash(), watch.Cursor.Hash
	for i, amount := range amounts {
		block.Sightings = append(block.Sightings, store.Sighting{Receipt: store.ReceiptRead, Transfer: payment.Transfer{
			TxHash: storetest.Hash(), TxIndex: uint(i), LogIndex: uint(i), Contract: k.Token.ID.Contract,
			From: storetest.Address(), To: to, Amount: payment.AmountFromUint64(amount),
		}})
	}
	_, err = recorder.Record(t.Context(), session, store.Batch{Blocks: []store.SeenBlock{block}, Native: watch.Native, Tokens: watch.Tokens})
	require.NoError(t, err)
}

func TestDeposits(t *testing.T) {
	t.Parallel()
	k := setup(t)
	require.JSONEq(t, `{"object":"list","data":[],"has_more":false}`, k.get(t, "/v1/deposits").body)
	order := k.post(t, "one", ofCustomer("Ann №7")).order(t)
	k.deposited(t, order.Address, 25_000_000, 7_000_000)
	k.deposited(t, order.Address, 8_000_000)
	k.deposited(t, k.post(t, "two", ofCustomer("bob")).order(t).Address, 30_000_000)

	all := pageOf[payment.DepositRecord](t, k.get(t, "/v1/deposits"))
	require.Len(t, all.Data, 3)
	beyond, newest := all.Data[0], all.Data[1]
	require.Equal(t, "5", beyond.Amount)
	require.Equal(t, "25", beyond.Payment.AllocatedAmount)
	require.NotEmpty(t, beyond.OrderID)
	require.Equal(t, "bob", beyond.CustomerID)
	require.Empty(t, newest.OrderID)
	require.Equal(t, newest.ID, newest.Payment.ID)
	require.Equal(t, payment.PaymentConfirming, newest.State)

	one := k.get(t, "/v1/deposits/"+string(newest.ID))
	require.Equal(t, http.StatusOK, one.status)
	require.JSONEq(t, `{"id":"`+string(newest.ID)+`","object":"deposit","state":"confirming","customer_id":"Ann №7","chain":"dev","asset":"USDC",
		"asset_id":"`+k.Token.ID.String()+`","amount":"8","amount_base_units":"8000000","created_at":"`+
		newest.CreatedAt.Format("2006-01-02T15:04:05.999999Z")+`","payment":`+one.body[strings.Index(one.body, `"payment":`)+len(`"payment":`):strings.LastIndex(one.body, `,"created_at"`)]+`}`, one.body)

	customer := url.Values{"customer_id": {"Ann №7"}, "chain": {"dev"}, "asset": {"USDC"}, "limit": {"1"}}
	require.Equal(t, []string{string(newest.ID), string(all.Data[2].ID)}, k.all(t, "/v1/deposits", customer))
	at := newest.CreatedAt.Format("2006-01-02T15:04:05.000000Z")
	require.Len(t, k.all(t, "/v1/deposits", url.Values{"created_from": {at}, "limit": {"1"}}), 2)
	require.Len(t, k.all(t, "/v1/deposits", url.Values{"created_before": {at}}), 1)
	require.Empty(t, k.all(t, "/v1/deposits", url.Values{"state": {"credited"}}))

	k.key, _ = k.newKey(t, k.Merchant, payment.ModeLive)
	require.JSONEq(t, `{"object":"list","data":[],"has_more":false}`, k.get(t, "/v1/deposits").body, "the modes have nothing in common")
	requireProblem(t, k.get(t, "/v1/deposits/"+string(newest.ID)), http.StatusNotFound, payment.CodeNotFound, "")
	stranger, _ := k.NewMerchant(t)
	k.key, _ = k.newKey(t, stranger, payment.ModeTest)
	requireProblem(t, k.get(t, "/v1/deposits/"+string(newest.ID)), http.StatusNotFound, payment.CodeNotFound, "")
	k.key, _ = k.newKey(t, k.Merchant, payment.ModeTest, store.ScopeBalancesRead)
	requireProblem(t, k.get(t, "/v1/deposits"), http.StatusForbidden, payment.CodeForbiddenScope, "")
	requireProblem(t, k.get(t, "/v1/deposits/"+string(newest.ID)), http.StatusForbidden, payment.CodeForbiddenScope, "")
}

func TestBadQueriesOfDeposits(t *testing.T) {
	t.Parallel()
	k := setup(t)
	order := k.post(t, "one", ofCustomer("ann")).order(t)
	k.deposited(t, order.Address, 25_000_000, 7_000_000, 8_000_000)
	cursor := pageOf[any](t, k.get(t, "/v1/deposits?limit=1")).NextCursor
	require.NotEmpty(t, cursor)
	for query, param := range map[string]string{
		"limit=0": "limit", "customer_id=": "customer_id", "customer_id=a%0ab": "customer_id", "state=paid": "state", "state=": "state",
		"chain=": "chain", "asset=": "asset", "asset=12345678901234567": "asset", "status=credited": "status",
		"created_from=2026-01-02": "created_from", "created_from=2026-02-30T00:00:00Z": "created_from", "created_from=1767323045": "created_from",
		"created_before=2026-01-02T03:04:05%2B00:00": "created_before", "created_before=2026-01-02T25:04:05Z": "created_before",
		"cursor=" + cursor + "&customer_id=ann": "cursor", "cursor=" + cursor + "&created_from=2026-01-02T03:04:05Z": "cursor",
	} {
		requireProblem(t, k.get(t, "/v1/deposits?"+query), http.StatusBadRequest, payment.CodeInvalidParameter, param)
	}
	for _, id := range []string{"x", "pay_", string(order.ID), string(payment.NewPaymentID())} {
		requireProblem(t, k.get(t, "/v1/deposits/"+id), http.StatusNotFound, payment.CodeNotFound, "")
	}
	ids := k.all(t, "/v1/deposits", url.Values{"created_from": {"0000-01-01T00:00:00Z"}, "created_before": {"9999-12-31T23:59:59.999999Z"}})
	require.Len(t, ids, 2)
}
