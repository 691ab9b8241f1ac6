package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/sluicepay/sluice/process"
)

// attributes are what support filters by. Empty ones are left as they are, but for BlockedStep, whose absence says something.
type attributes struct {
	Status, Merchant, Chain, Asset, Address string
	Blocked                                 process.Step
	ExpiresAt                               time.Time
}

// upsert writes the attributes that differ from what the server has: one event if any do, none if not.
func (a attributes) upsert(ctx workflow.Context) {
	have := workflow.GetTypedSearchAttributes(ctx)
	var changes []temporal.SearchAttributeUpdate
	set := func(key temporal.SearchAttributeKeyKeyword, want string) {
		if current, ok := have.GetKeyword(key); want != "" && (!ok || current != want) {
			changes = append(changes, key.ValueSet(want))
		}
	}
	set(process.AttrOrderStatus, a.Status)
	set(process.AttrMerchantID, a.Merchant)
	set(process.AttrChain, a.Chain)
	set(process.AttrAsset, a.Asset)
	set(process.AttrPayAddress, a.Address)
	set(process.AttrBlockedStep, string(a.Blocked))
	if current, ok := have.GetKeyword(process.AttrBlockedStep); a.Blocked == "" && ok && current != "" {
		changes = append(changes, process.AttrBlockedStep.ValueUnset())
	}
	if current, ok := have.GetTime(process.AttrExpiresAt); !a.ExpiresAt.IsZero() && (!ok || !current.Equal(a.ExpiresAt)) {
		changes = append(changes, process.AttrExpiresAt.ValueSet(a.ExpiresAt))
	}
	if len(changes) == 0 {
		return
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, changes...); err != nil {
		// Only a malformed attribute gets here, and none of them is worth an order.
		workflow.GetLogger(ctx).Error("search attributes could not be set", "error", err)
	}
}
