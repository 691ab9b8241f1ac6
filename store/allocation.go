package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// ErrAddressCollision is the cause of an error that says that a derived address, or its index, belongs to something
// already. Indices only grow, so this happens when the database is older than what it handed out: it was restored. The
// wallet is locked until somebody advances it.
var ErrAddressCollision = errors.New("a derived address is known already")

// Wallet is what addresses are derived from. Whoever derives must Verify it first: a row that somebody changed in the
// database derives no address.
type Wallet struct {
	ID       payment.XPubID
	Family   payment.Family
	Merchant payment.MerchantID // "" for the family's default
	Xpub     seal.Secret
	Path     string
	MAC      seal.MAC
}

// MACParts are the parts that the wallet's MAC authenticates, in order.
func (w Wallet) MACParts() [][]byte {
	return [][]byte{[]byte(w.ID), []byte(w.Family), []byte(w.Merchant), []byte(w.Xpub.Reveal())}
}

// Sign makes the wallet's MAC.
func (w Wallet) Sign(keys seal.Keyring) seal.MAC { return keys.MAC(MACXpub, w.MACParts()...) }

// Verify checks the wallet's MAC. Errors: seal.ErrMAC, seal.ErrUnknownKey.
func (w Wallet) Verify(keys seal.Keyring) error { return keys.Verify(w.MAC, MACXpub, w.MACParts()...) }

// Allocation says what is left to do until an order has its address: nothing, to derive its customer's once more, or to
// derive one.
type Allocation struct {
	// Done is the order when it has its address.
	Done *process.OrderView
	// Known is the address that the order's customer has: derive it again, then ReuseAddress. nil: derive from Wallet.
	Known  *Origin
	Wallet Wallet
}

// BeginAllocation returns the order if it has its address, else where its customer's address comes from if it is to be paid
// there and there is one, and else the wallet to derive one from: the merchant's own or the family's default. Errors: CodeNotFound; CodeAddressesExhausted when there is no wallet, or it is locked or used up.
func (db *DB) BeginAllocation(ctx context.Context, id payment.OrderID) (Allocation, error) {
	var a Allocation
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		a = Allocation{}
		order, err := t.lockOrder(ctx, id)
		if err != nil {
			return err
		}
		if order.AddressID != nil {
			a.Done, err = t.viewOf(ctx, order)
			return err
		}
		chain, err := t.q.GetChain(ctx, order.Chain)
		if err != nil {
			return fmt.Errorf("read chain: %w", err)
		}
		if a.Known, err = t.knownAddress(ctx, order, chain.Family); err != nil || a.Known != nil {
			return err
		}
		a.Wallet, err = t.wallet(ctx, payment.MerchantID(order.MerchantID), payment.Family(chain.Family))
		return err
	})
	return a, err
}

// maxIndex is one past the last index of non-hardened derivation.
const maxIndex = 1 << 31

// wallet finds the wallet in use for a merchant. Error: CodeAddressesExhausted.
func (t txn) wallet(ctx context.Context, merchant payment.MerchantID, family payment.Family) (Wallet, error) {
	row, err := t.q.ActiveXpub(ctx, sqlc.ActiveXpubParams{Family: string(family), MerchantID: string(merchant)})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Wallet{}, payment.E(payment.CodeAddressesExhausted, "", "there is no wallet to derive an address from")
	case err != nil:
		return Wallet{}, fmt.Errorf("find wallet: %w", err)
	case row.Locked:
		return Wallet{}, payment.E(payment.CodeAddressesExhausted, "", "the wallet is locked until it is advanced")
	case row.NextIndex >= maxIndex:
		return Wallet{}, payment.E(payment.CodeAddressesExhausted, "", "the wallet is used up")
	}
	return Wallet{
		ID: payment.XPubID(row.ID), Family: payment.Family(row.Family), Merchant: payment.MerchantID(deref(row.MerchantID)),
		Xpub: seal.NewSecret(row.Xpub), Path: row.Path, MAC: seal.MAC{KeyID: row.MacKey, Sum: row.Mac},
	}, nil
}

