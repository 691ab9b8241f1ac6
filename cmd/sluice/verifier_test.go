package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/hd"
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// TestAddressesComeFromTheMerchantsOwnWalletOrTheDefault: an authentic wallet that derives the address is not enough.
func TestAddressesComeFromTheMerchantsOwnWalletOrTheDefault(t *testing.T) {
	t.Parallel()
	keys, _ := seal.NewRandomKeyring()
	mnemonic, err := hd.NewMnemonic(12)
	require.NoError(t, err)
	key, err := hd.AccountXPub(mnemonic, "")
	require.NoError(t, err)
	address, err := key.Derive(7)
	require.NoError(t, err)
	for owner, fine := range map[payment.MerchantID]bool{"": true, "mer_own": true, "mer_thief": false} {
		w := store.Wallet{
			ID: payment.NewXPubID(), Family: payment.FamilyEVM, Merchant: owner, Xpub: seal.NewSecret(key.Reveal()), Path: hd.AccountPath,
		}
		w.MAC = w.Sign(*keys)
		err := addressVerifier{keys: keys}.VerifyAddress(store.Origin{Merchant: "mer_own", Wallet: w, Index: 7, Address: address})
		if fine {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, "another merchant")
		}
	}
}
