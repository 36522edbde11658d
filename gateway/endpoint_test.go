package gateway

import (
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/wire"
)

func TestParseEndpoint(t *testing.T) {
	f := func(target, provider, forward string, dialect wire.Dialect) {
		t.Helper()
		var e endpoint
		if err := parseEndpoint([]byte(target), &e); err != nil || string(e.provider) != provider || string(e.forward) != forward || e.request != dialect {
			t.Errorf("%s: provider %q, forward %q, %v, %v", target, e.provider, e.forward, e.request, err)
		}
	}
	f("/v1/chat/completions", "", "/chat/completions", wire.DialectChat)
	f("/v1/chat/completions?a=b", "", "/chat/completions?a=b", wire.DialectChat)
	f("/groq/v1/models", "groq", "/models", wire.DialectNone)
	f("/v1/v1/models", "", "/v1/models", wire.DialectNone)
	f("/v1/models/ft:gpt-4o:acme::abc.1", "", "/models/ft:gpt-4o:acme::abc.1", wire.DialectNone)
	f("/v1/files/a..b", "", "/files/a..b", wire.DialectNone)
	f("/v1/models/.hidden", "", "/models/.hidden", wire.DialectNone)
	// Escapes: those of unreserved characters are decoded, others kept.
	f("/v1/%63hat/completions", "", "/chat/completions", wire.DialectChat)
	f("/%76%31/chat/completions", "", "/chat/completions", wire.DialectChat)
	f("/%67roq/v1/%6D%6f%64els", "groq", "/models", wire.DialectNone)
	f("/v1/models/openai%2Fgpt-oss-120b", "", "/models/openai%2Fgpt-oss-120b", wire.DialectNone)
	f("/v1/models/openai%2fgpt%3aoss", "", "/models/openai%2Fgpt%3Aoss", wire.DialectNone)
	f("/v1/models/a%25%32%66b", "", "/models/a%252fb", wire.DialectNone)
	f("/v1/models/caf%c3%a9%20x%7e", "", "/models/caf%C3%A9%20x~", wire.DialectNone)
	f("/v1/models/{x}|y", "", "/models/%7Bx%7D%7Cy", wire.DialectNone)
	f("/v1/models/a%3Fb?c%3fd", "", "/models/a%3Fb?c%3fd", wire.DialectNone)
	// Slashes and dot segments.
	f("/v1//chat/completions", "", "/chat/completions", wire.DialectChat)
	f("//v1///chat//completions?x=//./%63", "", "/chat/completions?x=//./%63", wire.DialectChat)
	f("/groq//v1//responses", "groq", "/responses", wire.DialectResponses)
	f("/v1/./messages", "", "/messages", wire.DialectMessages)
	f("/v1/x/../embeddings", "", "/embeddings", wire.DialectEmbeddings)
	f("/v1/x/%2E%2e/completions?y", "", "/completions?y", wire.DialectCompletions)
	f("/groq/v1/../../main/v1/chat/completions", "main", "/chat/completions", wire.DialectChat)
	// What some providers take for the same path is judged as that path.
	f("/v1/chat/completions/", "", "/chat/completions/", wire.DialectChat)
	f("/v1/Chat/COMPLETIONS", "", "/Chat/COMPLETIONS", wire.DialectChat)
	f("/v1/chat%2fcompletions", "", "/chat%2Fcompletions", wire.DialectChat)
	f("/v1/chat;a=b/completions;c", "", "/chat;a=b/completions;c", wire.DialectChat)
	f("/v1/v1/chat/completions", "", "/v1/chat/completions", wire.DialectChat)
	f("/v1/openai/v1/responses", "", "/openai/v1/responses", wire.DialectResponses)
	// An encoded percent sign stays one: who decodes twice is on their own.
	f("/v1/%2563hat/completions", "", "/%2563hat/completions", wire.DialectNone)
	for _, bad := range []string{
		"", "/", "*", "/v1", "/v1/", "/v1//", "/v1/%2F", "/groq", "/groq/v1", "/groq/v2/models", "http://host/v1/models", "host:443", "/V1/models",
		"/v1/../admin", "/v1/a/..", "/v1/%2e%2E/admin", "/v1/.%2e/admin", "/v1/../../../etc", "/v1/a/../../x/models",
	} {
		var e endpoint
		if err := parseEndpoint([]byte(bad), &e); err != errPath {
			t.Errorf("%s: %v, forward %q; want no such path", bad, err, e.forward)
		}
	}
	for _, bad := range []string{
		"/v1/a\\b", "/v1/a%5Cb", "/v1/a%5c..%5Cb", "/v1/a%00", "/v1/a%0d%0aX:y", "/v1/a%7F", "/v1/%", "/v1/a%2", "/v1/%zz", "/v1/%4", "/v1/chat/completions#x",
		"/v1/a%2f..%2fb", "/v1/..%2Fb", "/v1/%2e%2e%2fb", "/v1/a%2F.", "/v1/..;/models", "/v1/a/..;x=y/b", "/v1/.;/a",
		"/v1/chat/completions;%2Fx", "/v1/chat;%2fcompletions", "/v1/a;b/c;x%2F/d",
		"/v1/a b", "/v1/models?x= HTTP/1.1", "/v1/a\tb", "/v1/a\r\nX: y", "/v1/\x01", "/v1/\xff",
	} {
		var e endpoint
		if err := parseEndpoint([]byte(bad), &e); err != errSpelling {
			t.Errorf("%q: %v, forward %q; want no such spelling", bad, err, e.forward)
		}
	}
}

