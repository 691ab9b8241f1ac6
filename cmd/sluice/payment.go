package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

type paymentCommands struct {
	List paymentList `cmd:"" help:"List transfers that were seen to addresses handed out, newest first."`
}

type paymentList struct {
	whose
	Payment string `help:"Only this one." placeholder:"pay_…"`
	Order   string `help:"Only of this order." placeholder:"ord_…"`
	Chain   string `help:"Only on this chain."`
	Status  string `enum:",detected,credited,dropped,ignored,parked" default:"" help:"Only with this status."`
	Tx      string `help:"Only of this transaction." placeholder:"0x…"`
	Address string `help:"Only to this address." placeholder:"0x…"`
	paged
}

// Run lists payments.
func (l paymentList) Run(ctx context.Context, c console) error {
	search := store.PaymentSearch{Chain: l.Chain, Status: payment.PaymentStatus(l.Status)}
	var err error
	if search.Whose, err = l.whose.parse(); err != nil {
		return err
	}
	if search.ID, err = optionalID(l.Payment, payment.ParsePaymentID); err != nil {
		return err
	}
	if search.Order, err = optionalID(l.Order, payment.ParseOrderID); err != nil {
		return err
	}
	if search.Address, err = optionalAddress(l.Address); err != nil {
		return err
	}
	if l.Tx != "" {
		hash, err := payment.ParseHash(l.Tx)
		if err != nil {
			return fmt.Errorf("--tx: %w", err)
		}
		search.TxHash = &hash
	}
	return withAdmin(ctx, audited{}, func(a admin) error {
		page, err := a.db.FindPayments(ctx, search, l.Cursor, l.Limit)
		if err != nil {
			return err
		}
		return printPage(c, l.paged, page, paymentColumns())
	})
}

func paymentColumns() []column[store.SupportPayment] {
	type seen = store.SupportPayment
	return []column[seen]{
		{"PAYMENT", func(p seen) string { return string(p.Payment.ID) }},
		{"SEEN", func(p seen) string { return when(p.Payment.FirstSeenAt) }},
		{"FOR", func(p seen) string { return paymentFor(p) }},
		{"STATE", func(p seen) string { return paymentState(p) }},
		{"AMOUNT", func(p seen) string { return p.Payment.Amount + " " + p.Payment.Asset + " on " + p.Payment.Chain }},
		{"CONFIRMATIONS", func(p seen) string {
			return fmt.Sprintf("%d of %d", p.Payment.Confirmations, p.Payment.ConfirmationsRequired)
		}},
		{"BLOCK", func(p seen) string { return strconv.FormatUint(p.Payment.BlockNumber, 10) }},
		{"TRANSACTION", func(p seen) string { return p.Payment.TxHash.String() }},
	}
}

func paymentFor(p store.SupportPayment) string {
	if p.Order == "" {
		return "no order, " + string(p.Merchant) + " " + string(p.Mode)
	}
	return string(p.Order)
}

func paymentState(p store.SupportPayment) string {
	text := string(p.Payment.State)
	if p.Payment.Late {
		text += " late"
	}
	if p.Payment.Evidence != "" {
		text += " " + string(p.Payment.Evidence)
	}
	return text
}
