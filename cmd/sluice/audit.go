package main

import (
	"bytes"
	"context"

	"github.com/sluicepay/sluice/store"
)

type auditCommands struct {
	List auditList `cmd:"" help:"List what was done by hand, and by the engine where a person should know, newest first."`
}

type auditList struct {
	Subject string `help:"Only about this: the id of an order, a merchant, a review, the name of a chain." placeholder:"ID"`
	Actor   string `help:"Only by this actor."`
	Action  string `help:"Only this deed, such as chain.pause."`
	paged
}

// Run lists the audit.
func (l auditList) Run(ctx context.Context, c console) error {
	search := store.AuditSearch{Actor: l.Actor, Action: l.Action}
	if l.Subject != "" {
		search.Subjects = []string{l.Subject}
	}
	return withAdmin(ctx, audited{}, func(a admin) error {
		page, err := a.db.FindAudit(ctx, search, l.Cursor, l.Limit)
		if err != nil {
			return err
		}
		return printPage(c, l.paged, page, auditColumns())
	})
}

// auditColumns quote who did it and why: whoever sends an update says so himself.
func auditColumns() []column[store.AuditRow] {
	type deed = store.AuditRow
	return []column[deed]{
		{"AT", func(d deed) string { return when(d.At) }},
		{"ACTION", func(d deed) string { return d.Action }},
		{"SUBJECT", func(d deed) string { return d.Subject }},
		{"ACTOR", func(d deed) string { return foreign(d.Actor) }},
		{"REASON", func(d deed) string { return foreign(d.Reason) }},
		{"DETAIL", func(d deed) string {
			var line bytes.Buffer
			if string(d.Detail) == "{}" || printJSON(&line, d.Detail) != nil {
				return ""
			}
			return string(bytes.TrimSpace(line.Bytes()))
		}},
	}
}
