package activities

import "time"

// SetClock makes chains that are opened from now on tell the time by now.
func (n *Nodes) SetClock(now func() time.Time) { n.now = now }
