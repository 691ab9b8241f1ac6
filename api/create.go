package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/webhook"
)

const (
	// defaultExpiresIn is the document's default.
	defaultExpiresIn = 30 * time.Minute
	// releaseTimeout bounds giving up a claim, which is done also when the client has gone.
	releaseTimeout = 2 * time.Second
)

// CreateOrder creates an order and answers when it has its address; see the package's documentation.
func (s *Server) CreateOrder(ctx context.Context, request CreateOrderRequestObject) (CreateOrderResponseObject, error) {
	info := infoOf(ctx)
	order, asset, err := s.newOrder(ctx, info.principal, request.Params.IdempotencyKey, *request.Body)
	if err != nil {
		return nil, err
	}
	claim, err := s.store.CreateOrder(ctx, order)
	if err != nil {
		return nil, err
	}
	info.order, info.outcome = claim.OrderID, string(claim.Outcome)
	if claim.Outcome == store.ClaimReplayed {
		return keptAnswer{Answer: claim.Answer, replayed: true}, nil
	}
	answer, err := s.answerClaim(ctx, info.principal, order, asset, claim)
	if err != nil {
		s.release(ctx, claim.OrderID, order.Owner)
		return nil, err
	}
	return keptAnswer{Answer: answer}, nil
}

// newOrder checks what the document cannot say, and what only the database knows.
func (s *Server) newOrder(ctx context.Context, who store.Principal, key string, body CreateOrderRequest) (store.NewOrder, payment.Asset, error) {
	order := store.NewOrder{
		Merchant: who.MerchantID, Mode: who.Mode, IdempotencyKey: key, Owner: newRequestID(),
		Chain: body.Chain, Asset: body.Asset, ExpiresIn: defaultExpiresIn,
	}
	if body.CallbackURL != nil {
		if err := s.checkCallbackURL(ctx, who, *body.CallbackURL); err != nil {
			return order, payment.Asset{}, err
		}
		order.CallbackURL = *body.CallbackURL
	}
	if body.ExpiresIn != nil {
		order.ExpiresIn = time.Duration(*body.ExpiresIn) * time.Second
	}
	if body.Confirmations != nil {
		order.Wish.Confirmations = uint64(*body.Confirmations) //nolint:gosec // the document says that it is positive
	}
	if body.Reference != nil {
		order.Reference = *body.Reference
	}
	if body.Metadata != nil {
		order.Metadata = *body.Metadata
	}
	order.AddressMode = deref(body.AddressMode)
	if body.CustomerID != nil {
		order.CustomerID = *body.CustomerID
		if err := payment.CheckCustomerID(order.CustomerID); err != nil {
			return order, payment.Asset{}, err
		}
	} else if order.AddressMode == payment.AddressPerCustomer {
		return order, payment.Asset{}, payment.E(payment.CodeMissingParameter, fieldCustomerID, "address_mode per_customer needs a customer_id")
	}
	asset, err := s.asset(ctx, body.Chain, body.Asset)
	if err != nil {
		return order, asset, err
	}
	if order.Amount, err = parseAmount(asset, body.Amount); err != nil {
		return order, asset, err
	}
	order.BodyHash, err = hashBody(body)
	return order, asset, err
}

// checkCallbackURL checks the URL against what the operator lets this merchant name in this mode.
func (s *Server) checkCallbackURL(ctx context.Context, who store.Principal, url string) error {
	err := webhook.ValidateURL(url)
	if err == nil {
		return nil
	}
	granted, listErr := s.store.CallbackTargets(ctx, who.MerchantID, who.Mode)
	if listErr != nil {
		return listErr
	}
	targets, parseErr := webhook.NewTargets(granted)
	if parseErr != nil {
		return parseErr
	}
	return targets.ValidateURL(url)
}

// asset finds the asset that a request names. One that takes no orders now is found too: a request that was answered when
// it still did must find its answer, and a new one is refused where orders are created.
func (s *Server) asset(ctx context.Context, chain, code string) (payment.Asset, error) {
	if !payment.ValidChainName(chain) {
		return payment.Asset{}, payment.E(payment.CodeUnknownChain, "chain", "there is no such chain")
	}
	found, err := s.store.LookupAsset(ctx, chain, code)
	switch payment.CodeOf(err) {
	case "":
		return found.Asset, nil
	case payment.CodeChainDisabled, payment.CodeAssetDisabled:
	default:
		return payment.Asset{}, err
	}
	assets, listErr := s.store.ListAssets(ctx, chain)
	if listErr != nil {
		return payment.Asset{}, listErr
	}
	for _, known := range assets {
		if known.Symbol == code {
			return known.Asset, nil
		}
	}
	return payment.Asset{}, err
}

