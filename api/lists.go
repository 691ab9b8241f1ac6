package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// defaultLimit is the document's default.
const defaultLimit = 20

// ListOrders lists orders, newest first.
func (s *Server) ListOrders(ctx context.Context, request ListOrdersRequestObject) (ListOrdersResponseObject, error) {
	who, params := infoOf(ctx).principal, request.Params
	filter := store.OrderFilter{State: deref(params.State), Reference: deref(params.Reference), CustomerID: deref(params.CustomerID)}
	list := listName{"orders", string(who.MerchantID), string(who.Mode), string(filter.State), filter.Reference, filter.CustomerID}
	from, err := list.open(params.Cursor)
	if err != nil {
		return nil, err
	}
	page, err := s.store.ListOrders(ctx, who, filter, from, limitOf(params.Limit))
	if err != nil {
		return nil, err
	}
	shown := make([]Order, len(page.Items))
	for i, order := range page.Items {
		if shown[i], err = s.show(ctx, order); err != nil {
			return nil, err
		}
	}
	return ListOrders200JSONResponse{
		Object: OrderListObjectList, Data: shown, HasMore: page.HasMore(), NextCursor: list.seal(page.NextCursor),
	}, nil
}

// ListOrderPayments lists what was seen to an order's address, newest first.
func (s *Server) ListOrderPayments(ctx context.Context, request ListOrderPaymentsRequestObject) (ListOrderPaymentsResponseObject, error) {
	who, params := infoOf(ctx).principal, request.Params
	list := listName{"payments", string(who.MerchantID), string(who.Mode), request.ID}
	from, err := list.open(params.Cursor)
	if err != nil {
		return nil, err
	}
	page, err := s.store.ListPayments(ctx, who, payment.OrderID(request.ID), from, limitOf(params.Limit))
	if err != nil {
		return nil, err
	}
	shown := make([]Payment, len(page.Items))
	for i, p := range page.Items {
		shown[i] = Payment{PaymentSnapshot: p}
	}
	return ListOrderPayments200JSONResponse{
		Object: PaymentListObjectList, Data: shown, HasMore: page.HasMore(), NextCursor: list.seal(page.NextCursor),
	}, nil
}

func limitOf(limit *int) int {
	if limit == nil {
		return defaultLimit
	}
	return *limit
}

// listName says which list a cursor belongs to: whose, of what, and by which filter.
type listName []string

// cursor is what clients carry from page to page: the store's place in the list, bound to the list, so that a cursor of
// another one is refused instead of giving a page that makes no sense. It is opaque and no secret; what it can reach is
// decided by who asks.
type cursor struct {
	Place string `json:"p"`
	Sum   string `json:"s"`
}

func (l listName) seal(place string) *string {
	if place == "" {
		return nil
	}
	name, _ := json.Marshal(append(listName{place}, l...)) // texts always encode
	sum := sha256.Sum256(name)
	text, _ := json.Marshal(cursor{Place: place, Sum: base64.RawURLEncoding.EncodeToString(sum[:12])})
	sealed := base64.RawURLEncoding.EncodeToString(text)
	return &sealed
}

// open returns the place that a cursor names, "" for none. Error: CodeInvalidParameter for anything that seal would not
// give for this list.
func (l listName) open(sealed *string) (string, error) {
	if sealed == nil {
		return "", nil
	}
	var c cursor
	text, err := base64.RawURLEncoding.DecodeString(*sealed)
	if err == nil {
		err = json.NewDecoder(strings.NewReader(string(text))).Decode(&c)
	}
	if again := l.seal(c.Place); err != nil || again == nil || *again != *sealed {
		return "", payment.E(payment.CodeInvalidParameter, paramCursor, "this cursor was not given out for this list")
	}
	return c.Place, nil
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
