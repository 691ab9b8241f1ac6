package stack_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeJournal is the file in which the stand-in for the sluice command notes what it was asked; setting it turns this
// test binary into that stand-in.
const fakeJournal = "SLUICE_FAKE_JOURNAL"

// fakeFailing names the command that shall fail.
const fakeFailing = "SLUICE_FAKE_FAILING"

func TestMain(m *testing.M) {
	if journal := os.Getenv(fakeJournal); journal != "" {
		os.Exit(fakeSluice(journal, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// fakeSluice does of the sluice command what a stack depends on, and notes every call.
func fakeSluice(journal string, args []string) int {
	input := ""
	if strings.Join(args[:min(2, len(args))], " ") == "wallet import" {
		raw, _ := io.ReadAll(os.Stdin)
		input = " < " + strings.TrimSpace(string(raw))
	}
	note(journal, strings.Join(args, " ")+input)
	if os.Getenv(fakeFailing) == args[0] {
		fmt.Fprintln(os.Stderr, args[0]+" does not want to")
		return 1
	}
	switch args[0] {
	case "api":
		return fakeServe(os.Getenv("SLUICE_API_LISTEN"))
	case "worker":
		return fakeServe(os.Getenv("SLUICE_WORKER_LISTEN"))
	case "wallet":
		_ = json.NewEncoder(os.Stdout).Encode(map[string]string{"mnemonic": "some words", "xpub": "xpub-of-some-words"})
	case "env":
		_, _ = fmt.Println(os.Getenv("SLUICE_DATABASE_URL"), os.Getenv("SLUICE_EXTRA"))
	}
	return 0
}

// fakeServe is ready at once and ends without a word when it is told to crash.
func fakeServe(address string) int {
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) {
		fmt.Fprintln(os.Stderr, "goodbye")
		os.Exit(7)
	})
	fmt.Fprintln(os.Stderr, http.ListenAndServe(address, mux)) //nolint:gosec // a stand-in without clients
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

// calls are the noted calls, oldest first.
func calls(t *testing.T, dir string) []string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(content)), "\n")
}