// TestReservedPaths: what belongs to the gateway's own API is never forwarded,
// however it is spelled.
func TestReservedPaths(t *testing.T) {
	for target, want := range map[string]string{
		"/v1/buckets": "memory", "/v1//buckets/default/memories": "memory", "/v1/%62uckets/a": "memory", "/v1/buckets/": "memory",
		"/v1/BUCKETS/a": "memory", "/v1/buckets%2Fdefault%2Fmemories": "memory", "/v1/buckets;x/a": "memory", "/v1/v1/buckets/a/memories": "memory",
		"/v1/x/../query": "memory", "/v1/query/": "memory", "/v1/qu%65ry": "memory", "/v1/buckets/x/v1/chat/completions": "memory", "/v1/buckets/a%2Fv1%2Fb": "memory", "/v1/query/v1/models": "memory", "/v1/queryx": "inference", "/v1/files/buckets": "inference",
		"/groq/v1/buckets": "inference", "/v1/usage": "usage", "/v1//usage": "usage", "/v1/usage/": "usage", "/v1/us%61ge?by=day": "usage", "/v1/usage/x": "inference",
	} {
		var e endpoint
		if err := parseEndpoint([]byte(target), &e); err != nil || e.scope() != want {
			t.Errorf("%s: scope %s, %v; want %s", target, e.scope(), err, want)
		}
	}
}

// TestCanonicalPathAlloc: the usual spelling is judged without a copy.
func TestCanonicalPathAlloc(t *testing.T) {
	var e endpoint
	target := []byte("/groq/v1/chat/completions?x=y")
	if n := testing.AllocsPerRun(100, func() { _ = parseEndpoint(target, &e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzParseEndpoint: to judge what is forwarded gives the same judgement, no way
// of resolving it leaves the base path, and whoever decodes, cleans and folds it
// finds the dialect that we have judged it by.
func FuzzParseEndpoint(f *testing.F) {
	for _, s := range []string{
		"/v1/chat/completions?x=1", "/groq/v1/models", "/v1/%2e%2e/x", "/v1/a/b/../../../c", "/v1//%63hat%2fcompletions", "/v1/a;b/.%2f", "/v1/Chat/./x/../completions/",
		"/v1/{a}/%7b", "/x/v1/v1/responses",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, target []byte) {
		var e, again endpoint
		if parseEndpoint(target, &e) != nil {
			return
		}
		prefix := "/v1"
		if len(e.provider) > 0 {
			prefix = "/" + string(e.provider) + prefix
		}
		if err := parseEndpoint([]byte(prefix+string(e.forward)), &again); err != nil {
			t.Fatalf("%q forwards %q, which is refused: %v", target, e.forward, err)
		}
		if string(again.forward) != string(e.forward) || string(again.judged) != string(e.judged) || string(again.provider) != string(e.provider) ||
			again.request != e.request || again.scope() != e.scope() {
			t.Fatalf("%q is judged as %q, what it forwards (%q) as %q", target, e.judged, e.forward, again.judged)
		}
		_, query, has := strings.Cut(string(target), "?")
		if _, sent, sends := strings.Cut(string(e.forward), "?"); sent != query || sends != has {
			t.Fatalf("%q forwards the query %q", target, sent)
		}
		decoded, err := url.PathUnescape(string(e.path))
		if err != nil {
			t.Fatalf("%q forwards a path that does not decode: %v", target, err)
		}
		resolved := path.Join("/base", decoded)
		if resolved != "/base" && !strings.HasPrefix(resolved, "/base/") {
			t.Fatalf("%q resolves to %q", target, resolved)
		}
		below := strings.ToLower(strings.TrimPrefix(resolved, "/base"))
		if d := wire.DialectOf([]byte(below)); d != wire.DialectNone && d != e.request {
			t.Fatalf("%q is %v to a lenient server, judged as %v", target, d, e.request)
		}
	})
}
