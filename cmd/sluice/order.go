package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

type orderCommands struct {
	List orderList `cmd:"" help:"List orders, newest first."`
	Show orderShow `cmd:"" help:"Show one order with its payments, postings, reviews, callbacks and what was done by hand."`
}

type orderList struct {
	whose
	State     string `enum:",opening,awaiting_payment,confirming,paid,expired,cancelled" default:"" help:"Only in this state."`
	Chain     string `help:"Only on this chain."`
	Reference string `help:"Only with this reference of the merchant's."`
	Customer  string `help:"Only of this customer of the merchant's."`
	Address   string `help:"Only those paid to this address." placeholder:"0x…"`
	Blocked   bool   `help:"Only those that wait for a person."`
	paged
}

// Run lists orders.
func (l orderList) Run(ctx context.Context, c console) error {
	of, err := l.whose.parse()
	if err != nil {
		return err
	}
	search := store.OrderSearch{
		Whose: of, State: payment.State(l.State), Chain: l.Chain, Reference: l.Reference, CustomerID: l.Customer, Blocked: l.Blocked,
	}
	if search.Address, err = optionalAddress(l.Address); err != nil {
		return err
	}
	return withAdmin(ctx, audited{}, func(a admin) error {
		page, err := a.db.FindOrders(ctx, search, l.Cursor, l.Limit)
		if err != nil {
			return err
		}
		return printPage(c, l.paged, page, orderColumns())
	})
}

func orderColumns() []column[store.SupportOrder] {
	type order = store.SupportOrder
	return []column[order]{
		{"ORDER", func(o order) string { return string(o.Order.ID) }},
		{"CREATED", func(o order) string { return when(o.Order.CreatedAt) }},
		{"MERCHANT", func(o order) string { return string(o.Merchant) + " " + string(o.Order.Mode) }},
		{"STATE", func(o order) string { return orderState(o) }},
		{"DUE", func(o order) string { return o.Order.Amount + " " + o.Order.Asset + " on " + o.Order.Chain }},
		{"RECEIVED", func(o order) string { return o.Order.AmountReceived }},
		{"REFERENCE", func(o order) string { return foreign(o.Order.Reference) }},
	}
}

// orderState is the state with its labels, and where the order waits for a person.
func orderState(o store.SupportOrder) string {
	words := []string{string(o.Order.State)}
	for _, label := range o.Order.Labels {
		words = append(words, string(label))
	}
	if o.BlockedStep != "" {
		words = append(words, "blocked:"+o.BlockedStep)
	}
	return strings.Join(words, " ")
}

func optionalAddress(text string) (*payment.Address, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // no address, no error
	}
	address, err := payment.ParseAddress(payment.FamilyEVM, text)
	if err != nil {
		return nil, fmt.Errorf("--address: %w", err)
	}
	return &address, nil
}
