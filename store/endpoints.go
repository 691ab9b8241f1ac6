package store

import (
	"context"

	"github.com/sluicepay/sluice/payment"
)

// EndpointInfo is an endpoint as the operator sees it, without its secret.
type EndpointInfo struct {
	ID   payment.EndpointID
	Mode payment.Mode
	URL  string
	// OrdersOnly: it is told only of the orders that name its URL.
	OrdersOnly     bool
	Disabled       bool
	DisabledReason string
}

// ListEndpoints lists a merchant's endpoints of both modes, oldest first.
func (db *DB) ListEndpoints(ctx context.Context, merchant payment.MerchantID) ([]EndpointInfo, error) {
	rows, err := db.q.ListEndpoints(ctx, string(merchant))
	if err != nil {
		return nil, classify(err)
	}
	endpoints := make([]EndpointInfo, len(rows))
	for i, row := range rows {
		endpoints[i] = EndpointInfo{
			ID: payment.EndpointID(row.ID), Mode: payment.Mode(row.Mode), URL: row.Url, OrdersOnly: row.Source == "order",
			Disabled: row.Disabled, DisabledReason: row.DisabledReason,
		}
	}
	return endpoints, nil
}
