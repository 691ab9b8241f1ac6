package hd

import (
	"regexp"
	"strings"

	"github.com/sluicepay/sluice/payment"
)

// privateShapes are the forms in which people hold private keys, wherever they stand in the text.
func privateShapes() []*regexp.Regexp {
	const start, end = `(^|[^0-9a-zA-Z])`, `($|[^0-9a-zA-Z])`
	return []*regexp.Regexp{
		regexp.MustCompile(start + `(?i:[xyztuv]prv)[1-9a-zA-Z]{8,}`),                  // extended private keys, whole or cut
		regexp.MustCompile(start + `(0[xX])?([0-9a-fA-F]{64}|[0-9a-fA-F]{128})` + end), // key or seed in hex
		regexp.MustCompile(start + `[59KLc][1-9A-HJ-NP-Za-km-z]{50,51}` + end),         // WIF
		regexp.MustCompile(`PRIVATE KEY`),                                              // PEM
		regexp.MustCompile(`(?i)"(ciphertext|private_?key|mnemonic|seed)"`),            // key files
	}
}

// looksPrivate reports whether text holds something that its owner must not hand to anybody.
//
// It may err on either side: ask it about text that was refused anyway.
func looksPrivate(text string) bool {
	for _, shape := range privateShapes() {
		if shape.MatchString(text) {
			return true
		}
	}
	return looksLikeMnemonic(text)
}

func errPrivate() error {
	return payment.E(payment.CodePrivateKeyMaterial, "xpub", "%s", strings.Join([]string{
		"this looks like a private key or a mnemonic.",
		"The engine only ever takes an extended public key (xpub…).",
		"Nothing was kept; if this was typed where others can read it, move the money to a new wallet",
	}, " "))
}