// ReserveIndex hands out the wallet's next index and commits that at once: no other call, of whatever process, gets the
// same, also when what it was meant for fails. Errors: CodeNotFound; CodeAddressesExhausted when the wallet is locked, retired
// or used up.
func (db *DB) ReserveIndex(ctx context.Context, id payment.XPubID) (uint32, error) {
	index, err := db.q.ReserveIndex(ctx, string(id))
	if err == nil {
		return uint32(index), nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return 0, classify(err)
	}
	state, err := db.q.XpubState(ctx, string(id))
	switch {
	case err != nil:
		return 0, notFound(err, "wallet")
	case state.Locked:
		return 0, payment.E(payment.CodeAddressesExhausted, "", "the wallet is locked until it is advanced")
	case state.Retired:
		return 0, payment.E(payment.CodeAddressesExhausted, "", "the wallet is retired")
	default:
		return 0, payment.E(payment.CodeAddressesExhausted, "", "the wallet is used up")
	}
}

// FinishAllocation gives the order the address that was derived at the index, and opens it: it waits for its payment from
// now on. If it has an address already, that one stays and the order is returned as it is. The address of an order that is
// paid to its customer's becomes the customer's.
//
// Errors: CodeStale when the customer got an address meanwhile: begin again; CodeAddressesExhausted around ErrAddressCollision when the address or index is taken; the wallet is locked then.
func (db *DB) FinishAllocation(
	ctx context.Context, id payment.OrderID, wallet payment.XPubID, index uint32, address payment.Address,
) (process.OrderView, error) {
	var v process.OrderView
	collided := false
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		var err error
		v, collided, err = t.finish(ctx, id, derived{wallet: wallet, index: index, address: address})
		if collided && err == nil {
			_, err = t.q.LockXpub(ctx, string(wallet)) // committed, although the caller gets an error
		}
		return err
	})
	if err != nil {
		return process.OrderView{}, err
	}
	if collided {
		db.log.ErrorContext(ctx, "a derived address is known already; the wallet is locked until it is advanced",
			"wallet", wallet, "index", index, "order", id)
		return process.OrderView{}, payment.Wrap(ErrAddressCollision, payment.CodeAddressesExhausted, "",
			"no address can be given until the wallet was advanced")
	}
	return v, nil
}

// derived is an address fresh from its wallet.
type derived struct {
	wallet  payment.XPubID
	index   uint32
	address payment.Address
}

// finish makes the derived address the order's or its customer's and opens the order. collided: it belongs to something
// else. Error: CodeStale.
func (t txn) finish(ctx context.Context, id payment.OrderID, d derived) (v process.OrderView, collided bool, err error) {
	addressID, collided, err := t.giveCustomer(ctx, id, d) // a customer's address is locked before the order
	if err != nil || collided {
		return v, collided, err
	}
	order, err := t.lockOrder(ctx, id)
	if err != nil {
		return v, false, err
	}
	if order.AddressID == nil {
		if addressID == "" {
			addressID = string(payment.NewAddressID())
			n, err := t.q.InsertAddress(ctx, sqlc.InsertAddressParams{
				ID: addressID, Family: string(d.address.Family), Bytes: d.address.Bytes(), XpubID: string(d.wallet),
				DerivationIndex: int64(d.index), MerchantID: order.MerchantID, Mode: order.Mode, OrderID: &order.ID,
			})
			if err != nil || n == 0 {
				return v, err == nil, refused(err, "address")
			}
		}
		if err := t.open(ctx, order, addressID, d.address); err != nil {
			return v, false, err
		}
	}
	v, err = t.view(ctx, order)
	return v, false, err
}

// open starts the order's clock: the deadline counts from the moment the payer can be shown an address.
func (t txn) open(ctx context.Context, order *orderRow, addressID string, address payment.Address) error {
	if err := t.q.JoinBirths(ctx, order.Chain); err != nil { // before the position is read
		return fmt.Errorf("wait for blocks that are being undone: %w", err)
	}
	moment, err := t.q.AllocationMoment(ctx, order.Chain)
	if err != nil {
		return fmt.Errorf("read the moment: %w", err)
	}
	order.AddressID, order.address = &addressID, address
	order.setDeadline(moment.Now.Add(time.Duration(order.ExpiresInSeconds) * time.Second))
	order.BirthBlock = moment.BlockNumber
	_, err = t.apply(ctx, order, payment.TriggerAddressAllocated, eventCause{})
	return err
}

// setDeadline moves the deadline, and the end of the late window with it.
func (o *orderRow) setDeadline(at time.Time) {
	lateUntil := at.Add(time.Duration(o.LateWindowSeconds) * time.Second)
	o.ExpiresAt, o.LateUntil = &at, &lateUntil
}
