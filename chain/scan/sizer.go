package scan

// sizer finds the largest range that a node accepts: it halves what was refused,
// grows by half up to just below that, and now and then tries the full size again,
// because limits change.
type sizer struct {
	most    uint64 // what the policy allows
	ceiling uint64 // what the node seems to allow
	size    uint64 // what to ask for next
	streak  int    // accepted ranges since the ceiling was set
}

// probeAfter is how many accepted ranges it takes to doubt the ceiling.
const probeAfter = 64

func newSizer(most uint64) *sizer {
	most = max(most, 1)
	return &sizer{most: most, ceiling: most, size: most}
}

func (s *sizer) refused(size uint64) {
	s.ceiling = max(1, size-1)
	s.size = max(1, size/2)
	s.streak = 0
}

func (s *sizer) accepted() {
	s.streak++
	if s.streak%probeAfter == 0 {
		s.ceiling = s.most
	}
	s.size = min(s.size+max(1, s.size/2), s.ceiling)
}
