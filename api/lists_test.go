package api_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

type page[T any] struct {
	Object     string `json:"object"`
	Data       []T    `json:"data"`
	HasMore    bool   `json:"has_more"`
	NextCursor string `json:"next_cursor"`
}

func pageOf[T any](t testing.TB, a answer) page[T] {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, a.body)
	var p page[T]
	require.NoError(t, json.Unmarshal([]byte(a.body), &p))
	require.Equal(t, "list", p.Object)
	require.Equal(t, p.HasMore, p.NextCursor != "")
	return p
}

// all pages through a list and returns the ids.
func (k *kit) all(t testing.TB, path string, query url.Values) []string {
	t.Helper()
	var ids []string
	for {
		p := pageOf[struct {
			ID string `json:"id"`
		}](t, k.get(t, path+"?"+query.Encode()))
		for _, entry := range p.Data {
			ids = append(ids, entry.ID)
		}
		if !p.HasMore {
			return ids
		}
		query.Set("cursor", p.NextCursor)
	}
}

func TestListOrders(t *testing.T) {
	t.Parallel()
	k := setup(t)
	empty := k.get(t, "/v1/orders")
	require.JSONEq(t, `{"object":"list","data":[],"has_more":false}`, empty.body)

	var newest []string
	for i := range 7 {
		body := with("reference", `"odd"`)
		if i%2 == 0 {
			body = with("reference", `"even & <more>"`)
		}
		a := k.post(t, strconv.Itoa(i), body)
		require.Equal(t, http.StatusCreated, a.status)
		newest = append([]string{string(a.order(t).ID)}, newest...)
	}
	k.Opening(t) // merchants do not see it
	require.Equal(t, http.StatusOK, k.cancel(t, payment.OrderID(newest[2])).status)
	k.Exec(t, `UPDATE orders SET created_at = '2026-01-02T03:04:05.123456Z' WHERE id = ANY($1)`, newest[5:]) // a tie

	got := k.all(t, "/v1/orders", url.Values{})
	require.Len(t, got, 7)
	require.Equal(t, newest[:5], got[:5])
	require.ElementsMatch(t, newest[5:], got[5:])
	for _, limit := range []string{"1", "2", "3", "6", "7", "100"} {
		require.Equal(t, got, k.all(t, "/v1/orders", url.Values{"limit": {limit}}), limit)
	}
	require.Equal(t, []string{newest[2]}, k.all(t, "/v1/orders", url.Values{"state": {"cancelled"}}))
	require.Len(t, k.all(t, "/v1/orders", url.Values{"reference": {"even & <more>"}, "limit": {"2"}}), 4)
	require.Len(t, k.all(t, "/v1/orders", url.Values{"reference": {"odd"}, "state": {"awaiting_payment"}, "limit": {"2"}}), 3)
	require.Empty(t, k.all(t, "/v1/orders", url.Values{"reference": {"od"}}))
}

func TestBadQueries(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for _, c := range []struct {
		query string
		code  payment.Code
		param string
	}{
		{"limit=0", payment.CodeInvalidParameter, "limit"},
		{"limit=101", payment.CodeInvalidParameter, "limit"},
		{"limit=-1", payment.CodeInvalidParameter, "limit"},
		{"limit=+1", payment.CodeInvalidParameter, "limit"},
		{"limit=01", payment.CodeInvalidParameter, "limit"},
		{"limit=1.0", payment.CodeInvalidParameter, "limit"},
		{"limit=x", payment.CodeInvalidParameter, "limit"},
		{"limit=", payment.CodeInvalidParameter, "limit"},
		{"limit=99999999999999999999", payment.CodeInvalidParameter, "limit"},
		{"limit=1&limit=2", payment.CodeInvalidParameter, "limit"},
		{"state=opening", payment.CodeInvalidParameter, "state"},
		{"state=PAID", payment.CodeInvalidParameter, "state"},
		{"state=", payment.CodeInvalidParameter, "state"},
		{"state=paid,expired", payment.CodeInvalidParameter, "state"},
		{"reference=", payment.CodeInvalidParameter, "reference"},
		{"reference=a%00b", payment.CodeInvalidEncoding, "reference"},
		{"reference=%ff", payment.CodeInvalidEncoding, "reference"},
		{"reference=a%0ab", payment.CodeInvalidParameter, "reference"},
		{"cursor=", payment.CodeInvalidParameter, "cursor"},
		{"cursor=x", payment.CodeInvalidParameter, "cursor"},
		{"cursor=%00", payment.CodeInvalidEncoding, "cursor"},
		{"sate=paid", payment.CodeInvalidParameter, "sate"},
		{"state[]=paid", payment.CodeInvalidParameter, "state[]"},
		{"%ff=1", payment.CodeInvalidParameter, "?"},
		{"a=%zz", payment.CodeInvalidParameter, ""},
		{"a;b", payment.CodeInvalidParameter, ""},
	} {
		a := k.get(t, "/v1/orders?"+c.query)
		require.Equal(t, http.StatusBadRequest, a.status, c.query)
		requireProblem(t, a, http.StatusBadRequest, c.code, c.param)
	}
	r := k.creation(t, "k", simple)
	r.URL.RawQuery = "dry_run=true"
	requireProblem(t, k.do(t, r), http.StatusBadRequest, payment.CodeInvalidParameter, "dry_run")
}

