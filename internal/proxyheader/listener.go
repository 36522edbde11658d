package proxyheader

import (
	"net"
	"sync"
	"time"
)

// Listener gives connections the address of their client, as the header says it
// that those from proxies begin with.
type Listener struct {
	net.Listener
	// Proxied reports whether a peer is such a proxy. Others send no header.
	Proxied func(peer net.Addr) bool
	// Timeout bounds the wait for a header.
	Timeout time.Duration
	// Bad is called for a connection whose header is missing or broken.
	Bad func(err error, from net.Addr)
}

// Accept waits for a connection, and not for its header: whoever asks for the
// address or reads first does.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil || !l.Proxied(c.RemoteAddr()) {
		return c, err
	}
	return &conn{Conn: c, of: l}, nil
}

// conn is a connection that begins with a header.
type conn struct {
	net.Conn
	of *Listener

	once   sync.Once
	client net.Addr
	err    error
}

// introduce reads the header, the first time. Without a good one the connection
// is closed: a server might answer it otherwise.
func (c *conn) introduce() {
	c.once.Do(func() {
		c.client = c.Conn.RemoteAddr()
		if c.err = c.read(); c.err != nil {
			_ = c.Close()
			c.of.Bad(c.err, c.client)
		}
	})
}

func (c *conn) read() error {
	if err := c.SetReadDeadline(time.Now().Add(c.of.Timeout)); err != nil {
		return err
	}
	h, err := Read(c.Conn)
	if err != nil {
		return err
	}
	c.client = h.Addr(c.client)
	return c.SetReadDeadline(time.Time{})
}

// RemoteAddr is the client's address; the proxy's where the header is bad.
func (c *conn) RemoteAddr() net.Addr {
	c.introduce()
	return c.client
}

// Read reads what follows the header.
func (c *conn) Read(p []byte) (int, error) {
	if c.introduce(); c.err != nil {
		return 0, c.err
	}
	return c.Conn.Read(p)
}
