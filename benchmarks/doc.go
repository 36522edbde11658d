// Command benchmarks measures the gateway beside nginx as a plain proxy, on
// the same provider, in one run, and prints a table. Nothing imports it.
//
//	go run ./benchmarks          all measurements
//	go run ./benchmarks unary    CPU per request and requests per second
//	go run ./benchmarks stream   time added to the first byte and between chunks
//	go run ./benchmarks memory   resident memory of 5,000 open streams
//	go run ./benchmarks vault    the key path on a real Vault (make vault), 10,000 tenants
//
// Every process is real: the gateway's own binary with token check, routing,
// credential, header filter and record on; nginx from the system's packages.
// CPU is read from /proc, so other load on the machine moves the rates but not
// much the ratios.
package main
