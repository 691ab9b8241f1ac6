package api_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

func TestCreateOrder(t *testing.T) {
	t.Parallel()
	k := setup(t)
	a := k.post(t, "invoice-1001", `{"chain":"dev","asset":"USDC","amount":"25.00","expires_in":300,"confirmations":12,
		"callback_url":"https://shop.example.com/hooks","reference":"Rechnung №7","metadata":{"cart":"8842","":"x"}}`)
	requireProblem(t, a, http.StatusBadRequest, payment.CodeInvalidParameter, "metadata")

	a = k.post(t, "invoice-1001", `{"chain":"dev","asset":"USDC","amount":"25.00","expires_in":300,"confirmations":12,
		"callback_url":"https://shop.example.com/hooks","reference":"Rechnung №7","metadata":{"cart":"8842"}}`)
	require.Equal(t, http.StatusCreated, a.status, a.body)
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	require.Empty(t, a.header.Get("Idempotency-Replayed"))
	order := a.order(t)
	require.Equal(t, payment.StateAwaitingPayment, order.State)
	require.Equal(t, payment.ModeTest, order.Mode)
	require.Equal(t, "25", order.Amount)
	require.Equal(t, "25000000", order.AmountBaseUnits.String())
	require.Equal(t, k.Token.ID, order.AssetID)
	require.Equal(t, 12, order.ConfirmationsRequired)
	require.Equal(t, "Rechnung №7", order.Reference)
	require.Equal(t, map[string]string{"cart": "8842"}, order.Metadata)
	require.WithinDuration(t, time.Now().Add(5*time.Minute), order.ExpiresAt, time.Minute)
	first, err := k.xpub.Derive(0)
	require.NoError(t, err)
	require.Equal(t, first.Text(), order.Address)
	require.Contains(t, order.PaymentURI, first.Text())

	read := k.get(t, "/v1/orders/"+string(order.ID))
	require.Equal(t, http.StatusOK, read.status)
	require.JSONEq(t, a.body, read.body)

	url := ""
	require.NoError(t, k.PG.App.QueryRow(t.Context(), `SELECT e.url FROM orders o JOIN webhook_endpoints e ON e.id = o.callback_endpoint_id
		WHERE o.id = $1`, order.ID).Scan(&url))
	require.Equal(t, "https://shop.example.com/hooks", url)
}

// The workflow is started as the contract between the programs says.
func TestCreateStartsTheWorkflow(t *testing.T) {
	t.Parallel()
	k := setup(t)
	order := k.create(t, "one")
	calls := k.temporal.sent()
	require.Len(t, calls, 1)
	c := calls[0]
	require.Equal(t, process.OrderWorkflow, c.workflow)
	require.Equal(t, process.OrderInput{OrderID: order.ID}, c.input)
	require.Equal(t, process.OrderWorkflowID(order.ID), c.start.ID)
	require.Equal(t, process.OrdersQueue, c.start.TaskQueue)
	require.Equal(t, enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, c.start.WorkflowIDConflictPolicy)
	require.Equal(t, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY, c.start.WorkflowIDReusePolicy)
	require.Zero(t, c.start.WorkflowRunTimeout+c.start.WorkflowExecutionTimeout, "an order never dies of a timeout")
	require.Equal(t, "25 USDC on dev", c.start.StaticSummary)
	require.Equal(t, process.UpdateOpen, c.update.UpdateName)
	require.Equal(t, process.OpenUpdateID(order.ID), c.update.UpdateID)
	require.Equal(t, client.WorkflowUpdateStageCompleted, c.update.WaitForStage)
	require.Empty(t, c.update.Args)

	attributes := c.start.TypedSearchAttributes
	require.Equal(t, 4, attributes.Size())
	for key, want := range map[string]string{
		process.AttrOrderStatus.GetName(): "opening", process.AttrMerchantID.GetName(): string(k.Merchant),
		process.AttrChain.GetName(): "dev", process.AttrAsset.GetName(): "USDC",
	} {
		got := map[string]string{}
		for name, value := range attributes.GetUntypedValues() {
			got[name.GetName()] = value.(string)
		}
		require.Equal(t, want, got[key])
	}
}

// What the document gives as defaults is what the code does.
func TestDefaults(t *testing.T) {
	t.Parallel()
	spec := loadSpec(t)
	k := setup(t)
	order := k.create(t, "one")
	var seconds int
	require.NoError(t, k.PG.App.QueryRow(t.Context(), `SELECT expires_in_seconds FROM orders WHERE id = $1`, order.ID).Scan(&seconds))
	require.EqualValues(t, spec.Components.Schemas["CreateOrderRequest"].Value.Properties["expires_in"].Value.Default, seconds)
	require.Equal(t, 3, order.ConfirmationsRequired, "the chain's policy")
	require.Empty(t, order.Reference)

	limit := int(spec.Components.Parameters["Limit"].Value.Schema.Value.Default.(float64))
	for i := range limit {
		k.create(t, "more-"+strconv.Itoa(i))
	}
	var list struct {
		Data    []json.RawMessage `json:"data"`
		HasMore bool              `json:"has_more"`
	}
	require.NoError(t, json.Unmarshal([]byte(k.get(t, "/v1/orders").body), &list))
	require.Len(t, list.Data, limit)
	require.True(t, list.HasMore)
}

// Native money, the largest amount, and the smallest.
func TestCreateAmounts(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for i, c := range []struct{ asset, amount, want, base string }{
		{"ETH", "0.05", "0.05", "50000000000000000"},
		{"ETH", "0.000000000000001000", "0.000000000000001", "1000"},
		{"USDC", "0.001", "0.001", "1000"},
		{"USDC", "1000000000000", "1000000000000", "1000000000000000000"},
		{"ETH", "115792089237316195423570985008687907853269984665640564039457.584007913129639935",
			"115792089237316195423570985008687907853269984665640564039457.584007913129639935",
			"115792089237316195423570985008687907853269984665640564039457584007913129639935"},
	} {
		a := k.post(t, "amount-"+string(rune('a'+i)), `{"chain":"dev","asset":"`+c.asset+`","amount":"`+c.amount+`"}`)
		require.Equal(t, http.StatusCreated, a.status, a.body)
		require.Equal(t, c.want, a.order(t).Amount)
		require.Equal(t, c.base, a.order(t).AmountBaseUnits.String())
	}
}
