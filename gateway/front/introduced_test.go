package front

import (
	"io"
	"net"
	"testing"
	"time"
)

// TestConnectionsAtTheEnd: one that is served when the server stops already, or
// stops while it waits for the PROXY header, ends soon, whatever it waits for.
func TestConnectionsAtTheEnd(t *testing.T) {
	const header = "PROXY UNKNOWN\r\n"
	for _, x := range []struct {
		name    string
		proxied bool
		before  string // is sent before the server stops
		after   string // is sent then
		late    bool   // the server has stopped before the connection is served
	}{
		{"no proxy, late", false, "", "", true},
		{"a silent proxy, late", true, "", "", true},
		{"half a header, late", true, "", header[:5], true},
		{"a header, late", true, "", header, true},
		{"a header in time", true, header, "", false},
		{"half a header in time", true, header[:5], header[5:], false},
		{"a silent proxy in time", true, "", header, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			s := New(Options{
				Proxied: func(net.Addr) bool { return x.proxied }, BadHeader: func(error, net.Addr) {},
				Handler: echo, MaxHeadBytes: 64 << 10, HeadTimeout: time.Hour, IdleTimeout: time.Hour, WriteTimeout: time.Hour,
			})
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			raw, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			stop := func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.stopping.Store(true)
				for one := range s.conns {
					one.stop()
				}
			}
			_, _ = io.WriteString(c, x.before)
			if x.late {
				stop()
				s.take(raw)
			} else {
				s.take(raw)
				stop()
			}
			_, _ = io.WriteString(c, x.after)
			for end := time.Now().Add(10 * time.Second); s.Connections() > 0; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("it is still there")
				}
			}
		})
	}
}
