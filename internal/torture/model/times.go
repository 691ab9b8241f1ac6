package model

// slack is how far ahead of the clock a block may be on one operator's word, in seconds.
const slack = 120

// Said is what was said of a block's time: by one, or established, as by two.
type Said struct {
	Time        int64
	Established bool
}

// times is what is believed of the times of a chain's blocks.
type times struct {
	believed map[string]int64 // by block
	mark     *Block           // the first that was remembered for ever
}

// Mark takes note that the newest block is remembered for ever, which happens rarely.
func (m *Model) Mark(name string) {
	if c := m.chains[name]; c.mark == nil {
		c.mark = m.Cursor(name)
	}
}

// believe settles the time of a block that was not recorded before, on top of its parent.
func (c *chain) believe(b *Block, how Seen, at int) {
	said := how.said(b, at)
	if !said.Established {
		said.Time = max(min(said.Time, how.Now+slack), c.believed[b.Parent])
	}
	c.believed[b.ID] = said.Time
}

// firstSeen is the time by which a payment in a recorded block is on time or late: as soon as it is recorded, it is there.
func (c *chain) firstSeen(b *Block, how Seen, at int) int64 {
	believed := c.believed[b.ID]
	switch said := how.said(b, at); {
	case said.Established:
		believed = said.Time
	case b.Number < c.remembered: // forgotten: between those that are not
		believed = min(said.Time, how.Now+slack)
		for _, other := range c.recorded {
			if other.Number > b.Number && other.Number >= c.remembered {
				believed = min(believed, c.believed[other.ID])
				break
			}
		}
		if c.mark != nil && c.mark.Number > b.Number {
			believed = min(believed, c.believed[c.mark.ID])
		}
		if c.mark != nil && c.mark.Number < b.Number {
			believed = max(believed, c.believed[c.mark.ID])
		}
	}
	return min(believed, how.Now)
}

// said is what was said of a block; the truth, and no doubt of it, where nobody says.
func (s Seen) said(b *Block, at int) Said {
	if at < len(s.Said) {
		return s.Said[at]
	}
	return Said{Time: b.Time, Established: true}
}

// forgetTimes takes note that blocks above a height were undone.
func (c *chain) forgetTimes(to uint64) {
	if c.mark != nil && c.mark.Number > to {
		c.mark = nil
	}
}
