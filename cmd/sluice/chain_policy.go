package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

type tierCommands struct {
	Set    tierSet    `cmd:"" help:"From an amount on, ask for more confirmations, or for a tag."`
	List   tierList   `cmd:"" help:"List what a network asks of payments."`
	Remove tierRemove `cmd:"" help:"Remove a tier."`
}

type evidenceCommands struct {
	Set    evidenceSet    `cmd:"" help:"From an amount on, credit only on this evidence."`
	Limit  evidenceLimit  `cmd:"" help:"Set what a network may credit in an hour on one operator's word, all assets together, in units of this one."`
	List   evidenceList   `cmd:"" help:"List what evidence a network asks for."`
	Remove evidenceRemove `cmd:"" help:"Remove a tier."`
}

// tierNamed is embedded by commands about one tier.
type tierNamed struct {
	Chain string `arg:"" help:"On which network."`
	Asset string `help:"Of which asset (its code). Default: of any, each by its own amounts." placeholder:"CODE"`
	From  string `required:"" help:"From which amount on (decimal; whole coins without --asset)." placeholder:"AMOUNT"`
	audited
}

// key reads the amount in the asset's own precision.
func (n tierNamed) key(ctx context.Context, db *store.DB) (store.TierKey, error) {
	key := store.TierKey{Chain: n.Chain}
	decimals := uint8(0)
	if n.Asset != "" {
		asset, err := assetByCode(ctx, db, n.Chain, n.Asset)
		if err != nil {
			return key, err
		}
		key.Asset, decimals = &asset.ID, asset.Decimals
	}
	return key, overrideAmount("--from", &key.From, &n.From, decimals)
}

func (n tierNamed) String() string {
	if n.Asset == "" {
		return fmt.Sprintf("any asset of %s from %s on", n.Chain, n.From)
	}
	return fmt.Sprintf("%s on %s from %s on", n.Asset, n.Chain, n.From)
}

func assetByCode(ctx context.Context, db *store.DB, chain, code string) (payment.Asset, error) {
	assets, err := db.ListAssets(ctx, chain)
	if err != nil {
		return payment.Asset{}, err
	}
	for _, asset := range assets {
		if asset.Symbol == code {
			return asset.Asset, nil
		}
	}
	return payment.Asset{}, payment.E(payment.CodeUnknownAsset, "asset", "there is no such asset on this chain")
}

type tierSet struct {
	tierNamed
	Confirmations uint64 `required:"" help:"Blocks that a payment must have, its own being the first."`
	Tag           string `enum:",safe,finalized" default:"" help:"Also wait for this tag (safe or finalized)."`
}

// Run sets the tier, after asking the nodes for its tag.
func (s tierSet) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, s.audited, func(a admin) error {
		if _, err := a.db.GetChain(ctx, s.Chain); err != nil {
			return err
		}
		key, err := s.key(ctx, a.db)
		if err != nil {
			return err
		}
		policy := payment.ConfirmationPolicy{Confirmations: s.Confirmations, Tag: payment.Tag(s.Tag)}
		if err := a.knowsTag(ctx, s.Chain, policy.Tag); err != nil {
			return err
		}
		if err := a.db.SetConfirmationTier(ctx, key, policy, a.by); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s: %s\n", s.tierNamed, tierText(policy))
		return nil
	})
}

// knowsTag refuses a tag that no node of the chain has a block for: payments would wait for it for ever. When some nodes could not be
// asked, the error is theirs: they may know it.
func (a admin) knowsTag(ctx context.Context, name string, tag payment.Tag) error {
	if tag == payment.TagNone {
		return nil
	}
	endpoints, err := a.db.ListRPCEndpoints(ctx, name)
	if err != nil {
		return err
	}
	var refusals, failures []error
	for _, endpoint := range endpoints {
		err := a.asksForTag(ctx, name, endpoint, tag)
		named := fmt.Errorf("node of %s: %w", endpoint.Operator, err)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, chain.ErrUnsupported), errors.Is(err, chain.ErrBlockUnknown):
			refusals = append(refusals, named)
		default:
			failures = append(failures, named)
		}
	}
	if len(failures) > 0 {
		return fmt.Errorf("no node of %s could say that it knows the tag %s: %w", name, tag, errors.Join(failures...))
	}
	return fmt.Errorf("no node of %s knows the tag %s: %w", name, tag, errors.Join(refusals...))
}

func (a admin) asksForTag(ctx context.Context, name string, endpoint store.RPCEndpoint, tag payment.Tag) error {
	url, err := a.keys.Open(endpoint.URL, endpoint.URLPlace(name))
	if err != nil {
		return err
	}
	source, err := evm.New(evm.Options{URL: string(url)})
	if err != nil {
		return err
	}
	defer source.Close()
	_, err = source.Head(ctx, tag)
	return err
}

