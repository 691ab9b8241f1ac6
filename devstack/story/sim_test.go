package story_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/ethclient"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest/gethnode"
)

const (
	simKey    = "sk_test_0123456789abcdef"
	simSecret = "whsec_c2lnbmVkIGJ5IHRoZSBzaW11bGF0aW9u"
)

// simulation is an engine that is as simple as can be: it believes the chain's balances and remembers nothing. Its
// faults are what a story has to notice.
type simulation struct {
	t      *testing.T
	chains map[string]*simChain
	fault  string

	mu       sync.Mutex
	endpoint string
	orders   []*simOrder
}

// simChain is a chain with what was credited on it, per asset.
type simChain struct {
	node     *gethnode.Node
	token    common.Address
	decimals map[string]int
	credit   map[string]*big.Int
}

type simOrder struct {
	id, state, chain, asset, amount, address string
	posted                                   time.Time
	due                                      *big.Int
	paidAt                                   uint64 // the block in which the money was first seen
	told                                     map[string]bool
}

func (s *simulation) start(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/orders", s.create)
	mux.HandleFunc("GET /v1/orders", func(w http.ResponseWriter, _ *http.Request) { s.answer(w, s.list()) })
	mux.HandleFunc("GET /v1/orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, s.advance(r.PathValue("id")).json())
	})
	mux.HandleFunc("GET /v1/orders/{id}/payments", func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, map[string]any{"data": s.payments(s.advance(r.PathValue("id")))})
	})
	mux.HandleFunc("GET /v1/balances", func(w http.ResponseWriter, _ *http.Request) { s.answer(w, s.balances()) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func (s *simulation) answer(w http.ResponseWriter, body any) { _ = json.NewEncoder(w).Encode(body) }

// sluice stands in for the command line.
func (s *simulation) sluice(_ context.Context, args ...string) ([]byte, error) {
	command := strings.Join(args[:2], " ")
	switch command {
	case "endpoint create":
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, arg := range args {
			if arg == "--url" {
				s.endpoint = args[i+1]
			}
		}
	case "ledger check":
		if s.fault == "books" {
			return nil, fmt.Errorf("the books do not balance")
		}
		return []byte("the books agree\n"), nil
	}
	return json.Marshal(map[string]string{"merchant_id": "mer_1", "key": simKey, "secret": simSecret})
}

func (s *simulation) create(w http.ResponseWriter, r *http.Request) {
	var request struct{ Chain, Asset, Amount string }
	_ = json.NewDecoder(r.Body).Decode(&request)
	decimals := s.chains[request.Chain].decimals[request.Asset]
	whole, fraction, _ := strings.Cut(request.Amount, ".")
	due, _ := new(big.Int).SetString(whole+fraction+strings.Repeat("0", decimals-len(fraction)), 10)
	s.mu.Lock()
	n := len(s.orders) + 1
	o := &simOrder{
		id: fmt.Sprintf("ord_%d", n), state: "awaiting_payment", chain: request.Chain, asset: request.Asset, amount: request.Amount,
		address: gethnodeAddress(fmt.Sprint(s.t.Name(), n)), due: due, posted: time.Now(), told: make(map[string]bool),
	}
	s.orders = append(s.orders, o)
	s.mu.Unlock()
	s.tell(o, "order.created")
	w.WriteHeader(http.StatusCreated)
	s.answer(w, o.json())
}

func (o *simOrder) json() map[string]any {
	received := "0"
	if o.state == "paid" {
		received = o.amount
	}
	return map[string]any{
		"amount_received": received,
		"id":              o.id, "state": o.state, "chain": o.chain, "asset": o.asset, "amount": o.amount, "address": o.address,
		"expires_at": o.posted.Add(time.Minute), "labels": []string{},
	}
}

func (s *simulation) list() map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []any{}
	for _, o := range s.orders {
		all = append(all, o.json())
	}
	return map[string]any{"data": all}
}

// advance looks at the chain and moves an order on.
func (s *simulation) advance(id string) *simOrder {
	s.mu.Lock()
	defer s.mu.Unlock()
	var o *simOrder
	for _, candidate := range s.orders {
		if candidate.id == id {
			o = candidate
		}
	}
	head := s.chains[o.chain].node.Head().Number.Uint64()
	if o.paidAt == 0 && s.held(o).Cmp(o.due) >= 0 {
		o.paidAt, o.state = head, "confirming"
		s.tell(o, "order.payment_detected")
	}
	switch {
	case o.state == "confirming" && head >= o.paidAt+2:
		o.state = "paid"
		if s.fault != "balance" {
			credit := s.chains[o.chain].credit[o.asset]
			credit.Add(credit, o.due)
		}
		if s.fault != "silence" {
			s.tell(o, "order.paid")
		}
		if s.fault == "chatter" {
			s.tell(o, "order.overpaid")
		}
	case o.state == "awaiting_payment" && o.amount == "1.00" && len(s.orders) == 3 && s.orders[2].state == "paid":
		o.state = "expired"
		s.tell(o, "order.expired")
	}
	return o
}

func (s *simulation) held(o *simOrder) *big.Int {
	address, chain := common.HexToAddress(o.address), s.chains[o.chain]
	if o.asset == "ETH" {
		balance, err := ethclient.NewClient(chain.node.RPC()).BalanceAt(s.t.Context(), address, nil)
		if err != nil {
			return new(big.Int)
		}
		return balance
	}
	payer, err := chain.node.Payer(s.t.Context())
	if err != nil {
		return new(big.Int)
	}
	balance, err := payer.TokenBalance(s.t.Context(), chain.token, address)
	if err != nil {
		return new(big.Int)
	}
	return balance
}

func (s *simulation) payments(o *simOrder) []any {
	if o.paidAt == 0 {
		return []any{}
	}
	state := "confirming"
	if o.state == "paid" {
		state = "credited"
	}
	return []any{map[string]any{
		"id": "pay_" + o.id, "state": state, "asset": o.asset, "amount": o.amount, "block_number": o.paidAt,
		"confirmations": min(3, s.chains[o.chain].node.Head().Number.Uint64()-o.paidAt+1), "confirmations_required": 3,
	}}
}

func (s *simulation) balances() map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []any{}
	for _, name := range []string{"dev", "dev2"} {
		for _, asset := range []string{"USDC", "ETH"} {
			chain := s.chains[name]
			decimals := chain.decimals[asset]
			digits := fmt.Sprintf("%0*s", decimals+1, chain.credit[asset].String())
			at := len(digits) - decimals
			all = append(all, map[string]any{
				"chain": name, "asset": asset, "available": digits[:at] + "." + digits[at:], "held": "0",
			})
		}
	}
	return map[string]any{"data": all}
}

// tell sends a signed callback, every one twice as a network may. Whoever calls may hold the lock: the receiver calls
// nothing back.
func (s *simulation) tell(o *simOrder, event string) {
	if s.endpoint == "" || o.told[event] {
		return
	}
	o.told[event] = true
	secret := simSecret
	if s.fault == "signature" && event == "order.paid" {
		secret = "whsec_c29tZWJvZHkgZWxzZQ=="
	}
	body, err := json.Marshal(map[string]any{"type": event, "data": map[string]any{"order": o.json()}})
	require.NoError(s.t, err)
	signer, err := standardwebhooks.NewWebhook(secret)
	require.NoError(s.t, err)
	now, id := time.Now(), "evt_"+o.id+event
	signature, err := signer.Sign(id, now, body)
	require.NoError(s.t, err)
	for range 2 {
		request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.endpoint, bytes.NewReader(body))
		require.NoError(s.t, err)
		request.Header.Set(standardwebhooks.HeaderWebhookID, id)
		request.Header.Set(standardwebhooks.HeaderWebhookTimestamp, fmt.Sprint(now.Unix()))
		request.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
	}
}
