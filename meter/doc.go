// Package meter keeps what the platform may know about a call: rows of ids,
// times, sizes, counts and statuses ([Record], [Unseal], [MemoryEvent]), and the
// [Journal] that writes them to the ledger before a call is called done.
//
// It cannot see a body: it imports neither wire nor memory, and no row has a
// field that could hold a text of a client or a provider, or an amount of
// money. The rooms below it carry rows to a store (drain, sqlite, clickhouse)
// and answer questions about them (usage, evidence, reconcile, audit, invoice).
package meter
