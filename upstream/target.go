package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"strings"
	"time"
)

// Limits bound the waits of an attempt. Zero means no limit, except for
// Connect and FirstByte, which the configuration never leaves zero.
type Limits struct {
	// Connect bounds name lookup, TCP connect and TLS handshake together.
	Connect time.Duration
	// FirstByte bounds the time from the request's last byte to the answer's
	// first.
	FirstByte time.Duration
	// Idle bounds the silence between two reads of the answer, and between two
	// writes of an upload.
	Idle time.Duration
	// Total bounds the whole attempt.
	Total time.Duration
}

// Target is an address that requests are sent to: everything about a provider
// that a connection needs, and the connections that wait for the next request.
// Its fields are set once; it is safe for concurrent use.
type Target struct {
	// Address is what a credential for it is bound to; see Address.
	Address string
	// HostPort is what is dialed, always with a port, in lower case.
	HostPort string
	// Host is the Host header: HostPort without a default port.
	Host string
	// BasePath is put before the path of each request; no trailing slash.
	BasePath string
	// TLS is nil for plain HTTP.
	TLS *tls.Config
	// Limits of attempts at this target.
	Limits Limits

	control control // judges the address of each dial; nil takes any
	place   place
	proxy   *proxy // that leads there; nil for none
	pool    *pool
	idle    *Idle // bounds what is put into pool; nil for pool's own bound alone
}

// NewTarget makes a target of a base URL such as "https://api.openai.com/v1",
// which must be http or https with a host. roots nil means the system's
// certificate authorities; certificates are always verified. egress nil lets it
// lead anywhere: a host that the operator has chosen.
func (c *Client) NewTarget(base *url.URL, roots *x509.CertPool, egress *Egress, limits Limits) *Target {
	t := &Target{
		Address:  Address(base),
		HostPort: HostPort(base),
		Host:     strings.ToLower(base.Host),
		BasePath: basePath(base),
		Limits:   limits,
		pool:     &pool{},
	}
	if base.Scheme == "https" {
		t.TLS = tlsConfig(base.Hostname(), roots)
	}
	if egress != nil && !egress.named(t.HostPort) {
		t.control = egress.guard(t.TLS == nil)
	}
	t.place, t.proxy = newPlace(t.HostPort), c.proxies.to(base)
	c.add(t)
	return t
}

// Within gives t for somebody whose idle connections are bounded together with
// those at other targets. It is t in all else, with t's connections, and ends
// with it.
func (t *Target) Within(idle *Idle) *Target {
	bounded := *t
	bounded.idle = idle
	return &bounded
}

// throughTunnel reports whether t's proxy only carries bytes. A host in clear
// text is asked for through it otherwise, as proxies expect.
func (t *Target) throughTunnel() bool { return t.TLS != nil || t.control != nil }

// Origin is the target's Address before its path.
func (t *Target) Origin() string { return strings.TrimSuffix(t.Address, t.BasePath) }

// Address is everything that decides where requests to a base URL go, and
// whether in clear: scheme://host:port/base-path, in the one spelling that
// credentials are bound to.
func Address(base *url.URL) string { return Origin(base) + basePath(base) }

// Origin is the part of Address before the path.
func Origin(base *url.URL) string { return base.Scheme + "://" + HostPort(base) }

func basePath(base *url.URL) string { return strings.TrimRight(base.EscapedPath(), "/") }

// HostPort is what requests to a base URL dial: lower case, always with a port.
func HostPort(base *url.URL) string {
	port := base.Port()
	switch {
	case port != "":
	case base.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(strings.ToLower(base.Hostname()), port)
}

// sessionsPerTarget is how many TLS sessions a target remembers for
// resumption: one is enough for a single server name, a few more survive
// servers behind one name that do not share ticket keys.
const sessionsPerTarget = 8

func tlsConfig(serverName string, roots *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         serverName,
		RootCAs:            roots,
		NextProtos:         []string{"http/1.1"},
		ClientSessionCache: tls.NewLRUClientSessionCache(sessionsPerTarget),
	}
}
