// Package claims holds the documents to their tests. Each paragraph, list item
// and table row of the pages in claims_test.go says, in a comment that readers
// of the rendered page do not see, which tests would fail if it were false:
//
//	A revoked token stops within two seconds. <!-- tests: TestNothingRevokedComesBack -->
//
// A block that has `TestX` in its text needs no comment for it.
//
// A comment on a heading stands for everything below it that has none of its
// own. A name that several packages have is written with its directory, as in
// memory.TestLimits. `<!-- tests: none, REASON -->` says why there is nothing to test, such
// as a definition or a measurement with its date.
//
// docs/claims.md is the list for readers; go test ./internal/claims -update
// writes it anew.
package claims
