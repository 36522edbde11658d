package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"

	"github.com/ownkey/ownkey/config"
)

// listenAll opens every address, or none. What an address says is what is
// opened: Go's "tcp" would open IPv6 for 0.0.0.0, too.
func listenAll(ctx context.Context, addresses config.Addresses) (all []net.Listener, err error) {
	var open net.ListenConfig
	for _, address := range addresses {
		l, err := open.Listen(ctx, networkOf(address), address)
		if err != nil {
			for _, opened := range all {
				err = errors.Join(err, opened.Close())
			}
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

// networkOf is the family of an address; both where it names no IP address.
func networkOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "tcp"
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return "tcp"
	case ip.Is4():
		return "tcp4"
	default:
		return "tcp6"
	}
}

// addressesOf are where the listeners are reached, with commas between them.
func addressesOf(all []net.Listener) string {
	addresses := make([]string, 0, len(all))
	for _, l := range all {
		addresses = append(addresses, l.Addr().String())
	}
	return strings.Join(addresses, ", ")
}
