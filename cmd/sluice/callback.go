package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

type callbackCommands struct {
	List callbackList `cmd:"" help:"List callbacks that are pending or parked, or all of one order or payment, newest first."`
	Show callbackShow `cmd:"" help:"Show one callback with every attempt and what its receiver replied."`
}

type callbackList struct {
	About    string `help:"Only about this order or payment; then delivered ones too." placeholder:"ord_… or pay_…"`
	Status   string `enum:",pending,delivered,parked" default:"" help:"Only with this status. Default: parked, or any with --about."`
	Merchant string `help:"Only of this merchant." placeholder:"mer_…"`
	Endpoint string `help:"Only to this endpoint." placeholder:"whk_…"`
	paged
}

// Run lists callbacks.
func (l callbackList) Run(ctx context.Context, c console) error {
	search := store.CallbackSearch{Stream: process.Stream(l.About), Status: l.Status}
	if l.About == "" && l.Status == "" {
		search.Status = "parked"
	}
	var err error
	if search.Merchant, err = optionalID(l.Merchant, payment.ParseMerchantID); err != nil {
		return err
	}
	if search.Endpoint, err = optionalID(l.Endpoint, payment.ParseEndpointID); err != nil {
		return err
	}
	return withAdmin(ctx, audited{}, func(a admin) error {
		page, err := a.db.FindCallbacks(ctx, search, l.Cursor, l.Limit)
		if err != nil {
			return err
		}
		return printPage(c, l.paged, page, callbackColumns())
	})
}

func callbackColumns() []column[store.SupportCallback] {
	type callback = store.SupportCallback
	return []column[callback]{
		{"CALLBACK", func(cb callback) string { return string(cb.ID) }},
		{"CREATED", func(cb callback) string { return when(cb.CreatedAt) }},
		{"ABOUT", func(cb callback) string { return string(cb.Stream) }},
		{"EVENT", func(cb callback) string { return string(cb.Type) }},
		{"STATUS", callbackStatus},
		{"ENDPOINT", func(cb callback) string { return string(cb.Endpoint) }},
	}
}

func callbackStatus(cb store.SupportCallback) string {
	switch {
	case cb.ParkReason != "":
		return fmt.Sprintf("%s: %s after %d", cb.Status, cb.ParkReason, cb.Attempts)
	case cb.DeliveredAt != nil:
		return cb.Status + " " + when(*cb.DeliveredAt)
	default:
		return fmt.Sprintf("%s, attempt %d at %s", cb.Status, cb.Attempts+1, when(cb.DueAt))
	}
}

type callbackShow struct {
	Callback string `arg:"" placeholder:"cbk_…" help:"Which callback."`
	JSON     bool   `name:"json" help:"Print one JSON object."`
}

// callbackFile is a callback with its attempts.
type callbackFile struct {
	store.SupportCallback

	Deliveries []store.RecordedAttempt `json:"deliveries"`
}

// Run shows the callback.
func (s callbackShow) Run(ctx context.Context, c console) error {
	id, err := payment.ParseCallbackID(s.Callback)
	if err != nil {
		return err
	}
	return withAdmin(ctx, audited{}, func(a admin) error {
		files, err := readCallbackFiles(ctx, a, store.CallbackSearch{ID: id})
		switch {
		case err != nil:
			return err
		case len(files) == 0:
			return payment.E(payment.CodeNotFound, "", "no such callback")
		case s.JSON:
			return printJSON(c.out, files[0])
		}
		return printCallbackFiles(c, files)
	})
}

func readCallbackFiles(ctx context.Context, a admin, search store.CallbackSearch) ([]callbackFile, error) {
	page, err := a.db.FindCallbacks(ctx, search, "", store.MaxPage)
	if err != nil {
		return nil, err
	}
	files := make([]callbackFile, len(page.Items))
	for i, cb := range page.Items {
		files[i].SupportCallback = cb
		if files[i].Deliveries, err = a.db.CallbackAttempts(ctx, cb.ID); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// printCallbackFiles prints each callback with its attempts. What a receiver replied is a stranger's text.
func printCallbackFiles(c console, files []callbackFile) error {
	for _, f := range files {
		fmt.Fprintf(c.out, "\ncallback %s: %s to %s (%s)\n%s, %s\n", f.ID, f.Type, f.Endpoint, foreign(f.URL), callbackStatus(f.SupportCallback), f.Event)
		if len(f.Deliveries) == 0 {
			continue
		}
		if err := printTable(c.out, f.Deliveries, attemptColumns()); err != nil {
			return err
		}
	}
	return nil
}

func attemptColumns() []column[store.RecordedAttempt] {
	type attempt = store.RecordedAttempt
	return []column[attempt]{
		{"ATTEMPT", func(a attempt) string { return fmt.Sprintf("%d.%d", a.Round, a.N) }},
		{"AT", func(a attempt) string { return when(a.StartedAt) }},
		{"OUTCOME", func(a attempt) string { return a.Outcome }},
		{"STATUS", func(a attempt) string {
			if a.Status == 0 {
				return "-"
			}
			return strconv.Itoa(a.Status)
		}},
		{"TOOK", func(a attempt) string { return a.Latency.Round(time.Millisecond).String() }},
		{"REPLY", func(a attempt) string { return foreign(a.Excerpt) }},
	}
}
