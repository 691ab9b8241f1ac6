package gethnode

import (
	"maps"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/eth/ethconfig"
	"github.com/ethereum/go-ethereum/params"
)

// Genesis is the block 0 of a node with this chain id: all forks of public networks from the start, and the faucet's money.
// more are further balances in wei.
func Genesis(chainID uint64, more map[common.Address]*big.Int) *core.Genesis {
	chain := *params.AllDevChainProtocolChanges
	chain.ChainID = new(big.Int).SetUint64(chainID)
	chain.BogotaTime = nil // stay on the forks that public networks run

	alloc := core.SystemContractAllocs()
	// 2^120 wei: more than any test spends, far from overflowing a sum.
	rich := new(big.Int).Lsh(big.NewInt(1), 120)
	alloc[FaucetAddress()] = types.Account{Balance: rich}
	extra := make(types.GenesisAlloc, len(more))
	for address, wei := range more {
		extra[address] = types.Account{Balance: new(big.Int).Set(wei)}
	}
	maps.Copy(alloc, extra)
	return &core.Genesis{
		Config: &chain,
		// The chain id is not part of a genesis hash by itself. Nodes with different
		// ids must differ there: that is how a folder or an endpoint of another chain
		// is recognised.
		ExtraData:  chain.ChainID.FillBytes(make([]byte, 32)),
		GasLimit:   ethconfig.Defaults.Miner.GasCeil,
		Difficulty: new(big.Int),
		BaseFee:    big.NewInt(params.InitialBaseFee),
		Alloc:      alloc,
	}
}
