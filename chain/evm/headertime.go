package evm

import (
	"encoding/json"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/sluicepay/sluice/payment"
)

// headerProofs remembers whether an endpoint's headers give their hashes, which is found
// out by trying: of a chain whose headers are of another kind none ever did, and trying
// them all would be in vain.
type headerProofs struct {
	gate

	succeeded atomic.Bool // one did, so they can
}

// timeBasis says what the time of a decoded block rests on. A block whose header does
// not give its hash is one operator's word, also where other headers do: what was said
// of it is not true, and another operator may prove it.
func (s *Source) timeBasis(raw json.RawMessage, ref payment.BlockRef) payment.TimeBasis {
	if !s.headers.succeeded.Load() && !s.headers.open() {
		return payment.TimeClaimed
	}
	var header types.Header
	err := json.Unmarshal(raw, &header)
	if err == nil && header.Hash() == common.Hash(ref.Hash) && int64(header.Time) == ref.Time.Unix() { //nolint:gosec // another time is none
		s.headers.succeeded.Store(true)
		return payment.TimeProven
	}
	if !s.headers.succeeded.Load() {
		s.headers.shut()
	}
	return payment.TimeClaimed
}
