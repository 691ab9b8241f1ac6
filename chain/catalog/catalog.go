package catalog

import (
	"time"

	"github.com/sluicepay/sluice/payment"
)

// Network is a network as it is proposed to the operator.
type Network struct {
	Name        string // what orders call it
	DisplayName string
	Family      payment.Family
	ChainID     uint64

	Coin         string // code of the native coin
	CoinDecimals uint8
	CoinDust     string // decimal; less than this is dust: about a cent

	BlockTime time.Duration
	// Policy is what every payment waits for; Tiers what larger ones wait for as well.
	Policy payment.ConfirmationPolicy
	Tiers  []Tier

	// Horizon is how many blocks deep a reorganisation is undone by itself: at least as deep as blocks are while they are not
	// final.
	Horizon uint64
	// MaxRange is the most blocks in one request to start with; endpoints that refuse it are asked for fewer.
	MaxRange uint64
	// MaxLag is how far behind its watcher may be before it counts as lagging.
	MaxLag time.Duration

	// WrongBlooms: the bloom filters of its blocks do not tell of all their logs.
	WrongBlooms bool

	Tokens []Token
	// CoinLogs are contracts that emit Transfer logs for moves of the native coin.
	CoinLogs []string
}

// Tier is what payments wait for from an amount of one asset on.
type Tier struct {
	Asset string // code
	From  string // decimal
	payment.ConfirmationPolicy
}

// Token is a token's contract on one network.
type Token struct {
	Code     string
	Contract string // EIP-55
	Decimals uint8
	// ByHand leaves the token to be added by hand: another one has its name.
	ByHand bool
}

// Dust is what is dust of a token, as a decimal: a cent, because all that are listed are stablecoins.
func (Token) Dust() string { return "0.01" }

// Find returns the network of a name.
func Find(name string) (Network, bool) {
	return first(func(n Network) bool { return n.Name == name })
}

// ByChainID returns the network of a chain id, whatever an operator calls it.
func ByChainID(family payment.Family, id uint64) (Network, bool) {
	return first(func(n Network) bool { return n.Family == family && n.ChainID == id })
}

func first(wanted func(Network) bool) (Network, bool) {
	for _, n := range Networks() {
		if wanted(n) {
			return n, true
		}
	}
	return Network{}, false
}

// Token returns the token that a contract is.
func (n Network) Token(contract payment.Address) (Token, bool) {
	for _, t := range n.Tokens {
		if same(t.Contract, contract) {
			return t, true
		}
	}
	return Token{}, false
}

// IsCoinLog tells whether a contract only reports what the native coin does, on whatever network: each of its Transfers is money
// that the transaction itself has moved, and would count twice. Such a contract has the same address on the test networks of
// its network.
func IsCoinLog(contract payment.Address) bool {
	for _, n := range Networks() {
		for _, text := range n.CoinLogs {
			if same(text, contract) {
				return true
			}
		}
	}
	return false
}

func same(text string, contract payment.Address) bool {
	address, err := payment.ParseAddress(contract.Family, text)
	return err == nil && address == contract
}
