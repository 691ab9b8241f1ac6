package api

import (
	"context"
	"errors"
	"sync"

	"github.com/sluicepay/sluice/payment"
)

// show returns an order for an answer, after its address was derived again: whoever can change the database cannot make
// payers pay to an address of his own. Error: CodeInternal when the address does not come from the wallet.
func (s *Server) show(ctx context.Context, order payment.OrderSnapshot) (Order, error) {
	if !s.verified.has(order.ID, order.Address) {
		if err := s.verify(ctx, order); err != nil {
			return Order{}, err
		}
		s.verified.add(order.ID, order.Address)
	}
	return Order{OrderSnapshot: order}, nil
}

func (s *Server) verify(ctx context.Context, order payment.OrderSnapshot) error {
	origin, err := s.store.AddressOrigin(ctx, order.ID)
	switch {
	case err == nil && origin.Address.Text() != order.Address:
		err = errors.New("the order shows another address than its own")
	case err == nil:
		err = s.verifier.VerifyAddress(origin)
	case payment.CodeOf(err) != payment.CodeNotFound: // an address without origin is no better than a wrong one
		return err
	}
	if err == nil {
		return nil
	}
	s.log.ErrorContext(ctx, "an order's address does not derive again; it is not shown", "order", order.ID, "error", scrub(err.Error()))
	return payment.Wrap(err, payment.CodeInternal, "", "")
}

// maxCached bounds the memory of the cache, at about 100 bytes an entry.
const maxCached = 20_000

// addressCache remembers which order has which address, as verified. An order's address never changes, and another one
// in its row is another entry, which nobody verified.
type addressCache struct {
	mu    sync.Mutex
	known map[payment.OrderID]string
}

func newAddressCache() *addressCache { return &addressCache{known: map[payment.OrderID]string{}} }

func (c *addressCache) has(id payment.OrderID, address string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return address != "" && c.known[id] == address
}

func (c *addressCache) add(id payment.OrderID, address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxCached {
		clear(c.known)
	}
	c.known[id] = address
}
