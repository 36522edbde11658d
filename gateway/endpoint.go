package gateway

import (
	"bytes"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/wire"
)

// endpoint is what a request's target says: which provider, if one is pinned,
// and the path and query below that provider's base URL.
type endpoint struct {
	provider []byte       // pinned by /{provider}/v1/…; empty otherwise
	path     []byte       // below /v1, with a leading slash, without the query
	forward  []byte       // path with the query, as it came
	request  wire.Dialect // of the request's body
	answer   wire.Dialect // of the answer
}

var errPath = refuse(codeNotFound, "no such path; use /v1/... or /{provider}/v1/...")

// parseEndpoint reads a raw request target. Nothing is decoded or normalized:
// what is forwarded is what was checked. Paths that a provider could resolve
// to something above its base URL are refused.
func parseEndpoint(target []byte, e *endpoint) error {
	*e = endpoint{}
	if !printable(target) {
		return errPath
	}
	path, _, _ := bytes.Cut(target, []byte("?"))
	first, rest, ok := cutSegment(path)
	if !ok {
		return errPath
	}
	if string(first) != "v1" {
		e.provider = first
		if first, rest, ok = cutSegment(rest); !ok || string(first) != "v1" {
			return errPath
		}
	}
	if len(rest) < 2 || climbs(rest) {
		return errPath
	}
	e.path = rest
	e.forward = target[len(path)-len(rest):]
	e.request = wire.DialectOf(rest)
	e.answer = wire.AnswerDialectOf(rest)
	return nil
}

// printable reports whether a target is made of the bytes that a URL can have.
// A space or a line end in it would become part of the request line that we
// write.
func printable(target []byte) bool {
	for _, c := range target {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// cutSegment splits "/a/b" into "a" and "/b".
func cutSegment(path []byte) (segment, rest []byte, ok bool) {
	if len(path) < 2 || path[0] != '/' {
		return nil, nil, false
	}
	end := bytes.IndexByte(path[1:], '/')
	if end < 0 {
		return path[1:], nil, true
	}
	return path[1 : end+1], path[end+1:], true
}

// climbs reports whether some server could read the path as leaving its base:
// dot segments, plain or percent-encoded, backslashes, encoded slashes.
func climbs(path []byte) bool {
	if bytes.IndexByte(path, '%') < 0 && bytes.IndexByte(path, '.') < 0 && bytes.IndexByte(path, '\\') < 0 {
		return false
	}
	lower := bytes.ToLower(path)
	for _, bad := range [...]string{"\\", "%5c", "%2f", "%00"} {
		if bytes.Contains(lower, []byte(bad)) {
			return true
		}
	}
	plain := bytes.ReplaceAll(lower, []byte("%2e"), []byte("."))
	for segment := range bytes.SplitSeq(plain, []byte("/")) {
		if s := string(segment); s == "." || s == ".." {
			return true
		}
	}
	return false
}

// reserved reports whether a path belongs to the memory API, which is never
// forwarded to a provider.
func (e *endpoint) reserved() bool {
	if len(e.provider) > 0 {
		return false
	}
	first, _, _ := cutSegment(e.path)
	return string(first) == "buckets" || string(first) == "query"
}

// usage reports whether a path asks what the tenant has used.
func (e *endpoint) usage() bool { return len(e.provider) == 0 && string(e.path) == "/usage" }

// scope is what a token needs to be allowed.
func (e *endpoint) scope() string {
	switch {
	case e.usage():
		return directory.ScopeUsage
	case e.reserved():
		return directory.ScopeMemory
	}
	return directory.ScopeInference
}

// anthropic reports whether a path belongs to Anthropic's API.
func (e *endpoint) anthropic() bool {
	first, _, _ := cutSegment(e.path)
	return string(first) == "messages"
}
