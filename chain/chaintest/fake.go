package chaintest

import (
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/sha3"

	"github.com/sluicepay/sluice/payment"
)

// Fake is a JSON-RPC node over blocks that a test makes up. It is a Bench, so that
// the suite keeps it honest, and it takes Faults. Its methods may be called
// concurrently.
type Fake struct {
	source Source
	server *httptest.Server

	mu        sync.Mutex
	chainID   uint64
	made      uint64 // blocks and transactions made so far: what makes hashes differ
	canonical []*FakeBlock
	byHash    map[payment.Hash]*FakeBlock
	tokens    map[payment.Address]FakeToken
	faults    Faults
	kept      uint64        // blocks below are not shown by number
	pruned    *RPCError     // what is said of those; nil: null
	fork      []*FakeBlock  // nil: none; the chain that is shown instead
	tags      *tagDistances // nil: safe is the newest block, finalized the last multiple of 32
	calls     map[string]int

	blockReceipts bool // it serves eth_getBlockReceipts
}

var _ Bench = (*Fake)(nil)

// FakeBlock is a block of a Fake.
type FakeBlock struct {
	payment.BlockRef
	Txs      []*FakeTx
	Bloom    []byte         // as the header says; computed when the block is mined
	Extra    map[string]any // fields of the JSON that are added or replaced
	logStart []int          // block-wide index of each transaction's first log
}

// FakeTx is a transaction of a Fake.
type FakeTx struct {
	Hash   payment.Hash // made up when zero
	From   payment.Address
	To     payment.Address // the zero value creates a contract
	Value  uint64          // wei
	Failed bool
	Logs   []FakeLog
	Frames []FakeFrame    // the calls below the transaction's own
	Extra  map[string]any // fields of the JSON that are added or replaced, such as "type"
}

// FakeLog is a log of a transaction.
type FakeLog struct {
	Address payment.Address
	Topics  []payment.Hash
	Data    []byte
}

// FakeToken is what a contract of a Fake says about itself.
type FakeToken struct {
	Code     []byte
	Decimals []byte // the answer to decimals(); nil reverts
	Symbol   []byte // the answer to symbol(); nil reverts
	// Deprecated is the answer to deprecated(); nil reverts.
	Deprecated []byte
	// Implementation is a beacon's answer to implementation().
	Implementation payment.Hash
	// Storage are the contract's words, by slot as it is asked for.
	Storage map[string]payment.Hash
}

// Faults are what a Fake does wrong. The zero value does nothing wrong.
type Faults struct {
	// Lag hides the newest blocks.
	Lag uint64
	// EmptyAhead answers eth_getLogs for hidden and unknown blocks with an empty list
	// instead of an error, as some nodes do.
	EmptyAhead bool
	// MaxRange refuses eth_getLogs over more blocks, with RangeMessage.
	MaxRange     uint64
	RangeMessage string
	// MaxAddresses refuses eth_getLogs for more contracts, as geth does above 1,000.
	MaxAddresses int
	// Answer sees every answer before it is sent and may change it. It and Batch must
	// not call the Fake.
	Answer func(a *Answer)
	// Batch sees the answers of a batch and returns what is sent instead.
	Batch func(batch []json.RawMessage) []json.RawMessage
	// HTTP sees the request and the answer's bytes. When it returns true it has
	// answered itself.
	HTTP func(w http.ResponseWriter, r *http.Request, answer []byte) bool
}

// Answer is the answer to one call: Result, or Error when that is not nil.
type Answer struct {
	Method string
	Params []json.RawMessage
	Result any
	Error  *RPCError
}

// RPCError is a JSON-RPC error object.
type RPCError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// NewFake starts a fake with a genesis block. open may be nil when nobody asks for
// Source.
func NewFake(t *testing.T, open Open) *Fake {
	t.Helper()
	f := &Fake{
		chainID: 1337,
		byHash:  map[payment.Hash]*FakeBlock{},
		calls:   map[string]int{},
		tokens: map[payment.Address]FakeToken{
			tokenAddress(): {Code: []byte{1}, Decimals: abiNumber(6), Symbol: abiText("USDC")},
			otherAddress(): {Code: []byte{2}, Decimals: abiNumber(6), Symbol: abiText("USDT")},
		},
	}
	f.append(nil)
	f.server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.server.Close)
	if open != nil {
		f.source = open(t, f.server.URL, "")
		t.Cleanup(f.source.Close)
	}
	return f
}

func tokenAddress() payment.Address  { return Account(201) }
func otherAddress() payment.Address  { return Account(202) }
func callerAddress() payment.Address { return Account(203) }
func payerAddress() payment.Address  { return Account(204) }

// URL is the fake's address.
func (f *Fake) URL() string { return f.server.URL }

// Source implements Bench.
func (f *Fake) Source() Source { return f.source }

// Token implements Bench.
func (f *Fake) Token() payment.Address { return tokenAddress() }

// Other implements Bench.
func (f *Fake) Other() payment.Address { return otherAddress() }

// Caller implements Bench.
func (f *Fake) Caller() payment.Address { return callerAddress() }

// Actor implements Bench.
func (f *Fake) Actor(i int) payment.Address { return actorAddress(i) }

// Payer implements Bench.
func (f *Fake) Payer() payment.Address { return payerAddress() }

// SetFaults changes what goes wrong from now on.
func (f *Fake) SetFaults(faults Faults) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = faults
}

// SetToken puts a contract at an address.
func (f *Fake) SetToken(at payment.Address, token FakeToken) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens[at] = token
}

