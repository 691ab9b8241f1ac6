package crashtest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/internal/pgtest"
	"github.com/sluicepay/sluice/store"
)

// envOrders carries a victim's orders; a process that has them is a victim and runs no tests.
const envOrders = "SLUICE_CRASHTEST_ORDERS"

func TestMain(m *testing.M) {
	if text := os.Getenv(envOrders); text != "" {
		os.Exit(victim(text))
	}
	pgtest.Main(m)
}

// orders tell a victim what to do, and when to die.
type orders struct {
	DatabaseURL string
	RPCURL      string
	Chain       string
	// Statement is the number of the statement, counted from one, before which it dies; 0 for never.
	Statement int
	// InCommit dies so long after sending the Commits-th COMMIT, while it is on its way.
	Commits  int
	InCommit time.Duration
	// Pause is the point at which it reports and waits until it is told to go on, the first time.
	Pause scan.Point
	// Point is the point at which it dies.
	Point scan.Point
}

// The ends of a victim that was not killed.
const (
	endFinished = 0 // everything there is was recorded
	endFenced   = 3 // a later session records the chain
	endFailed   = 4
)

// said is what a victim writes when it pauses.
const said = "paused"

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // until the signal is there
}

// executioner counts statements.
type executioner struct {
	orders
	statements, commits atomic.Int64
}

func (e *executioner) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if n := e.statements.Add(1); int(n) == e.Statement {
		die()
	}
	if data.SQL == "commit" {
		if n := e.commits.Add(1); e.Commits > 0 && int(n) == e.Commits {
			time.AfterFunc(e.InCommit, die)
		}
	}
	return ctx
}

func (e *executioner) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// victim scans until there is nothing left to record, and returns its exit code. It ends when its standard input does, so
// it cannot outlive the test.
func victim(text string) int {
	e := &executioner{}
	if err := json.Unmarshal([]byte(text), &e.orders); err != nil {
		return failed(err)
	}
	goOn := make(chan struct{}, 1)
	go func() {
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			goOn <- struct{}{}
		}
		os.Exit(endFailed)
	}()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	db, err := store.Open(ctx, e.DatabaseURL, store.Options{MaxConns: 2, ApplicationName: "victim", Tracer: e, StatementTimeout: await.Broken})
	if err != nil {
		return failed(err)
	}
	defer db.Close()
	source, err := evm.New(evm.Options{URL: e.RPCURL})
	if err != nil {
		return failed(err)
	}
	defer source.Close()
	paused := false
	scanner := &scan.Scanner{Chain: e.Chain, Source: source, Recorder: activities.StoreRecorder{Store: store.NewRecorder(db)}}
	scanner.Options = scan.Options{Policy: policy(), OnProgress: stopWhenDone(cancel), Fault: func(p scan.Point) {
		if p == e.Point {
			die()
		}
		if p == e.Pause && !paused {
			paused = true
			fmt.Println(said)
			<-goOn
		}
	}}
	switch err := scanner.Run(ctx); {
	case errors.Is(err, scan.ErrFenced):
		return endFenced
	case errors.Is(err, context.Canceled):
		return endFinished
	default:
		return failed(err)
	}
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, "victim:", err)
	return endFailed
}

// stopWhenDone ends the scanner when it waits for new blocks.
func stopWhenDone(stop func()) func(scan.Progress) {
	return func(p scan.Progress) {
		if p.Mode == scan.ModeWait && p.Lag() == 0 && p.Rescans == 0 {
			stop()
		}
	}
}

func policy() scan.Policy {
	return scan.Policy{
		NearHead: 32, MinPoll: time.Millisecond, MaxPoll: time.Millisecond,
		MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond,
	}
}
