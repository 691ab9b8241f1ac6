package store_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

func TestAllocationOpensTheOrder(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	endpoint := b.AddEndpoint(t, "https://shop.example.com/all")
	b.AddEndpoint(t, "https://shop.example.com/paid", payment.EventOrderPaid)
	id := b.Opening(t)

	allocation, err := b.DB.BeginAllocation(t.Context(), id)
	require.NoError(t, err)
	require.Nil(t, allocation.Done)
	require.Equal(t, b.Wallet, allocation.Wallet.ID)
	require.NoError(t, allocation.Wallet.Verify(b.Keys))

	index, err := b.DB.ReserveIndex(t.Context(), b.Wallet)
	require.NoError(t, err)
	address := storetest.Address()
	before := time.Now()
	view, err := b.DB.FinishAllocation(t.Context(), id, b.Wallet, index, address)
	require.NoError(t, err)
	require.Equal(t, process.OrderView{
		ID: id, MerchantID: b.Merchant, Chain: "dev", AssetID: b.Token.ID.String(), AssetCode: "USDC", Amount: "25",
		Address: address.Text(), State: payment.StateAwaitingPayment, Labels: []payment.Label{},
		ExpiresAt: view.ExpiresAt, LateUntil: view.ExpiresAt.Add(24 * time.Hour), BlockTime: time.Second,
		PendingEndpoints: []payment.EndpointID{endpoint},
	}, view)
	require.WithinRange(t, view.ExpiresAt, before.Add(30*time.Minute-time.Second), time.Now().Add(30*time.Minute+time.Second))
	require.EqualValues(t, 100, storetest.Value[int64](t, b, `SELECT birth_block FROM orders WHERE id = $1`, id))

	// The event says what the API says, and is never said twice.
	order, err := b.DB.GetOrder(t.Context(), b.Principal, id)
	require.NoError(t, err)
	rendered, err := json.Marshal(order)
	require.NoError(t, err)
	var event struct {
		Type string
		Data struct{ Order json.RawMessage }
	}
	body := storetest.Value[[]byte](t, b, `SELECT body FROM events WHERE order_id = $1`, id)
	require.NoError(t, json.Unmarshal(body, &event))
	require.Equal(t, "order.created", event.Type)
	require.JSONEq(t, string(rendered), string(event.Data.Order))
	require.Contains(t, order.PaymentURI, address.Text())

	// Whatever an overlapping attempt derived, the first address stays.
	again, err := b.DB.FinishAllocation(t.Context(), id, b.Wallet, index+1, storetest.Address())
	require.NoError(t, err)
	require.Equal(t, view, again)
	allocation, err = b.DB.BeginAllocation(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, view, *allocation.Done)
	require.Equal(t, 1, storetest.Value[int](t, b, `SELECT count(*) FROM events`))
	require.Equal(t, 1, storetest.Value[int](t, b, `SELECT count(*) FROM addresses`))

	origin, err := b.DB.AddressOrigin(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, index, origin.Index)
	require.Equal(t, address, origin.Address)
	require.NoError(t, origin.Wallet.Verify(b.Keys))
}

func TestOverlappingAllocationsAgree(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	for range 5 {
		id := b.Opening(t)
		addresses := concurrently(6, func(int) string {
			index, err := b.DB.ReserveIndex(t.Context(), b.Wallet)
			if err != nil {
				return err.Error()
			}
			view, err := b.DB.FinishAllocation(t.Context(), id, b.Wallet, index, storetest.Address())
			if err != nil {
				return err.Error()
			}
			return view.Address
		})
		require.Len(t, count(addresses), 1, "%v", addresses)
	}
	require.Equal(t, 5, storetest.Value[int](t, b, `SELECT count(*) FROM addresses`))
	require.Equal(t, 5, storetest.Value[int](t, b, `SELECT count(*) FROM events`))
}

