package api

import (
	"context"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// ListDeposits lists what of payments to customers' addresses is for no order, newest first.
func (s *Server) ListDeposits(ctx context.Context, request ListDepositsRequestObject) (ListDepositsResponseObject, error) {
	who, params := infoOf(ctx).principal, request.Params
	filter := store.DepositFilter{
		CustomerID: deref(params.CustomerID), Chain: deref(params.Chain), Asset: deref(params.Asset), State: deref(params.State),
	}
	var err error
	if filter.From, err = queryTime("created_from", params.CreatedFrom); err != nil {
		return nil, err
	}
	if filter.Before, err = queryTime("created_before", params.CreatedBefore); err != nil {
		return nil, err
	}
	list := listName{
		"deposits", string(who.MerchantID), string(who.Mode), filter.CustomerID, filter.Chain, filter.Asset, string(filter.State),
		deref(params.CreatedFrom), deref(params.CreatedBefore),
	}
	from, err := list.open(params.Cursor)
	if err != nil {
		return nil, err
	}
	page, err := s.store.ListDeposits(ctx, who, filter, from, limitOf(params.Limit))
	if err != nil {
		return nil, err
	}
	shown := make([]DepositRecord, len(page.Items))
	for i, deposit := range page.Items {
		shown[i] = DepositDocument{deposit}
	}
	return ListDeposits200JSONResponse{
		Object: DepositListObjectList, Data: shown, HasMore: page.HasMore(), NextCursor: list.seal(page.NextCursor),
	}, nil
}

// GetDeposit reads a deposit by its payment.
func (s *Server) GetDeposit(ctx context.Context, request GetDepositRequestObject) (GetDepositResponseObject, error) {
	deposit, err := s.store.GetDeposit(ctx, infoOf(ctx).principal, payment.PaymentID(request.ID))
	return GetDeposit200JSONResponse(DepositDocument{deposit}), err
}

// queryTime reads a time that has the document's form, which lets days through that no month has.
func queryTime(name string, text *string) (*time.Time, error) {
	if text == nil {
		return nil, nil //nolint:nilnil // no bound
	}
	at, err := time.Parse(time.RFC3339Nano, *text)
	if err != nil {
		return nil, payment.E(payment.CodeInvalidParameter, name, "%s is not a time", name)
	}
	return &at, nil
}

// requireDepositID answers text that is no id as an id that nobody has.
func requireDepositID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if _, err := payment.ParsePaymentID(c.Param("id")); err != nil {
			return payment.E(payment.CodeNotFound, "", "there is no such deposit")
		}
		return next(c)
	}
}
