// Package meter keeps what the platform may know about a request: one typed
// [Record] of ids, times, sizes, counts and statuses, and a local [Log] that
// records are appended to before a request is called done.
//
// It cannot see a body: it imports neither wire nor memory, and a record has
// no field that could hold a text of a client or a provider. It may import
// zerolog, whose encoder writes the records, and nothing of ours.
package meter
