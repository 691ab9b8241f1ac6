package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// deed is something that a person did, for the audit log.
type deed struct {
	By      process.By
	Action  string // such as order.cancel
	Subject string // the id of what it was done to
	// Detail is what else there is to know, without secrets. It may be nil.
	Detail map[string]any
	// RequestID names the request. The same request is one deed, however often it is made. "" for deeds that change
	// nothing when done again.
	RequestID string
}

// unknownActor stands for whoever did not say who they are.
const unknownActor = "unknown"

// audit writes the deed down and reports whether it is new.
func (t txn) audit(ctx context.Context, d deed) (bool, error) {
	detail := []byte("{}")
	if d.Detail != nil {
		var err error
		if detail, err = json.Marshal(d.Detail); err != nil {
			return false, fmt.Errorf("audit %s: %w", d.Action, err)
		}
	}
	if d.By.Actor == "" {
		d.By.Actor = unknownActor
	}
	n, err := t.q.InsertAudit(ctx, sqlc.InsertAuditParams{
		Actor: d.By.Actor, Action: d.Action, Subject: d.Subject, Reason: d.By.Reason, Detail: detail,
		RequestID: optional(d.RequestID),
	})
	if err != nil {
		return false, fmt.Errorf("audit %s: %w", d.Action, err)
	}
	return n == 1, nil
}

// done reports whether the request was carried out before. What it is about must be locked.
func (t txn) done(ctx context.Context, requestID string) (bool, error) {
	if requestID == "" {
		return false, nil
	}
	done, err := t.q.AuditExists(ctx, requestID)
	if err != nil {
		return false, fmt.Errorf("look for request %s: %w", requestID, err)
	}
	return done, nil
}
