package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/valyala/fasthttp"
)

// Cause says in one word why an attempt failed. Records, log and metrics show
// the word; docs/errors.md lists them.
type Cause uint8

// The causes. Their numbers are in records: new ones go to the end.
const (
	CauseNone Cause = iota
	CauseDNS
	CauseRefused
	CauseUnroutable
	CauseTimeout // connect limit
	CauseTLSHandshake
	CauseTLSCertificate
	CauseALPN
	CauseProxy
	CauseOwnDescriptors
	CauseEgressDenied
	CauseClosed
	CauseReset
	CauseFirstByteTimeout
	CauseIdleTimeout
	CauseTotalTimeout
	CauseBadResponse
	CauseTruncated
	CauseOther
	CauseProxyAuth
)

// CauseNames are the causes as records show them, by their numbers.
var CauseNames = []string{
	"none", "dns", "refused", "unroutable", "timeout", "tls_handshake", "tls_certificate", "alpn", "proxy", "own_descriptors",
	"egress_denied", "closed", "reset", "first_byte_timeout", "idle_timeout", "total_timeout", "bad_response", "truncated", "other", "proxy_auth",
}

// String gives the cause's word.
func (c Cause) String() string { return CauseNames[c] }

// CauseOf says why an attempt failed. An error that is none of this package's
// has no cause, and neither has what the client did.
func CauseOf(err error) Cause {
	var f *failure
	switch {
	case errors.As(err, &f):
		return f.cause
	case errors.Is(err, ErrTruncated):
		return CauseTruncated
	}
	return CauseNone
}

// Lasting reports whether a cause is one that somebody has to mend: the same
// request fails again.
func (c Cause) Lasting() bool {
	switch c {
	case CauseTLSCertificate, CauseALPN, CauseProxyAuth, CauseEgressDenied:
		return true
	}
	return false
}

// dialFailure says which of our errors a failed dial is, and why.
func dialFailure(ctx context.Context, err error) error {
	var known *failure
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ErrCanceled
	case errors.As(err, &known):
		return known
	case exhausted(err):
		return fail(ErrExhausted, CauseOwnDescriptors)
	case errors.Is(err, ErrForbidden):
		return fail(ErrForbidden, CauseEgressDenied)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fail(ErrTimeout, CauseTimeout)
	}
	return fail(ErrUnreachable, connectCause(err))
}

// exhausted reports whether a system call failed for want of our own means. A
// resolver passes on only the text of what failed.
func exhausted(err error) bool {
	for _, own := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		var dns *net.DNSError
		if errors.Is(err, own) || errors.As(err, &dns) && strings.HasSuffix(dns.Err, own.Error()) {
			return true
		}
	}
	return false
}

func connectCause(err error) Cause {
	var dns *net.DNSError
	var network net.Error
	switch {
	case errors.As(err, &dns):
		return CauseDNS
	case errors.Is(err, syscall.ECONNREFUSED):
		return CauseRefused
	case errors.Is(err, syscall.ECONNRESET):
		return CauseReset
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return CauseUnroutable
	case errors.As(err, &network) && network.Timeout():
		return CauseTimeout
	}
	return CauseOther
}

// handshakeCause says why TLS did not come about.
func handshakeCause(err error) Cause {
	var certificate *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var remote *net.OpError
	switch {
	case errors.As(err, &certificate), errors.As(err, &unknown), errors.As(err, &name), errors.As(err, &invalid):
		return CauseTLSCertificate
	case errors.As(err, &remote) && remote.Op == "remote error" && strings.Contains(remote.Err.Error(), "no application protocol"):
		return CauseALPN // it does not speak HTTP/1.1
	}
	return CauseTLSHandshake
}

// failed turns what a read or write returned into one of our errors; limit is
// the cause if the wait's own limit has passed.
func (a *Attempt) failed(err, otherwise error, limit Cause) error {
	a.mu.Lock()
	canceled := a.canceled
	a.mu.Unlock()
	var known *failure
	switch {
	case canceled:
		return ErrCanceled
	case errors.As(err, &known):
		return known
	case timedOut(err):
		if a.totalPassed() {
			limit = CauseTotalTimeout
		}
		return fail(ErrTimeout, limit)
	}
	return fail(otherwise, endCause(err))
}

func timedOut(err error) bool {
	var network net.Error
	return errors.Is(err, fasthttp.ErrTimeout) || errors.As(err, &network) && network.Timeout()
}

// endCause says how a connection ended.
func endCause(err error) Cause {
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return CauseReset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return CauseClosed
	}
	return CauseOther
}

// badHead says what stands where a head should be: a server of HTTP/2 alone
// begins with a frame of settings (RFC 9113, section 3.4).
func badHead(b []byte) error {
	const frameHead = 9
	if len(b) >= frameHead && b[3] == 4 && bytes.Equal(b[5:frameHead], []byte{0, 0, 0, 0}) {
		return fail(ErrUnreachable, CauseALPN)
	}
	return fail(ErrInvalid, CauseBadResponse)
}
