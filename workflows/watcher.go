package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// ChainWatcherWorkflow keeps one chain watched: it owns the activity that does, and begins a new history when that comes
// back, each hour. It ends when its worker is of a release that does not watch
// disabled chains; workers start it again.
func ChainWatcherWorkflow(ctx workflow.Context, in process.WatcherInput) error {
	w := &watcherRun{ctx: detached(ctx), in: in}
	if err := w.setup(); err != nil {
		return err
	}
	attributes{Chain: in.Chain}.upsert(w.ctx)
	p := &page{}
	p.line("Watches **", escape(in.Chain), "**. How far it is: the pending activity's heartbeat, or `sluice` on the command line.")
	workflow.SetCurrentDetails(w.ctx, p.String())

	result, err := perform[process.WatchResult](w.ctx, process.ActivityWatchChain, in.Chain, in, "watch "+in.Chain)
	if err := workflow.Await(w.ctx, func() bool { return workflow.AllHandlersFinished(w.ctx) }); err != nil {
		return err
	}
	if err == nil && result.Outcome == process.WatchDisabled {
		return nil
	}
	// Also after a refusal: a chain without a watcher is worse than one whose watcher is busy failing, and the hour
	// between two histories is the activity's, not ours.
	if err != nil {
		workflow.GetLogger(w.ctx).Error("watching was refused", "chain", in.Chain, "code", codeOf(err))
		if err := workflow.Sleep(w.ctx, watchPause); err != nil {
			return err
		}
	}
	return workflow.NewContinueAsNewError(w.ctx, process.ChainWatcherWorkflow, in)
}

type watcherRun struct {
	ctx workflow.Context
	in  process.WatcherInput
}

func (w *watcherRun) setup() error {
	r := &register{ctx: w.ctx}
	r.state(func() process.WorkflowState {
		return process.WorkflowState{Status: "watching", Awaiting: "blocks of " + w.in.Chain}
	})
	r.update(process.UpdateRescan, `Read blocks again: {"actor":"…","reason":"…","from":1,"to":2}`, w.onRescan, w.checkRescan)
	return r.err
}

// watchPause is how long a watcher whose activity was refused waits before it tries again.
const watchPause = 10 * time.Second

// maxRescan bounds how many blocks one request may name; more are several requests.
const maxRescan = 1_000_000

func (w *watcherRun) checkRescan(req process.RescanRequest) error {
	if err := checkBy(req.By); err != nil {
		return err
	}
	if err := checkRange(req); err != nil {
		return err
	}
	if req.To == 0 || req.To-req.From >= maxRescan {
		return deny(payment.CodeInvalidParameter, "name the first and the last block, at most a million apart")
	}
	return nil
}

func (w *watcherRun) onRescan(ctx workflow.Context, req process.RescanRequest) (process.UpdateResult, error) {
	result, err := transact[process.RescanResult](detached(ctx), process.ActivityRequestRescan, process.RescanInput{
		Chain: w.in.Chain, By: req.By, RequestID: updateID(ctx), From: req.From, To: req.To,
	})
	if err != nil {
		return process.UpdateResult{}, told(err)
	}
	return rescanned(result), nil
}

// rescanned is the answer to a rescan.
func rescanned(result process.RescanResult) process.UpdateResult {
	if result.Outcome == "" {
		result.Outcome = process.OutcomeDone
	}
	return process.UpdateResult{Outcome: result.Outcome, From: result.From, To: result.To}
}
