package evm

import (
	"context"
	"encoding/json"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// Where proxies keep whom they stand for: the slots of EIP-1967, and the one that proxies had before it.
const (
	slotImplementation = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc"
	slotBeacon         = "0xa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50"
	slotOld            = "0x7050c9e0f4ca769c69bd3a8ef740bc37934f8e2c036e5a723fd8ee048ed3f8c3"
)

// proxySlots asks for all of them.
func proxySlots(contract payment.Address) []*call {
	calls := make([]*call, 0, 3)
	for _, slot := range []string{slotImplementation, slotBeacon, slotOld} {
		calls = append(calls, &call{method: "eth_getStorageAt", args: []any{contract.Lower(), slot, "latest"}})
	}
	return calls
}

// implementation names what runs behind a proxy: a hash over the addresses in its slots and the code at each, and over the code
// of what a beacon points to. It is zero for a contract that is no proxy.
func (s *Source) implementation(ctx context.Context, slots []*call) (payment.Hash, error) {
	var behind []payment.Address
	for i, c := range slots {
		at, err := s.addressAt(c)
		if err != nil {
			return payment.Hash{}, err
		}
		if at == zeroAddress() {
			continue
		}
		behind = append(behind, at)
		if i == 1 { // the beacon says
			asked := readContract(at, "0x5c60da1b")
			if err := s.batch(ctx, s.opts.MaxBatch, asked); err != nil {
				return payment.Hash{}, err
			}
			if asked.err == nil || !isRevert(asked.err) {
				target, err := s.addressAt(asked)
				if err != nil {
					return payment.Hash{}, err
				}
				behind = append(behind, target)
			}
		}
	}
	if len(behind) == 0 {
		return payment.Hash{}, nil
	}
	var all []byte
	for _, at := range behind {
		code := &call{method: "eth_getCode", args: []any{at.Lower(), "latest"}}
		if err := s.batch(ctx, s.opts.MaxBatch, code); err != nil {
			return payment.Hash{}, err
		}
		runtime, err := s.bytesOf(code)
		if err != nil {
			return payment.Hash{}, err
		}
		hash := keccak(runtime)
		all = append(append(all, at.Raw...), hash[:]...)
	}
	return keccak(all), nil
}

// addressAt reads a word as an address; what is none is the zero address.
func (s *Source) addressAt(c *call) (payment.Address, error) {
	raw, err := s.bytesOf(c)
	if err != nil || len(raw) != len(word{}) {
		return zeroAddress(), err
	}
	at, _ := addressOfWord(word(raw))
	if at.Raw == "" {
		at = zeroAddress()
	}
	return at, nil
}

func (s *Source) bytesOf(c *call) ([]byte, error) {
	if c.err != nil {
		return nil, c.err
	}
	var raw byteString
	if err := json.Unmarshal(c.result, &raw); err != nil {
		return nil, s.malformed(c.method, err)
	}
	return raw, nil
}

// deprecated reads deprecated(), with which Tether says that a contract's balances have moved on. A contract that has no
// such function is not.
func (s *Source) deprecated(c *call) (bool, error) {
	if c.err != nil && isRevert(c.err) {
		return false, nil
	}
	raw, err := s.bytesOf(c)
	if err != nil || len(raw) != len(word{}) {
		return false, err
	}
	return word(raw) == word{31: 1}, nil
}

var _ chain.TokenSweeper = (*Source)(nil)
