package scan

import "time"

// Defaults returns the policy as it is followed.
func (p Policy) Defaults() Policy { return p.withDefaults() }

// Poll is the time between two questions for the head.
func (p Policy) Poll(blockTime time.Duration) time.Duration { return p.poll(blockTime) }
