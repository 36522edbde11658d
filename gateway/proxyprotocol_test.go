package gateway_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
)

// Headers of version 2 for 203.0.113.9, and of the proxy's own.
const (
	sign2  = "\r\n\r\n\x00\r\nQUIT\n"
	from2  = sign2 + "\x21\x11\x00\x0c\xcb\x00\x71\x09\xc0\x00\x02\x01\xc7\x38\x01\xbb"
	local2 = sign2 + "\x20\x00\x00\x00"
)

// dialFrom opens a connection from an address and writes to it in pieces.
func (h *house) dialFrom(address string, pieces ...string) net.Conn {
	h.t.Helper()
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	for i, piece := range pieces {
		if i > 0 {
			time.Sleep(2 * time.Millisecond) // so that each is a packet
		}
		if _, err := io.WriteString(c, piece); err != nil {
			break // who is refused may not read the rest
		}
	}
	return c
}

// TestProxyProtocol sends headers from a trusted proxy, 127.0.0.1, and from a
// stranger, 127.0.0.3: a token that may be used nowhere says which address was
// seen. A connection that is not introduced as it must be gets no answer.
func TestProxyProtocol(t *testing.T) {
	pair := httptest.NewTLSServer(nil) // its certificate
	defer pair.Close()
	const forged = "X-Forwarded-For: 198.51.100.7\r\n"
	for _, secure := range []bool{false, true} {
		h := newHouse(t, func(o *options) {
			o.proxies, o.introduced = []string{"127.0.0.1", "10.0.0.0/8"}, true
			if secure {
				o.tls = &tls.Config{Certificates: pair.TLS.Certificates}
			}
		})
		nowhere := h.mint("acme", directory.NewToken{AllowFrom: []string{"192.0.2.200"}})
		for _, x := range []struct{ name, peer, header, more, want string }{
			{"version 1", "127.0.0.1", "PROXY TCP4 203.0.113.9 192.0.2.1 51000 443\r\n", "", "from 203.0.113.9"},
			{"version 1, IPv6", "127.0.0.1", "PROXY TCP6 2001:db8::9 ::1 51000 443\r\n", "", "from 2001:db8::9"},
			{"version 2", "127.0.0.1", from2, "", "from 203.0.113.9"},
			{"version 2 with TLVs", "127.0.0.1", strings.Replace(from2, "\x00\x0c", "\x00\x10", 1) + "\x04\x00\x01\x00", "", "from 203.0.113.9"},
			{"the client writes a header of its own", "127.0.0.1", from2, forged, "from 203.0.113.9"},
			{"a proxy behind the proxy", "127.0.0.1", "PROXY TCP4 10.1.1.1 192.0.2.1 51000 443\r\n", forged, "from 198.51.100.7"},
			{"a proxy behind the proxy says nothing", "127.0.0.1", "PROXY TCP4 10.1.1.1 192.0.2.1 51000 443\r\n", "", "not known"},
			{"UNKNOWN", "127.0.0.1", "PROXY UNKNOWN\r\n", "", "not known"},
			{"UNKNOWN, and the client lies", "127.0.0.1", "PROXY UNKNOWN\r\n", forged, "not known"},
			{"UNSPEC, and the client lies", "127.0.0.1", sign2 + "\x21\x00\x00\x00", forged, "not known"},
			{"LOCAL", "127.0.0.1", local2, "", "not known"},
			{"a proxy without a header", "127.0.0.1", "", "", "closed"},
			{"a line that is too long", "127.0.0.1", "PROXY UNKNOWN " + strings.Repeat("x", 100) + "\r\n", "", "closed"},
			{"a family that lies", "127.0.0.1", "PROXY TCP4 2001:db8::9 192.0.2.1 51000 443\r\n", "", "closed"},
			{"a length that lies", "127.0.0.1", sign2 + "\x21\x11\x00\x0b" + from2[16:], "", "closed"},
			{"version 2 with 64 KiB", "127.0.0.1", sign2 + "\x21\x11\xff\xff" + from2[16:], "", "closed"},
			{"two headers", "127.0.0.1", from2 + from2, "", "400"},
			{"a stranger", "127.0.0.3", "", "", "from 127.0.0.3"},
			{"a stranger who poses as a proxy", "127.0.0.3", "PROXY TCP4 192.0.2.200 192.0.2.1 51000 443\r\n", "", "400"},
			{"a stranger who poses as one of version 2", "127.0.0.3", from2, "", "400"},
		} {
			request := "GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + nowhere + "\r\n" + x.more + "\r\n"
			for _, split := range []int{0, 1, 13, len(x.header) / 2, len(x.header)} {
				split = min(split, len(x.header))
				var c net.Conn
				if secure {
					c = tls.Client(h.dialFrom(x.peer, x.header[:split], x.header[split:]), &tls.Config{InsecureSkipVerify: true})
					_, _ = io.WriteString(c, request)
				} else {
					c = h.dialFrom(x.peer, x.header[:split], x.header[split:]+request)
				}
				got, _ := io.ReadAll(c)
				switch want := x.want; {
				case want == "closed" || secure && want == "400":
					if len(got) > 0 {
						t.Errorf("%s, split at %d, TLS %v: %q, want no answer", x.name, split, secure, got)
					}
				case want == "400":
					if !strings.HasPrefix(string(got), "HTTP/1.1 400 ") {
						t.Errorf("%s, split at %d: %q, want 400", x.name, split, got)
					}
				case !strings.HasPrefix(string(got), "HTTP/1.1 403 ") || !strings.Contains(string(got), want):
					t.Errorf("%s, split at %d, TLS %v: %q, want %s", x.name, split, secure, got, want)
				}
			}
		}
		if log := h.logText(); !strings.Contains(log, "does not begin with a PROXY header") || strings.Contains(log, nowhere) {
			t.Errorf("log %s", log)
		}
		if strings.Contains(h.metricsText(), "\nownkey_proxy_header_failures_total 0") {
			t.Error("no failure is counted")
		}
	}
}

