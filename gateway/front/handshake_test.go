package front

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http/httptest"
	"slices"
	"testing"
	"time"
)

// TestHandshakesThatFailAreNamed: each kind of a failed handshake is reported
// once, with its cause, and a good one is not.
func TestHandshakesThatFailAreNamed(t *testing.T) {
	source := httptest.NewTLSServer(nil) // for its certificate
	defer source.Close()
	causes := make(chan string, 10)
	_, address := serve(t, nil, func(s *Server) {
		s.o.TLS = &tls.Config{Certificates: source.TLS.Certificates, MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}
		s.o.HeadTimeout = 3 * time.Second
		s.o.Handshake = func(cause string, from net.Addr) { causes <- cause }
	})
	shake := func(c *tls.Config) func(net.Conn) {
		return func(raw net.Conn) {
			conn := tls.Client(raw, c)
			if conn.Handshake() == nil {
				_, _ = io.Copy(io.Discard, conn)
			}
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(source.Certificate())
	for want, do := range map[string]func(net.Conn){
		HandshakeNotTLS:      func(c net.Conn) { _, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") },
		HandshakeClosed:      func(c net.Conn) { _ = c.Close() },
		HandshakeTimeout:     func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		HandshakeRefused:     shake(&tls.Config{ServerName: "example.com", RootCAs: x509.NewCertPool()}),
		HandshakeVersion:     shake(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}),
		HandshakeCertificate: shake(&tls.Config{ServerName: "example.com", RootCAs: roots}),
	} {
		t.Run(want, func(t *testing.T) {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			do(c)
			select {
			case got := <-causes:
				if got != want || !slices.Contains(HandshakeCauses[:], got) {
					t.Errorf("%s, want %s", got, want)
				}
			case <-time.After(5 * time.Second):
				t.Error("nothing was reported")
			}
		})
	}
	if len(causes) != 0 {
		t.Errorf("reported besides: %s", <-causes)
	}
}
