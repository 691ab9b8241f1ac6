package activities

import "time"

// SetClock makes chains that are opened from now on tell the time by now.
func (n *Nodes) SetClock(now func() time.Time) { n.now = now }

// SetFresh changes for how long a list of nodes is used.
func (n *Nodes) SetFresh(fresh time.Duration) { n.fresh = fresh }
