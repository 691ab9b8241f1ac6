package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// checkCustomer checks what a request says of its customer. Errors: CodeInvalidParameter, CodeMissingParameter.
func (n NewOrder) checkCustomer() error {
	mode, err := payment.ParseAddressMode(string(n.AddressMode))
	switch {
	case err != nil:
		return err
	case n.CustomerID != "":
		return payment.CheckCustomerID(n.CustomerID)
	case mode == payment.AddressPerCustomer:
		return payment.E(payment.CodeMissingParameter, "customer_id", "address_mode per_customer needs a customer_id")
	default:
		return nil
	}
}

// addressable checks that the order can get an address: its customer has one, or a wallet gives one. Error:
// CodeAddressesExhausted.
func (t txn) addressable(ctx context.Context, n NewOrder, family payment.Family) error {
	if n.AddressMode == payment.AddressPerCustomer {
		_, err := t.q.CustomerAddress(ctx, sqlc.CustomerAddressParams{
			MerchantID: string(n.Merchant), Mode: string(n.Mode), Family: string(family), CustomerID: n.CustomerID,
		})
		if err == nil || !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
	}
	_, err := t.wallet(ctx, n.Merchant, family)
	return err
}

// perCustomer tells whether the order is paid to its customer's address.
func (o *orderRow) perCustomer() bool { return o.AddressMode == string(payment.AddressPerCustomer) }

// knownAddress reads where the address of the order's customer comes from; nil when he has none yet, or the order is to have
// its own.
func (t txn) knownAddress(ctx context.Context, order *orderRow, family string) (*Origin, error) {
	if !order.perCustomer() {
		return nil, nil //nolint:nilnil // no address yet, no error
	}
	row, err := t.q.CustomerOrigin(ctx, sqlc.CustomerOriginParams{
		MerchantID: order.MerchantID, Mode: order.Mode, Family: family, CustomerID: deref(order.CustomerID),
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil //nolint:nilnil // no address yet, no error
	case err != nil:
		return nil, fmt.Errorf("look for the customer's address: %w", err)
	}
	address, err := payment.AddressFromBytes(payment.Family(row.Family), row.Bytes)
	if err != nil {
		return nil, fmt.Errorf("address of the customer of order %s: %w", order.ID, err)
	}
	return &Origin{
		Merchant: payment.MerchantID(order.MerchantID),
		Wallet: Wallet{
			ID: payment.XPubID(row.ID), Family: payment.Family(row.Family), Merchant: payment.MerchantID(deref(row.MerchantID)),
			Xpub: seal.NewSecret(row.Xpub), Path: row.Path, MAC: seal.MAC{KeyID: row.MacKey, Sum: row.Mac},
		},
		Index: uint32(row.DerivationIndex), Address: address,
	}, nil
}

// customerKey is whose an order's address is to be. ok is false for an order that gets its own.
func (t txn) customerKey(ctx context.Context, id payment.OrderID) (key sqlc.CustomerAddressParams, ok bool, err error) {
	row, err := t.q.CustomerOfOrder(ctx, string(id))
	if errors.Is(err, pgx.ErrNoRows) {
		return key, false, nil
	}
	if err != nil {
		return key, false, fmt.Errorf("read the order's customer: %w", err)
	}
	return sqlc.CustomerAddressParams{
		MerchantID: row.MerchantID, Mode: row.Mode, Family: row.Family, CustomerID: deref(row.CustomerID),
	}, true, nil
}

// giveCustomer makes the derived address that of the order's customer and returns its id; "" for an order that gets its own.
// collided: the address or its index belongs to something else. Error: CodeStale when the customer has another address: whoever
// was faster won, and the index that was reserved here is used for nothing.
func (t txn) giveCustomer(ctx context.Context, id payment.OrderID, d derived) (addressID string, collided bool, err error) {
	key, ok, err := t.customerKey(ctx, id)
	if err != nil || !ok {
		return "", false, err
	}
	addressID = string(payment.NewAddressID())
	n, err := t.q.InsertCustomerAddress(ctx, sqlc.InsertCustomerAddressParams{
		ID: addressID, Family: string(d.address.Family), Bytes: d.address.Bytes(), XpubID: string(d.wallet),
		DerivationIndex: int64(d.index), MerchantID: key.MerchantID, Mode: key.Mode, CustomerID: key.CustomerID,
	})
	if err != nil || n == 1 {
		return addressID, false, refused(err, "address")
	}
	_, err = t.q.CustomerAddress(ctx, key) // a later statement sees the address of whoever was faster
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", true, nil
	case err != nil:
		return "", false, fmt.Errorf("look for the customer's address: %w", err)
	default:
		return "", false, payment.E(payment.CodeStale, "", "the customer got an address meanwhile")
	}
}

// ReuseAddress gives the order the address that its customer has, and opens it; derived is that address, derived once more.
// If the order has an address already, that one stays and the order is returned as it is.
//
// The customer's address is locked before the chain's position is read: a block that is being recorded meanwhile sees the
// order, or is older than it. Errors: CodeNotFound; CodeStale when the derived address is not the customer's.
func (db *DB) ReuseAddress(ctx context.Context, id payment.OrderID, derived payment.Address) (process.OrderView, error) {
	var v process.OrderView
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		addressID, err := t.lockCustomerAddress(ctx, id, derived)
		if err != nil {
			return err
		}
		order, err := t.lockOrder(ctx, id)
		if err != nil {
			return err
		}
		if order.AddressID == nil {
			if err := t.open(ctx, order, addressID, derived); err != nil {
				return err
			}
		}
		v, err = t.view(ctx, order)
		return err
	})
	return v, err
}

func (t txn) lockCustomerAddress(ctx context.Context, id payment.OrderID, derived payment.Address) (string, error) {
	key, ok, err := t.customerKey(ctx, id)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", payment.E(payment.CodeNotFound, "", "no such order of a customer")
	}
	addressID, err := t.q.CustomerAddress(ctx, key)
	if err != nil {
		return "", notFound(err, "address")
	}
	rows, err := t.q.LockAddresses(ctx, []string{addressID})
	if err != nil {
		return "", fmt.Errorf("lock the customer's address: %w", err)
	}
	if len(rows) != 1 || string(rows[0].Bytes) != string(derived.Bytes()) {
		return "", payment.E(payment.CodeStale, "", "this is not the customer's address")
	}
	return addressID, nil
}
