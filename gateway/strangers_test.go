package gateway_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/ledger"
)

// TestSilentStrangersStopNobody: connections that say nothing, at the limit and
// beyond it, with TLS and without, hold their own places and nothing else.
func TestSilentStrangersStopNobody(t *testing.T) {
	pair := httptest.NewTLSServer(nil) // its certificate
	defer pair.Close()
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			h := newHouse(t, func(o *options) {
				o.connections = 5
				if scheme == "https" {
					o.tls = &tls.Config{Certificates: pair.TLS.Certificates}
				}
			})
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: pair.Client().Transport.(*http.Transport).TLSClientConfig}, Timeout: 3 * time.Second}
			call := func() (int, error) {
				request, _ := http.NewRequest("GET", scheme+"://"+h.addr+"/healthz", nil)
				response, err := client.Do(request)
				if err != nil {
					return 0, err
				}
				_ = response.Body.Close()
				return response.StatusCode, nil
			}
			silent := func(n int) (all []net.Conn) {
				for range n {
					c, err := net.Dial("tcp", h.addr)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, c)
					t.Cleanup(func() { _ = c.Close() })
				}
				return all
			}
			inside := silent(5)
			h.eventually("five are served", func() bool { return h.gateway.Connections() == 5 })
			if status, err := call(); status != 503 {
				t.Errorf("beyond the limit: %d %v", status, err)
			}
			silent(200) // beyond: more than are answered at once
			h.eventually("who is turned away is counted", func() bool { return strings.Contains(h.metricsText(), "\nownkey_turned_away_connections_total 201") })
			for _, c := range inside {
				_ = c.Close()
			}
			h.eventually("there is a place again", func() bool { status, _ := call(); return status == 200 })
			for range 17 {
				if status, err := call(); status != 200 {
					t.Fatalf("a call beside silent connections: %d %v", status, err)
				}
			}
		})
	}
}

