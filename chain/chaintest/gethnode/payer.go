package gethnode

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"
)

// FaucetKey is the key that holds the genesis money of every node of this
// package. It is public: it must never hold money on a real network.
func FaucetKey() *ecdsa.PrivateKey { return Key("faucet") }

// FaucetAddress is the address of FaucetKey.
func FaucetAddress() common.Address { return crypto.PubkeyToAddress(FaucetKey().PublicKey) }

// Key is the test key that belongs to name. It is public, like the name.
func Key(name string) *ecdsa.PrivateKey {
	seed := crypto.Keccak256([]byte("sluice development key " + name))
	key, err := crypto.ToECDSA(seed)
	if err != nil {
		panic(fmt.Sprintf("key %q: %v", name, err)) // one name in 2^128
	}
	return key
}

// receiptPoll is how often Wait asks for a receipt: the node tells nobody when a
// transaction is mined.
const receiptPoll = 20 * time.Millisecond

// ErrReverted is returned by Wait for a transaction that was mined and failed.
var ErrReverted = errors.New("transaction reverted")

// Payer sends transactions from one key. Several may be sent before a block is
// mined. Methods may be called concurrently; two Payers with one key may not, they
// would pick the same nonce. Sending returns as soon as the node's pool has the
// transaction; nothing here mines.
//
// Nonces are counted here, because right after a block the node's pool answers with
// old ones for a moment. The node is asked first, and again when it refuses one.
type Payer struct {
	key     *ecdsa.PrivateKey
	address common.Address
	client  *ethclient.Client
	chainID *big.Int

	mu   sync.Mutex // one transaction at a time: nonce, then send
	next *uint64    // nil: ask the node
}

// NewPayer returns a payer that sends through client.
func NewPayer(ctx context.Context, client *rpc.Client, key *ecdsa.PrivateKey) (*Payer, error) {
	eth := ethclient.NewClient(client)
	chainID, err := eth.ChainID(ctx)
	if err != nil {
		return nil, fmt.Errorf("read chain id: %w", err)
	}
	return &Payer{
		key:     key,
		address: crypto.PubkeyToAddress(key.PublicKey),
		client:  eth,
		chainID: chainID,
	}, nil
}

// Address is the address that pays.
func (p *Payer) Address() common.Address { return p.address }

// Tx is a transaction to send. The zero value of a field takes its default.
type Tx struct {
	To    *common.Address // nil creates a contract
	Value *big.Int        // wei; nil is 0
	Data  []byte
	Gas   uint64  // 0 is estimated; a call that will revert needs it set
	Nonce *uint64 // nil is the next one
	// Tip is the priority fee in wei per gas; nil is 1 gwei. A transaction that
	// replaces a pending one with the same nonce has to pay at least 10 % more.
	Tip *big.Int
}

// Send signs and sends a transaction and returns its hash.
func (p *Payer) Send(ctx context.Context, tx Tx) (common.Hash, error) {
	sent, err := p.send(ctx, tx)
	if err != nil {
		return common.Hash{}, err
	}
	return sent.Hash(), nil
}

// ForgetNonce makes the next transaction ask the node for its nonce: after a
// reorganisation that dropped transactions, or when somebody else used the key.
func (p *Payer) ForgetNonce() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = nil
}

func (p *Payer) send(ctx context.Context, tx Tx) (*types.Transaction, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	signed, err := p.signAndSend(ctx, tx)
	if err != nil && tx.Nonce == nil && strings.Contains(err.Error(), "nonce too low") {
		p.next = nil
		signed, err = p.signAndSend(ctx, tx)
	}
	if err != nil {
		return nil, err
	}
	if tx.Nonce == nil {
		next := signed.Nonce() + 1
		p.next = &next
	}
	return signed, nil
}

func (p *Payer) signAndSend(ctx context.Context, tx Tx) (*types.Transaction, error) {
	signed, err := p.sign(ctx, tx)
	if err != nil {
		return nil, err
	}
	if err := p.client.SendTransaction(ctx, signed); err != nil {
		return nil, fmt.Errorf("send transaction: %w", err)
	}
	return signed, nil
}

