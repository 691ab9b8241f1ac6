package api_test

import (
	"context"
	"sync"
	"testing"

	"github.com/sluicepay/sluice/api"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// faultyStore is the real store, some of whose steps fail while they are told to.
type faultyStore struct {
	api.Store
	mu     sync.Mutex
	broken map[string]error
}

func (f *faultyStore) breakDown(step string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken == nil {
		f.broken = map[string]error{}
	}
	f.broken[step] = err
}

func (f *faultyStore) fault(step string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.broken[step]
}

func (f *faultyStore) CreateOrder(ctx context.Context, n store.NewOrder) (store.Claim, error) {
	if err := f.fault("CreateOrder"); err != nil {
		return store.Claim{}, err
	}
	return f.Store.CreateOrder(ctx, n)
}

func (f *faultyStore) GetOrder(ctx context.Context, who store.Principal, id payment.OrderID) (payment.OrderSnapshot, error) {
	if err := f.fault("GetOrder"); err != nil {
		return payment.OrderSnapshot{}, err
	}
	return f.Store.GetOrder(ctx, who, id)
}

func (f *faultyStore) AddressOrigin(ctx context.Context, id payment.OrderID) (store.Origin, error) {
	if err := f.fault("AddressOrigin"); err != nil {
		return store.Origin{}, err
	}
	return f.Store.AddressOrigin(ctx, id)
}

func (f *faultyStore) CompleteClaim(ctx context.Context, id payment.OrderID, a store.Answer) (store.Answer, error) {
	if err := f.fault("CompleteClaim"); err != nil {
		return store.Answer{}, err
	}
	return f.Store.CompleteClaim(ctx, id, a)
}

func (f *faultyStore) ReleaseClaim(ctx context.Context, id payment.OrderID, owner string) error {
	if err := f.fault("ReleaseClaim"); err != nil {
		return err
	}
	return f.Store.ReleaseClaim(ctx, id, owner)
}

func (f *faultyStore) ListOrders(ctx context.Context, who store.Principal, filter store.OrderFilter, cursor string, limit int) (store.Page[payment.OrderSnapshot], error) {
	if f.fault("ListOrders") != nil {
		panic("a panic with a secret in it: " + canaryURL)
	}
	return f.Store.ListOrders(ctx, who, filter, cursor, limit)
}

func setupFaulty(t *testing.T, change ...func(*api.Config)) (*kit, *faultyStore) {
	t.Helper()
	faulty := &faultyStore{}
	k := setup(t, append(change, func(c *api.Config) { faulty.Store, c.Store = c.Store, faulty })...)
	return k, faulty
}
