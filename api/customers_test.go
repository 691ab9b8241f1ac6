package api_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/storetest"
)

// ofCustomer asks for an order of a customer's that is paid to his address.
func ofCustomer(id string) string {
	quoted, _ := json.Marshal(id) // texts always encode
	return `{"chain":"dev","asset":"USDC","amount":"25.00","address_mode":"per_customer","customer_id":` + string(quoted) + `}`
}

func TestACustomersStandingAddress(t *testing.T) {
	t.Parallel()
	k := setup(t)
	post := func(key, body string) payment.OrderSnapshot {
		got := k.post(t, key, body)
		require.Equal(t, http.StatusCreated, got.status, got.body)
		return got.order(t)
	}
	name := "Ann Ünal/№7 +&=?#"
	first, again := post("one", ofCustomer(name)), post("one", ofCustomer(name))
	require.Equal(t, first, again)
	require.Equal(t, name, first.CustomerID)
	require.Equal(t, payment.AddressPerCustomer, first.AddressMode)
	require.NotEqual(t, first.Address, post("three", ofCustomer("bob")).Address)
	require.Equal(t, payment.AddressPerOrder, k.create(t, "four").AddressMode)
	require.NoError(t, k.DB.RetireWallet(t.Context(), k.Wallet, storetest.By()))
	second := post("two", ofCustomer(name))
	require.NotEqual(t, first.ID, second.ID)
	require.Equal(t, first.Address, second.Address, "for ever, whatever becomes of the wallet")

	var list struct {
		Data []payment.OrderSnapshot `json:"data"`
	}
	require.NoError(t, json.Unmarshal([]byte(k.get(t, "/v1/orders?customer_id="+url.QueryEscape(name)).body), &list))
	require.Len(t, list.Data, 2)
	require.Equal(t, second.ID, list.Data[0].ID)
	requireProblem(t, k.get(t, "/v1/orders?customer_id="), http.StatusBadRequest, payment.CodeInvalidParameter, "customer_id")
}

// A reused address is derived again for each order that shows it.
func TestACustomersAddressThatSomebodySwappedIsNotShown(t *testing.T) {
	t.Parallel()
	k := setup(t)
	first := k.post(t, "one", ofCustomer("ann"))
	require.Equal(t, http.StatusCreated, first.status, first.body)
	_, err := k.PG.Owner.Exec(t.Context(), `UPDATE addresses SET bytes = '\x00000000000000000000000000000000deadbeef'`)
	require.NoError(t, err)
	requireProblem(t, k.post(t, "two", ofCustomer("ann")), http.StatusInternalServerError, payment.CodeInternal, "")
	requireProblem(t, k.get(t, "/v1/orders/"+string(first.order(t).ID)), http.StatusInternalServerError, payment.CodeInternal, "")
}
