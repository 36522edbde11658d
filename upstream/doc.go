// Package upstream makes one attempt at one provider: it finds or dials a
// connection, sends a request, and hands out the answer as it arrives.
//
// Bytes are opaque here: the room neither reads nor edits a body. It does not
// choose providers or log. It sends a request again in one case only: when it
// was lost on a connection that its provider had closed (see lost). It may import
// fasthttp for its header codec; it imports no other room.
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
// A connection serves requests for five minutes. Names are looked up for each
// host on its own, IPv6 and IPv4 at once, and kept for 15 seconds; while the
// resolver fails, for ten minutes.
//
// Goroutines: one per [Client], which closes idle connections; Close stops it.
// Besides, for as long as they last: name look-ups and connects (their limit is
// Connect), and one that reads the response of a request that is still being
// written, which Send waits for.
package upstream
