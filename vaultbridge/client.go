package vaultbridge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/ownkey/ownkey/internal/secretfile"
)

const (
	// idleConns are kept open to Vault, so that an unseal needs no handshake.
	idleConns = 64
	// connectTimeout and headerTimeout bound what has no deadline of its own.
	connectTimeout = 2 * time.Second
	headerTimeout  = 10 * time.Second
	// maxAnswerBytes bounds an answer that holds no plaintext.
	maxAnswerBytes = 4 << 20
)

// newClient makes a client for one identity. Nothing is taken from the
// environment, where vault/api would look for an address, a token, a way to
// switch verification off, and one to have answers wrapped, plaintexts and all.
// seals says that its calls carry plaintexts.
func newClient(o *TransitOptions, l *Login, seals bool) (*api.Client, error) {
	address := o.Address
	if l.Address != "" {
		address = l.Address
	}
	transport, err := newTransport(o.CAFile, l)
	if err != nil {
		return nil, err
	}
	path, unix := strings.CutPrefix(address, "unix://")
	dial := (&net.Dialer{Timeout: connectTimeout, KeepAlive: 15 * time.Second}).DialContext
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if unix {
			network, addr = "unix", path
		}
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return wipingConn{conn, seals}, nil
	}
	if unix {
		address = "http://vault-agent"
	}
	defer withoutVaultEnvironment()()
	client, err := api.NewClient(&api.Config{
		Address: address, HttpClient: &http.Client{Transport: transport, CheckRedirect: noRedirect}, DisableRedirects: true,
	})
	if err != nil {
		return nil, fmt.Errorf("cannot use Vault at %s: %w", address, err)
	}
	// Asked at every request, and by default of the environment.
	client.SetWrappingLookupFunc(func(string, string) string { return "" })
	if o.Namespace != "" {
		client.SetNamespace(o.Namespace)
	}
	return client, nil
}

// environment guards what withoutVaultEnvironment takes away for a while.
var environment sync.Mutex

// withoutVaultEnvironment hides every VAULT_ variable from api.NewClient, which
// takes headers from them and fails on one that it cannot read. The function
// that it returns puts them back.
func withoutVaultEnvironment() (restore func()) {
	environment.Lock()
	held := map[string]string{}
	for _, line := range os.Environ() {
		if name, value, _ := strings.Cut(line, "="); strings.HasPrefix(name, "VAULT_") {
			held[name] = value
			_ = os.Unsetenv(name)
		}
	}
	return func() {
		defer environment.Unlock()
		for name, value := range held {
			_ = os.Setenv(name, value)
		}
	}
}

// noRedirect keeps a token from following an answer to another host.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// newTransport speaks HTTP/1.1 only: a hedge must not share the connection of
// the call that hangs.
func newTransport(caFile string, l *Login) (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read Vault's certificate authority: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("cannot use Vault's certificate authority %s: it holds no certificate", caFile)
		}
	}
	if l.CertFile != "" {
		// Read for each handshake: such certificates are replaced often.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return certificateOf(l)
		}
		if _, err := certificateOf(l); err != nil {
			return nil, fmt.Errorf("cannot use client certificate: %w", err)
		}
	}
	return &http.Transport{
		TLSClientConfig: config, TLSHandshakeTimeout: connectTimeout, ResponseHeaderTimeout: headerTimeout,
		MaxIdleConns: idleConns, MaxIdleConnsPerHost: idleConns, MaxConnsPerHost: 2 * idleConns, IdleConnTimeout: 5 * time.Minute,
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}, Proxy: nil, DisableCompression: true,
	}, nil
}

// certificateOf reads the certificate that an identity logs in with.
func certificateOf(l *Login) (*tls.Certificate, error) {
	certificate, err := os.ReadFile(l.CertFile)
	if err != nil {
		return nil, err
	}
	key, err := secretfile.Read(l.KeyFile)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	c, err := tls.X509KeyPair(certificate, key)
	return &c, err
}

// wipingConn zeroes the space that it is given to read into before it waits
// for bytes. The transport's buffer, which held the last answer with its
// plaintext, is empty as soon as the connection is idle. (Under TLS the
// record layer has one more buffer, out of our reach.)
type wipingConn struct {
	net.Conn
	wipeWritten bool
}

