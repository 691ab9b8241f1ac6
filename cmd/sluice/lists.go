package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// paged is embedded by lists.
type paged struct {
	Limit  int    `default:"20" help:"At most this many, up to 100."`
	Cursor string `help:"Go on behind a list before, as it said." placeholder:"NEXT"`
	JSON   bool   `name:"json" help:"Print one JSON object."`
}

// whose is embedded by lists that may be narrowed to a merchant.
type whose struct {
	Merchant string `help:"Only of this merchant." placeholder:"mer_…"`
	Mode     string `enum:",test,live" default:"" help:"Only of this mode (test or live)."`
}

func (w whose) parse() (store.Whose, error) {
	of := store.Whose{Mode: payment.Mode(w.Mode)}
	if w.Merchant == "" {
		return of, nil
	}
	var err error
	of.Merchant, err = payment.ParseMerchantID(w.Merchant)
	return of, err
}

// column is one of a table.
type column[T any] struct {
	title string
	text  func(T) string
}

// printPage prints a page as a table, or as an object with --json.
func printPage[T any](c console, p paged, page store.Page[T], columns []column[T]) error {
	if p.JSON {
		items := page.Items
		if items == nil {
			items = []T{}
		}
		return printJSON(c.out, map[string]any{"items": items, "next": page.NextCursor})
	}
	if len(page.Items) == 0 {
		_, err := fmt.Fprintln(c.out, "none")
		return err
	}
	if err := printTable(c.out, page.Items, columns); err != nil {
		return err
	}
	if page.HasMore() {
		fmt.Fprintln(c.out, "there are more: --cursor", page.NextCursor)
	}
	return nil
}

func printTable[T any](out io.Writer, items []T, columns []column[T]) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(text func(column[T]) string) {
		cells := make([]string, len(columns))
		for i, col := range columns {
			cells[i] = text(col)
		}
		fmt.Fprintln(table, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	line(func(col column[T]) string { return col.title })
	for _, item := range items {
		line(func(col column[T]) string { return col.text(item) })
	}
	return table.Flush()
}

// printJSON prints a value as JSON in ASCII: the value stays what it is, and nothing in it can do anything to a terminal.
func printJSON(out io.Writer, value any) error {
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	var ascii strings.Builder
	for _, r := range plain.String() {
		switch {
		case r < unicode.MaxASCII: // control characters were escaped by the encoder, all but DEL
			ascii.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&ascii, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&ascii, `\u%04x\u%04x`, high, low)
		}
	}
	_, err := io.WriteString(out, ascii.String())
	return err
}

// rightToLeft are the scripts whose letters are written that way.
var rightToLeft = []*unicode.RangeTable{ //nolint:gochecknoglobals // a constant table
	unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko, unicode.Samaritan, unicode.Mandaic, unicode.Adlam,
	unicode.Mende_Kikakui, unicode.Hanifi_Rohingya, unicode.Yezidi,
}

// foreign is a stranger's text for a terminal: in quotes, without control, format and bidirectional characters, and without letters that are written
// from right to left, which would turn the rest of the line around; those are escaped.
func foreign(text string) string {
	if text == "" {
		return ""
	}
	var out strings.Builder
	for _, r := range text {
		switch {
		case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Cf, r):
		case !unicode.IsGraphic(r), unicode.In(r, rightToLeft...):
			out.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		case r == '"', r == '\\':
			out.WriteRune('\\')
			out.WriteRune(r)
		default:
			out.WriteRune(r)
		}
	}
	return `"` + out.String() + `"`
}

func when(t time.Time) string { return t.UTC().Format(time.DateTime) }

func whenever(t *time.Time) string {
	if t == nil {
		return ""
	}
	return when(*t)
}

// optionalID parses an id that may be left out.
func optionalID[ID ~string](text string, parse func(string) (ID, error)) (ID, error) {
	if text == "" {
		return "", nil
	}
	return parse(text)
}
