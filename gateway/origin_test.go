package gateway_test

import (
	"strings"
	"testing"

	"github.com/ownkey/ownkey/directory"
)

// TestCallsFromElsewhere: a token with allow_from is refused elsewhere and where
// nobody says where the call came from, whatever is called; only a proxy that is
// trusted is believed.
func TestCallsFromElsewhere(t *testing.T) {
	for _, c := range []struct {
		trusted   string
		allowed   string
		forwarded string // X-Forwarded-For
		status    int
		says      string
	}{
		{"", "127.0.0.1", "", 200, ""},
		{"", "127.0.0.1", "203.0.113.9", 200, ""},
		{"", "203.0.113.0/24", "203.0.113.9", 403, "127.0.0.1"},
		{"10.0.0.0/8", "203.0.113.0/24", "203.0.113.9", 403, "127.0.0.1"},
		{"127.0.0.0/8", "203.0.113.0/24", "203.0.113.9", 200, ""},
		{"127.0.0.0/8", "203.0.113.0/24", "198.51.100.7, 203.0.113.9", 200, ""},
		{"127.0.0.0/8", "203.0.113.0/24", "203.0.113.9, 198.51.100.7", 403, "198.51.100.7"},
		{"127.0.0.0/8", "203.0.113.0/24", "", 403, "not known"},
		{"127.0.0.0/8", "127.0.0.0/8", "", 403, "not known"},
		{"127.0.0.0/8", "0.0.0.0/0", "unknown", 403, "not known"},
	} {
		h := newHouse(t, func(o *options) {
			if c.trusted != "" {
				o.proxies = []string{c.trusted}
			}
		})
		token := h.mint("acme", directory.NewToken{AllowFrom: []string{c.allowed}})
		header := []string{"Authorization", "Bearer " + token}
		if c.forwarded != "" {
			header = append(header, "X-Forwarded-For", c.forwarded)
		}
		for _, path := range []string{"/v1/models", "/v1/usage", "/v1/buckets"} {
			a := h.do("GET", path, "", header...)
			if a.status != c.status || c.status == 403 && (a.header.Get("Ownkey-Error") != "not_allowed" || !strings.Contains(a.body, "allow_from") || !strings.Contains(a.body, c.says)) {
				t.Errorf("%+v: %s: %d %s", c, path, a.status, a.body)
			}
		}
		if a := h.do("GET", "/v1/models", "", "X-Forwarded-For", c.forwarded); a.status != 200 {
			t.Errorf("%+v: a token for everywhere: %d %s", c, a.status, a.body)
		}
	}
}

// TestAddressesAreLoggedByChoice: a refusal has its client's address in the log
// where the operator has chosen so, and nowhere else; no record has one.
func TestAddressesAreLoggedByChoice(t *testing.T) {
	for _, chosen := range []bool{false, true} {
		h := newHouse(t, func(o *options) { o.proxies, o.addresses = []string{"127.0.0.0/8"}, chosen })
		token := h.mint("acme", directory.NewToken{AllowFrom: []string{"10.0.0.0/8"}})
		h.do("GET", "/v1/models", "", "Authorization", "Bearer ok_none", "X-Forwarded-For", "203.0.113.9")
		h.do("GET", "/v1/models", "", "Authorization", "Bearer "+token, "X-Forwarded-For", "203.0.113.10")
		h.do("GET", "/v1/models", "", "X-Forwarded-For", "203.0.113.11")
		log := h.logText()
		if !strings.Contains(log, "allow_from") {
			t.Errorf("a token used elsewhere is not logged: %s", log)
		}
		for _, address := range []string{"203.0.113.9", "203.0.113.10"} {
			if strings.Contains(log, address) != chosen {
				t.Errorf("addresses are logged: %v; %s is there: %v", chosen, address, !chosen)
			}
		}
		for _, r := range h.records(2) {
			for name, value := range r {
				if s, ok := value.(string); ok && strings.Contains(s, "203.0.113") {
					t.Errorf("a record has an address in %s", name)
				}
			}
		}
	}
}