// A database that is older than what it handed out would give a payer's address to somebody else.
func TestAKnownAddressLocksTheWallet(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	address, err := payment.ParseAddress(payment.FamilyEVM, order.Address)
	require.NoError(t, err)
	for name, attempt := range map[string]struct {
		index   uint32
		address payment.Address
	}{
		"address": {index: 1000, address: address},
		"index":   {index: 0, address: storetest.Address()},
	} {
		id := b.Opening(t)
		view, err := b.DB.FinishAllocation(t.Context(), id, b.Wallet, attempt.index, attempt.address)
		require.ErrorIs(t, err, store.ErrAddressCollision, name)
		require.Equal(t, payment.CodeAddressesExhausted, payment.CodeOf(err))
		require.Empty(t, view)
		require.Equal(t, "opening", storetest.Value[string](t, b, `SELECT state FROM orders WHERE id = $1`, id))

		_, err = b.DB.ReserveIndex(t.Context(), b.Wallet)
		require.Equal(t, payment.CodeAddressesExhausted, payment.CodeOf(err))
		_, err = b.DB.BeginAllocation(t.Context(), id)
		require.Equal(t, payment.CodeAddressesExhausted, payment.CodeOf(err))
		_, err = b.DB.CreateOrder(t.Context(), b.NewOrder())
		require.Equal(t, payment.CodeAddressesExhausted, payment.CodeOf(err))
		_, err = b.DB.FinishAllocation(t.Context(), order.ID, b.Wallet, 7, storetest.Address())
		require.NoError(t, err, "an order that has its address is read as before")

		wallets, err := b.DB.ListWallets(t.Context())
		require.NoError(t, err)
		require.True(t, wallets[0].Locked)
		require.NoError(t, b.DB.AdvanceWallet(t.Context(), b.Wallet, wallets[0].NextIndex+100, storetest.By()))
		index, err := b.DB.ReserveIndex(t.Context(), b.Wallet)
		require.NoError(t, err)
		require.Equal(t, wallets[0].NextIndex+100, index)
	}
}

func TestWalletsOnlyMoveForward(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	for want := range uint32(3) {
		index, err := b.DB.ReserveIndex(t.Context(), b.Wallet)
		require.NoError(t, err)
		require.Equal(t, want, index)
	}
	err := b.DB.AdvanceWallet(t.Context(), b.Wallet, 2, storetest.By())
	require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(err))
	err = b.DB.AdvanceWallet(t.Context(), payment.NewXPubID(), 2, storetest.By())
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(err))
	for _, pool := range []execer{b.PG.App, b.PG.Owner} {
		_, err = pool.Exec(t.Context(), `UPDATE xpubs SET next_index = 1`)
		require.ErrorContains(t, err, "only grows")
	}

	require.NoError(t, b.DB.AdvanceWallet(t.Context(), b.Wallet, 1<<31-1, storetest.By()))
	index, err := b.DB.ReserveIndex(t.Context(), b.Wallet)
	require.NoError(t, err)
	require.EqualValues(t, 1<<31-1, index)
	_, err = b.DB.ReserveIndex(t.Context(), b.Wallet)
	require.Equal(t, payment.CodeAddressesExhausted, payment.CodeOf(err))
	_, err = b.DB.ReserveIndex(t.Context(), payment.NewXPubID())
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(err))
	require.Error(t, b.DB.AdvanceWallet(t.Context(), b.Wallet, 1<<31+1, storetest.By()))
}