// Calls counts the calls of a method so far.
func (f *Fake) Calls(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

// Head is the newest block, hidden or not.
func (f *Fake) Head() payment.BlockRef {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.head().BlockRef
}

// MineBlocks makes empty blocks and returns the newest.
func (f *Fake) MineBlocks(count int) payment.BlockRef {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range count {
		f.append(nil)
	}
	return f.head().BlockRef
}

// MineTxs makes one block of transactions of any kind.
func (f *Fake) MineTxs(txs ...*FakeTx) Mined {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mined(f.append(txs))
}

// MineBlock makes a block, letting change alter it before anybody sees it.
func (f *Fake) MineBlock(change func(*FakeBlock), txs ...*FakeTx) Mined {
	f.mu.Lock()
	defer f.mu.Unlock()
	block := f.append(txs)
	change(block)
	return f.mined(block)
}

func (f *Fake) mined(block *FakeBlock) Mined {
	hashes := make([]payment.Hash, len(block.Txs))
	for i, tx := range block.Txs {
		hashes[i] = tx.Hash
	}
	return Mined{BlockRef: block.BlockRef, Txs: hashes}
}

// Mine implements Bench.
func (f *Fake) Mine(t *testing.T, txs ...Tx) Mined {
	t.Helper()
	made := make([]*FakeTx, len(txs))
	for i, tx := range txs {
		made[i] = fakeTx(tx)
	}
	return f.MineTxs(made...)
}

// Reorg implements Bench.
func (f *Fake) Reorg(t *testing.T, depth, count int, keep Keep) []payment.BlockRef {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Less(t, depth, len(f.canonical))
	cut := len(f.canonical) - depth
	var txs []*FakeTx
	if keep == KeepTxs {
		for _, block := range f.canonical[cut:] {
			txs = append(txs, block.Txs...)
		}
	}
	f.canonical = f.canonical[:cut:cut]
	refs := make([]payment.BlockRef, count)
	for i := range refs {
		refs[i] = f.append(txs).BlockRef
		txs = nil
	}
	return refs
}

func (f *Fake) head() *FakeBlock { return f.canonical[len(f.canonical)-1] }

func (f *Fake) append(txs []*FakeTx) *FakeBlock {
	block := &FakeBlock{}
	block.Hash = f.newHash("block")
	block.Time = time.Unix(1_700_000_000, 0).UTC()
	if len(f.canonical) > 0 {
		parent := f.head()
		block.Number, block.Parent, block.Time = parent.Number+1, parent.Hash, parent.Time.Add(12*time.Second)
	}
	f.fill(block, txs)
	f.canonical = append(f.canonical, block)
	f.byHash[block.Hash] = block
	return block
}

func addToBloom(bloom *types.Bloom, logs []FakeLog) {
	for _, log := range logs {
		bloom.Add(log.Address.Bytes())
		for _, topic := range log.Topics {
			bloom.Add(topic[:])
		}
	}
}

func (f *Fake) newHash(kind string) payment.Hash {
	f.made++
	return keccak(binary.BigEndian.AppendUint64([]byte(kind), f.made))
}

func keccak(data []byte) payment.Hash {
	hasher := sha3.NewLegacyKeccak256()
	_, _ = hasher.Write(data) // a hash never fails to write
	return payment.Hash(hasher.Sum(nil))
}

// TransferTopic is the first topic of an ERC-20 Transfer.
func TransferTopic() payment.Hash { return keccak([]byte("Transfer(address,address,uint256)")) }

// TransferLog is a well-formed ERC-20 Transfer.
func TransferLog(token, from, to payment.Address, amount uint64) FakeLog {
	return FakeLog{
		Address: token,
		Topics:  []payment.Hash{TransferTopic(), Topic(from), Topic(to)},
		Data:    abiNumber(amount),
	}
}

func fakeTx(tx Tx) *FakeTx {
	switch tx := tx.(type) {
	case Native:
		return &FakeTx{From: payerAddress(), To: tx.To, Value: tx.Amount}
	case FailingNative:
		return &FakeTx{From: payerAddress(), To: tx.Token, Value: tx.Amount, Failed: true}
	case FailingToken:
		return &FakeTx{From: payerAddress(), To: tx.Token, Failed: true}
	case TokenTransfer:
		return &FakeTx{From: payerAddress(), To: tx.Token, Logs: []FakeLog{TransferLog(tx.Token, payerAddress(), tx.To, tx.Amount)}}
	case Multi:
		made := &FakeTx{From: payerAddress(), To: callerAddress()}
		for _, part := range tx {
			made.Logs = append(made.Logs, TransferLog(part.Token, callerAddress(), part.To, part.Amount))
		}
		return made
	case Script:
		var made uint64
		paid := &FakeTx{From: payerAddress(), To: actorAddress(0), Value: tx.Value}
		paid.Frames, paid.Failed = perform(actorAddress(0), tx.Value, tx.Acts, &made)
		return paid
	case RawLog:
		return &FakeTx{From: payerAddress(), To: tx.Token, Logs: []FakeLog{{Address: tx.Token, Topics: tx.Topics, Data: tx.Data}}}
	case Deploy:
		return &FakeTx{From: payerAddress()}
	default:
		panic("chaintest: unknown kind of transaction")
	}
}

func abiNumber(n uint64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 24), n)
}

func abiText(text string) []byte {
	out := append(abiNumber(32), abiNumber(uint64(len(text)))...)
	padded := make([]byte, (len(text)+31)/32*32)
	copy(padded, text)
	return append(out, padded...)
}
