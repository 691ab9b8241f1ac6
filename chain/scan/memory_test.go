package scan_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
)

// memory is a Recorder in memory that keeps the interface's promises literally.
type memory struct {
	mu sync.Mutex

	session  scan.Session // what Begin returns, but for the epoch
	epoch    int64
	cursor   *payment.BlockRef
	refs     []payment.BlockRef // remembered, ascending
	filter   chain.Filter
	paused   bool
	halted   string
	rescans  []scan.Rescan
	issued   map[payment.Address]bool
	payments map[identity]*paid
	covered  map[uint64]chain.Filter
	given    map[uint64]string // quarantined, with the reason
	final    uint64
	marks    []payment.BlockRef // recorded once, ascending
	twice    map[uint64]bool    // read a second time
	byHash   map[uint64]bool    // read by themselves, not in ranges only
	later    []uint64           // second looks that were left for later
	found    int                // by second looks
	head     uint64
	changed  chan struct{} // closed and replaced at every change

	// Hooks of tests; they run without the lock.
	beforeRecord func()
	afterRecord  func() error // its error is returned although the batch is recorded
	failing      error
	onHalt       func() // under the lock
}

// identity is what makes a payment that payment.
type identity struct {
	tx       payment.Hash
	native   bool
	position uint32
}

// paid is a payment with its inclusions, newest last.
type paid struct {
	inclusions []included
}

type included struct {
	block     payment.BlockRef
	transfer  payment.Transfer
	canonical bool
	refuted   bool
}

var _ scan.Recorder = (*memory)(nil)

func newMemory(session scan.Session, filter chain.Filter) *memory {
	return &memory{
		session: session, filter: filter, issued: map[payment.Address]bool{}, payments: map[identity]*paid{},
		covered: map[uint64]chain.Filter{}, given: map[uint64]string{}, twice: map[uint64]bool{},
		byHash: map[uint64]bool{}, changed: make(chan struct{}),
	}
}

// change runs f under the lock and wakes who waits for something.
func (m *memory) change(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *memory) issue(addresses ...payment.Address) {
	m.change(func() {
		for _, address := range addresses {
			m.issued[address] = true
		}
	})
}

func (m *memory) Begin(_ context.Context, name string) (scan.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	session := m.session
	session.Chain, session.Epoch = name, m.epoch
	return session, nil
}

func (m *memory) fence(s scan.Session) error {
	switch {
	case m.failing != nil:
		return m.failing
	case s.Epoch != m.epoch:
		return scan.ErrFenced
	}
	return nil
}

func (m *memory) Watch(_ context.Context, s scan.Session) (scan.Watch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fence(s); err != nil {
		return scan.Watch{}, err
	}
	watch := scan.Watch{Filter: m.filter, Paused: m.paused, Halted: m.halted != "", SecondLook: m.secondLook()}
	if watch.SecondLook != nil && !watch.SecondLook.InRanges {
		watch.Ranged = watch.SecondLook.To - watch.SecondLook.From + 1
	}
	if m.cursor != nil {
		cursor := *m.cursor
		watch.Cursor = &cursor
	}
	for _, job := range m.rescans {
		if job.Next <= job.To {
			watch.Rescans = append(watch.Rescans, job)
		}
	}
	return watch, nil
}

func (m *memory) ObserveHead(_ context.Context, s scan.Session, head payment.BlockRef) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fence(s); err != nil {
		return err
	}
	m.head = max(m.head, head.Number)
	return nil
}

// secondLook is the lowest run of blocks that were read in ranges only, or of final ones that were read once.
func (m *memory) secondLook() *scan.Rescan {
	if m.cursor == nil {
		return nil
	}
	ranged := m.lowest(m.cursor.Number, func(number uint64) bool {
		_, covered := m.covered[number]
		return covered && !m.byHash[number] && !m.planned(number)
	})
	if ranged != nil {
		return ranged
	}
	job := m.lowest(min(m.final, m.cursor.Number), func(number uint64) bool { return !m.twice[number] && !m.planned(number) })
	if job != nil {
		job.InRanges = true
	}
	return job
}

// forget has blocks up to a height looked at again.
func (m *memory) forget(last uint64) {
	m.change(func() {
		clear(m.twice)
		maps.DeleteFunc(m.byHash, func(number uint64, _ bool) bool { return number <= last })
	})
}

// planned tells whether a rescan will read a block.
func (m *memory) planned(number uint64) bool {
	return slices.ContainsFunc(m.rescans, func(job scan.Rescan) bool { return job.Next <= number && number <= job.To })
}