func TestAMerchantsOwnWalletComesFirst(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	own := b.AddWallet(t, b.Merchant, 40)
	other, _ := b.NewMerchant(t)
	b.AddWallet(t, other, 0)
	id := b.Opening(t)
	allocation, err := b.DB.BeginAllocation(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, own, allocation.Wallet.ID)
	require.NoError(t, allocation.Wallet.Verify(b.Keys))
	index, err := b.DB.ReserveIndex(t.Context(), own)
	require.NoError(t, err)
	require.EqualValues(t, 40, index)

	require.NoError(t, b.DB.RetireWallet(t.Context(), own, storetest.By()))
	require.NoError(t, b.DB.RetireWallet(t.Context(), own, storetest.By()))
	_, err = b.DB.ReserveIndex(t.Context(), own)
	require.Equal(t, payment.CodeAddressesExhausted, payment.CodeOf(err))
	allocation, err = b.DB.BeginAllocation(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, b.Wallet, allocation.Wallet.ID)

	n, err := b.DB.LockWallets(t.Context(), storetest.By())
	require.NoError(t, err)
	require.Equal(t, 2, n)
	_, err = b.DB.BeginAllocation(t.Context(), id)
	require.Equal(t, payment.CodeAddressesExhausted, payment.CodeOf(err))
}

func TestAWalletThatSomebodySwappedIsNotAuthentic(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	id := b.Opening(t)
	for _, change := range []string{
		`UPDATE xpubs SET xpub = xpub || 'x'`,
		`UPDATE xpubs SET mac = decode(repeat('00', 32), 'hex')`,
		`UPDATE xpubs SET mac_key = 'k9'`,
	} {
		b.Exec(t, change)
		allocation, err := b.DB.BeginAllocation(t.Context(), id)
		require.NoError(t, err)
		require.Error(t, allocation.Wallet.Verify(b.Keys), change)
	}
}

func TestAWalletIsKnownOnce(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	w := store.NewWallet{
		Wallet: store.Wallet{
			ID: payment.NewXPubID(), Family: payment.FamilyEVM, Merchant: b.Merchant, Xpub: seal.NewSecret("xpubcanary7d1f"), Path: "m",
		},
		Fingerprint: [32]byte(storetest.Bytes(32)),
	}
	w.MAC = w.Sign(b.Keys)
	require.NoError(t, b.DB.AddWallet(t.Context(), w, storetest.By()))
	require.NoError(t, b.DB.AddWallet(t.Context(), w, storetest.By()), "the same again")

	again := w
	again.ID = payment.NewXPubID()
	err := b.DB.AddWallet(t.Context(), again, storetest.By())
	require.Equal(t, payment.CodeInvalidXPub, payment.CodeOf(err))
	again.Fingerprint = [32]byte(storetest.Bytes(32))
	err = b.DB.AddWallet(t.Context(), again, storetest.By())
	require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(err), "one wallet in use")
	again.Merchant = payment.NewMerchantID()
	err = b.DB.AddWallet(t.Context(), again, storetest.By())
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(err))
	again.Merchant, again.Xpub = b.Merchant, seal.NewSecret("xprvcanary7d1f")
	err = b.DB.AddWallet(t.Context(), again, storetest.By())
	require.Error(t, err)
	require.NotContains(t, fmt.Sprintf("%+v", err), "canary7d1f")
	require.Equal(t, 1, storetest.Value[int](t, b, `SELECT count(*) FROM audit WHERE action = 'wallet.import' AND subject = $1`, w.ID))
	require.Equal(t, 0, storetest.Value[int](t, b, `SELECT count(*) FROM audit a WHERE a::text LIKE '%canary7d1f%'`))
}

const (
	helperURL    = "SLUICE_TEST_RESERVE_URL"
	helperWallet = "SLUICE_TEST_RESERVE_WALLET"
	helperCount  = 32
)

