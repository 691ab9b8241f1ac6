package chaintest

import (
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// sweep: transfers of whatever contract are found by recipient, for more recipients than one question takes.
func (s *suite) sweep() {
	sweeper, ok := s.source.(chain.TokenSweeper)
	if !ok {
		return
	}
	first := s.mine(
		TokenTransfer{Token: s.Other(), To: Account(1), Amount: 7},
		TokenTransfer{Token: s.Token(), To: Account(2), Amount: 8},
	)
	last := s.mine(
		Multi{{Token: s.Token(), To: Account(3), Amount: 9}, {Token: s.Other(), To: Account(1), Amount: 10}},
		RawLog{Token: s.Other(), Topics: []payment.Hash{TransferTopic(), Topic(Account(8)), Topic(Account(1))}, Data: abiNumber(0)},
	)
	recipients := []payment.Address{Account(3)}
	for i := range 1_500 {
		raw := make([]byte, 20)
		raw[0], raw[1], raw[2] = 1, byte(i>>8), byte(i)
		recipients = append(recipients, payment.Address{Family: payment.FamilyEVM, Raw: string(raw)})
	}
	found, err := sweeper.TransfersTo(s.Context(), first.Number, last.Number, append(recipients, Account(1)))
	require.NoError(s, err)
	amounts := map[string]uint64{}
	for _, f := range found {
		amounts[f.Amount.String()] = f.BlockNumber
		require.Contains(s, []payment.Hash{first.Hash, last.Hash}, f.BlockHash)
	}
	require.Len(s, found, 3)
	require.Equal(s, map[string]uint64{"7": first.Number, "9": last.Number, "10": last.Number}, amounts)
	_, err = sweeper.TransfersTo(s.Context(), first.Number, last.Number+10, []payment.Address{Account(1)})
	require.Error(s, err, "a node that lacks the last block has no answer")
}
