package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
)

// documented gives the configuration of a proxy as docs/proxies.md has it, by the
// word behind its fence, with
// other addresses, and what an installation has around it.
func (h *house) documented(name, address string) string {
	h.t.Helper()
	page, err := os.ReadFile("../docs/proxies.md")
	if err != nil {
		h.t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```" + strings.TrimSuffix(name, "2") + "\n(.*?)```").FindSubmatch(page)
	if block == nil {
		h.t.Fatalf("docs/proxies.md has no configuration of %s", name)
	}
	text := strings.NewReplacer("127.0.0.1:8080", h.addr, "listen 8443", "listen "+address, "bind :8443", "bind "+address).Replace(string(block[1]))
	dir := h.t.TempDir()
	switch name {
	case "nginx":
		user := map[bool]string{true: "user root;"}[os.Getuid() == 0]
		text = fmt.Sprintf("daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log; %[2]s\nevents {}\nhttp {\naccess_log off; "+
			"client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;\n%[3]s}\n", dir, user, text)
	case "apache2":
		modules := map[bool]string{true: "User nobody\nGroup nogroup\n"}[os.Getuid() == 0]
		for _, module := range []string{"mpm_event", "authz_core", "proxy", "proxy_http", "headers"} {
			modules += fmt.Sprintf("LoadModule %[1]s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", module)
		}
		text = fmt.Sprintf("ServerRoot %[1]s\nServerName localhost\nDefaultRuntimeDir %[1]s\nPidFile %[1]s/pid\nErrorLog %[1]s/error.log\nListen %[2]s\n%[3]s%[4]s", dir, address, modules, text)
	}
	return text
}

// TestDocumentedProxies: through each proxy that docs/proxies.md has a
// configuration of, streams come event by event, a refusal reaches a client that
// is still sending, health checks pass, an offer to upgrade does no harm, and the
// client's address is known, whatever the client says of itself.
func TestDocumentedProxies(t *testing.T) {
	for _, name := range []string{"nginx", "haproxy", "apache2"} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, func(o *options) { o.proxies = []string{"127.0.0.1"} })
			address := freeAddress(t, "127.0.0.2") // the client is at 127.0.0.2 as well, and no proxy
			h.runProxy(name, h.documented(name, address), address)
			client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
				DialContext:       (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext,
				DisableKeepAlives: true, // a proxy closes the connection of a body that it did not read to its end
			}}
			f := func(method, path, token, body string, header ...string) *http.Response {
				t.Helper()
				r, err := http.NewRequest(method, "http://"+address+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Authorization", "Bearer "+token)
				r.Header.Set("Content-Type", "application/json")
				for i := 0; i+1 < len(header); i += 2 {
					r.Header.Set(header[i], header[i+1])
				}
				response, err := client.Do(r)
				if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				t.Cleanup(func() { _ = response.Body.Close() })
				return response
			}
			h.eventually("the gateway is reached", func() bool { return f("GET", "/readyz", "", "").StatusCode == 200 })
			if got := f("GET", "/healthz", "", ""); got.StatusCode != 200 {
				t.Errorf("health: %d", got.StatusCode)
			}

			stream := f("POST", "/v1/chat/completions", h.token, chatBody("fake:stall-after=3", true))
			events := 0
			for lines := bufio.NewReader(stream.Body); events < 3; { // the provider says no more until it is left
				line, err := lines.ReadString('\n')
				if err != nil {
					t.Fatalf("the stream ended after %d events: %v", events, err)
				}
				if strings.HasPrefix(line, "data: ") {
					events++
				}
			}
			_ = stream.Body.Close()

			refused := f("POST", "/v1/chat/completions", "ok_none", `{"model":"x","text":"`+strings.Repeat("x", 3<<20)+`"}`)
			if b, err := io.ReadAll(refused.Body); refused.StatusCode != 401 || refused.Header.Get("Ownkey-Error") != "invalid_token" || err != nil {
				t.Errorf("a refusal of 3 MB: %d %s %v", refused.StatusCode, b, err)
			}
			if got := f("POST", "/v1/chat/completions", h.token, chatBody("gpt-4o-mini", false), "Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "HTTP2-Settings", "AAMAAABkAAQAAP__"); got.StatusCode != 200 {
				t.Errorf("an offer of h2c: %d", got.StatusCode)
			}

			here, elsewhere := h.mint("acme", directory.NewToken{AllowFrom: []string{"127.0.0.2"}}), h.mint("acme", directory.NewToken{AllowFrom: []string{"203.0.113.9"}})
			for _, forged := range [][]string{nil, {"X-Forwarded-For", "203.0.113.9"}, {"Forwarded", "for=203.0.113.9"}} {
				if got := f("GET", "/v1/models", here, "", forged...); got.StatusCode != 200 {
					b, _ := io.ReadAll(got.Body)
					t.Errorf("%v: a token for the client's address: %d %s", forged, got.StatusCode, b)
				}
				if got := f("GET", "/v1/models", elsewhere, "", forged...); got.StatusCode != 403 {
					t.Errorf("%v: a token for another address: %d", forged, got.StatusCode)
				}
			}
		})
	}
}
