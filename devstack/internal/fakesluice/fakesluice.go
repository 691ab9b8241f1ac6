// Package fakesluice stands in for the sluice command in the tests of the local stack: it does what a stack depends on,
// notes every call, and fails or dies when it is told to.
package fakesluice

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Journal names the variable with the file in which calls are noted. A test binary in whose environment it is set is
// meant to be the stand-in: it calls Main and exits.
const Journal = "FAKESLUICE_JOURNAL"

// Failing names the variable with the command that shall fail.
const Failing = "FAKESLUICE_FAILING"

// Main runs the stand-in and returns its exit status. It tells false when this process is not meant to be it.
func Main() (int, bool) {
	journal := os.Getenv(Journal)
	if journal == "" {
		return 0, false
	}
	return run(journal, os.Args[1:]), true
}

func run(journal string, args []string) int {
	input := ""
	if command := strings.Join(args[:min(2, len(args))], " "); command == "wallet import" || command == "chain enable" {
		raw, _ := io.ReadAll(os.Stdin)
		input = " < " + strings.TrimSpace(string(raw))
	}
	note(journal, strings.Join(args, " ")+input)
	if os.Getenv(Failing) == args[0] {
		fmt.Fprintln(os.Stderr, args[0]+" does not want to")
		return 1
	}
	switch args[0] {
	case "api":
		return serve(os.Getenv("SLUICE_API_LISTEN"))
	case "worker":
		return serve(os.Getenv("SLUICE_WORKER_LISTEN"))
	case "wallet", "merchant", "key", "endpoint":
		_ = json.NewEncoder(os.Stdout).Encode(map[string]string{
			"mnemonic": "some words", "xpub": "xpub-of-some-words",
			"merchant_id": "mer_fake", "key": "sk_test_fake", "secret": "whsec_ZmFrZQ==",
		})
	case "env":
		_, _ = fmt.Fprintln(os.Stdout, os.Getenv("SLUICE_DATABASE_URL"), os.Getenv("SLUICE_EXTRA"))
	}
	return 0
}

// serve is ready at once and ends without a word when it is told to crash.
func serve(address string) int {
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/v1/balances", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) {
		fmt.Fprintln(os.Stderr, "goodbye")
		os.Exit(7)
	})
	fmt.Fprintln(os.Stderr, http.ListenAndServe(address, mux))
	return 1
}

func note(journal, line string) {
	file, err := os.OpenFile(journal, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return
	}
	defer func() { _ = file.Close() }()
	_, _ = fmt.Fprintln(file, line)
}

// Calls are the calls noted in a journal, oldest first.
func Calls(t *testing.T, journal string) []string {
	t.Helper()
	content, err := os.ReadFile(journal)
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(content)), "\n")
}
