package gateway

import (
	"bytes"
	"slices"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/wire"
	"github.com/valyala/fasthttp"
)

// endpoint is what a request's target says: which provider, if one is pinned,
// and the path and query below that provider's base URL.
type endpoint struct {
	provider []byte       // pinned by /{provider}/v1/…; empty otherwise
	path     []byte       // below /v1, canonical, with a leading slash, without the query
	forward  []byte       // path, and the query as it came
	judged   []byte       // path as the most lenient provider reads it
	request  wire.Dialect // of the request's body
	answer   wire.Dialect // of the answer
	// versioned: the client sent Anthropic-Version, as Anthropic's SDKs always do.
	versioned bool
}

// parseEndpoint reads a raw request target. What is judged is what is
// forwarded: the canonical spelling of its path.
func parseEndpoint(target []byte, e *endpoint) error {
	*e = endpoint{}
	raw, query, _ := bytes.Cut(target, []byte("?"))
	if !printable(query) {
		return errSpelling
	}
	path, err := canonicalPath(raw)
	if err != nil {
		return err
	}
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
	if len(rest) < 2 {
		return errPath
	}
	e.path, e.judged = rest, lenient(rest)
	if !e.reserved() { // a bucket may be called anything, x/v1/chat/completions among it
		e.judged = belowVersion(e.judged)
	}
	if len(e.judged) == 0 {
		return errPath
	}
	e.forward = rest
	if &path[0] == &raw[0] {
		e.forward = target[len(raw)-len(rest):]
	} else if len(raw) < len(target) {
		e.forward = slices.Concat(rest, target[len(raw):])
	}
	e.request = wire.DialectOf(e.judged)
	e.answer = wire.AnswerDialectOf(e.judged)
	return nil
}

// belowVersion cuts a path behind its last /v1: of a provider whose base URL is
// a bare host, clients write the version themselves (/v1/v1/…, /v1/openai/v1/…).
func belowVersion(path []byte) []byte {
	if i := bytes.LastIndex(path, []byte("/v1/")); i >= 0 {
		return path[i+len("/v1"):]
	}
	return path
}

// printable reports whether a query is made of the bytes that a URL can have. A
// space or a line end in it would become part of the request line that we
// write.
func printable(query []byte) bool {
	for _, c := range query {
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

// reserved reports whether a path belongs to the memory API, which is never
// forwarded to a provider.
func (e *endpoint) reserved() bool {
	if len(e.provider) > 0 {
		return false
	}
	first, _, _ := cutSegment(e.judged)
	return string(first) == "buckets" || string(first) == "query"
}

// usage reports whether a path asks what the tenant has used.
func (e *endpoint) usage() bool { return len(e.provider) == 0 && string(e.judged) == "/usage" }

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

// messages reports whether a path is one of Anthropic's API only.
func (e *endpoint) messages() bool {
	first, _, _ := cutSegment(e.judged)
	return string(first) == "messages"
}

// anthropic reports whether a call is meant for Anthropic's API: by its path, or
// by the header that says so, whatever the path.
func (e *endpoint) anthropic() bool { return e.messages() || e.versioned }

// anthropicErrors reports whether the client reads errors in Anthropic's shape.
// One that sends a body of OpenAI's reads OpenAI's, as Anthropic's own
// /chat/completions has them.
func (e *endpoint) anthropicErrors() bool {
	return e.messages() || e.versioned && e.request == wire.DialectNone
}

// passes reports whether calls of a method are served. Providers' APIs know no
// others, and some servers send the head of a TRACE back, with the credential in it
// (RFC 9110, section 9.3.8).
func passes(method []byte) bool {
	switch string(method) {
	case fasthttp.MethodGet, fasthttp.MethodHead, fasthttp.MethodPost, fasthttp.MethodPut, fasthttp.MethodPatch, fasthttp.MethodDelete, fasthttp.MethodOptions, methodQuery:
		return true
	}
	return false
}

// methodQuery is a GET with a body (draft-ietf-httpbis-safe-method-w-body).
const methodQuery = "QUERY"

var errMethod = refuse(codeNotSupported, "this method is not served; use GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS or QUERY")
