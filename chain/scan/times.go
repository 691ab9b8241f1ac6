package scan

import (
	"context"
	"slices"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// agreeOnTimes establishes the times that rules will need: those of blocks with candidates for somebody of ours, and that of the
// last block, which is the chain's clock. What a header proves costs no question. A time that stays one operator's word keeps
// nothing from being recorded.
func (r *run) agreeOnTimes(ctx context.Context, blocks []chain.Block, views []view, known []payment.Address) {
	keeper, several := r.Source.(chain.Timekeeper)
	ours := make(map[payment.Address]bool, len(known))
	for _, address := range known {
		ours[address] = true
	}
	for i := range blocks {
		block := &blocks[i]
		for _, v := range views {
			if shown := v.blocks[i].BlockRef; !block.TimeBasis.Established() && shown.TimeBasis == payment.TimeProven {
				block.Time, block.TimeBasis = shown.Time, shown.TimeBasis
			}
		}
		concerns := func(c chain.Candidate) bool { return ours[c.To] }
		if several && (i == len(blocks)-1 || slices.ContainsFunc(block.Candidates, concerns)) {
			block.BlockRef = keeper.AgreeOnTime(ctx, block.BlockRef)
		}
	}
}
