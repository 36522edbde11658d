package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
)

// Egress says which addresses may be dialed where somebody else than the
// operator has chosen the host: public ones, and those that the operator names.
// The address that a name resolved to is judged when it is dialed, so a name
// that points elsewhere a moment later (DNS rebinding) gains nothing. The zero
// value allows public addresses only.
type Egress struct {
	hosts    map[string]bool // host or host:port, in lower case
	prefixes []netip.Prefix
}

// NewEgress takes what an operator allows beside public addresses: HOST,
// HOST:PORT or an IP range such as 10.1.0.0/16.
func NewEgress(allow []string) *Egress {
	e := &Egress{hosts: map[string]bool{}}
	for _, entry := range allow {
		if p, err := netip.ParsePrefix(entry); err == nil {
			e.prefixes = append(e.prefixes, p.Masked())
		} else {
			e.hosts[strings.ToLower(entry)] = true
		}
	}
	return e
}

// named reports whether the operator has allowed a host by its name.
func (e *Egress) named(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	return e.hosts[hostPort] || err == nil && e.hosts[host]
}

// within reports whether the operator has allowed an address by its range.
func (e *Egress) within(ip netip.Addr) bool {
	for _, p := range e.prefixes {
		if p.Contains(ip.Unmap()) {
			return true
		}
	}
	return false
}

// ErrClearText is a base URL that would send a credential in clear.
var ErrClearText = errors.New("must begin with https://; http:// is for hosts and addresses that the operator names (providers, egress.allow)")

// ErrNotPublic is a base URL that leads into a network which is not the
// public one.
var ErrNotPublic = errors.New("must lead to a public address, or to one that the operator allows (egress.allow)")

// Check judges a base URL as far as it can be without a name lookup.
func (e *Egress) Check(scheme, hostPort string) error {
	if e.named(hostPort) {
		return nil
	}
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return ErrNotPublic
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case err == nil && e.within(ip):
		return nil
	case err == nil && !public(ip):
		return ErrNotPublic
	case scheme != "https":
		return ErrClearText
	}
	return nil
}

// guard judges each address that a target's name has resolved to, after the
// lookup and before the connection. In clear text only what the operator has
// allowed is dialed.
func (e *Egress) guard(clearText bool) func(ctx context.Context, network, address string, _ syscall.RawConn) error {
	return func(_ context.Context, _, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%w: no address", ErrForbidden)
		}
		if ip := at.Addr().WithZone(""); e.within(ip) || !clearText && public(ip) {
			return nil
		}
		return ErrForbidden
	}
}

// notPublic are ranges that look global to netip and are not (IANA IPv4 and
// IPv6 Special-Purpose Address Registries, 2025-10), and one of a cloud's own.
var notPublic = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24",
	"192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"168.63.129.16/32", // Azure's host: wire server and metadata (its documentation, 2026)
	"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
)

// globalIPv6 is what is routed in IPv6; translation prefixes, which would lead
// to any IPv4 address, lie outside of it.
var globalIPv6 = netip.MustParsePrefix("2000::/3")

func prefixes(all ...string) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(all))
	for _, s := range all {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// public reports whether an address is one of the public internet.
func public(ip netip.Addr) bool {
	ip = ip.Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.Is6() && !globalIPv6.Contains(ip) {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}
