//go:build unix && !linux

package main

// Other systems have no parent-death signal.
func endWithParent() {}
