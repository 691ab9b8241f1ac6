// Package seal keeps secrets that must be read back, and authenticates rows that a thief of the database must not be
// able to forge. The master keys come from the environment and never enter the database.
//
// A Keyring holds one or more master keys of 32 bytes, each under an id. The first one seals and signs; all of them open
// and verify, so a key is rotated by putting a new one in front and rewriting rows at leisure (see Keyring.Current).
// Sealing and signing use separate keys that HKDF-SHA256 derives from a master key.
//
//   - Seal is AES-256-GCM. A sealed value is bound to the place it stands in (purpose and row id): moved to another row
//     or column it does not open.
//   - MAC is HMAC-SHA256 under a key of its own per purpose, over parts whose boundaries count.
//   - Secret is a string that prints as a mask however it is printed, also inside another value.
//
// Failures: ErrKeyring for a key list that cannot be used, ErrUnknownKey for an id that is not in the keyring, ErrOpen
// and ErrMAC for anything altered, moved or under another key. No error holds key material or plaintext.
package seal
