package crashtest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// bundle is a chain, a database that knows of it, and orders on it.
type bundle struct {
	*storetest.Bundle
	fake  *chaintest.Fake
	token string // the code of the fake's token
	late  int    // addresses that were committed late
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{Bundle: storetest.New(t), token: "CUSD"}
	b.fake = chaintest.NewFake(t, func(t *testing.T, httpURL, _ string) chaintest.Source {
		t.Helper()
		source, err := evm.New(evm.Options{URL: httpURL})
		require.NoError(t, err)
		return source
	})
	_, err := b.PG.Owner.Exec(t.Context(), `UPDATE cursors SET block_number = NULL, block_hash = NULL, block_time = NULL, head_number = NULL;
		UPDATE chains SET start_block = 1; TRUNCATE coverage, rescans`)
	require.NoError(t, err)
	require.NoError(t, b.DB.AddToken(t.Context(), store.NewAsset{
		ID: payment.TokenAsset(storetest.Chain, b.fake.Token()), Code: b.token, Decimals: 6,
	}, storetest.By()))
	b.fake.MineBlocks(2)
	b.scan(t)
	return b
}

// order is an order for 25 of the fake's token.
func (b *bundle) order(t *testing.T) process.OrderView {
	t.Helper()
	return b.Order(t, func(n *store.NewOrder) { n.Asset = b.token })
}

// slowOrder is an order whose address is written in a transaction that is still open. Its id is below all others.
func (b *bundle) slowOrder(t *testing.T) (process.OrderView, func()) {
	t.Helper()
	b.late++
	view := process.OrderView{ID: b.Opening(t, func(n *store.NewOrder) { n.Asset = b.token }), Address: storetest.Address().Text()}
	index, err := b.DB.ReserveIndex(t.Context(), b.Wallet)
	require.NoError(t, err)
	tx, err := b.PG.App.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	id := fmt.Sprintf("adr_%026d", b.late)
	_, err = tx.Exec(t.Context(), `INSERT INTO addresses (id, family, bytes, xpub_id, derivation_index, merchant_id, mode, order_id)
		VALUES ($1, 'evm', $2, $3, $4, $5, $6, $7)`, id, to(t, view).Bytes(), b.Wallet, index, b.Merchant, b.Mode, view.ID)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `UPDATE orders SET state = 'awaiting_payment', address_id = $2, birth_block = 0,
		expires_at = now() + interval '1 hour', late_until = now() + interval '25 hours' WHERE id = $1`, view.ID, id)
	require.NoError(t, err)
	return view, func() { require.NoError(t, tx.Commit(t.Context())) }
}

func to(t *testing.T, order process.OrderView) payment.Address {
	t.Helper()
	address, err := payment.ParseAddress(payment.FamilyEVM, order.Address)
	require.NoError(t, err)
	return address
}

func (b *bundle) transfer(t *testing.T, order process.OrderView, amount uint64) chaintest.TokenTransfer {
	t.Helper()
	return chaintest.TokenTransfer{Token: b.fake.Token(), To: to(t, order), Amount: amount}
}

// scan records everything there is, in this process.
func (b *bundle) scan(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	scanner := &scan.Scanner{
		Chain: storetest.Chain, Source: b.fake.Source(), Recorder: activities.StoreRecorder{Store: store.NewRecorder(b.DB)},
		Options: scan.Options{Policy: policy(), OnProgress: stopWhenDone(cancel)},
	}
	require.ErrorIs(t, scanner.Run(ctx), context.Canceled)
}

// running is a victim under way.
type running struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

// start starts a victim.
func (b *bundle) start(t *testing.T, o orders) *running {
	t.Helper()
	o.DatabaseURL, o.RPCURL, o.Chain = b.PG.ChainURL, b.fake.URL(), storetest.Chain
	text, err := json.Marshal(o)
	require.NoError(t, err)
	r := &running{command: exec.CommandContext(t.Context(), os.Args[0])}
	r.command.Env = append(os.Environ(), envOrders+"="+string(text))
	r.command.Stderr = os.Stderr
	r.in, err = r.command.StdinPipe()
	require.NoError(t, err)
	out, err := r.command.StdoutPipe()
	require.NoError(t, err)
	r.out = bufio.NewReader(out)
	require.NoError(t, r.command.Start())
	return r
}

