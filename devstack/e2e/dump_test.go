package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluicepay/sluice/internal/await"
)

// dumpWhenFailed shows what a failed test left, because its world will be gone.
func (m *merchant) dumpWhenFailed(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		ctx, cancel := await.Context(context.Background())
		defer cancel()
		w := m.w
		orders := w.show(ctx, t, `SELECT id, state, labels::text, blocked_step, expires_at, now() FROM orders WHERE merchant_id = $1`, m.id)
		w.show(ctx, t, `SELECT type, order_id, seq, created_at FROM events WHERE merchant_id = $1 ORDER BY created_at`, m.id)
		w.show(ctx, t, `SELECT id, order_id, status, inclusion, first_included_at FROM payments WHERE merchant_id = $1`, m.id)
		w.show(ctx, t, `SELECT o.signal, o.payment_id, o.attempts, o.outcome, o.due_at FROM outbox o JOIN payments p ON p.id = o.payment_id
			WHERE p.merchant_id = $1`, m.id)
		w.show(ctx, t, `SELECT e.type, c.status, c.park_reason, a.n, a.outcome, a.status, a.started_at FROM events e
			JOIN callbacks c ON c.event_id = e.id LEFT JOIN callback_attempts a ON a.callback_id = c.id
			WHERE e.merchant_id = $1 ORDER BY e.created_at, a.started_at`, m.id)
		w.show(ctx, t, `SELECT chain, epoch, block_number, block_time, head_number, updated_at FROM cursors WHERE $1 <> ''`, m.id)
		for _, id := range orders {
			w.showHistory(ctx, t, "order/"+id)
		}
		showLog(t, w.Worker.LogFile())
		showLog(t, w.API.LogFile())
	})
}

// show logs a query's rows and returns their first column.
func (w *world) show(ctx context.Context, t *testing.T, query string, args ...any) (first []string) {
	t.Helper()
	rows, err := w.db.Query(ctx, query, args...)
	if err != nil {
		t.Logf("%s: %v", query, err)
		return nil
	}
	defer rows.Close()
	text := query
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			break
		}
		for i, v := range values {
			if at, ok := v.(time.Time); ok {
				values[i] = at.UTC().Format("15:04:05.000")
			}
		}
		first = append(first, fmt.Sprint(values[0]))
		text += "\n  " + fmt.Sprint(values...)
	}
	t.Log(text)
	return first
}

func (w *world) showHistory(ctx context.Context, t *testing.T, workflowID string) {
	t.Helper()
	var lines []string
	events, err := w.events(ctx, workflowID, "")
	if err != nil {
		lines = append(lines, err.Error())
	}
	for _, event := range events {
		lines = append(lines, fmt.Sprintf("  %3d %s %s", event.GetEventId(), event.GetEventTime().AsTime().Format("15:04:05.000"), event.GetEventType()))
	}
	t.Logf("%s\n%s", workflowID, strings.Join(lines, "\n"))
	described, err := w.temporal.DescribeWorkflowExecution(ctx, workflowID, "")
	if err == nil {
		for _, p := range described.GetPendingActivities() {
			t.Logf("  pending %s attempt %d: %v", p.GetActivityType().GetName(), p.GetAttempt(), p.GetLastFailure().GetMessage())
		}
	}
}

// showLog logs what a program complained of last.
func showLog(t *testing.T, path string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Log(err)
		return
	}
	defer func() { _ = file.Close() }()
	var complaints []string
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		if line := scanner.Text(); !strings.Contains(line, `"level":"INFO"`) && !strings.Contains(line, `"level":"DEBUG"`) {
			complaints = append(complaints, line)
		}
	}
	t.Logf("%s\n%s", path, strings.Join(complaints[max(0, len(complaints)-40):], "\n"))
}
