package gethnode

import (
	"context"
	"encoding/binary"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/vm"
)

// ActKind is what an act does.
type ActKind byte

// The kinds of acts. All but ActCall go on when the call fails.
const (
	ActCall     ActKind = iota // CALL; reverts when it fails
	ActTry                     // CALL
	ActDelegate                // DELEGATECALL: moves nothing
	ActCallCode                // CALLCODE with a value: moves nothing
	ActStatic                  // STATICCALL
	ActCreate                  // CREATE with a value and Data as init code
	ActCreate2                 // CREATE2, the same
	ActDestroy                 // SELFDESTRUCT in favour of To; ends the script
	ActRevert                  // ends the script
)

// Act is one thing that an actor contract does.
type Act struct {
	Kind  ActKind
	To    common.Address
	Value *big.Int // wei; nil is 0
	Data  []byte   // at most 65,535 bytes; for an actor, what ActorData returns
}

// ActorData is the calldata that makes an actor contract do these acts in order.
func ActorData(acts ...Act) []byte {
	var out []byte
	for _, act := range acts {
		value := act.Value
		if value == nil {
			value = new(big.Int)
		}
		out = append(out, byte(act.Kind))
		out = append(out, act.To.Bytes()...)
		out = append(out, common.LeftPadBytes(value.Bytes(), 32)...)
		out = binary.BigEndian.AppendUint16(out, uint16(len(act.Data))) //nolint:gosec // see Act.Data
		out = append(out, act.Data...)
	}
	return out
}

// DestroyedAtOnce is the init code of a contract that gives all it was sent to an
// address while it is created, and is gone.
func DestroyedAtOnce(to common.Address) []byte {
	return append(append([]byte{byte(vm.PUSH20)}, to.Bytes()...), byte(vm.SELFDESTRUCT))
}

// actorSource does the acts that its calldata lists: 1 byte of kind, 20 bytes of
// target, 32 bytes of value in wei, 2 bytes of data length and the data. With it a
// test writes any tree of calls.
const actorSource = `
  PUSH0                                   ; at
:next
  CALLDATASIZE DUP2 LT @one JUMPI
  STOP
:one
  DUP1 PUSH1 0x35 ADD CALLDATALOAD PUSH1 0xf0 SHR   ; at, length
  DUP1 DUP3 PUSH1 0x37 ADD PUSH0 CALLDATACOPY       ; at, length
  DUP2 CALLDATALOAD PUSH0 BYTE                      ; at, length, kind
  DUP1 PUSH1 0x01 EQ @try JUMPI
  DUP1 PUSH1 0x02 EQ @delegate JUMPI
  DUP1 PUSH1 0x03 EQ @callcode JUMPI
  DUP1 PUSH1 0x04 EQ @static JUMPI
  DUP1 PUSH1 0x05 EQ @create JUMPI
  DUP1 PUSH1 0x06 EQ @create2 JUMPI
  DUP1 PUSH1 0x07 EQ @destroy JUMPI
  DUP1 PUSH1 0x08 EQ @fail JUMPI
  POP PUSH0 PUSH0 DUP3 PUSH0
  DUP6 PUSH1 0x15 ADD CALLDATALOAD DUP7 PUSH1 0x01 ADD CALLDATALOAD PUSH1 0x60 SHR
  GAS CALL ISZERO @fail JUMPI
  @step JUMP
:try
  POP PUSH0 PUSH0 DUP3 PUSH0
  DUP6 PUSH1 0x15 ADD CALLDATALOAD DUP7 PUSH1 0x01 ADD CALLDATALOAD PUSH1 0x60 SHR
  GAS CALL @done JUMP
:delegate
  POP PUSH0 PUSH0 DUP3 PUSH0
  DUP6 PUSH1 0x01 ADD CALLDATALOAD PUSH1 0x60 SHR
  GAS DELEGATECALL @done JUMP
:callcode
  POP PUSH0 PUSH0 DUP3 PUSH0
  DUP6 PUSH1 0x15 ADD CALLDATALOAD DUP7 PUSH1 0x01 ADD CALLDATALOAD PUSH1 0x60 SHR
  GAS CALLCODE @done JUMP
:static
  POP PUSH0 PUSH0 DUP3 PUSH0
  DUP6 PUSH1 0x01 ADD CALLDATALOAD PUSH1 0x60 SHR
  GAS STATICCALL @done JUMP
:create
  POP DUP1 PUSH0 DUP4 PUSH1 0x15 ADD CALLDATALOAD
  CREATE @done JUMP
:create2
  POP PUSH0 DUP2 PUSH0 DUP5 PUSH1 0x15 ADD CALLDATALOAD
  CREATE2 @done JUMP
:destroy
  POP DUP2 PUSH1 0x01 ADD CALLDATALOAD PUSH1 0x60 SHR SELFDESTRUCT
:done
  POP
:step                                     ; at, length
  ADD PUSH1 0x37 ADD
  @next JUMP
:fail
  PUSH0 PUSH0 REVERT
`

// DeployActor sends the creation of the contract that ActorData is for.
func (p *Payer) DeployActor(ctx context.Context) (common.Address, common.Hash, error) {
	return p.deploy(ctx, deployer(assemble(actorSource)))
}