// TestStrangersAreCountedNotRecorded: what is refused before the caller is known
// leaves no row and takes no room of the ledger.
func TestStrangersAreCountedNotRecorded(t *testing.T) {
	h := newHouse(t)
	const n = 50
	for range n {
		if a := h.chat("m", "Authorization", "Bearer ok_"+strings.Repeat("0", 50)); a.code() != "invalid_token" {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if _, r := h.dial("GET /v1/models HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n"); !strings.HasPrefix(firstLine(r), "HTTP/1.1 400") {
			t.Fatal("a broken head is taken")
		}
	}
	if a := h.do("HEAD", "/", "", "Authorization", ""); a.status != 200 || a.body != "" {
		t.Errorf("HEAD / is %d", a.status)
	}
	h.chat("m")
	if got := len(h.records(1)); got != 1 {
		t.Errorf("%d records of one call by somebody known", got)
	}
	frames := 0
	if err := h.journal.Read(ledger.Position{}, func(_ ledger.Position, kind ledger.Kind, _ []byte) bool { frames++; return true }); err != nil || frames > 4 {
		t.Errorf("%d frames in the ledger (a request is kind %d) %v", frames, meter.FrameRequest, err)
	}
	shown := h.metricsText()
	for _, code := range []string{"invalid_token", "invalid_request"} {
		if want := fmt.Sprintf("ownkey_refused_before_authentication_total{code=%q} %d\n", code, n); !strings.Contains(shown, want) {
			t.Errorf("no %s in %s", want, shown)
		}
	}
}

func firstLine(r interface{ ReadString(byte) (string, error) }) string {
	line, _ := r.ReadString('\n')
	return line
}

// TestRefusalsReachWhoIsStillSending: with a bad token, and bodies that nobody
// reads, each kind of client gets our answer and no broken connection.
func TestRefusalsReachWhoIsStillSending(t *testing.T) {
	h := newHouse(t)
	bad := "Bearer ok_" + strings.Repeat("0", 50)
	front := h.frontProxy("nginx")
	fresh := &http.Transport{DisableKeepAlives: true} // on a kept connection, nginx and the client could close at the same time
	for name, address := range map[string]string{"directly": h.addr, "behind nginx": front} {
		for _, megabytes := range []int{3, 10, 40} {
			for _, chunked := range []bool{false, true} {
				for range 5 {
					var body io.Reader = strings.NewReader(strings.Repeat("x", megabytes<<20))
					if chunked {
						body = struct{ io.Reader }{body}
					}
					request, _ := http.NewRequest("POST", "http://"+address+"/v1/chat/completions", body)
					request.Header.Set("Authorization", bad)
					request.Header.Set("Content-Type", "application/json")
					response, err := fresh.RoundTrip(request)
					if err != nil {
						t.Errorf("%s, %d MB, chunked %v: %v", name, megabytes, chunked, err)
						continue
					}
					b, err := io.ReadAll(response.Body)
					_ = response.Body.Close()
					if response.StatusCode != 401 || !strings.Contains(string(b), "invalid_token") || err != nil {
						t.Errorf("%s, %d MB, chunked %v: %d %q %v", name, megabytes, chunked, response.StatusCode, b, err)
					}
				}
			}
		}
	}
}

// TestSlowWritersReadTheRefusal: a client that reads only when it has sent all
// of its body, as Java's does, finds the answer.
func TestSlowWritersReadTheRefusal(t *testing.T) {
	h := newHouse(t)
	const size = 20 << 20
	c, r := h.dial(fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size))
	if n, err := io.Copy(c, io.LimitReader(endless{}, size)); err != nil {
		t.Fatalf("cut after %d bytes: %v", n, err)
	}
	if line := firstLine(r); !strings.HasPrefix(line, "HTTP/1.1 401") {
		t.Errorf("%q", line)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestTokenIsCheckedBeforeTheBodyIsAskedFor: 100 Continue is for callers who may
// send.
func TestTokenIsCheckedBeforeTheBodyIsAskedFor(t *testing.T) {
	h := newHouse(t, func(o *options) { o.maxBody = 1000 })
	body := chatBody("m", false)
	f := func(token string, length int, want ...string) {
		t.Helper()
		c, r := h.dial(fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", token, length))
		for i, status := range want {
			line := firstLine(r)
			if !strings.HasPrefix(line, "HTTP/1.1 "+status) {
				t.Errorf("%q, want %s", line, status)
				return
			}
			if i+1 < len(want) {
				_ = firstLine(r)
				_, _ = io.WriteString(c, body)
			}
		}
	}
	f(h.token, len(body), "100", "200")
	f("ok_"+strings.Repeat("0", 50), len(body), "401")
	f(h.token, 2000, "413")
}

// TestUpgradeOffers: only a WebSocket is something that nobody can do without;
// all other offers are ignored. Nothing of an offer reaches the provider.
func TestUpgradeOffers(t *testing.T) {
	h := newHouse(t)
	for _, x := range []struct {
		upgrade, connection string
		want                int
	}{
		{"h2c", "Upgrade, HTTP2-Settings", 200}, // Java's HTTP client, curl --http2
		{"h2c, TLS/1.2", "Upgrade", 200},
		{"TLS/1.0, HTTP/1.1", "upgrade", 200},
		{"HTTP/3.0", "Upgrade", 200},
		{"", "upgrade", 200}, // nginx's recipe, without a WebSocket
		{"websocket", "close", 200},
		{"websocket", "", 200},
		{"websockets", "Upgrade", 200},
		{"websocket", "Upgrade", 426},
		{"WebSocket", "keep-alive, upgrade", 426},
		{"h2c, websocket/13", "Upgrade", 426},
	} {
		h.provider.Forget()
		lines := "Upgrade: " + x.upgrade + "\r\nConnection: " + x.connection + "\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nSec-WebSocket-Key: eA==\r\n"
		if x.upgrade == "" {
			lines = "Connection: " + x.connection + "\r\n"
		}
		_, r := h.dial("GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + h.token + "\r\n" + lines + "\r\n")
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		if response.StatusCode != x.want {
			t.Errorf("%q, %q: %d %s", x.upgrade, x.connection, response.StatusCode, body)
		}
		if x.want == 426 && (response.Header.Get("Ownkey-Error") != "upgrade_not_offered" || response.Header.Get("Upgrade") != "HTTP/1.1" || response.Header.Get("Connection") != "Upgrade") {
			t.Errorf("%q: %v", x.upgrade, response.Header)
		}
		for _, got := range h.provider.Requests() {
			for _, name := range []string{"Upgrade", "Http2-Settings", "Connection", "Sec-Websocket-Key"} {
				if v := got.Header.Get(name); v != "" && (name != "Connection" || v != "keep-alive") {
					t.Errorf("%q: the provider got %s: %s", x.upgrade, name, v)
				}
			}
		}
	}
	h.provider.Forget()
	h.chat("m", "Connection", "X-Client-Request-Id, OpenAI-Beta", "X-Client-Request-Id", "hop", "OpenAI-Beta", "hop", "X-Title", "end")
	for _, got := range h.provider.Requests() {
		if got.Header.Get("X-Client-Request-Id") != "" || got.Header.Get("Openai-Beta") != "" || got.Header.Get("X-Title") != "end" {
			t.Errorf("headers that Connection names: %v", got.Header)
		}
	}
	if len(h.provider.Requests()) != 1 {
		t.Error("the provider was not asked")
	}
}

// TestTrailersAreNoHeaders: what stands behind the last chunk passes a proxy
// that takes headers of ours away.
func TestTrailersAreNoHeaders(t *testing.T) {
	h := newHouse(t)
	body := chatBody("m", false)
	_, r := h.dial(fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nTrailer: Ownkey-Memory\r\n\r\n%x\r\n%s\r\n0\r\nOwnkey-Memory: on\r\nOwnkey-Credential: nope\r\nX-Title: trailer\r\n\r\n", h.token, len(body), body))
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 200 || response.Header.Get("Ownkey-Memory") != "off" {
		t.Errorf("%d, memory %s", response.StatusCode, response.Header.Get("Ownkey-Memory"))
	}
	for _, got := range h.provider.Requests() {
		if got.Header.Get("X-Title") != "" {
			t.Error("a trailer reached the provider as a header")
		}
	}
}

// TestChunkedWithoutChunk: a body that is announced and empty is none.
func TestChunkedWithoutChunk(t *testing.T) {
	h := newHouse(t)
	for _, contentType := range []string{"", "Content-Type: application/json\r\n"} {
		_, r := h.dial("POST /v1/responses/resp_1/cancel HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + h.token + "\r\n" + contentType + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
		if response, err := http.ReadResponse(r, nil); err != nil || response.StatusCode == 400 || response.Header.Get("Ownkey-Error") != "" {
			t.Errorf("%q: %v %+v", contentType, err, response)
		}
	}
}

// TestNoPageOfAProviderRuns: a browser is told not to guess at what is neither
// JSON nor a stream.
func TestNoPageOfAProviderRuns(t *testing.T) {
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		_, _ = io.WriteString(w, "<script>alert(1)</script>")
	}))
	defer provider.Close()
	h := newHouse(t, func(o *options) { o.provider = provider.URL + "/v1" })
	for kind, want := range map[string]string{"text/html": "nosniff", "text/plain": "nosniff", "": "nosniff", "application/json": "", "text/event-stream": ""} {
		if a := h.do("GET", "/v1/models?type="+kind, ""); a.status != 200 || a.header.Get("X-Content-Type-Options") != want {
			t.Errorf("%s: %d %q", kind, a.status, a.header.Get("X-Content-Type-Options"))
		}
	}
}
