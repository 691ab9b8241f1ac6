package scan

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// maxAttempts bounds how often a batch is completed and recorded again because
// addresses keep being issued in between.
const maxAttempts = 10

// recordFunc is Recorder.Record, or RecordRescan for one rescan.
type recordFunc func(ctx context.Context, session Session, batch Batch) (Recorded, error)

// record completes the candidates that concern us, each operator's from that operator's receipts, and records the blocks. It returns
// errUnheard, and records nothing, when others should be heard first.
func (r *run) record(ctx context.Context, with reading, views []view, write recordFunc) error {
	known, err := r.known(ctx, views)
	if err != nil {
		return err
	}
	r.pass(PointMatched)
	for range maxAttempts {
		if views, err = with.resolved(ctx, views, known); err != nil {
			return err
		}
		r.pass(PointResolved)
		blocks := merged(views)
		r.agreeOnTimes(ctx, blocks, views, known)
		batch := Batch{Blocks: blocks, Filter: with.filter, ByHash: with.byHash}
		for _, v := range views {
			if v.operator != "" {
				batch.Views = append(batch.Views, View{Operator: v.operator, Blocks: v.blocks})
			}
		}
		_, err := write(ctx, r.session, batch)
		unresolved, ok := errors.AsType[*UnresolvedError](err)
		switch {
		case err == nil:
			r.pass(PointRecorded)
			return nil
		case !ok:
			return fmt.Errorf("record blocks %d to %d: %w", blocks[0].Number, blocks[len(blocks)-1].Number, err)
		}
		known = unresolved.Recipients
	}
	return fmt.Errorf("record from block %d on: recipients keep appearing", views[0].blocks[0].Number)
}

func (r *run) known(ctx context.Context, views []view) ([]payment.Address, error) {
	list := recipients(views)
	if len(list) == 0 {
		return nil, nil
	}
	known, err := r.Recorder.Known(ctx, r.session, list)
	if err != nil {
		return nil, fmt.Errorf("match recipients: %w", err)
	}
	return known, nil
}

// recipients lists every recipient once.
func recipients(views []view) []payment.Address {
	var list []payment.Address
	seen := map[payment.Address]bool{}
	for _, v := range views {
		for i := range v.blocks {
			for j := range v.blocks[i].Candidates {
				if to := v.blocks[i].Candidates[j].To; !seen[to] {
					seen[to] = true
					list = append(list, to)
				}
			}
		}
	}
	return list
}

// behind is what is looked for in blocks that are read in ranges: without the transfers of every contract, which are many and
// no money. They are asked for by recipient afterwards.
func behind(filter chain.Filter) chain.Filter {
	filter.AnyToken = false
	return filter
}

// resolved completes every view, and leaves out those without receipts as long as enough are left. Who lies in receipts only, or
// does not give them, has looked like everybody else until now: it returns errUnheard when there is somebody who can tell.
func (w reading) resolved(ctx context.Context, views []view, known []payment.Address) ([]view, error) {
	complete := make([]view, 0, len(views))
	var failed error
	for _, v := range views {
		switch err := resolve(ctx, v.source, w.filter, v.blocks, known); {
		case err == nil:
			complete = append(complete, v)
		case ctx.Err() != nil:
			return nil, err
		default:
			failed = err
		}
	}
	switch {
	case w.unheard() && (failed != nil || !alike(complete)):
		w.account.all = true
		return nil, errUnheard
	case len(complete) < w.least():
		return nil, failed
	default:
		return complete, nil
	}
}

// resolve completes, in place, the candidates whose recipient is known and that the filter names: the coin and its tokens. The
// receipts of tokens that nobody enabled are not worth reading, and there may be very many.
func resolve(ctx context.Context, source chain.Source, filter chain.Filter, blocks []chain.Block, known []payment.Address) error {
	if len(known) == 0 {
		return nil
	}
	ours := make(map[payment.Address]bool, len(known))
	for _, address := range known {
		ours[address] = true
	}
	tokens := make(map[payment.Address]bool, len(filter.Tokens))
	for _, token := range filter.Tokens {
		tokens[token] = true
	}
	concerns := func(c chain.Candidate) bool { return ours[c.To] && (c.Native || tokens[c.Contract]) }
	for i := range blocks {
		if err := resolveBlock(ctx, source, &blocks[i], concerns); err != nil {
			return err
		}
	}
	return nil
}

func resolveBlock(ctx context.Context, source chain.Source, block *chain.Block, concerns func(chain.Candidate) bool) error {
	var open []chain.Candidate
	var places []int
	for i := range block.Candidates {
		if c := block.Candidates[i]; c.Resolution == chain.Unresolved && concerns(c) {
			open, places = append(open, c), append(places, i)
		}
	}
	if len(open) == 0 {
		return nil
	}
	done, err := source.Resolve(ctx, block.BlockRef, open)
	if err != nil {
		return fmt.Errorf("read receipts of block %d: %w", block.Number, err)
	}
	if len(done) != len(open) {
		return fmt.Errorf("%w: %d of %d candidates resolved", chain.ErrInconsistent, len(done), len(open))
	}
	for i, place := range places {
		block.Candidates[place] = done[i]
	}
	return nil
}