// paused waits for the victim to pause; false when it ended before.
func (r *running) paused() bool {
	line, _ := r.out.ReadString('\n')
	return line == said+"\n"
}

func (r *running) goOn(t *testing.T) {
	t.Helper()
	_, err := io.WriteString(r.in, "\n")
	require.NoError(t, err)
}

// end waits for the victim's end: killed, or its exit code.
func (r *running) end(t *testing.T) (killed bool, code int) {
	t.Helper()
	_, _ = io.Copy(io.Discard, r.out)
	err := r.command.Wait()
	if err == nil {
		return false, endFinished
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	require.True(t, ok, "%v", err)
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		require.Equal(t, syscall.SIGKILL, status.Signal())
		return true, 0
	}
	return false, exit.ExitCode()
}

// endsWell waits for a victim that is killed or finishes, and tells whether it finished.
func (r *running) endsWell(t *testing.T) (finished bool) {
	t.Helper()
	killed, code := r.end(t)
	require.True(t, killed || code == endFinished, "the victim ended with %d", code)
	return !killed
}

// ended waits until no transaction of a dead victim is open any more.
func (b *bundle) ended(t *testing.T) {
	t.Helper()
	_, err := b.PG.Owner.Exec(t.Context(), `SELECT FROM cursors FOR UPDATE`) // its locks end with it
	require.NoError(t, err)
}

func value[T any](t *testing.T, b *bundle, sql string, args ...any) T {
	t.Helper()
	return storetest.Value[T](t, b.Bundle, sql, args...)
}

// cursor is the last recorded block.
func (b *bundle) cursor(t *testing.T) uint64 {
	t.Helper()
	return uint64(value[int](t, b, `SELECT block_number FROM cursors WHERE chain = $1`, storetest.Chain))
}

// paid is what is recorded of one transfer.
type paid struct {
	ID         string
	Status     string
	Inclusions int
	Canonical  int
	Detections int
	WakeUps    []string
}

// paid reads the payment of an order in an asset; the zero value when there is none.
func (b *bundle) paid(t *testing.T, order payment.OrderID, native bool) paid {
	t.Helper()
	var p paid
	rows, err := b.PG.Owner.Query(t.Context(), `SELECT p.id, p.status,
			(SELECT count(*) FROM inclusions i WHERE i.payment_id = p.id),
			(SELECT count(*) FROM inclusions i WHERE i.payment_id = p.id AND i.canonical),
			(SELECT count(*) FROM events e WHERE e.payment_id = p.id AND e.type = 'order.payment_detected'),
			(SELECT COALESCE(array_agg(replace(o.request_id, p.id || '/', '') ORDER BY o.id), '{}') FROM outbox o WHERE o.payment_id = p.id)
		FROM payments p WHERE p.order_id = $1 AND p.native = $2`, order, native)
	require.NoError(t, err)
	defer rows.Close()
	n := 0
	for rows.Next() {
		n++
		require.NoError(t, rows.Scan(&p.ID, &p.Status, &p.Inclusions, &p.Canonical, &p.Detections, &p.WakeUps))
	}
	require.NoError(t, rows.Err())
	require.LessOrEqual(t, n, 1, "one transfer is one payment")
	p.ID = ""
	return p
}

// settled checks what must hold whenever nothing is left to record.
func (b *bundle) settled(t *testing.T) {
	t.Helper()
	head := b.fake.Head()
	require.Equal(t, head.Number, b.cursor(t))
	for _, asset := range []payment.AssetID{payment.TokenAsset(storetest.Chain, b.fake.Token()), b.Native.ID} {
		holes, err := b.DB.CoverageHoles(t.Context(), asset, store.Interval{First: 1, Last: head.Number})
		require.NoError(t, err)
		require.Empty(t, holes)
	}
}
