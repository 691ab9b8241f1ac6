package chaintest

// SetChainID makes the fake answer as a node of another network.
func (f *Fake) SetChainID(id uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.chainID = id
}
