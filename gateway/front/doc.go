// Package front is the server's side of HTTP/1.1: it accepts connections, reads
// one request after another from each, lets a handler answer, and writes the
// response. It knows nothing of tenants or providers.
//
// Heads are parsed and written by fasthttp. What fasthttp's own server leaves
// loose is done here: nothing that a stranger sends is waited for in the accept
// loop, a request's framing has one reading or the request is refused, trailers
// are dropped, `100 Continue` is sent when a body is first read, a large head
// borrows a large buffer for as long as it needs one, and a response reaches a
// client that is still sending. docs/decisions/0010-front.md says why.
//
// Goroutines: one for each connection, and one for each listener. [Server.Shutdown]
// waits for requests in flight.
package front
