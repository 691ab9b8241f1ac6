package api

import "context"

// ListBalances lists what the merchant has in every asset that it received.
func (s *Server) ListBalances(ctx context.Context, _ ListBalancesRequestObject) (ListBalancesResponseObject, error) {
	balances, err := s.store.Balances(ctx, infoOf(ctx).principal)
	if err != nil {
		return nil, err
	}
	list := ListBalances200JSONResponse{Object: BalanceListObjectList, Data: make([]Balance, len(balances))}
	for i, b := range balances {
		list.Data[i] = Balance{
			Chain: b.Asset.ID.Chain, Asset: b.Asset.Symbol, AssetID: b.Asset.ID.String(),
			Available: b.Available.Decimal(b.Asset.Decimals), AvailableBaseUnits: b.Available.String(),
			Held: b.Held.Decimal(b.Asset.Decimals), HeldBaseUnits: b.Held.String(),
		}
	}
	return list, nil
}
