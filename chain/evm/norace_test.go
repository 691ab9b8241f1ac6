//go:build !race

package evm

// raceDetector: the tests run under it.
const raceDetector = false
