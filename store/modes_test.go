package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// toOrder is a transfer of a chain's coin to an order's address, whatever chain the order is on.
func toOrder(t *testing.T, order process.OrderView, amount uint64) payment.Transfer {
	t.Helper()
	return pay(t, order, amount, func(p *payment.Transfer) { p.Native, p.Contract = true, payment.Address{} })
}

// The chains of a family share their addresses. A payment's mode is its chain's, whosever address it comes to.
func TestAPaymentsModeIsItsChains(t *testing.T) {
	t.Parallel()
	coin := func(n *store.NewOrder) { n.Asset, n.Amount = "ETH", payment.AmountFromUint64(5000) }
	for name, c := range map[string]struct {
		chain  string
		change []func(*store.NewOrder)
		// What becomes of 5000 of the chain's coin at the address: available and held, the order's state, its events and the reviews.
		balances [2]string
		state    payment.State
		events   []string
		reviews  []string
		played   int
	}{
		"test money at a test address": {
			chain: storetest.Chain, balances: [2]string{"5000", "0"}, state: payment.StatePaid,
			events: []string{"order.created", "order.payment_detected", "order.paid"}, reviews: []string{},
		},
		"live money at a live address": {
			chain: storetest.Live, change: []func(*store.NewOrder){storetest.OnLive}, balances: [2]string{"5000", "0"}, state: payment.StatePaid,
			events: []string{"order.created", "order.payment_detected", "order.paid"}, reviews: []string{},
		},
		"live money at a test address": {
			chain: storetest.Live, balances: [2]string{"0", "5000"}, state: payment.StateAwaitingPayment,
			events: []string{"order.created"}, reviews: []string{"wrong_mode"},
		},
		"live money at a test customer's address": {
			chain: storetest.Live, change: []func(*store.NewOrder){storetest.Of("ann")}, balances: [2]string{"0", "5000"},
			state: payment.StateAwaitingPayment, events: []string{"order.created"}, reviews: []string{"wrong_mode"},
		},
		"test money at a live address": {
			chain: storetest.Chain, change: []func(*store.NewOrder){storetest.OnLive}, state: payment.StateAwaitingPayment,
			events: []string{"order.created"}, played: 1,
		},
		"test money at a live customer's address": {
			chain: storetest.Chain, change: []func(*store.NewOrder){storetest.OnLive, storetest.Of("ann")}, state: payment.StateAwaitingPayment,
			events: []string{"order.created"}, played: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := storetest.New(t)
			b.EnableLive(t)
			order := b.Order(t, append(c.change, coin)...)
			m := mineOn(t, b, c.chain)
			transfer := toOrder(t, order, 5000)
			m.record(t, transfer)
			require.Equal(t, c.played, m.count(t, `SELECT play_money FROM cursors WHERE chain = $1`, c.chain))
			if c.played > 0 {
				require.Zero(t, m.count(t, `SELECT count(*) FROM payments`), "it is counted and nothing else")
				require.Zero(t, m.count(t, `SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM ledger_accounts) + (SELECT count(*) FROM reviews)`))
				rescan, err := m.rec.Known(t.Context(), m.session, []payment.Address{transfer.To})
				require.NoError(t, err)
				require.Empty(t, rescan, "no receipt is read for it")
			} else {
				seen := m.payment(t, transfer)
				require.Equal(t, 1, m.count(t, `SELECT count(*) FROM payments p JOIN chains c ON c.name = p.chain WHERE p.mode = c.mode`))
				route, err := b.DB.Route(t.Context(), store.OutboxMessage{Signal: process.SignalPaymentSeen, PaymentID: seen.ID, Inclusion: 1, OrderID: deref(seen.Order)})
				require.NoError(t, err)
				in := func(*store.CreditInput) {}
				if len(c.reviews) > 0 {
					require.Nil(t, seen.Order, "no test order takes live money")
					require.Equal(t, store.Route{To: store.RouteReview, Cause: process.CauseWrongMode}, route)
					in = func(i *store.CreditInput) { i.Review = process.CauseWrongMode }
				}
				require.Equal(t, store.CreditDone, m.credit(t, transfer, in).Outcome)
				require.Equal(t, c.balances, balancesIn(t, b, payment.NativeAsset(c.chain), chainMode(c.chain)))
				require.Equal(t, c.reviews, reviews(t, b, seen.ID))
			}
			require.Equal(t, c.state, m.state(t, order.ID))
			require.Equal(t, c.events, m.events(t, order.ID))
			require.Equal(t, len(c.events), m.count(t, `SELECT count(*) FROM events`), "nobody is told of anything else")
			b.CheckBooks(t)
			require.Equal(t, c.played, int(strange(t, b, c.chain).PlayMoney))
		})
	}
}

