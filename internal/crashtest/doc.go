// Package crashtest kills the scanner's process at every step of recording a block, undoing one and reading one again, and
// checks what is left on a real database: nothing is lost, and nothing counts twice.
//
// The victim is this package's own test binary, started again as a child that runs a scanner over the store and ends itself
// with SIGKILL before the n-th statement it would send, for every n there is. It has no tests without the store and the
// scanner together, which know nothing of each other, so they live here and not with either.
package crashtest
