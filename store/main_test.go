package store_test

import (
	"testing"

	"github.com/sluicepay/sluice/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