// TestProxiesThatSayNothing hold no one up but themselves, and not for long; nor
// do they keep the gateway from stopping.
func TestProxiesThatSayNothing(t *testing.T) {
	h := newHouse(t, func(o *options) {
		o.proxies, o.introduced, o.timeouts.ClientHeader = []string{"127.0.0.1"}, true, time.Second
	})
	for range 100 {
		h.dialFrom("127.0.0.1")
	}
	half := h.dialFrom("127.0.0.1", "PROXY TCP4 203.0.113.9")
	c := h.dialFrom("127.0.0.1", from2+"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if response, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || response.StatusCode != 200 {
		t.Errorf("one that speaks: %v %v", response, err)
	}
	if got, err := io.ReadAll(half); len(got) > 0 || err != nil {
		t.Errorf("half a header: %q %v", got, err)
	}
	_ = c.Close()
	h.eventually("the silent ones are gone", func() bool { return h.gateway.Connections() == 0 })
	if log := h.logText(); !strings.Contains(log, "PROXY header") || !strings.Contains(log, `"cause":"timeout"`) {
		t.Errorf("log %s", log)
	}

	patient := newHouse(t, func(o *options) { // its end is judged by the house
		o.proxies, o.introduced, o.timeouts.ClientHeader = []string{"127.0.0.1"}, true, time.Hour
	})
	patient.dialFrom("127.0.0.1")
	patient.dialFrom("127.0.0.1", from2)
	patient.eventually("they are there", func() bool { return patient.gateway.Connections() == 2 })
}

// TestTurnedAwayBehindAProxy: one beyond the limit reads its 503, as without a
// header.
func TestTurnedAwayBehindAProxy(t *testing.T) {
	h := newHouse(t, func(o *options) { o.proxies, o.introduced, o.connections = []string{"127.0.0.1"}, true, 1 })
	h.dialFrom("127.0.0.1", from2)
	h.eventually("one is served", func() bool { return h.gateway.Connections() == 1 })
	c := h.dialFrom("127.0.0.1", from2, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if response, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || response.StatusCode != 503 {
		t.Errorf("%v %v", response, err)
	}
}

// TestProxyProtocolOfHAProxy: behind HAProxy as docs/proxies.md configures it,
// with either version, and with TLS from the client to the gateway, a client's
// address is known, whatever it says of itself, and health checks pass.
func TestProxyProtocolOfHAProxy(t *testing.T) {
	pair := httptest.NewTLSServer(nil) // its certificate
	defer pair.Close()
	for _, option := range []string{"send-proxy", "send-proxy-v2"} {
		for _, scheme := range []string{"http", "https"} {
			t.Run(option+" "+scheme, func(t *testing.T) {
				h := newHouse(t, func(o *options) {
					o.proxies, o.introduced = []string{"127.0.0.1"}, true
					if scheme == "https" {
						o.tls = &tls.Config{Certificates: pair.TLS.Certificates}
					}
				})
				address := freeAddress(t, "127.0.0.2")
				server := "send-proxy-v2 check"
				text := h.documented("haproxy tcp", address)
				if !strings.Contains(text, server) {
					t.Fatalf("docs/proxies.md: no %s in %s", server, text)
				}
				with := option + " check"
				if scheme == "https" {
					with += " check-ssl verify none"
				}
				page := freeAddress(t, "127.0.0.1")
				text = strings.NewReplacer(server, with, "inter 2s", "inter 500ms").Replace(text) + "listen page\n  mode http\n  bind " + page + "\n  stats enable\n  stats uri /\n"
				h.runProxy("haproxy", text, address)
				client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
					DialContext:     (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext,
					TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
				}}
				get := func(path, token string, forged ...string) (int, string) {
					request, err := http.NewRequest("GET", scheme+"://"+address+path, http.NoBody)
					if err != nil {
						t.Fatal(err)
					}
					request.Header.Set("Authorization", "Bearer "+token)
					for _, from := range forged {
						request.Header.Set("X-Forwarded-For", from)
					}
					response, err := client.Do(request)
					if err != nil {
						t.Fatal(err)
					}
					defer response.Body.Close()
					b, _ := io.ReadAll(response.Body)
					return response.StatusCode, string(b)
				}
				h.checked(page)
				here, elsewhere := h.mint("acme", directory.NewToken{AllowFrom: []string{"127.0.0.2"}}), h.mint("acme", directory.NewToken{AllowFrom: []string{"203.0.113.9"}})
				for _, forged := range [][]string{nil, {"203.0.113.9"}} {
					if status, body := get("/v1/models", here, forged...); status != 200 {
						t.Errorf("%v: a token for the client's address: %d %s", forged, status, body)
					}
					if status, body := get("/v1/models", elsewhere, forged...); status != 403 || !strings.Contains(body, "from 127.0.0.2") {
						t.Errorf("%v: a token for another address: %d %s", forged, status, body)
					}
				}
			})
		}
	}
}

// checked waits until HAProxy's own page says that its check has passed.
func (h *house) checked(page string) {
	h.t.Helper()
	h.eventually("HAProxy's check passes", func() bool {
		response, err := http.Get("http://" + page + "/;csv")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		b, _ := io.ReadAll(response.Body)
		for line := range strings.SplitSeq(string(b), "\n") {
			if strings.HasPrefix(line, "ownkey,one,") {
				return strings.Contains(line, ",L7OK,200,")
			}
		}
		return false
	})
}
