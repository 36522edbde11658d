package gateway

import (
	"net/url"
	"testing"

	"github.com/ownkey/ownkey/upstream"
)

// addressed is a gateway with one provider of each scheme.
func addressed(t *testing.T, allow ...string) *Gateway {
	t.Helper()
	client := upstream.NewClient()
	t.Cleanup(client.Close)
	s := Settings{Egress: upstream.NewEgress(allow)}
	for name, base := range map[string]string{"groq": "https://api.groq.com/openai/v1", "local": "http://10.1.2.3:8000/v1"} {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		s.Providers = append(s.Providers, &Provider{Name: name, Target: client.NewTarget(u, nil, nil, upstream.Limits{})})
	}
	g := &Gateway{}
	g.table.Store(newTable(client, &s))
	return g
}

// A credential's own base URL is https, or what the operator has named.
func TestAddressOfBaseURLs(t *testing.T) {
	for _, c := range []struct{ provider, base, want string }{
		{"groq", "", "https://api.groq.com:443/openai/v1"},
		{"groq", "https://API.groq.com/other", "https://api.groq.com:443/other"},
		{"groq", "https://example.com:8443/v1", "https://example.com:8443/v1"},
		{"groq", "http://api.groq.com:443/openai/v1", ""},
		{"groq", "http://api.groq.com/openai/v1", ""},
		{"groq", "http://api.groq.com:80/openai/v1", ""},
		{"groq", "http://example.com/v1", ""},
		{"groq", "HTTP://api.groq.com:443/v1", ""},
		{"groq", "http://93.184.216.34/v1", ""},
		{"groq", "http://10.1.2.3:8000/v1", ""}, // the operator's own, but of another provider
		{"groq", "https://10.1.2.3/v1", ""},
		{"local", "", "http://10.1.2.3:8000/v1"},
		{"local", "http://10.1.2.3:8000/other", "http://10.1.2.3:8000/other"},
		{"local", "http://10.1.2.3:8001/v1", ""},
		{"local", "http://10.1.2.4:8000/v1", ""},
		{"local", "https://10.1.2.3:8000/v1", ""}, // another scheme is another origin, and not a public one
		{"local", "https://example.com/v1", "https://example.com:443/v1"},
		{"nobody", "", ""},
	} {
		for _, allow := range [][]string{nil, {"127.0.0.0/8"}} { // an allowed range names no host
			got, err := addressed(t, allow...).Address(c.provider, c.base)
			if (err == nil) != (c.want != "") || err == nil && got != c.want {
				t.Errorf("%s %s with %v: %q, %v; want %q", c.provider, c.base, allow, got, err, c.want)
			}
		}
	}
	named := addressed(t, "vllm.internal:8000", "127.0.0.0/8")
	for _, base := range []string{"http://vllm.internal:8000/v1", "http://127.0.0.1:9/v1"} {
		if got, err := named.Address("groq", base); err != nil || got != base {
			t.Errorf("%s, which the operator has named: %q, %v", base, got, err)
		}
	}
}

// What a secret that is bound to a host alone is bound to afterwards is the same
// host, and nothing that a writer of the database could have made unsafe.
func TestRebindGivesAwayNothing(t *testing.T) {
	g := addressed(t, "127.0.0.0/8")
	for _, c := range []struct{ provider, base, host, want string }{
		{"groq", "", "api.groq.com:443", "https://api.groq.com:443/openai/v1"},
		{"groq", "https://example.com/v1", "example.com:443", "https://example.com:443/v1"},
		{"local", "", "10.1.2.3:8000", "http://10.1.2.3:8000/v1"},
		{"local", "http://10.1.2.3:8000/v1", "10.1.2.3:8000", "http://10.1.2.3:8000/v1"},
		{"groq", "", "evil.example:443", ""},
		{"groq", "https://evil.example/v1", "api.groq.com:443", ""},
		{"groq", "http://api.groq.com:443/openai/v1", "api.groq.com:443", ""},
		{"local", "http://10.1.2.3:8000/other", "10.1.2.3:8000", ""},
		{"groq", "http://127.0.0.1:9/v1", "127.0.0.1:9", ""},
		{"nobody", "", "api.groq.com:443", ""},
	} {
		if got := g.Rebind(c.provider, c.base, c.host); got != c.want {
			t.Errorf("%s %s of %s: %q, want %q", c.provider, c.base, c.host, got, c.want)
		}
	}
}
