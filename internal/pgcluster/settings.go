package pgcluster

// TestSettings are further settings for a cluster that serves tests: many short-lived databases, many connections,
// errors on purpose.
func TestSettings() map[string]string {
	return map[string]string{
		"max_connections":           "1000", // several test binaries, each with parallel tests, each with a few pools
		"max_locks_per_transaction": "128",
		"autovacuum":                "off",
		"wal_level":                 "minimal",
		"max_wal_senders":           "0",
		"log_min_messages":          "fatal",
		"log_min_error_statement":   "panic",
	}
}