func chainMode(chain string) payment.Mode {
	if chain == storetest.Live {
		return payment.ModeLive
	}
	return payment.ModeTest
}

func deref(id *payment.OrderID) payment.OrderID {
	if id == nil {
		return ""
	}
	return *id
}

func strange(t *testing.T, b *storetest.Bundle, chain string) store.StrangeCounts {
	t.Helper()
	counts, err := b.DB.StrangeCounts(t.Context())
	require.NoError(t, err)
	for _, c := range counts {
		if c.Chain == chain {
			return c
		}
	}
	return store.StrangeCounts{}
}

// balancesIn are what the bundle's merchant has available and held of an asset in a mode.
func balancesIn(t *testing.T, b *storetest.Bundle, asset payment.AssetID, mode payment.Mode) [2]string {
	t.Helper()
	who := b.Principal
	who.Mode = mode
	list, err := b.DB.Balances(t.Context(), who)
	require.NoError(t, err)
	for _, balance := range list {
		if balance.Asset.ID == asset {
			return [2]string{balance.Available.String(), balance.Held.String()}
		}
	}
	return [2]string{"0", "0"}
}

// A person releases live money that came to a test address; the chain takes it back like any other.
func TestLiveMoneyAtATestAddressIsReleasedOrTakenBack(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	b.EnableLive(t)
	order := b.Order(t)
	m := mineOn(t, b, storetest.Live)
	before := m.tip
	transfer := toOrder(t, order, 5000)
	m.record(t, transfer)
	m.credit(t, transfer, func(i *store.CreditInput) { i.Review = process.CauseWrongMode })
	in := process.ReviewInput{PaymentID: m.payment(t, transfer).ID, Inclusion: 1, Cause: process.CauseWrongMode}
	view, err := b.DB.ReadReview(t.Context(), in)
	require.NoError(t, err)
	require.True(t, view.Held)
	_, err = b.DB.ResolveReview(t.Context(), process.ResolveReviewInput{Review: in, By: storetest.By(), RequestID: "r", Move: process.MoveRelease})
	require.NoError(t, err)
	require.Equal(t, [2]string{"5000", "0"}, balancesIn(t, b, payment.NativeAsset(storetest.Live), payment.ModeLive))
	m.rollback(t, before)
	require.Equal(t, [2]string{"0", "0"}, balancesIn(t, b, payment.NativeAsset(storetest.Live), payment.ModeLive))
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM events`), "order.created")
	b.CheckBooks(t)
}

// Nobody compares what test money does at a live address, and a check of the books against the chain leaves it out.
func TestTestMoneyAtALiveAddressIsNoDifference(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	b.EnableLive(t)
	live, test := b.Order(t, storetest.OnLive), b.Order(t)
	checks := func(order process.OrderView, chain string) int {
		return storetest.Value[int](t, b, `SELECT count(*) FROM balance_checks c JOIN addresses a ON a.id = c.address_id WHERE a.order_id = $1 AND c.asset_id = $2`,
			order.ID, payment.NativeAsset(chain).String())
	}
	b.EnableChain(t, "later", 99, payment.Asset{ID: payment.NativeAsset("later"), Symbol: "ETH", Decimals: 18})
	for _, chain := range []string{storetest.Chain, "later"} {
		require.Zero(t, checks(live, chain), "whichever was there first")
		require.Equal(t, 1, checks(test, chain))
	}
	require.Equal(t, 1, checks(live, storetest.Live))
	require.Equal(t, 1, checks(test, storetest.Live), "live money counts there")
}

// What the code does not do, the database refuses.
func TestTheDatabaseKeepsModesApart(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	b.EnableLive(t)
	hook := b.AddEndpoint(t, "https://shop.example.com/hook")
	live := b.Order(t, storetest.OnLive)
	test := b.Order(t, func(n *store.NewOrder) { n.CallbackURL = "https://shop.example.com/own" })
	other, _ := b.NewMerchant(t)
	for name, sql := range map[string]string{
		"a chain's mode":                  `UPDATE chains SET mode = 'live' WHERE name = 'dev'`,
		"an unused chain's mode":          `UPDATE chains SET mode = 'live' WHERE name = 'other'`,
		"a key's mode":                    `UPDATE api_keys SET mode = 'live'`,
		"an endpoint's mode":              `UPDATE webhook_endpoints SET mode = 'live'`,
		"an order's mode":                 `UPDATE orders SET mode = 'test' WHERE id = '` + string(live.ID) + `'`,
		"an order on another chain":       `UPDATE orders SET chain = 'live', asset_id = 'live/native' WHERE id = '` + string(test.ID) + `'`,
		"an endpoint of the other mode":   `UPDATE orders SET callback_endpoint_id = '` + string(hook) + `' WHERE id = '` + string(live.ID) + `'`,
		"an account of the other mode":    `INSERT INTO ledger_accounts (kind, asset_id, merchant_id, mode) VALUES ('merchant:available', 'dev/native', '` + string(b.Merchant) + `', 'live')`,
		"test money for a live order":     insertPayment("dev", "test", live.ID),
		"live money for a test order":     insertPayment("live", "live", test.ID),
		"a payment of the other mode":     insertPayment("dev", "live", live.ID),
		"an event of the other mode":      `INSERT INTO events (id, merchant_id, mode, type, order_id, seq, key, body) SELECT 'evt_x', merchant_id, 'live', 'order.paid', id, 99, 'x', '' FROM orders WHERE id = '` + string(test.ID) + `'`,
		"a callback to the other mode":    `INSERT INTO callbacks (id, event_id, endpoint_id, order_id, seq) SELECT 'cbk_x', e.id, '` + string(hook) + `', e.order_id, 1 FROM events e WHERE e.order_id = '` + string(live.ID) + `'`,
		"an address of the other mode":    `UPDATE addresses SET mode = 'test' WHERE order_id = '` + string(live.ID) + `'`,
		"a callback to another merchant":  `WITH w AS (INSERT INTO webhook_endpoints (id, merchant_id, mode, url, source, secret, secret_key) VALUES ('whk_x', '` + string(other) + `', 'test', 'https://a.example', 'merchant', '', '') RETURNING id) INSERT INTO callbacks (id, event_id, endpoint_id, order_id, seq) SELECT 'cbk_y', e.id, w.id, e.order_id, 1 FROM events e, w WHERE e.order_id = '` + string(test.ID) + `'`,
		"an idempotency key of the other": `UPDATE idempotency_keys SET mode = 'live' WHERE order_id = '` + string(test.ID) + `'`,
	} {
		err := pgx.BeginFunc(t.Context(), b.PG.Owner, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), sql)
			return err
		})
		refusal, ok := errors.AsType[*pgconn.PgError](err)
		require.True(t, ok, "%s: %v", name, err)
		require.Contains(t, []string{"23503", "23514"}, refusal.Code, "%s: %s", name, refusal.Message)
	}
}

func insertPayment(chain, mode string, order payment.OrderID) string {
	return `INSERT INTO payments (id, chain, tx_hash, native, position, address_id, order_id, merchant_id, mode, inclusion, status, first_included_at)
		SELECT 'pay_x', '` + chain + `', decode(repeat('aa', 32), 'hex'), true, 0, a.id, a.order_id, a.merchant_id, '` + mode + `', 1, 'detected', now()
		  FROM addresses a WHERE a.order_id = '` + string(order) + `'`
}

// Orders are made on chains of their key's mode.
func TestOrdersAreMadeOnChainsOfTheirMode(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	b.EnableLive(t)
	for _, change := range []func(*store.NewOrder){
		func(n *store.NewOrder) { n.Mode = payment.ModeLive }, func(n *store.NewOrder) { n.Chain = storetest.Live },
	} {
		_, err := b.DB.CreateOrder(t.Context(), b.NewOrder(change))
		require.Equal(t, payment.CodeWrongMode, payment.CodeOf(err))
	}
	require.Zero(t, storetest.Value[int](t, b, `SELECT count(*) FROM orders`))
	settings, err := b.DB.GetChain(t.Context(), storetest.Live)
	require.NoError(t, err)
	require.Equal(t, payment.ModeLive, settings.Mode)
	settings.Mode = payment.ModeTest
	err = b.DB.EnableChain(t.Context(), settings, store.NewAsset{ID: payment.NativeAsset(storetest.Live), Code: "ETH", Decimals: 18}, nil, storetest.By())
	require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(err), "for ever")
}

// signedWith is the secret that signs the order's first callback.
func signedWith(t *testing.T, b *storetest.Bundle, order process.OrderView) (string, error) {
	t.Helper()
	endpoint := payment.EndpointID(storetest.Value[string](t, b, `SELECT callback_endpoint_id FROM orders WHERE id = $1`, order.ID))
	acquired, err := b.DB.AcquireDelivery(t.Context(), process.OrderStream(order.ID), endpoint, "me", time.Minute)
	require.NoError(t, err)
	if acquired.Delivery == nil {
		return "", nil
	}
	text, err := b.Keys.Open(acquired.Delivery.Secret, acquired.Delivery.SealedAt)
	return string(text), err
}

// Callbacks to one URL are signed with another secret in each mode: nothing that a test key can have signed is believed by a live receiver.
func TestEachModeHasItsSecret(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	b.EnableLive(t)
	hook := func(n *store.NewOrder) { n.CallbackURL = "https://shop.example.com/hook" }
	secret, err := signedWith(t, b, b.Order(t, hook, storetest.OnLive))
	require.NoError(t, err)
	require.Equal(t, "whsec_merchant", secret)
	secret, err = signedWith(t, b, b.Order(t, hook))
	require.NoError(t, err)
	require.Equal(t, "whsec_merchant_test", secret)

	// Somebody copies the live secret into the test row: it does not open there.
	b.Exec(t, `UPDATE webhook_endpoints w SET secret = l.secret, secret_key = l.secret_key FROM webhook_endpoints l WHERE w.mode = 'test' AND l.mode = 'live'`)
	_, err = signedWith(t, b, b.Order(t, hook, func(n *store.NewOrder) { n.Chain, n.Asset = storetest.Other, "ETH" }))
	require.Error(t, err)
}

// The merchant of a release in which one secret signed in both modes keeps it for live mode. In test mode nothing is signed before he has
// another.
func TestASharedSecretSignsNothingInTestMode(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	b := m.Bundle
	hook := func(n *store.NewOrder) { n.CallbackURL = "https://shop.example.com/hook" }
	order := b.Order(t, hook)
	migrator := m.migrator(t)
	_, err := migrator.DownTo(t.Context(), 26)
	require.NoError(t, err)
	b.Exec(t, `UPDATE webhook_endpoints w SET secret = m.callback_secret, secret_key = m.callback_secret_key FROM merchants m`)
	_, err = migrator.Up(t.Context())
	require.NoError(t, err)

	secret, err := signedWith(t, b, order)
	require.NoError(t, err)
	require.Empty(t, secret, "it is parked")
	endpoint := payment.EndpointID(storetest.Value[string](t, b, `SELECT id FROM webhook_endpoints`))
	require.Equal(t, payment.CodeOrderState, payment.CodeOf(b.DB.EnableEndpoint(t.Context(), endpoint, storetest.By(), "")), "nor called again without one")
	_, err = b.DB.CreateOrder(t.Context(), b.NewOrder(hook))
	require.Equal(t, payment.CodeInvalidCallbackURL, payment.CodeOf(err))
	_, err = b.DB.CreateOrder(t.Context(), b.NewOrder())
	require.NoError(t, err)

	sealed := b.Keys.Seal([]byte("whsec_new"), store.MerchantSecretPlace(b.Merchant, payment.ModeTest))
	require.NoError(t, b.DB.GiveTestSecret(t.Context(), b.Merchant, sealed, storetest.By()))
	require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(b.DB.GiveTestSecret(t.Context(), b.Merchant, sealed, storetest.By())), "once")
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(b.DB.GiveTestSecret(t.Context(), payment.NewMerchantID(), sealed, storetest.By())))
	secret, err = signedWith(t, b, b.Order(t, hook))
	require.NoError(t, err)
	require.Equal(t, "whsec_new", secret)
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM webhook_endpoints WHERE disabled_at IS NULL`))
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM audit WHERE action = 'merchant.test_secret'`))
}
