package main

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

type orderShow struct {
	Order string `arg:"" placeholder:"ord_…" help:"Which order."`
	JSON  bool   `name:"json" help:"Print one JSON object."`
}

// orderFile is everything there is about an order: at most 100 of each kind, the newest.
type orderFile struct {
	store.SupportOrder

	// Authentic says whether the address was derived again from a wallet that was imported here; "" without an address.
	Authentic string                 `json:"address_check,omitempty"`
	Payments  []store.SupportPayment `json:"payments"`
	Postings  []store.SupportPosting `json:"postings"`
	Reviews   []store.SupportReview  `json:"reviews"`
	Callbacks []callbackFile         `json:"callbacks"`
	Audit     []store.AuditRow       `json:"audit"`
}

// Run shows the order.
func (s orderShow) Run(ctx context.Context, c console) error {
	id, err := payment.ParseOrderID(s.Order)
	if err != nil {
		return err
	}
	return withAdmin(ctx, audited{}, func(a admin) error {
		file, err := readOrderFile(ctx, a, id)
		if err != nil {
			return err
		}
		if s.JSON {
			return printJSON(c.out, file)
		}
		return file.print(c)
	})
}

func readOrderFile(ctx context.Context, a admin, id payment.OrderID) (orderFile, error) {
	var file orderFile
	found, err := a.db.FindOrders(ctx, store.OrderSearch{ID: id}, "", 1)
	switch {
	case err != nil:
		return file, err
	case len(found.Items) == 0:
		return file, payment.E(payment.CodeNotFound, "", "no such order")
	}
	file.SupportOrder = found.Items[0]
	if file.Order.Address != "" {
		file.Authentic = checkAddress(ctx, a, id)
	}
	payments, err := a.db.FindPayments(ctx, store.PaymentSearch{Order: id}, "", store.MaxPage)
	if err != nil {
		return file, err
	}
	file.Payments = payments.Items
	subjects, ids := []string{string(id)}, []payment.PaymentID{}
	for _, p := range payments.Items {
		subjects, ids = append(subjects, string(p.Payment.ID)), append(ids, p.Payment.ID)
	}
	if file.Postings, err = a.db.PostingsOf(ctx, ids); err != nil {
		return file, err
	}
	reviews, err := a.db.FindReviews(ctx, store.ReviewSearch{Order: id}, "", store.MaxPage)
	if err != nil {
		return file, err
	}
	file.Reviews = reviews.Items
	for _, r := range reviews.Items {
		subjects = append(subjects, r.ID)
	}
	if file.Callbacks, err = readCallbackFiles(ctx, a, store.CallbackSearch{Stream: process.OrderStream(id)}); err != nil {
		return file, err
	}
	audit, err := a.db.FindAudit(ctx, store.AuditSearch{Subjects: subjects}, "", store.MaxPage)
	file.Audit = audit.Items
	return file, err
}

// checkAddress derives the order's address again: one that somebody put into the database is not read out to a payer.
func checkAddress(ctx context.Context, a admin, id payment.OrderID) string {
	origin, err := a.db.AddressOrigin(ctx, id)
	if err == nil {
		err = addressVerifier{keys: a.keys}.VerifyAddress(origin)
	}
	if err != nil {
		return "DO NOT USE IT: " + err.Error()
	}
	return "derived again"
}

func (f orderFile) print(c console) error {
	o := f.Order
	lines := []field{
		{"order", string(o.ID)},
		{"merchant", string(f.Merchant) + " " + string(o.Mode)},
		{"state", orderState(f.SupportOrder)},
		{"due", o.Amount + " " + o.Asset + " on " + o.Chain},
		{"received", o.AmountReceived + " " + o.Asset},
		{"address", o.Address + " (" + f.Authentic + ")"},
		{"created", when(o.CreatedAt)},
		{"expires", when(o.ExpiresAt)},
		{"paid", whenever(o.PaidAt)},
		{"reference", foreign(o.Reference)},
		{"customer", foreign(o.CustomerID)},
	}
	if o.Address == "" {
		lines[5].value = "none yet"
	}
	for key, value := range o.Metadata {
		lines = append(lines, field{"metadata", foreign(key) + ": " + foreign(value)})
	}
	if err := (printed{}).show(c, lines...); err != nil {
		return err
	}
	if err := section(c, "payments", f.Payments, paymentColumns()); err != nil {
		return err
	}
	if err := section(c, "postings", f.Postings, postingColumns()); err != nil {
		return err
	}
	if err := section(c, "reviews", f.Reviews, reviewColumns()); err != nil {
		return err
	}
	if err := printCallbackFiles(c, f.Callbacks); err != nil {
		return err
	}
	return section(c, "audit", f.Audit, auditColumns())
}

// section prints a table under a title, or nothing when it is empty.
func section[T any](c console, title string, items []T, columns []column[T]) error {
	if len(items) == 0 {
		return nil
	}
	fmt.Fprintf(c.out, "\n%s\n", title)
	return printTable(c.out, items, columns)
}

func postingColumns() []column[store.SupportPosting] {
	type posting = store.SupportPosting
	return []column[posting]{
		{"AT", func(p posting) string { return when(p.CreatedAt) }},
		{"KIND", func(p posting) string { return p.Kind }},
		{"AMOUNT", func(p posting) string { return p.Amount + " " + p.Asset }},
		{"DEBIT", func(p posting) string { return p.Debit }},
		{"CREDIT", func(p posting) string { return p.Credit }},
		{"KEY", func(p posting) string { return p.Key }},
	}
}
