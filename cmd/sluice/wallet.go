package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/sluicepay/sluice/chain/hd"
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

type walletCommands struct {
	New     walletNew     `cmd:"" help:"Make a mnemonic, show it once, and show its extended public key. Needs no database."`
	Import  walletImport  `cmd:"" help:"Give the engine an extended public key, read from standard input."`
	List    walletList    `cmd:"" help:"List wallets, without their keys."`
	Advance walletAdvance `cmd:"" help:"Move a wallet's next index past anything handed out, after a restore; or lock all."`
	Retire  walletRetire  `cmd:"" help:"Derive nothing more from a wallet. Its addresses stay watched."`
}

type walletNew struct {
	Words      int  `enum:"12,24" default:"24" help:"Length of the mnemonic (${enum})."`
	Passphrase bool `help:"Read a BIP-39 passphrase from standard input."`
	printed
}

// Run prints the mnemonic and the account's extended public key, and keeps neither.
func (w walletNew) Run(c console) error {
	passphrase := ""
	if w.Passphrase {
		line, err := readLine(c.in)
		if err != nil {
			return fmt.Errorf("read the passphrase: %w", err)
		}
		passphrase = line
	}
	mnemonic, err := hd.NewMnemonic(w.Words)
	if err != nil {
		return err
	}
	xpub, err := hd.AccountXPub(mnemonic, passphrase)
	if err != nil {
		return err
	}
	if !w.JSON {
		fmt.Fprintln(c.err, "Write the mnemonic down: it is shown once and stored nowhere. Whoever has it has the money.")
		fmt.Fprintln(c.err, "Only the xpub goes to the engine: sluice wallet import")
	}
	return w.show(c, field{"mnemonic", mnemonic}, field{"path", hd.AccountPath}, field{"xpub", xpub.Reveal()})
}

// maxLine is longer than anything that is read from standard input.
const maxLine = 4096

func readLine(in io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(in, maxLine)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

type walletImport struct {
	Family     string `enum:"evm" default:"evm" help:"What addresses it derives (${enum})."`
	Merchant   string `placeholder:"mer_…" help:"Whose. Default: every merchant without a wallet of its own."`
	FirstIndex uint32 `help:"Begin here: past whatever was handed out from this key before."`
	audited
	printed
}

// Run takes the extended public key from standard input, so that it is in no process list or shell history.
func (w walletImport) Run(ctx context.Context, c console) error {
	line, err := readLine(c.in)
	if err != nil {
		return fmt.Errorf("read the xpub: %w", err)
	}
	xpub, err := hd.ParseXPub(strings.TrimSpace(line))
	if err != nil {
		return err
	}
	var merchant payment.MerchantID
	if w.Merchant != "" {
		if merchant, err = payment.ParseMerchantID(w.Merchant); err != nil {
			return err
		}
	}
	return withAdmin(ctx, w.audited, func(a admin) error {
		wallet := store.Wallet{
			ID: payment.NewXPubID(), Family: payment.Family(w.Family), Merchant: merchant,
			Xpub: seal.NewSecret(xpub.Reveal()), Path: hd.AccountPath,
		}
		wallet.MAC = a.keys.MAC(store.MACXpub, wallet.MACParts()...)
		err := a.db.AddWallet(ctx, store.NewWallet{Wallet: wallet, Fingerprint: xpub.Fingerprint(), FirstIndex: w.FirstIndex}, a.by)
		if err != nil {
			return err
		}
		first, err := xpub.Derive(w.FirstIndex)
		if err != nil {
			return err
		}
		return w.show(c, field{"wallet_id", string(wallet.ID)}, field{"key", xpub.String()},
			field{"first_address", first.Text()})
	})
}

type walletList struct{}

// Run lists wallets.
func (walletList) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, audited{}, func(a admin) error {
		wallets, err := a.db.ListWallets(ctx)
		if err != nil {
			return err
		}
		for _, w := range wallets {
			state := "in use"
			switch {
			case w.Retired:
				state = "retired"
			case w.Locked:
				state = "locked"
			}
			owner := string(w.Merchant)
			if owner == "" {
				owner = "default"
			}
			fmt.Fprintf(c.out, "%s  %s  xpub#%x  %s  next index %d  %s\n", w.ID, w.Family, w.Fingerprint[:4], owner, w.NextIndex, state)
		}
		return nil
	})
}

type walletAdvance struct {
	Wallet  string `placeholder:"xpb_…" help:"Which wallet."`
	To      uint32 `help:"The next index to hand out; indices cost nothing, so be generous."`
	LockAll bool   `help:"Lock every wallet instead: nothing is allocated until each was advanced."`
	audited
}

// Run advances and unlocks one wallet, or locks all.
func (w walletAdvance) Run(ctx context.Context, c console) error {
	if w.LockAll == (w.Wallet != "") {
		return &exitError{code: 2, message: "give --wallet and --to, or --lock-all"}
	}
	return withAdmin(ctx, w.audited, func(a admin) error {
		if w.LockAll {
			n, err := a.db.LockWallets(ctx, a.by)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.out, "%d wallets are locked\n", n)
			return nil
		}
		id, err := payment.ParseXPubID(w.Wallet)
		if err != nil {
			return err
		}
		if err := a.db.AdvanceWallet(ctx, id, w.To, a.by); err != nil {
			return err
		}
		fmt.Fprintln(c.out, id, "goes on at index", strconv.FormatUint(uint64(w.To), 10))
		return nil
	})
}

type walletRetire struct {
	Wallet string `arg:"" placeholder:"xpb_…" help:"Which wallet."`
	audited
}

// Run retires the wallet.
func (w walletRetire) Run(ctx context.Context, c console) error {
	id, err := payment.ParseXPubID(w.Wallet)
	if err != nil {
		return err
	}
	return withAdmin(ctx, w.audited, func(a admin) error {
		if err := a.db.RetireWallet(ctx, id, a.by); err != nil {
			return err
		}
		fmt.Fprintln(c.out, id, "is retired")
		return nil
	})
}
