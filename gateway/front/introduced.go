package front

import (
	"net"
	"time"

	"github.com/ownkey/ownkey/internal/proxyheader"
)

// introduced reads the PROXY header, where the peer is a proxy that sends one,
// before anything else of the connection, a TLS handshake included. It reports
// whether the connection can go on.
func (c *Conn) introduced(wait time.Duration) bool {
	peer := c.raw.RemoteAddr()
	if c.s.o.Proxied == nil || !c.s.o.Proxied(peer) {
		return true
	}
	if c.raw.SetReadDeadline(time.Now().Add(wait)) != nil {
		return false
	}
	if c.s.stopping.Load() {
		c.stop() // it has set a nearer one, which must not be lost
	}
	h, err := proxyheader.Read(c.raw)
	if err != nil {
		if !c.s.stopping.Load() {
			c.s.o.BadHeader(err, peer)
		}
		return false
	}
	c.client = h.Addr(peer)
	return true
}

// RemoteAddr is the client's address: the socket's, or what a proxy says; one
// without an IP where the proxy does not know.
func (c *Conn) RemoteAddr() net.Addr {
	if c.client != nil {
		return c.client
	}
	return c.raw.RemoteAddr()
}