func (p *Payer) sign(ctx context.Context, tx Tx) (*types.Transaction, error) {
	nonce, err := p.nonce(ctx, tx.Nonce)
	if err != nil {
		return nil, err
	}
	if tx.Value == nil {
		tx.Value = new(big.Int)
	}
	if tx.Tip == nil {
		tx.Tip = big.NewInt(1_000_000_000)
	}
	if tx.Gas == 0 {
		tx.Gas, err = p.client.EstimateGas(ctx, ethereum.CallMsg{From: p.address, To: tx.To, Value: tx.Value, Data: tx.Data})
		if err != nil {
			return nil, fmt.Errorf("estimate gas: %w", err)
		}
		// The estimate is for the state as it is now; another transaction may be
		// mined first and make a storage slot dearer.
		tx.Gas += tx.Gas/2 + 10_000
	}
	feeCap := new(big.Int).Add(tx.Tip, big.NewInt(100_000_000_000))
	return types.SignNewTx(p.key, types.LatestSignerForChainID(p.chainID), &types.DynamicFeeTx{
		ChainID: p.chainID, Nonce: nonce, GasTipCap: tx.Tip, GasFeeCap: feeCap,
		Gas: tx.Gas, To: tx.To, Value: tx.Value, Data: tx.Data,
	})
}

func (p *Payer) nonce(ctx context.Context, wanted *uint64) (uint64, error) {
	switch {
	case wanted != nil:
		return *wanted, nil
	case p.next != nil:
		return *p.next, nil
	}
	nonce, err := p.client.PendingNonceAt(ctx, p.address)
	if err != nil {
		return 0, fmt.Errorf("read nonce: %w", err)
	}
	return nonce, nil
}

// SendNative sends wei to an address.
func (p *Payer) SendNative(ctx context.Context, to common.Address, wei *big.Int) (common.Hash, error) {
	return p.Send(ctx, Tx{To: &to, Value: wei})
}

// DeployToken sends the creation of a test token and returns the address it will
// have. The creation counts once its transaction is mined.
func (p *Payer) DeployToken(ctx context.Context, opts TokenOptions) (common.Address, common.Hash, error) {
	code, err := tokenCode(opts)
	if err != nil {
		return common.Address{}, common.Hash{}, err
	}
	return p.deploy(ctx, code)
}

// DeployCaller sends the creation of the contract that CallerData is for.
func (p *Payer) DeployCaller(ctx context.Context) (common.Address, common.Hash, error) {
	return p.deploy(ctx, deployer(assemble(callerSource)))
}

func (p *Payer) deploy(ctx context.Context, code []byte) (common.Address, common.Hash, error) {
	sent, err := p.send(ctx, Tx{Data: code})
	if err != nil {
		return common.Address{}, common.Hash{}, err
	}
	return crypto.CreateAddress(p.address, sent.Nonce()), sent.Hash(), nil
}

// Mint creates amount base units of a test token for an address.
func (p *Payer) Mint(ctx context.Context, token, to common.Address, amount *big.Int) (common.Hash, error) {
	return p.Send(ctx, Tx{To: &token, Data: MintData(to, amount)})
}

// Transfer sends amount base units of a token to an address. It does not ask the
// token whether that will succeed: a failing transfer is mined and reverts.
func (p *Payer) Transfer(ctx context.Context, token, to common.Address, amount *big.Int) (common.Hash, error) {
	return p.Send(ctx, Tx{To: &token, Data: TransferData(to, amount), Gas: 100_000})
}

// TokenBalance reads balanceOf, in base units.
func (p *Payer) TokenBalance(ctx context.Context, token, owner common.Address) (*big.Int, error) {
	data := append(crypto.Keccak256([]byte("balanceOf(address)"))[:4], common.LeftPadBytes(owner.Bytes(), 32)...)
	out, err := p.client.CallContract(ctx, ethereum.CallMsg{To: &token, Data: data}, nil)
	if err != nil {
		return nil, fmt.Errorf("read token balance: %w", err)
	}
	return new(big.Int).SetBytes(out), nil
}

// Wait returns a transaction's receipt as soon as it is mined, or the context's
// error. A transaction that failed gives its receipt and ErrReverted.
func (p *Payer) Wait(ctx context.Context, hash common.Hash) (*types.Receipt, error) {
	ticker := time.NewTicker(receiptPoll)
	defer ticker.Stop()
	for {
		receipt, err := p.client.TransactionReceipt(ctx, hash)
		switch {
		case err == nil && receipt.Status == types.ReceiptStatusSuccessful:
			return receipt, nil
		case err == nil:
			return receipt, ErrReverted
		case !errors.Is(err, ethereum.NotFound) && !strings.Contains(err.Error(), "indexing is in progress"):
			return nil, fmt.Errorf("read receipt: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for receipt: %w", ctx.Err())
		case <-ticker.C:
		}
	}
}
