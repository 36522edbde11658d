// Package upstream makes one attempt at one provider: it finds or dials a
// connection, sends a request, and hands out the answer as it arrives.
//
// Bytes are opaque here: the room neither reads nor edits a body. It does not
// retry, choose providers, or log. It may import config for addresses and
// limits, and fasthttp for its header codec; it imports no other room.
//
// Three rules hold for every connection:
//
//   - It goes back to its pool only when the answer was read to its proven
//     end, nothing is left in its buffer, and nobody canceled. In every other
//     case it is closed, so that one answer can never begin with the rest of
//     another.
//   - [Attempt.Cancel] closes it from any goroutine, before the first byte or
//     in the middle of an answer.
//   - Every wait has a limit: connect, first byte, silence, total.
//
// Goroutines: one per [Client], which closes idle connections; Close stops it.
package upstream
