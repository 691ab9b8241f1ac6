package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// ending is everything that an order leaves behind. A nil list is an empty one.
type ending struct {
	state    string
	labels   []string
	received string // decimal, "" for nothing
	// events are written down, in order. Told are those that the endpoint subscribed to; nil means all of them.
	events, told []string
	// wire is every request to the receiver with its answer, in order; nil means that each event of told came once and was
	// taken.
	wire []string
	// payments and postings are in the order of their making: "10 credited", "credit merchant:available 10000000 USDC". Those
	// on the second chain say so: "10 credited on dev2".
	payments, postings []string
	// reviews are "cause status".
	reviews []string
	// parked callbacks wait for a person.
	parked int
	// closed: the order's run is over. A paid order's always is.
	closed bool
}

// full fills in what is implied.
func (e ending) full() ending {
	if e.told == nil {
		e.told = e.events
	}
	if e.wire == nil {
		for _, event := range e.told {
			e.wire = append(e.wire, fmt.Sprintf("%s %d", event, http.StatusNoContent))
		}
	}
	e.closed = e.closed || e.state == string(payment.StatePaid)
	if e.received == "" {
		e.received = "0"
	}
	for _, list := range []*[]string{&e.labels, &e.events, &e.told, &e.wire, &e.payments, &e.postings, &e.reviews} {
		if *list == nil {
			*list = []string{}
		}
	}
	return e
}

// requireEnd waits until nothing of an order is pending and compares all that it left behind: in the database, at the API,
// at the receiver, and in Temporal. Then it has the books proved.
func (m *merchant) requireEnd(t *testing.T, orderID string, want ending) {
	t.Helper()
	want = want.full()
	var got ending
	m.w.await(t, orderID+" ends", func() (bool, any, <-chan struct{}) {
		var pending string
		got, pending = m.left(t, orderID)
		_, next := m.inbox.of(orderID)
		return pending == "" && reflect.DeepEqual(want, got), fmt.Sprintf("\n%+v pending [%s], not\n%+v", got, pending, want), next
	})
	m.inbox.requireClean(t)
	m.requireEachEventOnce(t, orderID, want)
	m.requireBalances(t)
	m.w.requireBooks(t)
}

// left reads what an order has left behind so far, and what of it is not over.
func (m *merchant) left(t *testing.T, orderID string) (got ending, pending string) {
	t.Helper()
	o := m.get(t, orderID)
	got = ending{state: o.State, labels: o.Labels, received: o.AmountReceived, closed: m.w.closed(t, orderID)}
	w := m.w
	got.events = w.list(t, `SELECT type FROM events WHERE order_id = $1 ORDER BY seq`, orderID)
	got.payments = w.list(t, `SELECT trim_scale(i.amount / power(10::numeric, a.decimals)) || ' ' || p.status
			|| CASE a.chain WHEN 'dev2' THEN ' on dev2' ELSE '' END
		FROM payments p JOIN inclusions i ON i.payment_id = p.id AND i.n = p.inclusion JOIN assets a ON a.id = i.asset_id
		WHERE p.order_id = $1 ORDER BY i.block_number, i.tx_index, p.position`, orderID)
	got.postings = w.list(t, `SELECT l.kind || ' ' || c.kind || ' ' || l.amount || ' ' || a.code
			|| CASE a.chain WHEN 'dev2' THEN ' on dev2' ELSE '' END
		FROM ledger_postings l JOIN ledger_accounts c ON c.id = l.credit_account JOIN ledger_accounts d ON d.id = l.debit_account
		JOIN assets a ON a.id = l.asset_id LEFT JOIN payments p ON p.id = l.payment_id
		LEFT JOIN inclusions i ON i.payment_id = l.payment_id AND i.n = l.inclusion
		WHERE l.order_id = $1 OR p.order_id = $1 ORDER BY i.block_number, i.tx_index, p.position, l.id`, orderID)
	got.reviews = w.list(t, `SELECT cause || ' ' || status FROM reviews WHERE order_id = $1 ORDER BY created_at`, orderID)
	got.told = w.list(t, `SELECT e.type FROM callbacks c JOIN events e ON e.id = c.event_id
		WHERE c.order_id = $1 AND c.endpoint_id = $2 ORDER BY c.seq`, orderID, m.hook)
	requests, _ := m.inbox.of(orderID)
	got.wire = []string{}
	for _, d := range requests {
		got.wire = append(got.wire, fmt.Sprintf("%s %d", d.Type, d.answered))
	}
	open := w.list(t, `
		SELECT 'callback' FROM callbacks WHERE order_id = $1 AND status = 'pending'
		UNION ALL SELECT 'payment' FROM payments WHERE order_id = $1 AND (status = 'detected' OR returns_by_block IS NOT NULL)
		UNION ALL SELECT 'wake-up' FROM outbox WHERE order_id = $1 AND sent_at IS NULL`, orderID)
	parked := w.list(t, `SELECT id FROM callbacks WHERE order_id = $1 AND status = 'parked'`, orderID)
	got.parked = len(parked)
	return got, strings.Join(open, ", ")
}

