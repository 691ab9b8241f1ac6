package gethnode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// The test contracts are assembled here because no Solidity compiler is part of
// the build. They are small on purpose and unsafe on purpose: anybody may mint,
// and the token emits any log it is asked for.

// TransferTopic is the first topic of an ERC-20 Transfer log.
var TransferTopic = crypto.Keccak256Hash([]byte("Transfer(address,address,uint256)"))

// TokenOptions describe a test token.
type TokenOptions struct {
	Symbol   string // at most 31 bytes
	Decimals uint8
	// NoReturn makes transfer return nothing, as some real tokens do.
	NoReturn bool
}

// tokenSource is an ERC-20 token reduced to what payments need. The balance of an
// address is kept in the storage slot of that number, the total supply in the
// slot 2^256-1, which no address can be.
//
//	decimals() symbol() totalSupply() balanceOf(address)
//	transfer(address,uint256)  mint(address,uint256)
//	emitLog(uint8 topics, bytes32, bytes32, bytes32, bytes32, raw data…)
//
//nolint:gosec // a token of the other kind
const tokenSource = `
  PUSH1 0x04 CALLDATASIZE LT @fail JUMPI
  PUSH0 CALLDATALOAD PUSH1 0xe0 SHR
  DUP1 PUSH4 0x313ce567 EQ @decimals JUMPI
  DUP1 PUSH4 0x95d89b41 EQ @symbol JUMPI
  DUP1 PUSH4 0x18160ddd EQ @totalSupply JUMPI
  DUP1 PUSH4 0x70a08231 EQ @balanceOf JUMPI
  DUP1 PUSH4 0xa9059cbb EQ @transfer JUMPI
  DUP1 PUSH4 0x40c10f19 EQ @mint JUMPI
  DUP1 PUSH4 {emitLog} EQ @emitLog JUMPI
:fail
  PUSH0 PUSH0 REVERT

:decimals
  PUSH1 {decimals} PUSH0 MSTORE PUSH1 0x20 PUSH0 RETURN

:symbol                                   ; a dynamic string: offset, length, bytes
  PUSH1 0x20 PUSH0 MSTORE
  PUSH1 {symbolLen} PUSH1 0x20 MSTORE
  PUSH32 {symbol} PUSH1 0x40 MSTORE
  PUSH1 0x60 PUSH0 RETURN

:totalSupply
  PUSH0 NOT SLOAD PUSH0 MSTORE PUSH1 0x20 PUSH0 RETURN

:balanceOf
  PUSH1 0x04 CALLDATALOAD SLOAD PUSH0 MSTORE PUSH1 0x20 PUSH0 RETURN

:mint
  PUSH1 0x24 CALLDATALOAD                 ; amount
  PUSH0 NOT SLOAD DUP2 ADD PUSH0 NOT SSTORE
  PUSH0                                   ; amount, from = zero address
  @credit JUMP

:transfer
  PUSH1 0x24 CALLDATALOAD                 ; amount
  CALLER SLOAD                            ; amount, balance
  DUP2 DUP2 LT @fail JUMPI                ; balance < amount
  DUP2 SWAP1 SUB CALLER SSTORE            ; balance - amount
  CALLER                                  ; amount, from
  @credit JUMP

:credit                                   ; amount, from
  PUSH1 0x04 CALLDATALOAD                 ; amount, from, to
  DUP1 SLOAD DUP4 ADD DUP2 SSTORE         ; balance of to += amount
  DUP3 PUSH0 MSTORE                       ; data = amount
  SWAP1                                   ; amount, to, from
  PUSH32 {transferTopic}                  ; amount, to, from, topic
  PUSH1 0x20 PUSH0 LOG3
  {return}

:emitLog
  PUSH1 0xa4 DUP1 CALLDATASIZE SUB        ; 0xa4, size of the raw data
  DUP1 SWAP2 PUSH0 CALLDATACOPY           ; size
  PUSH1 0x04 CALLDATALOAD                 ; size, topics
  DUP1 PUSH1 0x00 EQ @log0 JUMPI
  DUP1 PUSH1 0x01 EQ @log1 JUMPI
  DUP1 PUSH1 0x02 EQ @log2 JUMPI
  DUP1 PUSH1 0x03 EQ @log3 JUMPI
  POP
  PUSH1 0x84 CALLDATALOAD SWAP1
  PUSH1 0x64 CALLDATALOAD SWAP1
  PUSH1 0x44 CALLDATALOAD SWAP1
  PUSH1 0x24 CALLDATALOAD SWAP1
  PUSH0 LOG4 STOP
:log3
  POP
  PUSH1 0x64 CALLDATALOAD SWAP1
  PUSH1 0x44 CALLDATALOAD SWAP1
  PUSH1 0x24 CALLDATALOAD SWAP1
  PUSH0 LOG3 STOP
:log2
  POP
  PUSH1 0x44 CALLDATALOAD SWAP1
  PUSH1 0x24 CALLDATALOAD SWAP1
  PUSH0 LOG2 STOP
:log1
  POP
  PUSH1 0x24 CALLDATALOAD SWAP1
  PUSH0 LOG1 STOP
:log0
  POP PUSH0 LOG0 STOP
`

