// Package wire is the only room that reads or edits the bodies of clients and
// providers. It reads the few members that routing needs from the raw bytes,
// plans edits as replacements at byte offsets, and follows an answer while
// others relay it, to count what the provider reports.
//
// A body with no edit leaves as the bytes that came. The room has no pen: it
// may import neither a logger, nor net, os or fmt (fmt would print what it is
// handed), and none of our rooms. Its errors are an offset and a constant. It
// imports unsafe for one type, whose bytes fmt must not reach.
//
// It starts no goroutine and keeps no text beyond the call that brought it,
// except for names of at most 128 bytes.
package wire
