// Command benchmarks measures the gateway side by side with plain proxies and
// with other gateways, on one machine in one run, and writes what it saw: JSON
// with raw histograms, a table, plots. README.md beside it says how to read
// them, and what they do not show. Nothing imports it.
//
//	make bench            everything
//	make bench-quick      a smoke test of it
//
// Contenders have one core, what they are measured with has the others:
// benchmarks/load, Vault and ClickHouse. A contender that is not being measured
// is stopped (SIGSTOP).
package main
