package gethnode

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/core/vm"
)

// assemble turns EVM assembly into bytecode. Words are opcode names, 0x-literals
// (the immediate bytes of the PUSH before them), ":label" (a JUMPDEST of that
// name) and "@label" (a PUSH2 of its position). A ";" starts a comment that ends
// with its line. The sources are constants of this package, so a mistake in them
// is a programming error: assemble panics.
func assemble(source string) []byte {
	var (
		code   []byte
		labels = map[string]int{}
		uses   = map[int]string{} // position of a two-byte gap → label
	)
	for line := range strings.Lines(source) {
		line, _, _ = strings.Cut(line, ";")
		for _, word := range strings.Fields(line) {
			switch {
			case strings.HasPrefix(word, ":"):
				labels[word[1:]] = len(code)
				code = append(code, byte(vm.JUMPDEST))
			case strings.HasPrefix(word, "@"):
				uses[len(code)+1] = word[1:]
				code = append(code, byte(vm.PUSH2), 0, 0)
			case strings.HasPrefix(word, "0x"):
				raw, err := hex.DecodeString(word[2:])
				if err != nil {
					panic(fmt.Sprintf("assemble: literal %s: %v", word, err))
				}
				code = append(code, raw...)
			default:
				op := vm.StringToOp(word)
				if op == vm.STOP && word != "STOP" {
					panic("assemble: unknown opcode " + word)
				}
				code = append(code, byte(op))
			}
		}
	}
	for at, label := range uses {
		target, ok := labels[label]
		if !ok {
			panic("assemble: unknown label " + label)
		}
		binary.BigEndian.PutUint16(code[at:], uint16(target)) //nolint:gosec // contracts are smaller than 64 kB
	}
	return code
}

// deployer is creation code that stores nothing and returns runtime as the
// contract's code.
func deployer(runtime []byte) []byte {
	size := len(runtime)
	prefix := assemble(fmt.Sprintf("PUSH2 0x%04x DUP1 PUSH1 0x0b PUSH0 CODECOPY PUSH0 RETURN STOP", size))
	return append(prefix, runtime...)
}
