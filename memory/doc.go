// Package memory will keep what tenants want remembered, recall it for a call,
// and make the block that is put into a request. It is empty so far: the
// gateway keeps the memory API's paths to itself and answers 501.
//
// The rules for it hold already: it sees text, so it may import no logger and
// no network; of our rooms it may import wire, for opaque text, and config.
// What else it needs, such as an embedder, it declares as an interface.
package memory
