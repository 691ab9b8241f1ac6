package gethnode

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"
)

// Delegate sends an EIP-7702 transaction that gives the account of owner the code of a contract. The payer pays; owner only
// signs. It counts once its transaction is mined.
func (p *Payer) Delegate(ctx context.Context, owner *ecdsa.PrivateKey, code common.Address) (common.Hash, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	nonce, err := p.nonce(ctx, nil)
	if err != nil {
		return common.Hash{}, err
	}
	account := crypto.PubkeyToAddress(owner.PublicKey)
	ownerNonce, err := p.client.PendingNonceAt(ctx, account)
	if err != nil {
		return common.Hash{}, fmt.Errorf("read nonce: %w", err)
	}
	chainID := uint256.MustFromBig(p.chainID)
	authorization, err := types.SignSetCode(owner, types.SetCodeAuthorization{ChainID: *chainID, Address: code, Nonce: ownerNonce})
	if err != nil {
		return common.Hash{}, fmt.Errorf("sign authorization: %w", err)
	}
	tip := big.NewInt(1_000_000_000)
	signed, err := types.SignNewTx(p.key, types.LatestSignerForChainID(p.chainID), &types.SetCodeTx{
		ChainID: chainID, Nonce: nonce, GasTipCap: uint256.MustFromBig(tip),
		GasFeeCap: uint256.MustFromBig(new(big.Int).Add(tip, big.NewInt(100_000_000_000))),
		Gas:       200_000, To: p.address, Value: new(uint256.Int), AuthList: []types.SetCodeAuthorization{authorization},
	})
	if err != nil {
		return common.Hash{}, fmt.Errorf("sign transaction: %w", err)
	}
	if err := p.client.SendTransaction(ctx, signed); err != nil {
		return common.Hash{}, fmt.Errorf("send transaction: %w", err)
	}
	nonce++
	p.next = &nonce
	return signed.Hash(), nil
}
