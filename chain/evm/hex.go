package evm

import (
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"github.com/sluicepay/sluice/payment"
)

// The JSON-RPC spells everything in hex strings. These types accept what nodes
// really send (leading zeros, upper case, no checksum) and nothing that would have
// to be guessed. JSON null leaves them as they are.

var (
	errHex    = errors.New("not a hex string with prefix 0x")
	errNumber = errors.New("number above 2^64-1")
	errAmount = errors.New("number above 2^256-1")
	errLength = errors.New("wrong number of bytes")
)

func hexDigits(text []byte) (string, error) {
	digits, ok := strings.CutPrefix(string(text), "0x")
	if !ok {
		return "", errHex
	}
	return digits, nil
}

// number is a quantity that has to fit 64 bits.
type number uint64

func (n *number) UnmarshalText(text []byte) error {
	digits, err := hexDigits(text)
	if err != nil {
		return err
	}
	v, err := strconv.ParseUint(digits, 16, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return errNumber
	case err != nil:
		return errHex
	}
	*n = number(v)
	return nil
}

// quantity is a quantity up to 2^256-1.
type quantity struct{ amount payment.Amount }

func (q *quantity) UnmarshalText(text []byte) error {
	digits, err := hexDigits(text)
	if err != nil {
		return err
	}
	if digits == "" {
		return errHex
	}
	digits = strings.TrimLeft(digits, "0")
	if len(digits) > 64 {
		return errAmount
	}
	if len(digits)%2 == 1 {
		digits = "0" + digits
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return errHex
	}
	q.amount, err = payment.AmountFromBytes(raw)
	return err
}

// byteString is any number of bytes.
type byteString []byte

func (b *byteString) UnmarshalText(text []byte) error {
	digits, err := hexDigits(text)
	if err != nil {
		return err
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return errHex
	}
	*b = raw
	return nil
}

// address is an account of 20 bytes, in any case and without a checksum.
type address struct{ account payment.Address }

func (a *address) UnmarshalText(text []byte) error {
	var raw byteString
	if err := raw.UnmarshalText(text); err != nil {
		return err
	}
	parsed, err := payment.AddressFromBytes(payment.FamilyEVM, raw)
	if err != nil {
		return errLength
	}
	a.account = parsed
	return nil
}

// word is 32 bytes: a hash or a topic.
type word = payment.Hash

func hexNumber(n uint64) string { return "0x" + strconv.FormatUint(n, 16) }
