package e2e_test

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/sluicepay/sluice/chain/chaintest/gethnode"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

const (
	// patience bounds every wait.
	patience = await.Broken
	// lookEvery is how often a condition is looked at that nobody tells of.
	lookEvery = 50 * time.Millisecond
)

func newKey(t *testing.T) string {
	t.Helper()
	return "e2e-" + rand.Text()
}

// await returns when look is satisfied. Look says where things stand, for the message when they stay there, and may return
// a channel that is closed when looking again is worthwhile.
func (w *world) await(t *testing.T, what string, look func() (done bool, stand any, next <-chan struct{})) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		done, stand, next := look()
		if done {
			return
		}
		select {
		case <-next:
		case <-ticker.C:
		case <-w.failed:
			t.Fatalf("waiting until %s, it is %v: %v", what, stand, w.failure)
		case <-deadline.C:
			t.Fatalf("waited %s until %s; it is %v", patience, what, stand)
		case <-t.Context().Done():
			t.Fatalf("waiting until %s: %v", what, t.Context().Err())
		}
	}
}

// awaitEvents waits until the receiver has taken exactly these events of an order, in this order.
func (m *merchant) awaitEvents(t *testing.T, orderID string, want ...string) {
	t.Helper()
	m.w.await(t, fmt.Sprintf("%s took %v", orderID, want), func() (bool, any, <-chan struct{}) {
		got, next := m.inbox.accepted(orderID)
		if len(got) >= len(want) {
			require.Equal(t, want, got)
		}
		return len(got) == len(want), got, next
	})
}

func (m *merchant) awaitState(t *testing.T, orderID, want string) order {
	t.Helper()
	var o order
	m.w.await(t, orderID+" is "+want, func() (bool, any, <-chan struct{}) {
		o = m.get(t, orderID)
		return o.State == want, o.State, nil
	})
	return o
}

// awaitRow waits until a query of one boolean says true.
func (w *world) awaitRow(t *testing.T, what, query string, args ...any) {
	t.Helper()
	w.await(t, what, func() (bool, any, <-chan struct{}) {
		var yes bool
		err := w.db.QueryRow(t.Context(), query, args...).Scan(&yes)
		return err == nil && yes, err, nil
	})
}

// pay sends amount, a decimal, of the order's asset to its address on the chain "dev".
func (w *world) pay(t *testing.T, o order, amount string) common.Hash {
	t.Helper()
	to := common.HexToAddress(o.Address)
	var (
		hash common.Hash
		err  error
	)
	if o.Asset == native {
		hash, err = w.faucet.SendNative(t.Context(), to, baseUnits(t, amount, 18))
	} else {
		hash, err = w.faucet.Transfer(t.Context(), w.token, to, baseUnits(t, amount, 6))
	}
	require.NoError(t, err)
	return hash
}

// payAtOnce makes several transfers of the token to one order in one transaction.
func (w *world) payAtOnce(t *testing.T, o order, amounts ...string) {
	t.Helper()
	var calls []gethnode.Call
	for _, amount := range amounts {
		data := gethnode.TransferData(common.HexToAddress(o.Address), baseUnits(t, amount, 6))
		calls = append(calls, gethnode.Call{To: w.token, Data: data})
	}
	_, err := w.faucet.Send(t.Context(), gethnode.Tx{To: &w.caller, Data: gethnode.CallerData(calls...), Gas: 1_000_000})
	require.NoError(t, err)
}

// mine seals blocks where nobody else does.
func (w *world) mine(t *testing.T, blocks int) {
	t.Helper()
	_, err := w.Dev.Node.Mine(blocks)
	require.NoError(t, err)
}

// update sends an update as support would from Temporal's UI, and returns its result or refusal.
func (w *world) update(t *testing.T, workflowID, name string, arg any) (process.UpdateResult, error) {
	t.Helper()
	ctx, cancel := await.Context(t.Context())
	defer cancel()
	var result process.UpdateResult
	handle, err := w.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: workflowID, UpdateName: name, Args: []any{arg}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, &result)
	}
	return result, err
}

// awaitQuery waits until a workflow says that it stands where it should.
func (w *world) awaitQuery(t *testing.T, workflowID string, satisfied func(process.WorkflowState) bool) {
	t.Helper()
	w.await(t, workflowID+" says so", func() (bool, any, <-chan struct{}) {
		var state process.WorkflowState
		value, err := w.temporal.QueryWorkflow(t.Context(), workflowID, "", process.QueryState)
		if err == nil {
			err = value.Get(&state)
		}
		return err == nil && satisfied(state), fmt.Sprintf("%+v %v", state, err), nil
	})
}

// by is who asks for things by hand.
func by() process.By { return process.By{Actor: "support", Reason: "end-to-end test"} }

// awaitPending waits until a workflow has an activity under way, and it was tried.
func (w *world) awaitPending(t *testing.T, workflowID, activity string) {
	t.Helper()
	w.await(t, workflowID+" waits in "+activity, func() (bool, any, <-chan struct{}) {
		described, err := w.temporal.DescribeWorkflowExecution(t.Context(), workflowID, "")
		if err != nil {
			return false, err, nil
		}
		for _, p := range described.GetPendingActivities() {
			if p.GetActivityType().GetName() == activity && p.GetLastFailure() != nil {
				return true, nil, nil
			}
		}
		return false, described.GetPendingActivities(), nil
	})
}

func baseUnits(t *testing.T, decimal string, decimals uint8) *big.Int {
	t.Helper()
	amount, err := payment.ParseDecimal(decimal, decimals)
	require.NoError(t, err)
	return amount.Big()
}