// callerSource makes the calls that its calldata lists, one after the other, and
// reverts everything when one fails. A call is 20 bytes of target, 32 bytes of
// value in wei, 2 bytes of data length and the data.
const callerSource = `
  PUSH0                                   ; at
:next                                     ; at
  CALLDATASIZE DUP2 LT @one JUMPI
  STOP
:one
  DUP1 PUSH1 0x34 ADD CALLDATALOAD PUSH1 0xf0 SHR   ; at, length
  DUP1 DUP3 PUSH1 0x36 ADD PUSH0 CALLDATACOPY       ; at, length
  PUSH0 PUSH0                             ; at, length, return size and place
  DUP3 PUSH0                              ; …, data size and place
  DUP6 PUSH1 0x14 ADD CALLDATALOAD        ; …, value
  DUP7 CALLDATALOAD PUSH1 0x60 SHR        ; …, target
  GAS CALL ISZERO @fail JUMPI             ; at, length
  ADD PUSH1 0x36 ADD
  @next JUMP
:fail
  PUSH0 PUSH0 REVERT
`

// emitLogSelector is the selector of the token's emitLog.
var emitLogSelector = crypto.Keccak256([]byte("emitLog(uint8,bytes32,bytes32,bytes32,bytes32)"))[:4]

func tokenCode(opts TokenOptions) ([]byte, error) {
	if len(opts.Symbol) > 31 {
		return nil, errors.New("token symbol is longer than 31 bytes")
	}
	var symbol [32]byte
	copy(symbol[:], opts.Symbol)
	result := "PUSH1 0x01 PUSH0 MSTORE PUSH1 0x20 PUSH0 RETURN"
	if opts.NoReturn {
		result = "STOP"
	}
	source := strings.NewReplacer(
		"{decimals}", fmt.Sprintf("0x%02x", opts.Decimals),
		"{symbolLen}", fmt.Sprintf("0x%02x", len(opts.Symbol)),
		"{symbol}", fmt.Sprintf("0x%x", symbol),
		"{transferTopic}", TransferTopic.Hex(),
		"{emitLog}", fmt.Sprintf("0x%x", emitLogSelector),
		"{return}", result,
	).Replace(tokenSource)
	return deployer(assemble(source)), nil
}

// TransferData is the calldata of transfer(to, amount), amount in base units.
func TransferData(to common.Address, amount *big.Int) []byte {
	return addressAndAmount("transfer(address,uint256)", to, amount)
}

// MintData is the calldata of mint(to, amount), amount in base units.
func MintData(to common.Address, amount *big.Int) []byte {
	return addressAndAmount("mint(address,uint256)", to, amount)
}

func addressAndAmount(signature string, to common.Address, amount *big.Int) []byte {
	data := crypto.Keccak256([]byte(signature))[:4]
	data = append(data, common.LeftPadBytes(to.Bytes(), 32)...)
	return append(data, common.LeftPadBytes(amount.Bytes(), 32)...)
}

// EmitLogData is the calldata that makes the token emit a log with these topics
// (at most four) and this data, valid or not.
func EmitLogData(topics []common.Hash, data []byte) []byte {
	var fixed [4]common.Hash
	copy(fixed[:], topics)
	out := append([]byte{}, emitLogSelector...)
	out = append(out, common.LeftPadBytes([]byte{byte(len(topics))}, 32)...) //nolint:gosec // at most four
	for _, topic := range fixed {
		out = append(out, topic.Bytes()...)
	}
	return append(out, data...)
}

// Call is one call that the caller contract makes.
type Call struct {
	To    common.Address
	Value *big.Int // wei; nil is 0
	Data  []byte   // at most 65,535 bytes
}

// CallerData is the calldata that makes the caller contract do these calls in
// one transaction: several payments at once, or value moved by internal frames.
func CallerData(calls ...Call) []byte {
	var out []byte
	for _, call := range calls {
		value := call.Value
		if value == nil {
			value = new(big.Int)
		}
		out = append(out, call.To.Bytes()...)
		out = append(out, common.LeftPadBytes(value.Bytes(), 32)...)
		out = binary.BigEndian.AppendUint16(out, uint16(len(call.Data))) //nolint:gosec // see Call.Data
		out = append(out, call.Data...)
	}
	return out
}
