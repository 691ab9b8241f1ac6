package faultproxy

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Lag hides every block above a height, as a node that fell behind would. Its logs are an error, or "none" when
// silent is set: nodes of both kinds exist.
func Lag(top uint64, silent bool) Fault {
	hidden := func(n any) bool { number, ok := numberOf(n); return ok && number > top }
	return Fault{
		Ask: func(c *Call) {
			if c.Method == "eth_getBlockByNumber" && len(c.Params) > 0 {
				switch c.Params[0] {
				case "latest", "pending":
					c.Params[0] = hexOf(top)
				}
			}
		},
		Answer: func(c *Call) {
			switch c.Method {
			case "eth_blockNumber":
				c.Result = hexOf(top)
			case "eth_getLogs":
				kept := []any{}
				for _, l := range list(c.Result) {
					if !hidden(field(l, "blockNumber")) {
						kept = append(kept, l)
					}
				}
				if !silent && len(kept) < len(list(c.Result)) {
					c.Error = &Error{Code: -32000, Message: "unknown block"}
				}
				c.Result = kept
			case "eth_getBlockByNumber", "eth_getBlockByHash":
				if hidden(field(c.Result, "number")) {
					c.Result = nil
				}
			default:
				if hidden(field(c.Result, "blockNumber")) {
					c.Result = nil
				}
			}
		},
	}
}

// NoLogs answers for logs with "none", whatever there is.
func NoLogs() Fault {
	return Change("eth_getLogs", func(c *Call) { c.Result = []any{} })
}

// Tag makes a tag, such as "finalized", name the block at a height.
func Tag(name string, number uint64) Fault {
	return Fault{Ask: func(c *Call) {
		if c.Method == "eth_getBlockByNumber" && len(c.Params) > 0 && c.Params[0] == name {
			c.Params[0] = hexOf(number)
		}
	}}
}

// Change changes the answers of one method.
func Change(method string, change func(*Call)) Fault {
	return Fault{Answer: func(c *Call) {
		if c.Method == method && c.Error == nil {
			change(c)
		}
	}}
}

// SetField sets a field of the answers of one method that are objects, or of every object in one that is a list. Null answers
// stay null.
func SetField(method, name string, value any) Fault {
	return Change(method, func(c *Call) {
		for _, item := range append(list(c.Result), c.Result) {
			if object, ok := item.(map[string]any); ok {
				object[name] = value
			}
		}
	})
}

// WrongParents gives every block a parent that nobody knows.
func WrongParents() Fault {
	return Fault{Answer: func(c *Call) {
		if block, ok := c.Result.(map[string]any); ok && strings.HasPrefix(c.Method, "eth_getBlockBy") {
			block["parentHash"] = "0x" + strings.Repeat("17", 32)
		}
	}}
}

// Refuse answers a method with an error.
func Refuse(method string, code int, words string) Fault {
	return Fault{Answer: func(c *Call) {
		if c.Method == method {
			c.Error = &Error{Code: code, Message: words}
		}
	}}
}

// Truncated leaves the last answer of every batch out.
func Truncated() Fault {
	return Fault{Send: func(x *Exchange) {
		if x.Batch && len(x.Calls) > 0 {
			x.Calls = x.Calls[:len(x.Calls)-1]
		}
	}}
}

// WrongIDs answers questions that nobody asked.
func WrongIDs() Fault {
	return Fault{Send: func(x *Exchange) {
		for i, c := range x.Calls {
			c.id = []byte(strconv.Itoa(1_000_000_000 + i))
		}
	}}
}

// Status fails every request with an HTTP status. A wait of whole seconds goes with it unless it is zero.
func Status(code int, wait time.Duration) Fault {
	return Fault{Send: func(x *Exchange) {
		x.Status, x.Body = code, []byte(http.StatusText(code))
		if wait > 0 {
			x.Header.Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
		}
	}}
}

// Drip sends a byte at a time.
func Drip(pause time.Duration) Fault { return Fault{Send: func(x *Exchange) { x.Pause = pause }} }

// Huge puts so many spaces before every answer.
func Huge(size int) Fault {
	return Fault{Send: func(x *Exchange) {
		x.Edit = func(body []byte) []byte { return append([]byte(strings.Repeat(" ", size)), body...) }
	}}
}

// InvalidUTF8 breaks the text of every answer.
func InvalidUTF8() Fault {
	return Fault{Send: func(x *Exchange) {
		x.Edit = func(body []byte) []byte {
			return []byte(strings.Replace(string(body), `"jsonrpc"`, "\"\xff\xfe\":1,\"jsonrpc\"", 1))
		}
	}}
}

func list(v any) []any { l, _ := v.([]any); return l }

func field(v any, name string) any {
	object, _ := v.(map[string]any)
	return object[name]
}

func numberOf(v any) (uint64, bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(fmt.Sprint(v), "0x"), 16, 64)
	return n, v != nil && err == nil
}

func hexOf(n uint64) string { return "0x" + strconv.FormatUint(n, 16) }