// lowest is the lowest run of blocks of which something holds.
func (m *memory) lowest(last uint64, holds func(uint64) bool) *scan.Rescan {
	var job *scan.Rescan
	for number := m.session.Start; number <= last; number++ {
		switch {
		case holds(number) && job == nil:
			job = &scan.Rescan{From: number, To: number, Next: number, Second: true}
		case holds(number):
			job.To = number
		case job != nil:
			return job
		}
	}
	return job
}

func (m *memory) LookLater(_ context.Context, s scan.Session, job scan.Rescan) (err error) {
	m.change(func() {
		if err = m.fence(s); err == nil {
			number := job.Next
			for i := range m.rescans {
				if m.rescans[i].ID == job.ID && !job.Second {
					m.rescans[i].Next++
				}
			}
			m.later = append(m.later, number)
			m.rescans = append(m.rescans, scan.Rescan{ID: 2000 + int64(number), From: number, To: number, Next: number})
		}
	})
	return err
}

func (m *memory) ObserveFinal(_ context.Context, s scan.Session, final *payment.BlockRef) (err error) {
	m.change(func() {
		if err = m.fence(s); err != nil || m.cursor == nil {
			return
		}
		if final != nil && final.Number <= m.cursor.Number && m.matches(*final) {
			m.final = max(m.final, final.Number)
		}
		if n := len(m.marks); n == 0 || m.marks[n-1].Number < m.cursor.Number {
			m.marks = append(m.marks, *m.cursor)
		}
	})
	return err
}

func (m *memory) Remembered(_ context.Context, s scan.Session, below uint64, limit int) ([]payment.BlockRef, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	byNumber := map[uint64]payment.BlockRef{}
	for _, p := range m.payments {
		if last := p.inclusions[len(p.inclusions)-1]; last.canonical {
			byNumber[last.block.Number] = last.block
		}
	}
	for _, ref := range append(slices.Clone(m.marks), m.refs...) {
		byNumber[ref.Number] = ref
	}
	var refs []payment.BlockRef
	for _, number := range slices.Backward(slices.Sorted(maps.Keys(byNumber))) {
		if number <= below && len(refs) < limit {
			refs = append(refs, byNumber[number])
		}
	}
	return refs, m.fence(s)
}

func (m *memory) Known(_ context.Context, _ scan.Session, addresses []payment.Address) ([]payment.Address, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var known []payment.Address
	for _, address := range addresses {
		if m.issued[address] {
			known = append(known, address)
		}
	}
	return known, nil
}

func (m *memory) Record(_ context.Context, s scan.Session, batch scan.Batch) (scan.Recorded, error) {
	if m.beforeRecord != nil {
		m.beforeRecord()
	}
	recorded, err := m.record(s, batch)
	if err == nil && m.afterRecord != nil {
		err = m.afterRecord()
	}
	return recorded, err
}

func (m *memory) record(s scan.Session, batch scan.Batch) (recorded scan.Recorded, err error) {
	m.change(func() {
		first, last := batch.Blocks[0], batch.Blocks[len(batch.Blocks)-1]
		if err = m.fence(s); err != nil {
			return
		}
		if m.cursor == nil && first.Number != s.Start || m.cursor != nil && first.Parent != m.cursor.Hash {
			err = scan.ErrParentMismatch
			return
		}
		if err = m.unresolved(batch); err != nil {
			return
		}
		recorded = m.place(batch)
		for _, block := range batch.Blocks {
			m.refs = append(m.refs, block.BlockRef)
		}
		m.cursor = &last.BlockRef
		if keep := int(s.Horizon) + 1; len(m.refs) > keep {
			m.refs = slices.Clone(m.refs[len(m.refs)-keep:])
		}
	})
	return recorded, err
}

func (m *memory) Quarantine(_ context.Context, s scan.Session, batch scan.Batch, reason string) error {
	_, err := m.record(s, batch)
	if err != nil {
		return err
	}
	m.change(func() {
		number := batch.Blocks[0].Number
		m.given[number] = reason
		if !batch.Filter.Native && len(batch.Filter.Tokens) == 0 {
			delete(m.covered, number)
		}
		m.rescans = append(m.rescans, scan.Rescan{ID: 1000 + int64(number), From: number, To: number, Next: number})
	})
	return nil
}

func (m *memory) unresolved(batch scan.Batch) error {
	var missing []payment.Address
	for _, block := range batch.Blocks {
		for _, c := range block.Candidates {
			if m.issued[c.To] && c.Resolution == chain.Unresolved {
				missing = append(missing, c.To)
			}
		}
	}
	if missing != nil {
		return &scan.UnresolvedError{Recipients: missing}
	}
	return nil
}

