package main

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/api"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

type keyCommands struct {
	Create keyCreate `cmd:"" help:"Make an API key and show it once."`
	Revoke keyRevoke `cmd:"" help:"End an API key for good."`
}

type keyCreate struct {
	Merchant string   `required:"" placeholder:"mer_…" help:"Whose."`
	Mode     string   `required:"" enum:"test,live" help:"Which orders it sees (${enum})."`
	Name     string   `help:"For people, such as the service that uses it."`
	Scopes   []string `enum:"orders:read,orders:write,balances:read" default:"orders:read,orders:write,balances:read" help:"What it may do (${enum})."`
	audited
	printed
}

// Run makes the key. Only its hash is kept.
func (k keyCreate) Run(ctx context.Context, c console) error {
	merchant, err := payment.ParseMerchantID(k.Merchant)
	if err != nil {
		return err
	}
	return withAdmin(ctx, k.audited, func(a admin) error {
		mode := payment.Mode(k.Mode)
		key, prefix, hash := api.NewAPIKey(mode)
		id := payment.NewKeyID()
		err := a.db.CreateKey(ctx, store.NewKey{
			ID: id, Merchant: merchant, Mode: mode, Hash: hash, Prefix: prefix, Scopes: k.Scopes, Name: k.Name,
		}, a.by)
		if err != nil {
			return err
		}
		return k.show(c, field{"key_id", string(id)}, field{"key", key})
	})
}

type keyRevoke struct {
	Key string `arg:"" placeholder:"key_…" help:"Which key, by its id."`
	audited
}

// Run revokes the key.
func (k keyRevoke) Run(ctx context.Context, c console) error {
	id, err := payment.ParseKeyID(k.Key)
	if err != nil {
		return err
	}
	return withAdmin(ctx, k.audited, func(a admin) error {
		if err := a.db.RevokeKey(ctx, id, a.by); err != nil {
			return err
		}
		fmt.Fprintln(c.out, id, "is revoked")
		return nil
	})
}
