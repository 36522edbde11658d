package front

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
)

// Causes of a TLS handshake that failed, in fixed words.
const (
	HandshakeTimeout     = "timeout"            // the client said too little in the time for a head
	HandshakeClosed      = "closed"             // the client left; port scans and TCP health checks do
	HandshakeNotTLS      = "not_tls"            // plain HTTP, or something else
	HandshakeCertificate = "client_certificate" // none, or none of client_ca_file
	HandshakeRefused     = "refused_by_client"  // the client does not take our certificate
	HandshakeVersion     = "version"            // no version or cipher in common
	HandshakeOther       = "other"
)

// HandshakeCauses are all of them.
var HandshakeCauses = [...]string{
	HandshakeTimeout, HandshakeClosed, HandshakeNotTLS, HandshakeCertificate, HandshakeRefused, HandshakeVersion, HandshakeOther,
}

// handshook reports a first read that failed because the handshake did.
func (c *Conn) handshook(err error) {
	if t, ok := c.Conn.(*tls.Conn); ok && !t.ConnectionState().HandshakeComplete && !c.s.stopping.Load() {
		c.s.o.Handshake(handshakeCause(err), c.RemoteAddr())
	}
}

// handshakeCause sorts the errors of crypto/tls, which has types for a few only.
func handshakeCause(err error) string {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return HandshakeNotTLS
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return HandshakeCertificate
	}
	if network, ok := errors.AsType[net.Error](err); ok && network.Timeout() {
		return HandshakeTimeout
	}
	switch text := err.Error(); {
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, net.ErrClosed):
		return HandshakeClosed
	case strings.Contains(text, "didn't provide a certificate"):
		return HandshakeCertificate
	case strings.Contains(text, "remote error"):
		return HandshakeRefused
	case strings.Contains(text, "version"), strings.Contains(text, "cipher suite"):
		return HandshakeVersion
	}
	return HandshakeOther
}
