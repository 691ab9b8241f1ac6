package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicepay/sluice/payment"
)

const header = `<!-- Generated from the table in payment/ by internal/gen/statediagram. Do not edit. -->

# States of an order

The state says whether an order is fulfilled; labels beside it say what else is true. Money is credited whatever the
state. The diagram shows what moves an order from one state to another. The table below it is complete: for every state
and trigger exactly one row holds, and the order of rows means nothing.

`

// render draws the whole page.
func render(table []payment.Transition) []byte {
	var page bytes.Buffer
	page.WriteString(header)
	diagram(&page, table)
	page.WriteString("\n## Transitions\n\nA state in *italics* stays as it is. Labels are added (+) and removed (−).\n")
	for _, state := range payment.States() {
		section(&page, state, rowsOf(table, state, func(row payment.Transition) bool { return row.Refuse == "" }))
	}
	page.WriteString("\n## Refusals\n\nWhat may not happen, and what the caller is told. Nothing changes.\n")
	refusals(&page, table)
	return page.Bytes()
}

// rowsOf picks the rows of one state.
func rowsOf(table []payment.Transition, state payment.State, keep func(payment.Transition) bool) []payment.Transition {
	var rows []payment.Transition
	for _, row := range table {
		if row.From == state && keep(row) {
			rows = append(rows, row)
		}
	}
	return rows
}

// diagram draws one arrow for each pair of states, with the triggers that lead
// along it.
func diagram(page *bytes.Buffer, table []payment.Transition) {
	page.WriteString("```mermaid\nstateDiagram-v2\n    [*] --> opening\n")
	for _, from := range payment.States() {
		for _, to := range payment.States() {
			var triggers []string
			for _, row := range table {
				trigger := string(row.On)
				if row.From == from && row.To == to && from != to && !slices.Contains(triggers, trigger) {
					triggers = append(triggers, trigger)
				}
			}
			if len(triggers) > 0 {
				fmt.Fprintf(page, "    %s --> %s: %s\n", from, to, strings.Join(triggers, "<br>"))
			}
		}
	}
	page.WriteString("```\n")
}

// section writes the rows of one state that let something happen.
func section(page *bytes.Buffer, state payment.State, rows []payment.Transition) {
	fmt.Fprintf(page, "\n### From %s\n\n", state)
	page.WriteString("| trigger | when | to | labels | events | reason |\n|---|---|---|---|---|---|\n")
	for _, row := range rows {
		to := string(row.To)
		if row.To == row.From {
			to = "*" + to + "*"
		}
		fmt.Fprintf(page, "| %s | %s | %s | %s | %s | %s |\n",
			row.On, when(row.Guard), to, labels(row), join(row.Events), row.Reason)
	}
}

// refusals writes all refusing rows, with those alike in one line.
func refusals(page *bytes.Buffer, table []payment.Transition) {
	page.WriteString("\n| state | trigger | when | code | reason |\n|---|---|---|---|---|\n")
	for _, state := range payment.States() {
		rows := rowsOf(table, state, func(row payment.Transition) bool { return row.Refuse != "" })
		for i, row := range rows {
			if slices.ContainsFunc(rows[:i], func(earlier payment.Transition) bool { return alike(earlier, row) }) {
				continue
			}
			var triggers []payment.Trigger
			for _, other := range rows[i:] {
				if alike(row, other) {
					triggers = append(triggers, other.On)
				}
			}
			fmt.Fprintf(page, "| %s | %s | %s | %s | %s |\n", state, join(triggers), when(row.Guard), row.Refuse, row.Reason)
		}
	}
}

func alike(a, b payment.Transition) bool {
	return a.Refuse == b.Refuse && a.Reason == b.Reason && slices.Equal(a.Guard, b.Guard)
}

func when(guard payment.Guard) string {
	if len(guard) == 0 {
		return "always"
	}
	words := make([]string, len(guard))
	for i, condition := range guard {
		words[i] = string(condition)
	}
	return strings.Join(words, "; ")
}

func labels(row payment.Transition) string {
	var words []string
	for _, label := range row.Add {
		words = append(words, "+"+string(label))
	}
	for _, label := range row.Remove {
		words = append(words, "−"+string(label))
	}
	return strings.Join(words, " ")
}

func join[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, word := range list {
		words[i] = string(word)
	}
	return strings.Join(words, ", ")
}
