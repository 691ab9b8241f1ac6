package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"reflect"
	"strings"
)

// maxNodes is how many nodes a file may name.
const maxNodes = 100

// withNodes takes the nodes of --rpc-file, if there is one. URLs on the command line stand in the list of processes and in the shell's history, so those
// that may hold a key are refused there.
func (e chainEnable) withNodes(in io.Reader) (chainEnable, error) {
	if e.RPCFile == "" {
		for _, raw := range append(append([]string{}, e.RPC...), e.WS...) {
			if mayHoldKey(raw) {
				return e, &exitError{code: 2, message: "a URL with a path, a query or credentials may hold a key, and whoever lists processes reads it here: " +
					"put it in a file and give --rpc-file FILE, or --rpc-file - for standard input"}
			}
		}
		return e, nil
	}
	if len(e.RPC)+len(e.WS)+len(e.Operator) > 0 {
		return e, &exitError{code: 2, message: "give --rpc-file, or --rpc, --ws and --operator, not both"}
	}
	text, err := readSecretFile(e.RPCFile, in)
	if err != nil {
		return e, fmt.Errorf("--rpc-file: %w", err)
	}
	return e.parseNodes(text)
}

// parseNodes reads a node a line: its URL, then its WebSocket URL and operator=NAME if there are. Errors name lines and not what they say.
func (e chainEnable) parseNodes(text string) (chainEnable, error) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		ws, operator := "", operatorOf(fields[0])
		for _, field := range fields[1:] {
			name, named := strings.CutPrefix(field, "operator=")
			switch {
			case named && name != "":
				operator = name
			case strings.HasPrefix(field, "ws://"), strings.HasPrefix(field, "wss://"):
				ws = field
			default:
				return e, fmt.Errorf("--rpc-file: line %d: after the URL come a WebSocket URL and operator=NAME, or nothing", n)
			}
		}
		e.RPC, e.WS, e.Operator = append(e.RPC, fields[0]), append(e.WS, ws), append(e.Operator, operator)
	}
	if len(e.RPC) == 0 || len(e.RPC) > maxNodes {
		return e, fmt.Errorf("--rpc-file: it names %d nodes; 1 to %d are read", len(e.RPC), maxNodes)
	}
	return e, nil
}

// nodeName is what messages call a node: its URL may hold a key.
func (e chainEnable) nodeName(i int) string {
	if e.RPCFile != "" {
		return fmt.Sprintf("node number %d of --rpc-file", i+1)
	}
	return fmt.Sprintf("--rpc number %d", i+1)
}

// onlyName tells whether nothing was given but the chain's name: then it takes orders again, and nothing else is changed.
func (e chainEnable) onlyName() bool {
	return reflect.DeepEqual(e, chainEnable{Name: e.Name, Family: e.Family, audited: e.audited})
}

// mayHoldKey tells whether a URL has a part in which providers put keys. A host's name may hold one too, which nobody can tell.
func mayHoldKey(raw string) bool {
	u, err := url.Parse(raw)
	return err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" || u.Opaque != ""
}

// maxSecretFile is longer than any list of nodes.
const maxSecretFile = 64 << 10

// readSecretFile reads a small file, or standard input for "-".
func readSecretFile(name string, in io.Reader) (string, error) {
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer func() { _ = file.Close() }() // it was only read
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(bufio.NewReader(in), maxSecretFile+1))
	if err == nil && len(text) > maxSecretFile {
		err = errors.New("it is too long")
	}
	return string(text), err
}