func tierText(p payment.ConfirmationPolicy) string {
	if p.Tag == payment.TagNone {
		return fmt.Sprintf("%d confirmations", p.Confirmations)
	}
	return fmt.Sprintf("%d confirmations and %s", p.Confirmations, p.Tag)
}

type tierRemove struct{ tierNamed }

// Run removes the tier.
func (r tierRemove) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, r.audited, func(a admin) error {
		key, err := r.key(ctx, a.db)
		if err != nil {
			return err
		}
		if err := a.db.RemoveConfirmationTier(ctx, key, a.by); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s: removed\n", r.tierNamed)
		return nil
	})
}

type tierList struct {
	Chain string `arg:"" help:"Of which network."`
}

// Run lists the base policy and the tiers above it.
func (l tierList) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, audited{}, func(a admin) error {
		policies, err := a.db.ListPolicies(ctx, l.Chain)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "any amount  %s\n", tierText(policies.Base))
		for _, t := range policies.Confirmations {
			fmt.Fprintf(c.out, "%s from %s  %s\n", assetText(t.AssetCode), t.From, tierText(t.Policy))
		}
		return nil
	})
}

func assetText(code string) string {
	if code == "" {
		return "any asset"
	}
	return code
}

type evidenceSet struct {
	tierNamed
	Evidence string `arg:"" enum:"single,self_consistent,agreed,proven" help:"What a credit must rest on (${enum})."`
}

// Run sets the tier.
func (s evidenceSet) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, s.audited, func(a admin) error {
		key, err := s.key(ctx, a.db)
		if err != nil {
			return err
		}
		if err := a.db.SetEvidenceTier(ctx, key, payment.Evidence(s.Evidence), a.by); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s: %s\n", s.tierNamed, s.Evidence)
		return nil
	})
}

type evidenceRemove struct{ tierNamed }

// Run removes the tier.
func (r evidenceRemove) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, r.audited, func(a admin) error {
		key, err := r.key(ctx, a.db)
		if err != nil {
			return err
		}
		if err := a.db.RemoveEvidenceTier(ctx, key, a.by); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s: removed\n", r.tierNamed)
		return nil
	})
}

type evidenceLimit struct {
	Chain  string `arg:"" help:"On which network."`
	Asset  string `required:"" help:"Of which asset (its code)." placeholder:"CODE"`
	Amount string `required:"" help:"How much in an hour (decimal); 0 takes the limit away."`
	audited
}

// Run sets the single-source limit.
func (l evidenceLimit) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, l.audited, func(a admin) error {
		asset, err := assetByCode(ctx, a.db, l.Chain, l.Asset)
		if err != nil {
			return err
		}
		var amount payment.Amount
		if err := overrideAmount("--amount", &amount, &l.Amount, asset.Decimals); err != nil {
			return err
		}
		if err := a.db.SetSingleSourceLimit(ctx, asset.ID, amount, a.by); err != nil {
			return err
		}
		if amount.IsZero() {
			fmt.Fprintf(c.out, "%s on %s: no limit; nothing above its tiers, and everything below, on one operator's word\n", l.Asset, l.Chain)
			return nil
		}
		fmt.Fprintf(c.out, "%s on %s: %s in an hour on one operator's word, shared with the other assets that have a limit\n", l.Asset, l.Chain, l.Amount)
		return nil
	})
}

type evidenceList struct {
	Chain string `arg:"" help:"Of which network."`
}

// Run lists the tiers and the limits.
func (l evidenceList) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, audited{}, func(a admin) error {
		policies, err := a.db.ListPolicies(ctx, l.Chain)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "any amount  %s\n", payment.EvidenceSingle)
		for _, t := range policies.Evidence {
			fmt.Fprintf(c.out, "%s from %s  %s\n", assetText(t.AssetCode), t.From, t.Evidence)
		}
		for _, limit := range policies.SingleSource {
			fmt.Fprintf(c.out, "%s  up to %s in an hour on one operator's word, all assets together\n", limit.AssetCode, limit.Amount)
		}
		return nil
	})
}

type chainDeadline struct {
	chainNamed
	After time.Duration `required:"" help:"Review a payment that is not confirmed after so long; 0 for ten times what its confirmations usually take, six hours at least."`
}

// Run sets when payments that do not confirm are reviewed.
func (d chainDeadline) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, d.audited, func(a admin) error {
		if err := a.db.SetSettleAfter(ctx, d.Name, d.After, a.by); err != nil {
			return err
		}
		after := d.After.String()
		if d.After == 0 {
			after = "the time that its confirmations take ten times over"
		}
		fmt.Fprintf(c.out, "%s: a payment that is not confirmed after %s is reviewed\n", d.Name, after)
		return nil
	})
}