// Two pools of this process and another process take indices at the same moment: none is handed out twice, none is skipped.
func TestIndicesAreSharedByNobody(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	second := storetest.Open(t, b.PG.ChainURL)

	helper := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestReserveIndicesHelper$", "-test.count=1")
	helper.Env = append(os.Environ(), helperURL+"="+b.PG.AppURL, helperWallet+"="+string(b.Wallet))
	stdin, err := helper.StdinPipe()
	require.NoError(t, err)
	stdout, err := helper.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, helper.Start())
	lines := bufio.NewScanner(stdout)
	require.True(t, lines.Scan())
	require.Equal(t, "ready", lines.Text())

	_, err = stdin.Write([]byte("go\n"))
	require.NoError(t, err)
	indices := concurrently(64, func(i int) uint32 {
		db := b.DB
		if i%2 == 1 {
			db = second
		}
		index, err := db.ReserveIndex(t.Context(), b.Wallet)
		if err != nil {
			t.Errorf("reserve: %v", err)
		}
		return index
	})
	require.True(t, lines.Scan())
	var others []uint32
	require.NoError(t, json.Unmarshal(lines.Bytes(), &others))
	require.Len(t, others, helperCount)
	for lines.Scan() {
		continue // the rest of its output, so that it can end
	}
	require.NoError(t, helper.Wait())

	seen := map[uint32]bool{}
	for _, index := range append(indices, others...) {
		require.False(t, seen[index], "index %d twice", index)
		require.Less(t, index, uint32(64+helperCount))
		seen[index] = true
	}
}

// TestReserveIndicesHelper is the other process of TestIndicesAreSharedByNobody.
func TestReserveIndicesHelper(t *testing.T) { //nolint:paralleltest // a process of its own
	url := os.Getenv(helperURL)
	if url == "" {
		t.Skip("runs as a child only")
	}
	db, err := store.Open(t.Context(), url, store.Options{StatementTimeout: await.Broken})
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.Ping(t.Context()))
	fmt.Println("ready")
	_, err = bufio.NewReader(os.Stdin).ReadString('\n')
	require.NoError(t, err)
	indices := concurrently(helperCount, func(int) uint32 {
		index, err := db.ReserveIndex(t.Context(), payment.XPubID(os.Getenv(helperWallet)))
		if err != nil {
			t.Errorf("reserve: %v", err)
		}
		return index
	})
	raw, err := json.Marshal(indices)
	require.NoError(t, err)
	fmt.Println(string(raw))
}

// What dies between handing out the index and committing the address loses the index, not the order.
func TestAllocationIsAllOrNothing(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	b.AddEndpoint(t, "https://shop.example.com/hook")
	id := b.Opening(t)
	for want, table := range []string{"addresses", "events", "callbacks"} {
		index, err := b.DB.ReserveIndex(t.Context(), b.Wallet)
		require.NoError(t, err)
		require.EqualValues(t, want, index)
		breakTable(t, b, table)
		_, err = b.DB.FinishAllocation(t.Context(), id, b.Wallet, index, storetest.Address())
		require.ErrorContains(t, err, "broken on purpose")
		mendTable(t, b, table)
		require.Equal(t, "opening", storetest.Value[string](t, b, `SELECT state FROM orders WHERE id = $1`, id))
		require.Zero(t, storetest.Value[int](t, b, `SELECT (SELECT count(*) FROM addresses) + (SELECT count(*) FROM events)`))
	}
	index, err := b.DB.ReserveIndex(t.Context(), b.Wallet)
	require.NoError(t, err)
	require.EqualValues(t, 3, index)
	view, err := b.DB.FinishAllocation(t.Context(), id, b.Wallet, index, storetest.Address())
	require.NoError(t, err)
	require.Equal(t, payment.StateAwaitingPayment, view.State)
}

func TestCreationIsAllOrNothing(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	n := b.NewOrder(func(n *store.NewOrder) { n.CallbackURL = "https://shop.example.com/hook" })
	before := rows(t, b)
	for _, table := range []string{"webhook_endpoints", "orders", "idempotency_keys"} {
		breakTable(t, b, table)
		_, err := b.DB.CreateOrder(t.Context(), n)
		require.ErrorContains(t, err, "broken on purpose")
		mendTable(t, b, table)
		require.Equal(t, before, rows(t, b), table)
	}
	claim, err := b.DB.CreateOrder(t.Context(), n)
	require.NoError(t, err)
	require.Equal(t, store.ClaimFresh, claim.Outcome)
}
