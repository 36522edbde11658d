// Package vaultbridge keeps tenants' provider credentials sealed, and lends
// the plaintext for the moment of a request.
//
// A [Keyring] seals and unseals. [Transit] is one over HashiCorp Vault, with a
// key for each tenant and two identities; [Local] is one over a master key file.
// A [Ring] holds the one that seals and the one before it. [Cache] keeps
// unsealed credentials in memory for a short time and wipes them. Plaintext
// exists in [Credential] handles only, which lend their bytes for a call and
// print as [credential].
//
// What Go can not promise: a secret is copied where it is used (into a TLS
// record, a socket buffer), and those copies are not ours to wipe. The room
// bounds the number and the lifetime of the copies it makes itself, and a test
// searches the process's memory for them (memory_test.go).
//
// It never sees a body, logs nothing, and imports none of our rooms.
// Goroutines: ristretto's own, one timer for each cached credential
// ([Cache.Close] ends them); one for each identity, those of the calls of Vault
// that are under way ([Transit.Close]).
package vaultbridge
