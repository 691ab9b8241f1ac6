package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

// chainNamed is embedded by the switches of a chain.
type chainNamed struct {
	Name string `arg:"" help:"Which chain."`
	audited
}

func (n chainNamed) control(
	ctx context.Context, c console, done string, change func(*store.DB, context.Context, string, process.By, string) error,
) error {
	return withAdmin(ctx, n.audited, func(a admin) error {
		if err := change(a.db, ctx, n.Name, a.by, ""); err != nil {
			return err
		}
		fmt.Fprintln(c.out, n.Name, done)
		return nil
	})
}

type chainPause struct{ chainNamed }

// Run pauses the chain's watcher.
func (p chainPause) Run(ctx context.Context, c console) error {
	return p.control(ctx, c, "is paused: nothing more is read or credited", (*store.DB).PauseChain)
}

type chainUnpause struct{ chainNamed }

// Run lets the chain's watcher go on.
func (u chainUnpause) Run(ctx context.Context, c console) error {
	return u.control(ctx, c, "is not paused: its watcher goes on where it stopped", (*store.DB).UnpauseChain)
}

type chainResume struct{ chainNamed }

// Run ends a halt.
func (r chainResume) Run(ctx context.Context, c console) error {
	return r.control(ctx, c, "is not halted: its payments are credited again", (*store.DB).ResumeChain)
}

type chainTrace struct{ chainNamed }

// Run has internal transfers looked for.
func (r chainTrace) Run(ctx context.Context, c console) error {
	return r.control(ctx, c, "is traced, where a node can", (*store.DB).TraceChain)
}

type chainUntrace struct{ chainNamed }

// Run has internal transfers not looked for.
func (r chainUntrace) Run(ctx context.Context, c console) error {
	return r.control(ctx, c, "is not traced: internal transfers are not found", (*store.DB).UntraceChain)
}

type chainAnyToken struct {
	Name   string `arg:"" help:"Which chain."`
	Switch string `arg:"" enum:"on,off" help:"on, which is how a network begins, or off: only enabled tokens are looked for."`
	audited
}

// Run has transfers of every token looked for, or of enabled ones only.
func (t chainAnyToken) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, t.audited, func(a admin) error {
		on := t.Switch == "on"
		if err := a.db.LookForAnyToken(ctx, t.Name, on, a.by, ""); err != nil {
			return err
		}
		if on {
			fmt.Fprintln(c.out, t.Name, "is looked through for tokens that nobody enabled, where a node can")
		} else {
			fmt.Fprintln(c.out, t.Name, "is looked through for enabled tokens only")
		}
		return nil
	})
}

type chainBloom struct {
	Name   string `arg:"" help:"Which chain."`
	Switch string `arg:"" enum:"on,off" help:"on, which is how most networks begin: no transfers where a filter admits some are asked about again; or off, where the filters are wrong."`
	audited
}

// Run has bloom filters looked at, or not.
func (b chainBloom) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, b.audited, func(a admin) error {
		off := b.Switch == "off"
		if err := a.db.IgnoreBlooms(ctx, b.Name, off, a.by, ""); err != nil {
			return err
		}
		if off {
			fmt.Fprintln(c.out, b.Name, "is read without a look at its bloom filters; workers follow within a minute")
		} else {
			fmt.Fprintln(c.out, b.Name, "has its bloom filters looked at; workers follow within a minute")
		}
		return nil
	})
}

type chainAcceptHole struct {
	Name  string `arg:"" help:"Which chain."`
	Block uint64 `required:"" help:"The block's number; chain list names the lowest."`
	audited
}

// Run ends what a block that cannot be read holds up.
func (h chainAcceptHole) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, h.audited, func(a admin) error {
		if err := a.db.AcceptHole(ctx, h.Name, h.Block, a.by, ""); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "block %d of %s holds no order up any more; it is still tried again, and payments in it are not seen until then\n", h.Block, h.Name)
		return nil
	})
}

type chainList struct{}

// Run lists every chain with how far it was read.
func (chainList) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, audited{}, func(a admin) error {
		chains, err := a.db.ListProgress(ctx)
		if err != nil {
			return err
		}
		demands, err := a.db.ListDemands(ctx)
		if err != nil {
			return err
		}
		for _, chain := range chains {
			fmt.Fprintf(c.out, "%s  %s  %s  %s%s\n", chain.Name, chain.Mode, chainState(chain), chainLag(chain), chainTraces(chain)+chainQuarantine(chain)+chainTokens(chain)+chainBlooms(chain))
			for _, demand := range demands {
				if demand.Chain == chain.Name {
					fmt.Fprintf(c.out, "  %s\n", demandText(demand))
				}
			}
		}
		return nil
	})
}

func chainState(p store.ChainProgress) string {
	var states []string
	if !p.Enabled {
		states = append(states, "disabled")
	}
	if p.Paused {
		states = append(states, "paused")
	}
	if p.HaltedReason != "" {
		states = append(states, "halted: "+p.HaltedReason)
	}
	if len(states) == 0 {
		return "watched"
	}
	return strings.Join(states, ", ")
}

func chainLag(p store.ChainProgress) string {
	switch {
	case p.Block == nil:
		return "nothing read yet"
	case p.Head == nil || *p.Head <= *p.Block:
		return fmt.Sprintf("block %d, 0 behind", *p.Block)
	default:
		return fmt.Sprintf("block %d, %d behind", *p.Block, *p.Head-*p.Block)
	}
}

// chainTraces tells of blocks in which internal transfers were not looked for, if there are any.
func chainTraces(p store.ChainProgress) string {
	if p.Untraced == 0 {
		return ""
	}
	return fmt.Sprintf("  %d blocks not traced, %d of them given up", p.Untraced, p.TracesGivenUp)
}

// chainQuarantine tells of blocks that could not be read, if there are any: what is in them is not known, and no order expires across them.
func chainQuarantine(p store.ChainProgress) string {
	accepted := ""
	if p.AcceptedHoles > 0 {
		accepted = fmt.Sprintf(" (%d accepted)", p.AcceptedHoles)
	}
	switch p.Quarantined {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("  1 block quarantined: %d%s", p.FirstQuarantined, accepted)
	default:
		return fmt.Sprintf("  %d blocks quarantined, the lowest is %d%s", p.Quarantined, p.FirstQuarantined, accepted)
	}
}

func chainBlooms(p store.ChainProgress) string {
	if p.IgnoresBlooms {
		return "  bloom filters not looked at"
	}
	return ""
}

func chainTokens(p store.ChainProgress) string {
	if p.KnownTokensOnly {
		return "  enabled tokens only"
	}
	return ""
}
