package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/worker"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/workflows"
)

// recordTo names the folder that histories are written to, which must be new: what was recorded once stands for the runs
// that began then. Without it they are written to a temporary one, and only tell that what is recorded can be replayed.
const recordTo = "SLUICE_RECORD_HISTORIES"

// manyEvents is from how many events on the recorder's server suggests to continue as new: few enough to get there.
const manyEvents = 80

// recorder writes histories.
type recorder struct {
	*world

	dir string
}

// TestRecordHistories plays what the workflows' code has to replay for ever, and writes it down.
func TestRecordHistories(t *testing.T) {
	if testing.Short() {
		t.Skip("has a world to itself")
	}
	t.Parallel()
	r := &recorder{dir: os.Getenv(recordTo)}
	if r.dir == "" {
		r.dir = filepath.Join(t.TempDir(), "histories")
	}
	require.NoError(t, os.Mkdir(r.dir, 0o755), "a set of histories is recorded once")
	r.world = private(t, options{blockTime: time.Second, slow: true, temporal: map[string]any{
		"limit.historyCount.suggestContinueAsNew": manyEvents,
	}})
	t.Run("plays", func(t *testing.T) {
		for name, play := range map[string]func(*testing.T){
			"paid": r.paid, "two parts": r.twoParts, "cancelled": r.cancelled, "expired": r.expired, "late": r.late,
			"parked": r.parked, "by hand": r.byHand, "continued": r.continued, "overpaid": r.overpaid, "watcher": r.watcher,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				play(t)
			})
		}
	})
	files, err := filepath.Glob(filepath.Join(r.dir, "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		replayer := worker.NewWorkflowReplayer()
		workflows.Register(replayer)
		require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(quiet{}, file), file)
	}
}

// record writes a run's history, one event a line. "" is the newest run.
func (r *recorder) record(t *testing.T, name, workflowID, runID string) {
	t.Helper()
	events := r.history(t, workflowID, runID)
	require.NotEmpty(t, events)
	lines := make([]string, 0, len(events))
	for _, event := range events {
		raw, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(event)
		require.NoError(t, err)
		var fields map[string]any
		decoder := json.NewDecoder(strings.NewReader(string(raw)))
		decoder.UseNumber()
		require.NoError(t, decoder.Decode(&fields))
		anonymise(fields)
		line, err := json.Marshal(fields)
		require.NoError(t, err)
		lines = append(lines, string(line))
	}
	text := "{\"events\": [\n" + strings.Join(lines, ",\n") + "\n]}\n"
	require.NoError(t, os.WriteFile(filepath.Join(r.dir, name+".json"), []byte(text), 0o644))
}

// anonymise removes what tells of the machine or of one build of the program: who ran a task, and on which private queue.
func anonymise(value any) {
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			anonymise(item)
		}
	case map[string]any:
		delete(v, "workerVersion")
		delete(v, "binaryChecksum")
		if _, ok := v["identity"]; ok {
			v["identity"] = "recorded"
		}
		if v["kind"] == "TASK_QUEUE_KIND_STICKY" {
			v["name"] = "sticky"
		}
		for _, item := range v {
			anonymise(item)
		}
	}
}

func (r *recorder) recordOrder(t *testing.T, name string, o order) {
	t.Helper()
	r.record(t, name, process.OrderWorkflowID(payment.OrderID(o.ID)), "")
}

// paid is the happy path: its length is what an order costs.
func (r *recorder) paid(t *testing.T) {
	m := r.merchant(t, merchantOptions{events: "order.paid"})
	o := m.order(t, request{Asset: token, Amount: "25"})
	r.pay(t, o, "25")
	want := paid
	want.told = []string{"order.paid"}
	m.requireEnd(t, o.ID, want)
	r.recordOrder(t, "order_paid", o)
}

func (r *recorder) twoParts(t *testing.T) {
	m := r.merchant(t, merchantOptions{})
	o := m.order(t, request{Asset: native, Amount: "0.3"})
	r.pay(t, o, "0.1")
	m.awaitEvents(t, o.ID, "order.created", "order.payment_detected", "order.underpaid")
	r.pay(t, o, "0.2")
	m.awaitEvents(t, o.ID, "order.created", "order.payment_detected", "order.underpaid", "order.payment_detected", "order.paid")
	r.awaitRun(t, process.OrderWorkflowID(payment.OrderID(o.ID)), enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED)
	r.recordOrder(t, "order_two_parts", o)
}

// cancelled is still open: money may come.
func (r *recorder) cancelled(t *testing.T) {
	m := r.merchant(t, merchantOptions{})
	o := m.order(t, request{Asset: token, Amount: "25"})
	m.cancel(t, o.ID).into(t, http.StatusOK, &o)
	m.requireEnd(t, o.ID, ending{state: "cancelled", events: []string{"order.created", "order.cancelled"}})
	r.recordOrder(t, "order_cancelled", o)
}

func (r *recorder) expired(t *testing.T) {
	m := r.merchant(t, merchantOptions{create: []string{"--late-window", "2s"}})
	o := m.order(t, request{Asset: token, Amount: "25", ExpiresIn: shortLife})
	m.requireEnd(t, o.ID, ending{state: "expired", events: []string{"order.created", "order.expired"}, closed: true})
	r.recordOrder(t, "order_expired", o)
}

