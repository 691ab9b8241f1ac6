package chaintest

import (
	"encoding/binary"

	"github.com/sluicepay/sluice/chain/chaintest/gethnode"
	"github.com/sluicepay/sluice/payment"
)

// FakeFrame is a call in the trace of a transaction, as geth's callTracer tells it.
type FakeFrame struct {
	Type     string
	From, To payment.Address // the zero To is left out
	Value    *uint64         // nil is left out
	Error    string
	Calls    []FakeFrame
}

func (c FakeFrame) json() map[string]any {
	fields := map[string]any{"type": c.Type, "from": c.From.Lower(), "gas": "0x5208", "gasUsed": "0x5208", "input": "0x"}
	if !c.To.IsZero() {
		fields["to"] = c.To.Lower()
	}
	if c.Value != nil {
		fields["value"] = hexOf(*c.Value)
	}
	if c.Error != "" {
		fields["error"] = c.Error
	}
	if len(c.Calls) > 0 {
		calls := make([]any, len(c.Calls))
		for i, call := range c.Calls {
			calls[i] = call.json()
		}
		fields["calls"] = calls
	}
	return fields
}

// trace is the root frame of a transaction.
func (tx *FakeTx) trace() map[string]any {
	root := FakeFrame{Type: "CALL", From: tx.From, To: tx.To, Value: &tx.Value, Calls: tx.Frames}
	if tx.To.IsZero() {
		root.Type, root.To = "CREATE", Account(255)
	}
	if tx.Failed {
		root.Error = "execution reverted"
	}
	return root.json()
}

func (f *Fake) traceBlock(a *Answer) {
	block := f.visible(f.byHash[param[payment.Hash](a, 0)])
	if block == nil {
		a.Error = &RPCError{Code: -32000, Message: "block not found"}
		return
	}
	traces := []map[string]any{}
	for _, tx := range block.Txs {
		traces = append(traces, map[string]any{"txHash": tx.Hash, "result": tx.trace()})
	}
	a.Result = traces
}

func (f *Fake) traceTx(a *Answer) {
	block, i := f.find(param[payment.Hash](a, 0))
	if block == nil {
		a.Error = &RPCError{Code: -32000, Message: "transaction not found"}
		return
	}
	a.Result = block.Txs[i].trace()
}

func actorAddress(i int) payment.Address { return Account(byte(205 + i)) } //nolint:gosec // 0 or 1

// perform is the trace of a script that runs at an address, and whether it reverts.
// sent is the value of the call that the script runs in.
func perform(at payment.Address, sent uint64, script []Act, made *uint64) (frames []FakeFrame, reverts bool) {
	for _, act := range script {
		if act.Kind == gethnode.ActRevert {
			return frames, true
		}
		call := performOne(at, sent, act, made)
		frames = append(frames, call)
		if act.Kind == gethnode.ActDestroy {
			return frames, false
		}
		if act.Kind == gethnode.ActCall && call.Error != "" {
			return frames, true
		}
	}
	return frames, false
}

func performOne(at payment.Address, sent uint64, act Act, made *uint64) FakeFrame {
	value := act.Value
	call := FakeFrame{From: at, To: act.To, Value: &value}
	inner, innerAt := []Act(nil), act.To
	if act.To == actorAddress(0) || act.To == actorAddress(1) {
		inner = act.Acts
	}
	switch act.Kind {
	case gethnode.ActCall, gethnode.ActTry:
		call.Type = "CALL"
	case gethnode.ActDelegate:
		call.Type, call.Value, innerAt, value = "DELEGATECALL", &sent, at, sent
	case gethnode.ActCallCode:
		call.Type, innerAt = "CALLCODE", at
	case gethnode.ActStatic:
		call.Type, call.Value = "STATICCALL", nil
	case gethnode.ActCreate, gethnode.ActCreate2:
		*made++
		call.Type, call.To = "CREATE", newAccount(*made)
		if act.Kind == gethnode.ActCreate2 {
			call.Type = "CREATE2"
		}
		if !act.To.IsZero() {
			call.Calls = []FakeFrame{{Type: "SELFDESTRUCT", From: call.To, To: act.To, Value: &value}}
		}
		return call
	case gethnode.ActDestroy:
		call.Type = "SELFDESTRUCT"
		return call
	case gethnode.ActRevert:
	}
	if value == TooMuch {
		call.Error = "insufficient balance for transfer"
		return call
	}
	var reverts bool
	if call.Calls, reverts = perform(innerAt, value, inner, made); reverts {
		call.Error = "execution reverted"
	}
	return call
}

func newAccount(n uint64) payment.Address {
	raw := make([]byte, 20)
	raw[0] = 0xcc
	binary.BigEndian.PutUint64(raw[12:], n)
	return payment.Address{Family: payment.FamilyEVM, Raw: string(raw)}
}
