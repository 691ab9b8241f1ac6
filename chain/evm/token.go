package evm

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/sha3"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// maxSymbol is the most runes kept of a symbol.
const maxSymbol = 32

// TokenMeta implements chain.TokenReader.
func (s *Source) TokenMeta(ctx context.Context, contract payment.Address) (chain.TokenMeta, error) {
	code := &call{method: "eth_getCode", args: []any{contract.Lower(), "latest"}}
	decimals := readContract(contract, "0x313ce567")
	symbol := readContract(contract, "0x95d89b41")
	deprecated := readContract(contract, "0x0e136b19")
	slots := proxySlots(contract)
	if err := s.batch(ctx, s.opts.MaxBatch, append([]*call{code, decimals, symbol, deprecated}, slots...)...); err != nil {
		return chain.TokenMeta{}, err
	}
	if code.err != nil {
		return chain.TokenMeta{}, code.err
	}
	var runtime byteString
	if err := json.Unmarshal(code.result, &runtime); err != nil {
		return chain.TokenMeta{}, s.malformed(code.method, err)
	}
	if len(runtime) == 0 {
		return chain.TokenMeta{}, fmt.Errorf("%w: no code at the address", chain.ErrNoToken)
	}
	places, err := s.decimals(decimals)
	if err != nil {
		return chain.TokenMeta{}, err
	}
	meta := chain.TokenMeta{Decimals: places, Symbol: symbolOf(symbol), CodeHash: keccak(runtime)}
	if meta.Deprecated, err = s.deprecated(deprecated); err != nil {
		return chain.TokenMeta{}, err
	}
	if meta.Implementation, err = s.implementation(ctx, slots); err != nil {
		return chain.TokenMeta{}, err
	}
	return meta, nil
}

func readContract(contract payment.Address, selector string) *call {
	return &call{method: "eth_call", args: []any{map[string]string{"to": contract.Lower(), "data": selector}, "latest"}}
}

// decimals reads a uint8. A contract that reverts, or answers with nothing or with
// something else, is no token; a node that does not answer is another matter.
func (s *Source) decimals(c *call) (uint8, error) {
	if c.err != nil {
		if isRevert(c.err) {
			return 0, fmt.Errorf("%w: decimals() reverts", chain.ErrNoToken)
		}
		return 0, c.err
	}
	var out byteString
	if err := json.Unmarshal(c.result, &out); err != nil {
		return 0, s.malformed(c.method, err)
	}
	if len(out) != 32 || !bytes.Equal(out[:31], make([]byte, 31)) {
		return 0, fmt.Errorf("%w: decimals() is no number up to 255", chain.ErrNoToken)
	}
	return out[31], nil
}

// isRevert tells a contract's refusal from a node's: geth answers code 3, others
// only say so.
func isRevert(err error) bool {
	text := strings.ToLower(err.Error())
	return containsAny(text, "execution reverted", "revert", "invalid opcode", "out of gas", "stack underflow", "code 3)")
}

// symbolOf reads symbol(): a string, or 32 bytes of text in early tokens. Whatever
// else a contract says, or the lack of it, is no symbol.
func symbolOf(c *call) string {
	var out byteString
	if c.err != nil || json.Unmarshal(c.result, &out) != nil {
		return ""
	}
	text := abiString(out)
	if text == nil && len(out) == 32 {
		text = bytes.TrimRight(out, "\x00")
	}
	if !utf8.Valid(text) {
		return ""
	}
	symbol := []rune(printable(string(text)))
	return string(symbol[:min(len(symbol), maxSymbol)])
}

// abiString is the one dynamic string of an ABI-encoded answer, nil when there is none.
func abiString(out []byte) []byte {
	if len(out) < 64 {
		return nil
	}
	offset, size := word(out[:32]), word(out[32:64])
	if offset != (word{31: 32}) || !bytes.Equal(size[:24], make([]byte, 24)) {
		return nil
	}
	text := out[64:]
	length := binary.BigEndian.Uint64(size[24:])
	if length > uint64(len(text)) {
		return nil
	}
	return text[:length]
}

func keccak(data []byte) payment.Hash {
	hasher := sha3.NewLegacyKeccak256()
	_, _ = hasher.Write(data) // a hash never fails to write
	return payment.Hash(hasher.Sum(nil))
}
