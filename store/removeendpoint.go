package store

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// RemoveRPCEndpoint takes a node out of a chain for good; its URL, which may hold a key, is deleted. Workers read the list again within a minute and
// ask it nothing from then on. The last node stays: add another one first. With one operator left where two have to agree, payments would wait, so that is
// done only with oneOperator. Errors: CodeUnknownChain, CodeNotFound, CodeOrderState.
func (db *DB) RemoveRPCEndpoint(ctx context.Context, chain string, id int64, oneOperator bool, by process.By) error {
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		if _, err := t.q.LockChain(ctx, chain); err != nil {
			return unknownChain(err)
		}
		endpoints, err := t.q.ListRPCEndpoints(ctx, chain)
		if err != nil {
			return fmt.Errorf("list the nodes of %s: %w", chain, err)
		}
		operator, before, after := "", map[string]bool{}, map[string]bool{}
		for _, e := range endpoints {
			before[e.Operator] = true
			if e.ID == id {
				operator = e.Operator
			} else {
				after[e.Operator] = true
			}
		}
		demanded, err := t.q.DemandsTwoOperators(ctx, chain)
		switch {
		case err != nil:
			return fmt.Errorf("read the demand of %s: %w", chain, err)
		case operator == "":
			return payment.E(payment.CodeNotFound, "node", "%s has no such node", chain)
		case len(after) == 0:
			return payment.E(payment.CodeOrderState, "node", "it is the last node of %s, and nothing would be read any more: add another one first", chain)
		case demanded && len(before) > 1 && len(after) == 1 && !oneOperator:
			return payment.E(payment.CodeOrderState, "node", "only one operator would be left, and %s credits some amounts only when two agree: "+
				"those payments would wait", chain)
		}
		if err := t.q.RemoveRPCEndpoint(ctx, sqlc.RemoveRPCEndpointParams{ID: id, Chain: chain}); err != nil {
			return fmt.Errorf("remove node %d of %s: %w", id, chain, err)
		}
		_, err = t.audit(ctx, deed{By: by, Action: "chain.rpc.remove", Subject: chain, Detail: map[string]any{
			"node": id, "operator": operator, "nodes_left": len(endpoints) - 1, "operators_left": len(after),
		}})
		return err
	})
}
