package origin

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func prefixes(t *testing.T, texts ...string) (all Prefixes) {
	t.Helper()
	for _, text := range texts {
		p, ok := Parse(text)
		if !ok {
			t.Fatal(text)
		}
		all = append(all, p)
	}
	return all
}

// The client is the rightmost address that no proxy of ours has; who is no proxy
// is believed nothing; what a proxy does not say is not known.
func TestClient(t *testing.T) {
	proxies := prefixes(t, "10.0.0.0/8", "2001:db8:1::/48", "192.0.2.7")
	for _, c := range []struct {
		peer, forwarded, forwardedFor, want string
	}{
		{"203.0.113.9", "", "", "203.0.113.9"},
		{"203.0.113.9", "for=198.51.100.1", "198.51.100.1", "203.0.113.9"},
		{"::ffff:203.0.113.9", "", "198.51.100.1", "203.0.113.9"},
		{"192.0.2.8", "", "198.51.100.1", "192.0.2.8"},
		{"10.1.2.3", "", "198.51.100.1", "198.51.100.1"},
		{"::ffff:10.1.2.3", "", "198.51.100.1", "198.51.100.1"},
		{"2001:db8:1::5", "", "198.51.100.1", "198.51.100.1"},
		{"192.0.2.7", "", "2001:db8::9", "2001:db8::9"},
		{"10.1.2.3", "", "1.1.1.1, 198.51.100.1", "198.51.100.1"},
		{"10.1.2.3", "", "1.1.1.1,198.51.100.1,10.9.9.9 ,\t10.8.8.8", "198.51.100.1"},
		{"10.1.2.3", "", "1.1.1.1|198.51.100.1", "198.51.100.1"}, // | is a further line
		{"10.1.2.3", "", "1.1.1.1|10.9.9.9", "1.1.1.1"},
		{"10.1.2.3", "", "10.7.7.7, 10.9.9.9", "10.7.7.7"},
		{"10.1.2.3", "", "198.51.100.1:4711", "198.51.100.1"},
		{"10.1.2.3", "", "[2001:db8::9]:4711", "2001:db8::9"},
		{"10.1.2.3", "", "[2001:db8::9]", "2001:db8::9"},
		{"10.1.2.3", "", "::ffff:198.51.100.1", "198.51.100.1"},
		{"10.1.2.3", "for=198.51.100.1", "", "198.51.100.1"},
		{"10.1.2.3", `For="[2001:db8::9]:4711";proto=https;by=10.1.2.3`, "", "2001:db8::9"},
		{"10.1.2.3", `for=1.1.1.1, proto=https; for="198.51.100.1:99" , for=10.2.2.2`, "", "198.51.100.1"},
		{"10.1.2.3", "for=198.51.100.1", "198.51.100.1", "198.51.100.1"},
		// not known
		{"10.1.2.3", "", "", ""},
		{"10.1.2.3", "for=1.1.1.1", "198.51.100.1", ""},
		{"10.1.2.3", "", "1.1.1.1, unknown", ""},
		{"10.1.2.3", "", "1.1.1.1, ", ""},
		{"10.1.2.3", "", "1.1.1.1, fe80::1%eth0", ""},
		{"10.1.2.3", "", "1.1.1.1, 198.51.100.01", ""},
		{"10.1.2.3", "", "1.1.1.1, host.example", ""},
		{"10.1.2.3", "for=_hidden", "", ""},
		{"10.1.2.3", "for=1.1.1.1, proto=https", "", ""},
		{"10.1.2.3", "for=1.1.1.1;for=198.51.100.1", "", ""},
		{"10.1.2.3", `for="1.1.1.1, for=x"`, "", ""},
		{"", "for=1.1.1.1", "1.1.1.1", ""}, // a unix socket
	} {
		var peer, want netip.Addr
		if c.peer != "" {
			peer = netip.MustParseAddr(c.peer)
		}
		if c.want != "" {
			want = netip.MustParseAddr(c.want)
		}
		lines := func(text string) []string {
			if text == "" {
				return nil
			}
			return strings.Split(text, "|")
		}
		if got := proxies.Client(peer, lines(c.forwarded), lines(c.forwardedFor)); got != want {
			t.Errorf("from %s, Forwarded %q, X-Forwarded-For %q: %v, want %v", c.peer, c.forwarded, c.forwardedFor, got, want)
		}
	}
	if proxies.Contain(netip.Addr{}) {
		t.Error("an address that is not known is in a range")
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"10.1.0.0/16": "10.1.0.0/16", "10.1.2.3": "10.1.2.3/32", "2001:db8::/32": "2001:db8::/32", "::1": "::1/128", "0.0.0.0/0": "0.0.0.0/0",
		"10.1.2.3/16": "", "10.1": "", "": "", "host": "", "fe80::1%eth0": "", "::ffff:10.0.0.0/104": "", "::ffff:10.0.0.1": "", "10.0.0.0/33": "", "*": "",
	} {
		got, ok := Parse(text)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q: %v, %v", text, got, ok)
		}
	}
}

// Twice as long a list takes twice as long, not four times.
func TestClientIsLinear(t *testing.T) {
	proxies := prefixes(t, "10.0.0.0/8")
	peer := netip.MustParseAddr("10.0.0.1")
	took := func(n int) time.Duration {
		line := []string{strings.Repeat("10.0.0.1,", n) + "10.0.0.1"}
		best := time.Hour
		for range 9 {
			began := time.Now()
			proxies.Client(peer, nil, line)
			best = min(best, time.Since(began))
		}
		return best
	}
	if one, many := took(10_000), took(80_000); many > 30*one {
		t.Errorf("eight times the length took %v after %v", many, one)
	}
}
