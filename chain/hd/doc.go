// Package hd derives payment addresses from an extended public key (BIP-32, BIP-39, BIP-44).
//
// The engine holds the extended public key of one account, m/44'/60'/account', and derives m/44'/60'/account'/0/index from
// it. One address is valid on every chain of its family. Private keys are no part of this package's interface: a
// mnemonic goes in, to make the extended public key, and nothing private comes out. That matters beyond tidiness: an
// extended public key and the private key of a single child together reveal the private keys of all.
//
// Guarantees:
//   - ParseXPub accepts the canonical spelling of a valid account-level extended public key and nothing else. Whatever
//     looks like a private key or a mnemonic gets the code private_key_material. No error repeats its input.
//   - Derive is safe for concurrent use and always gives the same address for the same index.
//   - An ExtendedPublicKey prints as its fingerprint. It is no key to money, but whoever has it sees all payments.
//
// Errors are payment.Errors with the codes invalid_xpub, private_key_material and invalid_parameter.
package hd
