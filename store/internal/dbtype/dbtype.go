// Package dbtype maps the schema's number types to Go's exact ones.
package dbtype

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"math/big"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sluicepay/sluice/payment"
)

// Amount is a payment.Amount in a column of the domain base_units. NULL is an error: use a pointer where it may be.
type Amount struct{ payment.Amount }

// Of wraps an amount for a query.
func Of(a payment.Amount) Amount { return Amount{Amount: a} }

// ScanNumeric reads a numeric that must be whole, not negative and below 2^256.
func (a *Amount) ScanNumeric(n pgtype.Numeric) error {
	whole, err := integer(n)
	if err != nil {
		return err
	}
	amount, err := payment.AmountFromBig(whole)
	if err != nil {
		return fmt.Errorf("scan base units: %w", err)
	}
	a.Amount = amount
	return nil
}

// NumericValue hands the amount to the driver.
func (a Amount) NumericValue() (pgtype.Numeric, error) {
	return pgtype.Numeric{Int: a.Big(), Valid: true}, nil
}

// Value is what the driver falls back on where the parameter's type is the domain itself.
func (a Amount) Value() (driver.Value, error) { return a.String(), nil }

// Signed is a whole number of base units that may be negative or above 2^256: a balance or a sum.
type Signed struct{ *big.Int }

// ScanNumeric reads a numeric that must be whole.
func (s *Signed) ScanNumeric(n pgtype.Numeric) error {
	whole, err := integer(n)
	if err != nil {
		return err
	}
	s.Int = whole
	return nil
}

// NumericValue hands the number to the driver.
func (s Signed) NumericValue() (pgtype.Numeric, error) {
	if s.Int == nil {
		return pgtype.Numeric{}, errors.New("dbtype: no number")
	}
	return pgtype.Numeric{Int: s.Int, Valid: true}, nil
}

// integer turns a numeric into a whole number, exactly. The driver normalises 2500 to 25e2.
func integer(n pgtype.Numeric) (*big.Int, error) {
	if !n.Valid || n.NaN || n.InfinityModifier != pgtype.Finite || n.Int == nil {
		return nil, errors.New("dbtype: not a number")
	}
	if n.Exp >= 0 {
		factor := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n.Exp)), nil)
		return factor.Mul(factor, n.Int), nil
	}
	divisor := new(big.Int).Exp(big.NewInt(10), big.NewInt(-int64(n.Exp)), nil)
	quotient, rest := new(big.Int).QuoRem(n.Int, divisor, new(big.Int))
	if rest.Sign() != 0 {
		return nil, errors.New("dbtype: not a whole number")
	}
	return quotient, nil
}
