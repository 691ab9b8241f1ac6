package api

import (
	"context"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

// GetOrder reads an order.
func (s *Server) GetOrder(ctx context.Context, request GetOrderRequestObject) (GetOrderResponseObject, error) {
	order, err := s.store.GetOrder(ctx, infoOf(ctx).principal, payment.OrderID(request.ID))
	if err != nil {
		return nil, err
	}
	shown, err := s.show(ctx, order)
	return GetOrder200JSONResponse(shown), err
}

// cancelReason is what the audit says of a cancellation; who asked is the key.
const cancelReason = "cancelled through the API"

// CancelOrder cancels an order that waits for its payment. The workflow is asked, and started when it is missing; then the
// database says what became of the order.
func (s *Server) CancelOrder(ctx context.Context, request CancelOrderRequestObject) (CancelOrderResponseObject, error) {
	who := infoOf(ctx).principal
	order, err := s.store.GetOrder(ctx, who, payment.OrderID(request.ID))
	if err != nil {
		return nil, err
	}
	if order.State == payment.StateAwaitingPayment {
		if order, err = s.cancel(ctx, who, order); err != nil {
			return nil, err
		}
	}
	if err := cancelled(order.State); err != nil {
		return nil, err
	}
	shown, err := s.show(ctx, order)
	return CancelOrder200JSONResponse(shown), err
}

// cancel asks the order's workflow and returns the order as it is afterwards, if the workflow did not refuse.
func (s *Server) cancel(ctx context.Context, who store.Principal, order payment.OrderSnapshot) (payment.OrderSnapshot, error) {
	start := workflowOrder{
		ID: order.ID, Merchant: who.MerchantID, State: order.State, Chain: order.Chain, Asset: order.Asset, Amount: order.Amount,
	}
	by := process.By{Actor: string(who.KeyID), Reason: cancelReason}
	cancelErr := s.engine.cancel(ctx, start, by, "cancel/"+newRequestID())
	now, err := s.store.GetOrder(ctx, who, order.ID)
	if err == nil && now.State == order.State {
		err = cancelErr
	}
	return now, err
}

// cancelled says why an order in this state is not cancelled.
func cancelled(state payment.State) error {
	switch state {
	case payment.StateCancelled:
		return nil
	case payment.StateConfirming:
		return payment.E(payment.CodePaymentLive, "", "a payment is on its way")
	case payment.StateAwaitingPayment:
		return payment.E(payment.CodeUnavailable, "", "the order could not be cancelled in time; repeat the same request")
	default:
		return payment.E(payment.CodeOrderState, "", "the order is %s", state)
	}
}
