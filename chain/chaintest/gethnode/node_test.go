package gethnode

import (
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
)

type bundle struct {
	node  *Node
	payer *Payer
}

func setup(t *testing.T, opts Options) *bundle {
	t.Helper()
	node, err := Start(opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, node.Close()) })
	payer, err := node.Payer(t.Context())
	require.NoError(t, err)
	return &bundle{node: node, payer: payer}
}

// mined seals a block and returns the receipt, whatever its status.
func (b *bundle) mined(t *testing.T, hash common.Hash) *types.Receipt {
	t.Helper()
	_, err := b.node.Mine(1)
	require.NoError(t, err)
	receipt, err := b.payer.Wait(t.Context(), hash)
	if err != nil {
		require.ErrorIs(t, err, ErrReverted)
	}
	return receipt
}

func (b *bundle) token(t *testing.T, opts TokenOptions) common.Address {
	t.Helper()
	token, hash, err := b.payer.DeployToken(t.Context(), opts)
	require.NoError(t, err)
	require.Equal(t, types.ReceiptStatusSuccessful, b.mined(t, hash).Status)
	return token
}

func TestAnswersOnHTTPAndWebSocket(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{ChainID: 4242})
	for _, url := range []string{b.node.HTTPURL(), b.node.WSURL()} {
		client, err := rpc.DialContext(t.Context(), url)
		require.NoError(t, err)
		defer client.Close()
		var id hexutil.Uint64
		require.NoError(t, client.CallContext(t.Context(), &id, "eth_chainId"))
		require.EqualValues(t, 4242, id)
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	ctx := t.Context()
	token := b.token(t, TokenOptions{Symbol: "USDC", Decimals: 6})
	alice := common.HexToAddress("0xa11ce")

	mint, err := b.payer.Mint(ctx, token, b.payer.Address(), big.NewInt(1_000))
	require.NoError(t, err)
	require.Equal(t, types.ReceiptStatusSuccessful, b.mined(t, mint).Status)

	transfer, err := b.payer.Transfer(ctx, token, alice, big.NewInt(300))
	require.NoError(t, err)
	receipt := b.mined(t, transfer)
	require.Len(t, receipt.Logs, 1)
	require.Equal(t, []common.Hash{
		TransferTopic,
		common.BytesToHash(b.payer.Address().Bytes()),
		common.BytesToHash(alice.Bytes()),
	}, receipt.Logs[0].Topics)
	require.Equal(t, big.NewInt(300), new(big.Int).SetBytes(receipt.Logs[0].Data))
	require.Len(t, receipt.Logs[0].Data, 32)

	tooMuch, err := b.payer.Transfer(ctx, token, alice, big.NewInt(701))
	require.NoError(t, err)
	require.Equal(t, types.ReceiptStatusFailed, b.mined(t, tooMuch).Status)

	for owner, want := range map[common.Address]int64{alice: 300, b.payer.Address(): 700} {
		balance, err := b.payer.TokenBalance(ctx, token, owner)
		require.NoError(t, err)
		require.Equal(t, big.NewInt(want), balance)
	}
	require.Equal(t, "0x0000000000000000000000000000000000000000000000000000000000000006", b.call(t, token, "0x313ce567"))
	require.Equal(t, "0x"+
		"0000000000000000000000000000000000000000000000000000000000000020"+
		"0000000000000000000000000000000000000000000000000000000000000004"+
		"5553444300000000000000000000000000000000000000000000000000000000", b.call(t, token, "0x95d89b41"))
	require.Equal(t, "0x00000000000000000000000000000000000000000000000000000000000003e8", b.call(t, token, "0x18160ddd"))
}

func (b *bundle) call(t *testing.T, to common.Address, data string) string {
	t.Helper()
	var out string
	require.NoError(t, b.node.RPC().CallContext(t.Context(), &out, "eth_call",
		map[string]any{"to": to, "data": data}, "latest"))
	return out
}

