package proxyheader

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestListener serves net/http behind a proxy, 127.0.0.1, in clear and with TLS:
// handlers see the client's address, a connection that is not introduced gets no
// answer, silent ones hold no one up, and strangers speak as ever.
func TestListener(t *testing.T) {
	for _, secure := range []bool{false, true} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "from "+r.RemoteAddr) }))
		s.Config.ErrorLog = log.New(io.Discard, "", 0) // it says of each silent one that it was
		var bad atomic.Int64
		s.Listener = &Listener{
			Listener: s.Listener, Timeout: time.Second, Bad: func(error, net.Addr) { bad.Add(1) },
			Proxied: func(peer net.Addr) bool { return strings.HasPrefix(peer.String(), "127.0.0.1:") },
		}
		if secure {
			s.StartTLS()
		} else {
			s.Start()
		}
		defer s.Close()
		dial := func(from, header string) net.Conn {
			t.Helper()
			c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = io.WriteString(c, header)
			return c
		}
		for range 20 {
			dial("127.0.0.1", "")
		}
		silent := dial("127.0.0.1", "PROXY TCP4 203.0.113.9")
		for _, x := range []struct{ name, peer, header, want string }{
			{"version 1", "127.0.0.1", "PROXY TCP4 203.0.113.9 192.0.2.1 51000 443\r\n", "from 203.0.113.9:51000"},
			{"version 2", "127.0.0.1", sign + "\x21\x21\x00\x24" + v6, "from [2001:db8::9]:51000"},
			{"UNKNOWN", "127.0.0.1", "PROXY UNKNOWN\r\n", "from :0"},
			{"LOCAL", "127.0.0.1", sign + "\x20\x00\x00\x00", "from 127.0.0.1:"},
			{"none", "127.0.0.1", "", ""},
			{"a broken one", "127.0.0.1", "PROXY TCP4 203.0.113.9 192.0.2.1 51000 https\r\n", ""},
			{"a stranger", "127.0.0.3", "", "from 127.0.0.3:"},
		} {
			c := dial(x.peer, x.header)
			if secure {
				c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
			}
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			got, _ := io.ReadAll(c)
			if x.want == "" && len(got) > 0 || x.want != "" && !strings.Contains(string(got), x.want) {
				t.Errorf("TLS %v, %s: %q, want %q", secure, x.name, got, x.want)
			}
		}
		if got, _ := io.ReadAll(silent); len(got) > 0 {
			t.Errorf("half a header: %q", got)
		}
		for end := time.Now().Add(10 * time.Second); bad.Load() != 23; time.Sleep(5 * time.Millisecond) { // 21 silent, none, a broken one
			if time.Now().After(end) {
				t.Fatalf("%d bad ones were reported", bad.Load())
			}
		}
	}
}
