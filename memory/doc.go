// Package memory keeps what tenants want remembered, recalls it for a question
// and makes the block that is put into a request.
//
// A [Keeper] owns one SQLite file, which is the truth, and holds the buckets
// that are asked for in memory, each with its index (memory/index): a recall
// reads no database. Buckets and memories belong to a tenant. Every statement
// names the tenant, and every row that was read is checked again.
//
// The room sees text, so it has no logger and no network. What it needs of
// others it declares: [Provider] runs a tenant's own models on the tenant's own
// credential, Options.Emit hands billing events to the meter.
//
// Goroutines: the keeper's own, which expire memories, hand on events, and run
// what embeddings and extraction have to do, and one for each bucket that is
// being loaded. [Keeper.Close] waits for all.
package memory
