package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicepay/sluice/store"
)

type masterKeyCommands struct {
	Status masterKeyStatus `cmd:"" help:"Say what stands under which master key."`
	Reseal masterKeyReseal `cmd:"" help:"Seal everything again under the first master key, so that the others can be thrown away."`
}

type masterKeyStatus struct {
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Run lists the keys in use.
func (s masterKeyStatus) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, audited{}, func(a admin) error {
		uses, err := a.db.KeyUses(ctx)
		if err != nil {
			return err
		}
		return printPage(c, paged{JSON: s.JSON}, store.Page[store.KeyUse]{Items: uses}, a.keyColumns())
	})
}

func (a admin) keyColumns() []column[store.KeyUse] {
	return []column[store.KeyUse]{
		{"KEY", func(u store.KeyUse) string { return u.KeyID }},
		{"STATE", func(u store.KeyUse) string {
			switch {
			case u.KeyID == a.keys.Current():
				return "seals"
			case a.keys.Has(u.KeyID):
				return "opens"
			default:
				return "NOT CONFIGURED"
			}
		}},
		{"WHAT", func(u store.KeyUse) string { return u.What }},
		{"ROWS", func(u store.KeyUse) string { return strconv.FormatInt(u.Rows, 10) }},
	}
}

type masterKeyReseal struct{ audited }

// Run seals everything again. Exit code 3: something still stands under another key, or does not open.
func (r masterKeyReseal) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, r.audited, func(a admin) error {
		done, err := a.db.Reseal(ctx, *a.keys, a.by)
		if err != nil {
			return fmt.Errorf("%w; what was sealed again stays so, and the same command goes on", err)
		}
		fmt.Fprintf(c.out, "%d sealed again under %s; %d open with it alone\n", done.Changed, a.keys.Current(), done.Checked)
		for _, broken := range done.Broken {
			fmt.Fprintln(c.out, "NOT CHANGED", foreign(broken))
		}
		if len(done.Left) > 0 {
			if err := printTable(c.out, done.Left, a.keyColumns()); err != nil {
				return err
			}
		}
		if len(done.Broken)+len(done.Left) > 0 {
			return &exitError{code: 3, message: "other keys are still needed: " + strings.Join(otherKeys(done.Left), ", ")}
		}
		fmt.Fprintln(c.out, "nothing needs another key: take the old ones out of SLUICE_MASTER_KEYS of every program, once all of them seal under", a.keys.Current())
		return nil
	})
}

// otherKeys are the ids in use, once each.
func otherKeys(left []store.KeyUse) []string {
	var ids []string
	for _, use := range left { // sorted by key
		if len(ids) == 0 || ids[len(ids)-1] != use.KeyID {
			ids = append(ids, use.KeyID)
		}
	}
	return ids
}