// late is held, and released by a review.
func (r *recorder) late(t *testing.T) {
	m := r.merchant(t, merchantOptions{create: []string{"--late-policy", "hold"}})
	o := m.order(t, request{Asset: token, Amount: "25", ExpiresIn: shortLife})
	m.awaitEvents(t, o.ID, "order.created", "order.expired")
	r.pay(t, o, "25")
	m.awaitEvents(t, o.ID, "order.created", "order.expired", "order.payment_detected", "payment.late")
	r.awaitRow(t, "the money is held", `SELECT EXISTS (SELECT FROM reviews WHERE order_id = $1 AND cause = 'late')`, o.ID)
	review := m.review(t, o.ID, process.CauseLate)
	r.resolve(t, review, process.MoveRelease)
	r.record(t, "review_released", review, "")
	r.recordOrder(t, "order_late", o)
}

// resolve makes a move on a review as soon as it is legal, and waits for the review's end.
func (r *recorder) resolve(t *testing.T, review string, move process.Move) {
	t.Helper()
	r.awaitQuery(t, review, func(s process.WorkflowState) bool { return len(s.LegalMoves) > 0 })
	_, err := r.update(t, review, process.UpdateResolve, process.ResolveRequest{By: by(), Move: move})
	require.NoError(t, err)
	r.awaitRun(t, review, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED)
}

// overpaid is money for an order without a run: its review closes it.
func (r *recorder) overpaid(t *testing.T) {
	m := r.merchant(t, merchantOptions{})
	o := m.order(t, request{Asset: token, Amount: "25"})
	r.pay(t, o, "25")
	m.requireEnd(t, o.ID, paid)
	r.recordOrder(t, "order_paid_all_events", o)
	r.pay(t, o, "5")
	r.awaitRow(t, "the review is open", `SELECT EXISTS (SELECT FROM reviews WHERE order_id = $1 AND cause = 'closed_order')`, o.ID)
	review := m.review(t, o.ID, process.CauseClosedOrder)
	r.resolve(t, review, process.MoveClose)
	r.record(t, "review_closed", review, "")
}

// parked leaves a callback behind, which is sent again from its own workflow.
func (r *recorder) parked(t *testing.T) {
	m := r.merchant(t, merchantOptions{events: "order.paid"})
	var mended atomic.Bool
	m.inbox.answer = func(delivery, int, <-chan struct{}) int {
		if mended.Load() {
			return http.StatusOK
		}
		return http.StatusBadGateway
	}
	o := m.order(t, request{Asset: token, Amount: "25"})
	r.pay(t, o, "25")
	callbacks := process.CallbackWorkflowID(process.Stream(o.ID))
	r.awaitQuery(t, callbacks, func(s process.WorkflowState) bool { return s.Status == "parked" })
	mended.Store(true)
	_, err := r.update(t, callbacks, process.UpdateRedeliver, process.RedeliverRequest{By: by()})
	require.NoError(t, err)
	r.awaitRun(t, callbacks, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED)
	r.recordOrder(t, "order_parked_callback", o)
	r.record(t, "callbacks_redelivered", callbacks, "")
}

// byHand is an order that support takes through with every update there is.
func (r *recorder) byHand(t *testing.T) {
	m := r.merchant(t, merchantOptions{})
	o := m.order(t, request{Asset: token, Amount: "25"})
	m.awaitEvents(t, o.ID, "order.created")
	id := process.OrderWorkflowID(payment.OrderID(o.ID))
	for _, update := range []struct {
		name string
		arg  any
	}{
		{process.UpdateExtend, process.ExtendRequest{By: by(), Seconds: 600}},
		{process.UpdateRescan, process.RescanRequest{By: by()}},
		{process.UpdateRedeliver, process.RedeliverRequest{By: by()}},
		{process.UpdateResolve, process.ResolveRequest{By: by(), Move: process.MoveMarkPaid}},
	} {
		_, err := r.update(t, id, update.name, update.arg)
		require.NoError(t, err, update.name)
	}
	m.requireEnd(t, o.ID, ending{state: "paid", labels: []string{"manual"}, events: []string{"order.created", "order.paid"}})
	r.recordOrder(t, "order_by_hand", o)
}

// continued is an order with so long a history that it goes on under a new one, and is paid there.
func (r *recorder) continued(t *testing.T) {
	m := r.merchant(t, merchantOptions{})
	o := m.order(t, request{Asset: token, Amount: "25"})
	m.awaitEvents(t, o.ID, "order.created")
	id := process.OrderWorkflowID(payment.OrderID(o.ID))
	first := r.run(t, id)
	for n := 0; r.run(t, id) == first; n++ {
		require.Less(t, n, manyEvents, "it does not continue as new")
		_, err := r.update(t, id, process.UpdateExtend, process.ExtendRequest{By: by(), Seconds: 60})
		require.NoError(t, err)
	}
	r.pay(t, o, "25")
	m.requireEnd(t, o.ID, paid)
	r.record(t, "order_continued_1", id, first)
	r.record(t, "order_continued_2", id, "")
}

// run is the id of a workflow's newest run.
func (w *world) run(t *testing.T, workflowID string) string {
	t.Helper()
	described, err := w.temporal.DescribeWorkflowExecution(t.Context(), workflowID, "")
	require.NoError(t, err)
	return described.GetWorkflowExecutionInfo().GetExecution().GetRunId()
}

// watcher reads blocks again by hand, and goes on while its chain takes no orders. (One that ended is of a release before: watcher_ended.)
func (r *recorder) watcher(t *testing.T) {
	id := process.WatcherWorkflowID(slowName)
	r.slow.mine(t, 3)
	r.awaitRow(t, "the blocks are recorded", `SELECT block_number >= 3 FROM cursors WHERE chain = $1`, slowName)
	_, err := r.update(t, id, process.UpdateRescan, process.RescanRequest{By: by(), From: 1, To: 2})
	require.NoError(t, err)
	r.record(t, "watcher_rescanned", id, "")
	r.record(t, "watcher_watching", process.WatcherWorkflowID(dev), "")
}
