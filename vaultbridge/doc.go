// Package vaultbridge keeps tenants' provider credentials sealed, and lends
// the plaintext for the moment of a request.
//
// A [Keyring] seals and unseals; [Local] is one over a master key file.
// [Cache] keeps unsealed credentials in memory for a short time and wipes
// them. Plaintext exists in [Credential] handles only, which lend their bytes
// for a call and print as [credential].
//
// What Go can not promise: a secret is copied where it is used (into a TLS
// record, a socket buffer), and those copies are not ours to wipe. The room
// bounds the number and the lifetime of the copies it makes itself.
//
// It never sees a body, logs nothing, and imports none of our rooms.
// Goroutines: ristretto's own, and one timer for each cached credential;
// [Cache.Close] ends them.
package vaultbridge
