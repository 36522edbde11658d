// Package origin finds the address that a call comes from, behind proxies that
// are trusted to say it. It has no state.
package origin

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Prefixes are ranges of addresses.
type Prefixes []netip.Prefix

// Parse reads a range such as 10.1.0.0/16, or one address. Bits beyond a mask
// are not taken: they are more often a mistake than not.
func Parse(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), a.Zone() == "" && !a.Is4In6()
	}
	p, err := netip.ParsePrefix(text)
	return p, err == nil && p == p.Masked() && !p.Addr().Is4In6()
}

// ParseAll reads a list of them; bad is the first entry that is none, or -1.
func ParseAll(texts []string) (all Prefixes, bad int) {
	for i, text := range texts {
		p, ok := Parse(text)
		if !ok {
			return nil, i
		}
		all = append(all, p)
	}
	return all, -1
}

// Contain reports whether an address is in one of the ranges. One that is not
// known is in none.
func (p Prefixes) Contain(a netip.Addr) bool {
	a = a.Unmap()
	for _, one := range p {
		if one.Contains(a) {
			return true
		}
	}
	return false
}

// Peer reports whether the other end of a connection is in one of the ranges.
func (p Prefixes) Peer(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && p.Contain(tcp.AddrPort().Addr().WithZone(""))
}

// Client gives the address of the client whose call came from peer, with the
// lines of its Forwarded (RFC 7239) and X-Forwarded-For. Where peer is no proxy
// of ours it is the client, whatever the lines say. A proxy's client is the
// rightmost address that is no proxy. It is the zero address, which is in no
// range, where the proxy does not say it: without a line, with one that has no
// address there, or when the two headers differ, since many proxies set one and
// pass the other on as a client has written it.
func (p Prefixes) Client(peer netip.Addr, forwarded, forwardedFor []string) netip.Addr {
	if peer = peer.Unmap(); !p.Contain(peer) {
		return peer
	}
	switch {
	case len(forwarded) == 0:
		return p.rightmost(forwardedFor, address)
	case len(forwardedFor) == 0:
		return p.rightmost(forwarded, node)
	}
	if a := p.rightmost(forwarded, node); a == p.rightmost(forwardedFor, address) {
		return a
	}
	return netip.Addr{}
}

// rightmost walks the elements of all lines from the last to the first, and gives
// the first that is no proxy. If all are, it gives the leftmost.
func (p Prefixes) rightmost(lines []string, read func(string) netip.Addr) (a netip.Addr) {
	for _, line := range slices.Backward(lines) {
		for rest, more := line, true; more; {
			var element string
			at := strings.LastIndexByte(rest, ',')
			if more = at >= 0; more {
				rest, element = rest[:at], rest[at+1:]
			} else {
				element = rest
			}
			if a = read(strings.TrimSpace(element)); !p.Contain(a) {
				return a
			}
		}
	}
	return a
}

// node reads the for= of a Forwarded element. A quoted string with a comma or a
// semicolon in it holds no address, so that splitting at them is no harm.
func node(element string) (a netip.Addr) {
	found := false
	for pair := range strings.SplitSeq(element, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if !strings.EqualFold(name, "for") {
			continue
		}
		if found {
			return netip.Addr{} // two of them: nobody knows which
		}
		found = true
		if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
			value = value[1 : n-1]
		}
		a = address(value)
	}
	return a
}

// address reads an address with or without a port; IPv6 may be in brackets, and
// is where a port follows.
func address(text string) netip.Addr {
	a, err := netip.ParseAddr(text)
	if err != nil {
		if inner, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(inner, "]") {
			a, err = netip.ParseAddr(inner[:len(inner)-1])
		} else {
			var with netip.AddrPort
			with, err = netip.ParseAddrPort(text)
			a = with.Addr()
		}
	}
	if err != nil || a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}