func (m *memory) place(batch scan.Batch) scan.Recorded {
	var recorded scan.Recorded
	for _, block := range batch.Blocks {
		m.covered[block.Number] = batch.Filter
		if batch.ByHash {
			m.byHash[block.Number] = true
		}
		for _, c := range block.Candidates {
			if !m.issued[c.To] || c.Resolution != chain.Resolved || denied(batch, block.Hash, c) {
				continue
			}
			recorded.Matched++
			id := identity{tx: c.TxHash, native: c.Native, position: c.Position}
			p := m.payments[id]
			if p == nil {
				p = &paid{}
				m.payments[id] = p
			}
			if n := len(p.inclusions); n > 0 && p.inclusions[n-1].canonical {
				if p.inclusions[n-1].block.Hash == block.Hash || !vouched(batch, block.Hash, c) {
					continue // recorded before
				}
				p.inclusions[n-1].canonical = false // the chain has it once
			} else if n > 0 && p.inclusions[n-1].refuted && p.inclusions[n-1].transfer == c.Transfer {
				continue // shown by too few
			}
			recorded.New++
			p.inclusions = append(p.inclusions, included{block: block.BlockRef, transfer: c.Transfer, canonical: true})
		}
	}
	return recorded
}

func (m *memory) RecordRescan(_ context.Context, s scan.Session, job scan.Rescan, batch scan.Batch) (recorded scan.Recorded, err error) {
	m.change(func() {
		if err = m.fence(s); err != nil {
			return
		}
		for _, block := range batch.Blocks {
			if m.cursor == nil || block.Number > m.cursor.Number || !m.matches(block.BlockRef) {
				err = scan.ErrParentMismatch
				return
			}
		}
		if err = m.unresolved(batch); err != nil {
			return
		}
		if m.twiceIn(batch) {
			err = fmt.Errorf("%w: a transfer is in two blocks", chain.ErrInconsistent)
			return
		}
		if job.Second && !batch.ByHash {
			if m.differs(batch) {
				err = scan.ErrHearsay
				return
			}
			batch.Views = nil // ranges refute nothing
		}
		refuted := m.refute(job, batch)
		recorded = m.place(batch)
		recorded.Refuted = refuted
		for _, block := range batch.Blocks {
			delete(m.given, block.Number)
			m.twice[block.Number] = m.twice[block.Number] || job.Second
		}
		if job.Second {
			m.found += recorded.New
			return
		}
		for i := range m.rescans {
			if m.rescans[i].ID == job.ID {
				m.rescans[i].Next = max(m.rescans[i].Next, batch.Blocks[len(batch.Blocks)-1].Number+1)
			}
		}
	})
	return recorded, err
}

// twiceIn tells whether a batch shows a transfer to one of ours twice.
func (m *memory) twiceIn(batch scan.Batch) bool {
	seen := map[identity]bool{}
	for _, block := range batch.Blocks {
		for _, c := range block.Candidates {
			id := identity{tx: c.TxHash, native: c.Native, position: c.Position}
			if !m.issued[c.To] || c.Resolution != chain.Resolved {
				continue
			}
			if seen[id] {
				return true
			}
			seen[id] = true
		}
	}
	return false
}

// differs tells whether blocks show anything else than what is recorded of them, to any operator.
func (m *memory) differs(batch scan.Batch) bool {
	views := [][]chain.Block{batch.Blocks}
	for _, view := range batch.Views {
		views = append(views, view.Blocks)
	}
	for _, blocks := range views {
		for _, block := range blocks {
			recorded, shown := map[payment.Transfer]bool{}, map[payment.Transfer]bool{}
			for _, p := range m.payments {
				if last := p.inclusions[len(p.inclusions)-1]; last.canonical && last.block.Number == block.Number {
					recorded[last.transfer] = true
				}
			}
			for _, c := range block.Candidates {
				if m.issued[c.To] && c.Resolution == chain.Resolved {
					shown[c.Transfer] = true
				}
			}
			if !maps.Equal(recorded, shown) {
				return true
			}
		}
	}
	return false
}

// vouched tells whether two operators, and most of them, show a transfer in a block.
func vouched(batch scan.Batch, hash payment.Hash, c chain.Candidate) bool {
	shown := 0
	for _, view := range batch.Views {
		for _, block := range view.Blocks {
			if block.Hash == hash && slices.Contains(block.Candidates, c) {
				shown++
			}
		}
	}
	return shown > 1 && 2*shown > len(batch.Views)
}