// Read zeroes p and fills its beginning.
func (c wipingConn) Read(p []byte) (int, error) {
	clear(p)
	return c.Conn.Read(p)
}

// Write writes p and, where plaintexts are sent, zeroes it. A Writer should
// leave p alone, but p is one of two things here: the transport's buffer, which
// begins anew after each write, or the body of a call, which is ours to wipe and
// is sent once (no retries, no redirects, no hedge).
func (c wipingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if c.wipeWritten {
		clear(p)
	}
	return n, err
}

// Reason says why Vault was of no use: a word for logs and metrics.
type Reason string

// The reasons.
const (
	ReasonTimeout     Reason = "timeout"     // no answer in time
	ReasonUnreachable Reason = "unreachable" // no connection
	ReasonSealed      Reason = "sealed"      // 503: sealed, or in maintenance
	ReasonStandby     Reason = "standby"     // a standby that does not forward
	ReasonDenied      Reason = "denied"      // 403: token expired, or policy changed
	ReasonThrottled   Reason = "throttled"   // 429: a quota of Vault's
	ReasonFailing     Reason = "failing"     // any other answer that is of no use, or nothing to log in with
	ReasonLogin       Reason = "no_login"    // this identity never got a token
	ReasonRefused     Reason = "refused"     // a login's role id or secret id
	ReasonLockedOut   Reason = "locked_out"  // a login, whatever it presents: too many were refused
)

// reasonOf sorts an error of vault/api. Its text can hold addresses and Vault's
// own words, which may quote us: it goes no further.
func reasonOf(err error) Reason {
	var refused *loginError
	var answer *api.ResponseError
	var status statusError
	var network net.Error
	var transport *url.Error
	switch {
	case errors.As(err, &refused):
		return refused.reason
	case errors.As(err, &answer):
		return reasonOfStatus(answer.StatusCode)
	case errors.As(err, &status):
		return reasonOfStatus(int(status))
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return ReasonTimeout
	case errors.As(err, &transport):
		return ReasonUnreachable
	}
	return ReasonFailing
}

func reasonOfStatus(status int) Reason {
	switch status {
	case http.StatusForbidden, http.StatusUnauthorized:
		return ReasonDenied
	case http.StatusTooManyRequests:
		return ReasonThrottled
	case http.StatusServiceUnavailable:
		return ReasonSealed
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect, http.StatusMovedPermanently, http.StatusFound, 472, 473: // Vault's HTTP API, sys/health
		return ReasonStandby
	}
	return ReasonFailing
}

// statusError is an answer that vault/api lets pass and we do not.
type statusError int

// Error gives the status.
func (e statusError) Error() string { return fmt.Sprintf("Vault answered with status %d", int(e)) }

// unavailable is ErrUnavailable with its reason.
type unavailable struct{ reason Reason }

// Error names the reason.
func (e *unavailable) Error() string { return ErrUnavailable.Error() + ": " + string(e.reason) }

// Unwrap gives ErrUnavailable.
func (e *unavailable) Unwrap() error { return ErrUnavailable }

// statusOf is the status that Vault refused with; 0 when there was no answer.
func statusOf(err error) int {
	if answer, ok := errors.AsType[*api.ResponseError](err); ok {
		return answer.StatusCode
	}
	return 0
}

// post makes a call whose body or answer holds a plaintext. The answer is the
// caller's, to be wiped; it is never longer than limit.
func (s *session) post(ctx context.Context, path string, body []byte, header, value string, limit int) ([]byte, error) {
	client := s.client
	if header != "" {
		client = client.WithRequestCallbacks(func(r *api.Request) { r.Headers.Set(header, value) })
	}
	response, err := client.Logical().WriteRawWithContext(ctx, path, body)
	if response != nil {
		defer response.Body.Close() //nolint:errcheck // it was read, or is of no use
	}
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, statusError(response.StatusCode)
	}
	raw := make([]byte, limit)
	n, err := io.ReadFull(response.Body, raw)
	if err == nil { // it fills the buffer, so that there may be more
		clear(raw)
		return nil, statusError(http.StatusRequestEntityTooLarge)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		clear(raw)
		return nil, err
	}
	return raw[:n], nil
}
