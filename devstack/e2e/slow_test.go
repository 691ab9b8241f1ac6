package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest/faultproxy"
	"github.com/sluicepay/sluice/chain/chaintest/gethnode"
)

// slowChain is one more chain, whose blocks come when they are told to and whose node can be cut off.
type slowChain struct {
	node   *gethnode.Node
	proxy  *faultproxy.Proxy
	faucet *gethnode.Payer
}

const slowName, slowCoin, slowID = "slow", "SLOW", 31400

func (w *world) addSlowChain(ctx context.Context) error {
	s := &slowChain{}
	w.slow = s
	var err error
	if s.node, err = gethnode.Start(gethnode.Options{ChainID: slowID}); err != nil {
		return err
	}
	if s.proxy, err = faultproxy.Start(strings.TrimPrefix(s.node.HTTPURL(), "http://")); err != nil {
		return err
	}
	if s.faucet, err = s.node.Payer(ctx); err != nil {
		return err
	}
	_, err = w.Sluice(ctx, nil, "chain", "enable", slowName, "--mode", "test", "--chain-id", fmt.Sprint(slowID), "--native-symbol", slowCoin,
		"--block-time", "1s", "--confirmations", fmt.Sprint(confirmations), "--rpc", "http://"+s.proxy.Addr(), "--operator", "local")
	return err
}

func (s *slowChain) cutOff() { s.proxy.Set(faultproxy.Cut) }

func (s *slowChain) restore() { s.proxy.Set(faultproxy.Pass) }

// pay sends the chain's coin to an order's address. It is not mined yet.
func (s *slowChain) pay(t *testing.T, o order, amount string) {
	t.Helper()
	_, err := s.faucet.SendNative(t.Context(), common.HexToAddress(o.Address), baseUnits(t, amount, 18))
	require.NoError(t, err)
}

// mine seals blocks and returns the last one's time.
func (s *slowChain) mine(t *testing.T, blocks int) time.Time {
	t.Helper()
	_, err := s.node.Mine(blocks)
	require.NoError(t, err)
	return time.Unix(int64(s.node.Head().Time), 0)
}

func (s *slowChain) close() error {
	var errs []error
	if s.proxy != nil {
		errs = append(errs, s.proxy.Close())
	}
	if s.node != nil {
		errs = append(errs, s.node.Close())
	}
	return errors.Join(errs...)
}
