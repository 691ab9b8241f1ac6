package webhook_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Every connection, timer and server that a test opens must be gone at the end.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