func TestTokenEmitsAnyLog(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	token := b.token(t, TokenOptions{Symbol: "EVIL"})
	topics := []common.Hash{TransferTopic, {31: 1}, {31: 2}, {31: 3}}
	for count := range len(topics) + 1 {
		for _, data := range [][]byte{nil, {1, 2, 3}, make([]byte, 64)} {
			hash, err := b.payer.Send(t.Context(), Tx{To: &token, Data: EmitLogData(topics[:count], data)})
			require.NoError(t, err)
			receipt := b.mined(t, hash)
			require.Len(t, receipt.Logs, 1)
			require.Len(t, receipt.Logs[0].Topics, count)
			for i, topic := range receipt.Logs[0].Topics {
				require.Equal(t, topics[i], topic)
			}
			require.Equal(t, hexutil.Encode(data), hexutil.Encode(receipt.Logs[0].Data))
		}
	}
}

func TestCallerPaysManyInOneTransaction(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	ctx := t.Context()
	token := b.token(t, TokenOptions{Symbol: "NONE", NoReturn: true})
	caller, hash, err := b.payer.DeployCaller(ctx)
	require.NoError(t, err)
	require.Equal(t, types.ReceiptStatusSuccessful, b.mined(t, hash).Status)
	mint, err := b.payer.Mint(ctx, token, caller, big.NewInt(100))
	require.NoError(t, err)
	b.mined(t, mint)

	one, two := common.HexToAddress("0x1001"), common.HexToAddress("0x1002")
	pay, err := b.payer.Send(ctx, Tx{To: &caller, Value: big.NewInt(77), Data: CallerData(
		Call{To: token, Data: TransferData(one, big.NewInt(10))},
		Call{To: one, Value: big.NewInt(77)},
		Call{To: token, Data: TransferData(two, big.NewInt(20))},
	)})
	require.NoError(t, err)
	receipt := b.mined(t, pay)
	require.Equal(t, types.ReceiptStatusSuccessful, receipt.Status)
	require.Len(t, receipt.Logs, 2)

	failing, err := b.payer.Send(ctx, Tx{To: &caller, Gas: 500_000, Data: CallerData(
		Call{To: token, Data: TransferData(one, big.NewInt(10))},
		Call{To: token, Data: TransferData(one, big.NewInt(1_000_000))},
	)})
	require.NoError(t, err)
	require.Equal(t, types.ReceiptStatusFailed, b.mined(t, failing).Status)

	balance, err := b.payer.TokenBalance(ctx, token, one)
	require.NoError(t, err)
	require.Equal(t, big.NewInt(10), balance)
	var trace struct{ Calls []struct{ Value string } }
	require.NoError(t, b.node.RPC().CallContext(ctx, &trace, "debug_traceTransaction", pay, map[string]string{"tracer": "callTracer"}))
	require.Len(t, trace.Calls, 3)
	require.Equal(t, "0x4d", trace.Calls[1].Value)
}

func TestReorgBringsTransactionsBack(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	ctx := t.Context()
	alice := common.HexToAddress("0xa11ce")
	_, err := b.node.Mine(2)
	require.NoError(t, err)
	hash, err := b.payer.SendNative(ctx, alice, big.NewInt(5))
	require.NoError(t, err)
	before := b.mined(t, hash)
	_, err = b.node.Mine(1)
	require.NoError(t, err)

	hashes, err := b.node.Reorg(ReorgOptions{Depth: 2, Blocks: 3})
	require.NoError(t, err)
	require.Len(t, hashes, 3)
	require.EqualValues(t, 5, b.node.Head().Number.Uint64())
	after, err := b.payer.Wait(ctx, hash)
	require.NoError(t, err)
	require.Equal(t, before.BlockNumber, after.BlockNumber)
	require.NotEqual(t, before.BlockHash, after.BlockHash)
	require.Equal(t, hashes[0], after.BlockHash)
}

func TestReorgReplacesATransaction(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	ctx := t.Context()
	alice, bob := common.HexToAddress("0xa11ce"), common.HexToAddress("0xb0b")
	hash, err := b.payer.SendNative(ctx, alice, big.NewInt(5))
	require.NoError(t, err)
	b.mined(t, hash)

	var second common.Hash
	_, err = b.node.Reorg(ReorgOptions{Depth: 1, Blocks: 2, Drop: true, Before: func() error {
		b.payer.ForgetNonce()
		var err error
		second, err = b.payer.SendNative(ctx, bob, big.NewInt(5))
		return err
	}})
	require.NoError(t, err)
	_, err = b.payer.Wait(ctx, second)
	require.NoError(t, err)
	_, pending, err := b.payer.client.TransactionByHash(ctx, hash)
	require.Error(t, err)
	require.False(t, pending)
	require.Zero(t, b.node.PendingTransactions())
}

func TestReorgBelowGenesisIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	_, err := b.node.Reorg(ReorgOptions{Depth: 1, Blocks: 1})
	require.ErrorIs(t, err, ErrTooDeep)
}

func TestSealsByTimeUntilPaused(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{BlockTime: 20 * time.Millisecond})
	client, err := rpc.DialContext(t.Context(), b.node.WSURL())
	require.NoError(t, err)
	defer client.Close()
	heads := make(chan *types.Header, 100)
	sub, err := client.EthSubscribe(t.Context(), heads, "newHeads")
	require.NoError(t, err)
	defer sub.Unsubscribe()
	for range 3 {
		<-heads
	}
	b.node.Pause()
	at := b.node.Head().Number.Uint64()
	_, err = b.node.Mine(1)
	require.NoError(t, err)
	require.Equal(t, at+1, b.node.Head().Number.Uint64())
	b.node.Resume()
	await.Until(t, func() bool { return b.node.Head().Number.Uint64() > at+1 })
}

func TestRestartGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opts := Options{DataDir: dir, ChainID: 77}
	first := setup(t, opts)
	alice := common.HexToAddress("0xa11ce")
	hash, err := first.payer.SendNative(t.Context(), alice, big.NewInt(5))
	require.NoError(t, err)
	first.mined(t, hash)
	_, err = first.node.Mine(39)
	require.NoError(t, err)
	head, genesis := first.node.Head().Hash(), first.node.Genesis()
	require.NoError(t, first.node.Close())

	second := setup(t, opts)
	require.Equal(t, genesis, second.node.Genesis())
	require.EqualValues(t, 41, second.node.Head().Number.Uint64())
	require.Equal(t, head, second.node.Head().ParentHash)
	finalized := second.node.eth.BlockChain().CurrentFinalBlock()
	require.EqualValues(t, 32, finalized.Number.Uint64())
	receipt, err := second.payer.Wait(t.Context(), hash)
	require.NoError(t, err)
	require.EqualValues(t, 1, receipt.BlockNumber.Uint64())
	again, err := second.payer.SendNative(t.Context(), alice, big.NewInt(5))
	require.NoError(t, err)
	require.Equal(t, types.ReceiptStatusSuccessful, second.mined(t, again).Status)
}

func TestSurvivesAKill(t *testing.T) {
	t.Parallel()
	dir, copied := t.TempDir(), t.TempDir()
	b := setup(t, Options{DataDir: dir})
	hash, err := b.payer.SendNative(t.Context(), common.HexToAddress("0xa11ce"), big.NewInt(5))
	require.NoError(t, err)
	b.mined(t, hash)
	_, err = b.node.Mine(200)
	require.NoError(t, err)
	head := b.node.Head()
	// What a kill leaves: the folder as it is while the node still runs.
	require.NoError(t, os.CopyFS(filepath.Join(copied, "node"), os.DirFS(dir)))

	second := setup(t, Options{DataDir: filepath.Join(copied, "node")})
	require.Equal(t, head.Hash(), second.node.Head().ParentHash)
}

func TestPendingTransactionsAreSealedByClose(t *testing.T) {
	t.Parallel()
	opts := Options{DataDir: t.TempDir(), BlockTime: time.Hour}
	first := setup(t, opts)
	hash, err := first.payer.SendNative(t.Context(), common.HexToAddress("0xa11ce"), big.NewInt(5))
	require.NoError(t, err)
	require.NoError(t, first.node.Close())

	second := setup(t, opts)
	_, err = second.payer.Wait(t.Context(), hash)
	require.NoError(t, err)
}

func TestOtherGenesisIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := setup(t, Options{DataDir: dir, ChainID: 1})
	require.NoError(t, first.node.Close())
	_, err := Start(Options{DataDir: dir, ChainID: 2})
	require.Error(t, err)
}
