package main

import (
	"context"
	"strings"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

type reviewCommands struct {
	List reviewList `cmd:"" help:"List money that needs, or needed, a person's decision, newest first."`
}

type reviewList struct {
	Merchant string `help:"Only of this merchant." placeholder:"mer_…"`
	Order    string `help:"Only of this order." placeholder:"ord_…"`
	Payment  string `help:"Only of this payment." placeholder:"pay_…"`
	Status   string `enum:"open,resolved,all" default:"open" help:"Which (${enum}). Default: ${default}."`
	Cause    string `help:"Only for this cause."`
	paged
}

// Run lists reviews.
func (l reviewList) Run(ctx context.Context, c console) error {
	search := store.ReviewSearch{Status: strings.TrimPrefix(l.Status, "all"), Cause: process.ReviewCause(l.Cause)}
	var err error
	if search.Merchant, err = optionalID(l.Merchant, payment.ParseMerchantID); err != nil {
		return err
	}
	if search.Order, err = optionalID(l.Order, payment.ParseOrderID); err != nil {
		return err
	}
	if search.Payment, err = optionalID(l.Payment, payment.ParsePaymentID); err != nil {
		return err
	}
	return withAdmin(ctx, audited{}, func(a admin) error {
		page, err := a.db.FindReviews(ctx, search, l.Cursor, l.Limit)
		if err != nil {
			return err
		}
		return printPage(c, l.paged, page, reviewColumns())
	})
}

func reviewColumns() []column[store.SupportReview] {
	type review = store.SupportReview
	return []column[review]{
		{"WORKFLOW", func(r review) string {
			return process.ReviewWorkflowID(process.ReviewInput{PaymentID: r.Payment, Inclusion: r.Inclusion, Cause: r.Cause})
		}},
		{"OPENED", func(r review) string { return when(r.CreatedAt) }},
		{"MERCHANT", func(r review) string { return string(r.Merchant) }},
		{"ORDER", func(r review) string { return string(r.Order) }},
		{"AMOUNT", func(r review) string { return r.Amount + " " + r.Asset + " on " + r.Chain }},
		{"STATUS", func(r review) string { return strings.TrimSpace(r.Status + " " + r.Resolution) }},
		{"BY", func(r review) string { return foreign(r.ResolvedBy) }},
	}
}