// A cursor belongs to one list: whose, of what, by which filter. Anything else, and whatever somebody made up, is refused.
func TestCursorsOfOtherLists(t *testing.T) {
	t.Parallel()
	k := setup(t)
	order := k.create(t, "1")
	k.create(t, "2")
	cursor := pageOf[any](t, k.get(t, "/v1/orders?limit=1")).NextCursor
	require.NotEmpty(t, cursor)
	require.Equal(t, http.StatusOK, k.get(t, "/v1/orders?limit=100&cursor="+cursor).status, "the limit may change")

	refuse := func(path, cursor string) {
		t.Helper()
		requireProblem(t, k.get(t, path+"cursor="+url.QueryEscape(cursor)), http.StatusBadRequest, payment.CodeInvalidParameter, "cursor")
	}
	refuse("/v1/orders?state=paid&", cursor)
	refuse("/v1/orders?reference=x&", cursor)
	refuse("/v1/orders/"+string(order.ID)+"/payments?", cursor)
	for i := range len(cursor) {
		changed := []byte(cursor)
		changed[i] ^= 1
		refuse("/v1/orders?", string(changed))
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	require.NoError(t, err)
	for _, made := range []string{
		base64.RawURLEncoding.EncodeToString(append(raw, ' ')), base64.RawURLEncoding.EncodeToString(raw[1:]), cursor + "=", cursor + "A",
		base64.RawURLEncoding.EncodeToString([]byte(`{}`)), base64.RawURLEncoding.EncodeToString([]byte(`{"p":"","s":""}`)),
		base64.RawURLEncoding.EncodeToString([]byte(`null`)), base64.StdEncoding.EncodeToString(raw) + "/",
	} {
		refuse("/v1/orders?", made)
	}
	k.key, _ = k.newKey(t, k.Merchant, payment.ModeLive)
	refuse("/v1/orders?", cursor)
}

func TestPayments(t *testing.T) {
	t.Parallel()
	k := setup(t)
	order := k.create(t, "k")
	path := "/v1/orders/" + string(order.ID) + "/payments"
	require.JSONEq(t, `{"object":"list","data":[],"has_more":false}`, k.get(t, path).body)
	view := k.view(t, order.ID)
	first := k.Pay(t, view, 10_000_000)
	second := k.Pay(t, view, 15_000_000)

	list := pageOf[payment.PaymentSnapshot](t, k.get(t, path))
	require.Len(t, list.Data, 2)
	require.Equal(t, second.ID, list.Data[0].ID)
	require.Equal(t, "15", list.Data[0].Amount)
	require.Equal(t, order.Address, list.Data[0].To)
	require.Equal(t, payment.PaymentDetected, list.Data[0].State)
	require.Equal(t, 3, list.Data[0].ConfirmationsRequired)
	require.Equal(t, []string{string(second.ID), string(first.ID)}, k.all(t, path, url.Values{"limit": {"1"}}))
	require.Equal(t, payment.StateConfirming, k.get(t, "/v1/orders/"+string(order.ID)).order(t).State)
}

func TestBalances(t *testing.T) {
	t.Parallel()
	k := setup(t)
	require.JSONEq(t, `{"object":"list","data":[]}`, k.get(t, "/v1/balances").body)
	order := k.create(t, "k")
	paid := k.Pay(t, k.view(t, order.ID), 25_000_000)
	_, err := k.DB.Credit(t.Context(), store.CreditInput{
		PaymentID: paid.ID, Inclusion: paid.Inclusion, BlockHash: paid.Block.Hash, Amount: paid.Amount,
	})
	require.NoError(t, err)
	require.JSONEq(t, `{"object":"list","data":[{"chain":"dev","asset":"USDC","asset_id":"`+k.Token.ID.String()+`",
		"available":"25","available_base_units":"25000000","held":"0","held_base_units":"0"}]}`, k.get(t, "/v1/balances").body)
	now := k.get(t, "/v1/orders/"+string(order.ID)).order(t)
	require.Equal(t, payment.StatePaid, now.State)
	require.Equal(t, "25", now.AmountReceived)
	k.key, _ = k.newKey(t, k.Merchant, payment.ModeLive)
	require.JSONEq(t, `{"object":"list","data":[]}`, k.get(t, "/v1/balances").body, "the modes have nothing in common")
}
