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
	for _, bad := range []string{
		"", "/", "*", "/v1", "/v1/", "/groq", "/groq/v1", "/groq/v2/models", "http://host/v1/models", "host:443",
		"/v1/../admin", "/v1/./models", "/v1/a/..", "/v1/%2e%2E/admin", "/v1/.%2e/admin", "/v1/a%2fb", "/v1/a\\b", "/v1/a%5Cb", "/v1/a%00",
		"/v1/a b", "/v1/models?x= HTTP/1.1", "/v1/a\tb", "/v1/a\r\nX: y", "/v1/\x01", "/v1/\xff",
	} {
		var e endpoint
		if err := parseEndpoint([]byte(bad), &e); err == nil {
			t.Errorf("%s was accepted, forward %q", bad, e.forward)
		}
	}
}

// FuzzParseEndpoint: what is forwarded is a part of what came, and no way of
// resolving it leaves the base path.
func FuzzParseEndpoint(f *testing.F) {
	for _, s := range []string{"/v1/chat/completions?x=1", "/groq/v1/models", "/v1/%2e%2e/x", "/v1/a/b/../../../c"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, target []byte) {
		var e endpoint
		if parseEndpoint(target, &e) != nil {
			return
		}
		if !strings.HasSuffix(string(target), string(e.forward)) || e.forward[0] != '/' {
			t.Fatalf("%q forwards %q", target, e.forward)
		}
		decoded, err := url.PathUnescape(string(e.path))
		if err != nil {
			decoded = string(e.path)
		}
		if resolved := path.Join("/base", decoded); resolved != "/base" && !strings.HasPrefix(resolved, "/base/") {
			t.Fatalf("%q resolves to %q", target, resolved)
		}
	})
}