// denied tells whether two operators, and more than show it, do not show a transfer in a block in which they looked for it.
func denied(batch scan.Batch, hash payment.Hash, c chain.Candidate) bool {
	shown, denied := 0, 0
	for _, view := range batch.Views {
		for _, block := range view.Blocks {
			switch {
			case block.Hash != hash:
			case slices.Contains(block.Candidates, c):
				shown++
			case !c.Native && slices.Contains(batch.Filter.Tokens, c.Contract) || c.Native && (c.Position == 0 || block.Traced):
				denied++
			}
		}
	}
	return denied > 1 && denied > shown
}

// refute ends what the operators contradict.
func (m *memory) refute(job scan.Rescan, batch scan.Batch) (refuted int) {
	least := 2
	if batch.Alone && job.Requested {
		least = 1
	}
	for id, p := range m.payments {
		last := &p.inclusions[len(p.inclusions)-1]
		shown, denied := 0, 0
		for _, view := range batch.Views {
			for _, block := range view.Blocks {
				if !last.canonical || block.Hash != last.block.Hash {
					continue
				}
				looked := batch.Filter.Native && (id.position == 0 || block.Traced)
				if !id.native {
					looked = slices.Contains(batch.Filter.Tokens, last.transfer.Contract)
				}
				switch {
				case slices.Contains(block.Candidates, chain.Candidate{Transfer: last.transfer, Resolution: chain.Resolved}):
					shown++
				case looked:
					denied++
				}
			}
		}
		if denied >= least && denied > shown {
			last.canonical, last.refuted = false, true
			refuted++
		}
	}
	return refuted
}

func (m *memory) matches(block payment.BlockRef) bool {
	for _, ref := range m.refs {
		if ref.Number == block.Number {
			return ref.Hash == block.Hash
		}
	}
	return true
}

func (m *memory) Ancestors(_ context.Context, _ scan.Session, below uint64, limit int) ([]payment.BlockRef, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var refs []payment.BlockRef
	for _, ref := range slices.Backward(m.refs) {
		if ref.Number <= below && len(refs) < limit {
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

func (m *memory) Rollback(_ context.Context, s scan.Session, to payment.BlockRef) (err error) {
	m.change(func() {
		switch err = m.fence(s); {
		case err != nil || m.cursor == nil || m.cursor.Number <= to.Number:
			return
		case m.halted != "":
		case m.cursor.Number-to.Number > s.Horizon:
			err = scan.ErrHorizon
			return
		case to.Number < m.final:
			err = scan.ErrFinal
			return
		}
		above := func(ref payment.BlockRef) bool { return ref.Number > to.Number }
		m.final, m.marks = min(m.final, to.Number), slices.DeleteFunc(slices.Clone(m.marks), above)
		maps.DeleteFunc(m.twice, func(number uint64, _ bool) bool { return number > to.Number })
		maps.DeleteFunc(m.byHash, func(number uint64, _ bool) bool { return number > to.Number })
		m.refs = slices.DeleteFunc(slices.Clone(m.refs), func(ref payment.BlockRef) bool { return ref.Number > to.Number })
		for _, p := range m.payments {
			if last := &p.inclusions[len(p.inclusions)-1]; last.canonical && last.block.Number > to.Number {
				last.canonical = false
			}
		}
		for number := range m.covered {
			if number > to.Number {
				delete(m.covered, number)
			}
		}
		if m.cursor = &to; to.Number+1 == s.Start {
			m.cursor = nil
		}
	})
	return err
}

func (m *memory) Halt(_ context.Context, s scan.Session, reason string) (err error) {
	m.change(func() {
		if err = m.fence(s); err == nil && m.halted == "" {
			m.halted = reason
			if m.onHalt != nil {
				m.onHalt()
			}
		}
	})
	return err
}

// canonical lists the transfers that count now.
func (m *memory) canonical() map[identity]included {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := map[identity]included{}
	for id, p := range m.payments {
		if last := p.inclusions[len(p.inclusions)-1]; last.canonical {
			list[id] = last
		}
	}
	return list
}

// until waits for a condition, which is checked under the lock after every change.
func (m *memory) until(ctx context.Context, condition func() bool) bool {
	limit := time.NewTimer(await.Broken)
	defer limit.Stop()
	for {
		m.mu.Lock()
		done, changed := condition(), m.changed
		m.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		case <-limit.C:
			return false
		}
	}
}
