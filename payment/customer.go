package payment

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// AddressMode says whose the address is that an order is paid to.
type AddressMode string

// The address modes.
const (
	// AddressPerOrder: the order's own. What is paid there is for that order.
	AddressPerOrder AddressMode = "per_order"
	// AddressPerCustomer: the customer's, the same for all of his orders, for ever. What is paid there is allocated.
	AddressPerCustomer AddressMode = "per_customer"
)

// ParseAddressMode reads a mode; "" is AddressPerOrder. Error: CodeInvalidParameter (address_mode).
func ParseAddressMode(s string) (AddressMode, error) {
	switch m := AddressMode(s); m {
	case "":
		return AddressPerOrder, nil
	case AddressPerOrder, AddressPerCustomer:
		return m, nil
	default:
		return "", E(CodeInvalidParameter, "address_mode", "address_mode must be per_order or per_customer")
	}
}

// MaxCustomerID is the length of the longest customer id, in characters.
const MaxCustomerID = 200

// CheckCustomerID checks the merchant's name of a customer: 1 to MaxCustomerID printable characters. Spaces are printable, yet
// none stands at an end, where nobody sees it: two spellings of one customer would be two customers with two addresses.
// Error: CodeInvalidParameter (customer_id).
func CheckCustomerID(id string) error {
	hidden := func(r rune) bool { return !unicode.IsPrint(r) }
	if !utf8.ValidString(id) || id == "" || utf8.RuneCountInString(id) > MaxCustomerID ||
		strings.ContainsFunc(id, hidden) || strings.TrimSpace(id) != id {
		return E(CodeInvalidParameter, "customer_id", "customer_id must be 1 to %d printable characters, without spaces at its ends", MaxCustomerID)
	}
	return nil
}

// Claim is an order that a payment to its customer's address may be for: same chain and asset, not fulfilled, not
// cancelled, older than the payment's block, its late window not over.
type Claim struct {
	Order   OrderID
	Created time.Time
	// Owed is what the order asks for, less what is allocated to it already; more than nothing.
	Owed Amount
}

func (c Claim) before(other Claim) bool {
	if !c.Created.Equal(other.Created) {
		return c.Created.Before(other.Created)
	}
	return c.Order < other.Order
}

// Allocate chooses the order that a payment of this amount is for, and how much of it counts for that order: the order
// that owes exactly the amount, else the oldest; of several exact ones the oldest. What is beyond is a deposit. No claims,
// or none that owes anything: OrderID "" and zero, all of it is a deposit.
func Allocate(amount Amount, claims []Claim) (OrderID, Amount) {
	var best Claim
	for _, c := range claims {
		if c.Owed.IsZero() {
			continue
		}
		exact, bestExact := c.Owed == amount, best.Owed == amount
		if best.Order == "" || exact && !bestExact || exact == bestExact && c.before(best) {
			best = c
		}
	}
	return best.Order, best.Owed.Min(amount)
}
