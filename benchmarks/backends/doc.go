// Command backends measures what lies behind the gateway's request path: the
// keyring on a real Vault, and the stores of records. Nothing imports it.
//
//	go run ./benchmarks/backends          both
//	go run ./benchmarks/backends vault    unseals, revocation and rewrap, 10,000 tenants (make vault)
//	go run ./benchmarks/backends meter    a record's cost, rows per second, questions over 1,000,000 rows (make clickhouse)
//
// The speed of the gateway itself, beside other gateways, is in ./benchmarks.
package main