// list reads one column of text.
func (w *world) list(t *testing.T, query string, args ...any) []string {
	t.Helper()
	rows, err := w.db.Query(t.Context(), query, args...)
	require.NoError(t, err)
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	if values == nil {
		values = []string{}
	}
	return values
}

// requireEachEventOnce checks that the events on the wire are those in the database, each taken once, under one id each, and
// that the attempts written down are those that were made.
func (m *merchant) requireEachEventOnce(t *testing.T, orderID string, want ending) {
	t.Helper()
	var taken, all []string
	requests, _ := m.inbox.of(orderID)
	for _, d := range requests {
		all = append(all, fmt.Sprintf("%s %d", d.ID, d.answered))
		if d.answered/100 == 2 {
			taken = append(taken, d.ID)
		}
	}
	ids := m.w.list(t, `SELECT e.id FROM callbacks c JOIN events e ON e.id = c.event_id
		WHERE c.order_id = $1 AND c.endpoint_id = $2 AND c.status = 'delivered' ORDER BY c.seq`, orderID, m.hook)
	require.ElementsMatch(t, ids, taken)
	if want.parked == 0 {
		require.True(t, slices.Equal(ids, taken), "events arrived in the order in which they happened")
	}
	attempts := m.w.list(t, `SELECT c.event_id || ' ' || a.status FROM callback_attempts a JOIN callbacks c ON c.id = a.callback_id
		WHERE c.order_id = $1 AND c.endpoint_id = $2`, orderID, m.hook)
	require.ElementsMatch(t, attempts, all)
}

// requireBalances checks the API's balances against the sum of all postings to the merchant's accounts.
func (m *merchant) requireBalances(t *testing.T) {
	t.Helper()
	var page struct {
		Data []struct {
			AssetID   string `json:"asset_id"`
			Available string `json:"available_base_units"`
			Held      string `json:"held_base_units"`
		}
	}
	m.insist(t, http.MethodGet, "/v1/balances", "", nil).into(t, http.StatusOK, &page)
	got := map[string]string{}
	for _, b := range page.Data {
		got[b.AssetID] = b.Available + " " + b.Held
	}
	sums := map[string][2]*big.Int{}
	for _, line := range m.w.list(t, `
		SELECT a.asset_id || ' ' || a.kind || ' ' || sum(CASE WHEN l.credit_account = a.id THEN l.amount ELSE -l.amount END)
		FROM ledger_accounts a JOIN ledger_postings l ON a.id IN (l.credit_account, l.debit_account)
		WHERE a.merchant_id = $1 AND a.mode = 'test' GROUP BY a.asset_id, a.kind`, m.id) {
		var asset, kind, amount string
		_, err := fmt.Sscan(line, &asset, &kind, &amount)
		require.NoError(t, err)
		sum, ok := new(big.Int).SetString(amount, 10)
		require.True(t, ok, line)
		both, known := sums[asset]
		if !known {
			both = [2]*big.Int{new(big.Int), new(big.Int)}
		}
		both[map[string]int{"merchant:available": 0, "merchant:held": 1}[kind]].Add(new(big.Int), sum)
		sums[asset] = both
	}
	want := map[string]string{}
	for asset, both := range sums {
		want[asset] = both[0].String() + " " + both[1].String()
	}
	require.Equal(t, want, got)
}

// closed tells whether an order has no run any more.
func (w *world) closed(t *testing.T, orderID string) bool {
	t.Helper()
	described, err := w.temporal.DescribeWorkflowExecution(t.Context(), process.OrderWorkflowID(payment.OrderID(orderID)), "")
	if err != nil { // who waits for an end asks again
		t.Log(err)
		return false
	}
	switch status := described.GetWorkflowExecutionInfo().GetStatus(); status {
	case enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING:
		return false
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		return true
	default:
		t.Fatalf("the run of %s is %s", orderID, status)
		return true
	}
}

func (w *world) awaitRun(t *testing.T, workflowID string, want enumspb.WorkflowExecutionStatus) {
	t.Helper()
	w.await(t, workflowID+" is "+want.String(), func() (bool, any, <-chan struct{}) {
		described, err := w.temporal.DescribeWorkflowExecution(t.Context(), workflowID, "")
		if err != nil {
			return false, err, nil
		}
		got := described.GetWorkflowExecutionInfo().GetStatus()
		return got == want, got, nil
	})
}

// compare has the books proved and compared with the chains: every balance of every address, to the last base unit.
func (w *world) compare(ctx context.Context) error {
	output, err := w.Sluice(ctx, nil, "ledger", "check", "--on-chain")
	if err != nil {
		return fmt.Errorf("%w\n%s", err, output)
	}
	for _, chain := range w.Chains() {
		if !strings.Contains(string(output), chain.Name+" agrees with the books") {
			return fmt.Errorf("%s was not compared:\n%s", chain.Name, output)
		}
	}
	return nil
}

// requireBooks has the whole ledger proved.
func (w *world) requireBooks(t *testing.T) {
	t.Helper()
	output, err := w.Sluice(t.Context(), nil, "ledger", "check", "--json")
	require.NoError(t, err, string(output))
	var report struct{ Findings []any }
	require.NoError(t, json.Unmarshal(output, &report))
	require.Empty(t, report.Findings)
}
