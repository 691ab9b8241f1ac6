package hd

import (
	"crypto/rand"
	"strings"
	"unicode/utf8"

	"github.com/tyler-smith/go-bip32"
	"github.com/tyler-smith/go-bip39"
	"golang.org/x/text/unicode/norm"

	"github.com/sluicepay/sluice/payment"
)

// This is the only file that uses go-bip39, whose repository is gone: the next library has one place to go to.

// AccountPath is where AccountXPub looks in a wallet.
const AccountPath = "m/44'/60'/0'"

// accountSteps are the hardened steps of AccountPath.
func accountSteps() []uint32 { return []uint32{44, 60, 0} }

// NewMnemonic makes a fresh mnemonic of 12 or 24 English words. It is a secret: show it once and keep it nowhere.
// Error: invalid_parameter.
func NewMnemonic(words int) (string, error) {
	if words != 12 && words != 24 {
		return "", payment.E(payment.CodeInvalidParameter, "words", "a mnemonic has 12 or 24 words")
	}
	entropy := make([]byte, words/3*4)
	_, _ = rand.Read(entropy) // never fails
	return mnemonicOf(entropy)
}

func mnemonicOf(entropy []byte) (string, error) {
	text, err := bip39.NewMnemonic(entropy)
	if err != nil {
		return "", payment.E(payment.CodeInternal, "", "the mnemonic could not be made")
	}
	return text, nil
}

// AccountXPub returns the extended public key at AccountPath of a wallet. The passphrase may be empty. Neither is kept.
// Error: invalid_parameter for a mnemonic whose words or checksum are wrong, without repeating any of it.
func AccountXPub(mnemonic, passphrase string) (ExtendedPublicKey, error) {
	seed, err := seedOf(mnemonic, passphrase)
	if err != nil {
		return ExtendedPublicKey{}, err
	}
	key, err := bip32.NewMasterKey(seed)
	for _, step := range accountSteps() {
		if err == nil {
			key, err = key.NewChildKey(bip32.FirstHardenedChild + step)
		}
	}
	if err != nil { // one wallet in 2^127
		return ExtendedPublicKey{}, payment.E(payment.CodeInvalidParameter, "mnemonic", "this wallet has no such account")
	}
	return ParseXPub(key.PublicKey().B58Serialize())
}

// seedOf checks the words and their checksum. The library leaves the normalisation that BIP-39 asks for to its caller.
func seedOf(mnemonic, passphrase string) ([]byte, error) {
	if !utf8.ValidString(mnemonic) || !utf8.ValidString(passphrase) {
		return nil, payment.E(payment.CodeInvalidParameter, "mnemonic", "mnemonic and passphrase must be UTF-8")
	}
	words := strings.Join(strings.Fields(strings.ToLower(norm.NFKD.String(mnemonic))), " ")
	seed, err := bip39.NewSeedWithErrorChecking(words, norm.NFKD.String(passphrase))
	if err != nil { // dropped: it may name a word
		return nil, payment.E(payment.CodeInvalidParameter, "mnemonic",
			"not a valid mnemonic: check the words, their order and their number")
	}
	return seed, nil
}

// looksLikeMnemonic is generous: a mistyped mnemonic is a secret as well.
func looksLikeMnemonic(text string) bool {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r < 'a' || r > 'z' })
	known := 0
	for _, word := range words {
		if _, ok := bip39.GetWordIndex(word); ok {
			known++
		}
	}
	return known >= 3 && 2*known >= len(words)
}
