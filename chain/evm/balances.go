package evm

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

var _ chain.Balancer = (*Source)(nil)

// Balances implements chain.Balancer. The state is asked for by the block's hash, so that all answers are of one moment.
func (s *Source) Balances(
	ctx context.Context, block payment.BlockRef, contract payment.Address, addresses []payment.Address,
) ([]payment.Amount, error) {
	at := map[string]any{"blockHash": block.Hash, "requireCanonical": true}
	calls := make([]*call, len(addresses))
	for i, address := range addresses {
		if contract == (payment.Address{}) {
			calls[i] = &call{method: "eth_getBalance", args: []any{address.Lower(), at}}
			continue
		}
		data := "0x70a08231" + hex.EncodeToString(make([]byte, 12)) + hex.EncodeToString(address.Bytes())
		calls[i] = &call{method: "eth_call", args: []any{map[string]string{"to": contract.Lower(), "data": data}, at}}
	}
	if err := s.batch(ctx, s.opts.MaxBatch, calls...); err != nil {
		return nil, err
	}
	amounts := make([]payment.Amount, len(calls))
	for i, c := range calls {
		var err error
		if contract == (payment.Address{}) {
			amounts[i], err = s.nativeBalance(c)
		} else {
			amounts[i], err = s.tokenBalance(c)
		}
		if err != nil {
			return nil, err
		}
	}
	return amounts, nil
}

func (s *Source) nativeBalance(c *call) (payment.Amount, error) {
	if c.err != nil {
		return payment.Amount{}, c.err
	}
	if isNull(c.result) {
		return payment.Amount{}, chain.ErrBlockUnknown
	}
	var balance quantity
	if err := json.Unmarshal(c.result, &balance); err != nil {
		return payment.Amount{}, s.malformed(c.method, err)
	}
	return balance.amount, nil
}

func (s *Source) tokenBalance(c *call) (payment.Amount, error) {
	if c.err != nil {
		if isRevert(c.err) {
			return payment.Amount{}, fmt.Errorf("%w: balanceOf() reverts", chain.ErrNoToken)
		}
		return payment.Amount{}, c.err
	}
	var out byteString
	if err := json.Unmarshal(c.result, &out); err != nil {
		return payment.Amount{}, s.malformed(c.method, err)
	}
	if len(out) != 32 {
		return payment.Amount{}, fmt.Errorf("%w: balanceOf() answers with %d bytes", chain.ErrNoToken, len(out))
	}
	return payment.AmountFromBytes(out)
}
