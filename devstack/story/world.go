package story

import (
	"context"

	"github.com/sluicepay/sluice/devstack/temporalite"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// World is what the story is played on.
type World struct {
	// API is the address of the API; UI the one of Temporal's UI, which may be empty.
	API, UI string
	// Namespace is where the workflows are.
	Namespace string
	// First is the chain of the first two orders, Second that of the third.
	First, Second Chain
	// Receiver is the port on the loopback address that callbacks may go to.
	Receiver int
	// Memory is a file in which the merchant keeps its key from one play to the next.
	Memory string
	// Sluice runs a short sluice command and returns its standard output.
	Sluice func(ctx context.Context, args ...string) ([]byte, error)
}

// Chain is what the story needs to know of a chain.
type Chain struct {
	// Name is what the API calls it.
	Name string
	// RPC is the JSON-RPC address of a node whose faucet the payer may use.
	RPC string
	// Native is the code of the chain's coin, which has 18 decimals.
	Native string
	// Token is the test token's contract, TokenCode what the API calls it.
	Token, TokenCode string
	Decimals         uint8
}

const nativeDecimals = 18

func (c Chain) decimals(asset string) uint8 {
	if asset == c.Native {
		return nativeDecimals
	}
	return c.Decimals
}

// page is an order's page in Temporal's UI.
func (w World) page(orderID string) string {
	if w.UI == "" {
		return ""
	}
	return temporalite.WorkflowURL(w.UI, w.Namespace, process.OrderWorkflowID(payment.OrderID(orderID)))
}
