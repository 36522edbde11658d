// Package directory knows who may call: tenants, their tokens (digests only),
// their sealed credentials (ciphertext only) and their routes.
//
// Rows live in a database; the process holds a complete replica in memory, and
// lookups never leave it. One goroutine follows the database by revision, and
// is the replica's only writer: a row is applied only if it is newer than what
// is held, so nothing that was revoked comes back. [Directory.Close] ends it.
//
// It never sees a plaintext credential or a body, logs nothing, and imports
// none of our rooms but internal/db.
package directory
