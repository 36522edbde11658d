// Package gateway is the HTTP face: it takes a client's request, asks the
// rooms who may call, with which credential and where, and relays the
// provider's answer. It is the only room that meets all others.
//
// A request reads top to bottom in handle.go. The bodies of clients pass
// through body.go, in one direction each, and are otherwise opaque; nothing in
// this room decodes, logs or keeps them.
//
// Goroutines: one per client connection (front's), and one that watches the
// sockets of requests in flight (watch.go). [Gateway.Shutdown] waits for both.
package gateway
