package model

import "fmt"

// deep is what is known of a chain's depths.
type deep struct {
	halted bool
	// final is the newest block that is believed to be final, 0 for none.
	final uint64
	// remembered is the lowest block down to which all are remembered.
	remembered uint64
	// tag is what it has to call a block before its payments count, "" for nothing.
	tag string
}

// finalDepth is how many times the confirmations a block has to be below the cursor before it is believed to be final.
const finalDepth = 2

// Final takes note of a block that the chain calls final.
func (m *Model) Final(name string, number uint64, id string) {
	c, cursor := m.chains[name], m.Cursor(name)
	window := finalDepth * c.confirmations
	switch {
	case cursor == nil, number > cursor.Number, cursor.Number < window:
		return
	case number >= c.remembered && number >= c.recorded[0].Number && c.recorded[number-c.recorded[0].Number].ID != id:
		return
	}
	c.final = max(c.final, min(number, cursor.Number-window))
}

// FinalOf is the block down to which nothing should be undone any more, 0 for none.
func (m *Model) FinalOf(name string) uint64 { return m.chains[name].final }

// Halted tells whether nothing is credited on a chain until somebody resumes it.
func (m *Model) Halted(name string) bool { return m.chains[name].halted }

// Halt takes note that crediting stopped on a chain. It returns why it should not have: the true chain took back no more than it
// may. holds tells whether a block is in the true chain.
func (m *Model) Halt(name string, holds func(id string) bool) error {
	c, cursor := m.chains[name], m.Cursor(name)
	if cursor == nil {
		return fmt.Errorf("%s was halted before anything was recorded", name)
	}
	ancestor := uint64(0)
	for _, b := range c.recorded {
		if holds(b.ID) {
			ancestor = b.Number
		}
	}
	if lowest := max(c.lowest(cursor), c.remembered); !c.halted && ancestor >= lowest {
		return fmt.Errorf("%s was halted: the cursor is %d, the common ancestor %d, and everything above %d may be undone", name, cursor.Number, ancestor, lowest)
	}
	c.halted = true
	return nil
}

// lowest is the lowest block that may become the newest one.
func (c *chain) lowest(cursor *Block) uint64 {
	return max(c.final, cursor.Number-min(cursor.Number, c.horizon))
}

// MayUndo returns why blocks must not be undone down to a height: that takes a halt.
func (m *Model) MayUndo(name string, to uint64) error {
	c, cursor := m.chains[name], m.Cursor(name)
	if cursor == nil || c.halted || to >= cursor.Number || to >= c.lowest(cursor) {
		return nil
	}
	return fmt.Errorf("%s was undone from %d to %d without a halt: the horizon is %d, and %d was final", name, cursor.Number, to, c.horizon, c.final)
}

// Resume has a chain's payments credited again.
func (m *Model) Resume(name string) { m.chains[name].halted = false }

// undone takes note that a rollback is over. What was forgotten is not remembered again.
func (m *Model) undone(name string, to uint64) {
	c := m.chains[name]
	c.final = min(c.final, to)
	c.forgetTimes(to)
	switch {
	case len(c.recorded) == 0:
		c.remembered = 0
	case to < c.remembered:
		c.remembered = to + 1
	}
}
