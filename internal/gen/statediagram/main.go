// Command statediagram draws the state table of orders as Markdown: a Mermaid
// diagram and the table itself.
//
//	go run ./internal/gen/statediagram > docs/states.md
//	go run ./internal/gen/statediagram -check docs/states.md
//
// With -check it writes nothing, and exits with 1 when the file is not what the
// table says.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/sluicepay/sluice/payment"
)

func main() {
	check := flag.String("check", "", "compare this file with the table instead of printing")
	flag.Parse()
	if err := run(os.Stdout, *check); err != nil {
		fmt.Fprintln(os.Stderr, "statediagram:", err)
		os.Exit(1)
	}
}

// run prints the page, or compares it with the file named by check.
func run(out io.Writer, check string) error {
	page := render(payment.Table())
	if check == "" {
		_, err := out.Write(page)
		return err
	}
	present, err := os.ReadFile(check)
	if err != nil {
		return fmt.Errorf("read the page to check: %w", err)
	}
	if !bytes.Equal(present, page) {
		return fmt.Errorf("%s is not what the state table says; run: go run ./internal/gen/statediagram > %s", check, check)
	}
	return nil
}