func parseAmount(asset payment.Asset, text string) (payment.Amount, error) {
	amount, err := asset.Parse(text)
	if err != nil {
		return amount, payment.Wrap(err, payment.CodeInvalidAmount, fieldAmount,
			"amount must fit the asset, which has %d decimals, and be below 2^256 of its smallest units", asset.Decimals)
	}
	if amount.IsZero() {
		return amount, payment.E(payment.CodeInvalidAmount, fieldAmount, "amount must be greater than zero")
	}
	return amount, nil
}

// hashBody names what a request asks for. Spaces and the order of fields make no difference; programs that build the body
// again for a repetition may change them.
func hashBody(body CreateOrderRequest) ([sha256.Size]byte, error) {
	canonical, err := json.Marshal(body)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256(append([]byte("POST /v1/orders\n"), canonical...)), nil
}

// answerClaim makes the order of a claim ready, and keeps the answer. The answer it returns is the one that was kept, which
// is another's when this claim was taken over meanwhile.
func (s *Server) answerClaim(ctx context.Context, who store.Principal, order store.NewOrder, asset payment.Asset, claim store.Claim) (store.Answer, error) {
	opened, err := s.opened(ctx, who, claim, workflowOrder{
		ID: claim.OrderID, Merchant: order.Merchant, State: payment.StateOpening,
		Chain: order.Chain, Asset: order.Asset, Amount: asset.Format(order.Amount),
	})
	if err != nil {
		return store.Answer{}, err
	}
	shown, err := s.show(ctx, opened)
	if err != nil {
		return store.Answer{}, err
	}
	body, err := json.Marshal(shown)
	if err != nil {
		return store.Answer{}, err
	}
	kept, err := s.store.CompleteClaim(ctx, claim.OrderID, store.Answer{Status: http.StatusCreated, Body: append(body, '\n')})
	if err != nil {
		return store.Answer{}, payment.Wrap(err, payment.CodeUnavailable, "", "the answer could not be kept; repeat the same request")
	}
	return kept, nil
}

// opened returns the order when it has its address. Whatever the workflow answered, the database decides: an order whose
// update was lost, or whose workflow is over, may have its address all the same.
func (s *Server) opened(ctx context.Context, who store.Principal, claim store.Claim, start workflowOrder) (payment.OrderSnapshot, error) {
	if claim.Outcome == store.ClaimTakenOver {
		order, err := s.store.GetOrder(ctx, who, claim.OrderID)
		if payment.CodeOf(err) != payment.CodeNotFound {
			return order, err
		}
	}
	openErr := s.engine.open(ctx, start)
	order, err := s.store.GetOrder(ctx, who, claim.OrderID)
	if payment.CodeOf(err) != payment.CodeNotFound {
		return order, err
	}
	if openErr == nil { // the workflow says that it is open: a replica that lags, or a defect
		openErr = payment.Wrap(err, payment.CodeUnavailable, "", "the order is not readable yet; repeat the same request")
	}
	return order, openErr
}

// release gives up the claim, so that the repetition attaches at once instead of when the lock has run out.
func (s *Server) release(ctx context.Context, id payment.OrderID, owner string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if err := s.store.ReleaseClaim(ctx, id, owner); err != nil {
		s.log.WarnContext(ctx, "a claim could not be given up; it runs out by itself", "order", id, "error", scrub(err.Error()))
	}
}

// keptAnswer is an answer as it was kept, byte for byte.
type keptAnswer struct {
	store.Answer
	replayed bool
}

// VisitCreateOrderResponse writes the answer.
func (a keptAnswer) VisitCreateOrderResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", mimeJSON)
	if a.replayed {
		w.Header().Set(headerReplayed, "true")
	}
	w.WriteHeader(a.Status)
	_, err := w.Write(a.Body)
	return err
}
