package upstream

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"time"

	"github.com/ownkey/ownkey/internal/socket"
)

const (
	// readBufferBytes holds the usual answer head (1 to 3 KiB from the large
	// providers) and one read of a stream. It is most of what an open stream
	// costs, so it is small; a larger head moves to a larger buffer.
	readBufferBytes = 4 << 10
	// maxHeadBytes bounds an answer's head.
	maxHeadBytes = 64 << 10
)

// conn is a connection to a target. It is owned by one attempt at a time, or
// by its pool; only close may be called by others.
type conn struct {
	stream net.Conn // what is read and written: TLS, or tcp itself
	tcp    net.Conn
	socket *socket.Conn // tcp, if it is a socket
	reader *bufio.Reader
	reused bool      // it has served a request before
	idleAt time.Time // when it was put into the pool
	until  time.Time // when it is too old for another request
	before int64     // bytes sent on it before the present request
	counts *Idle     // where it counts while it is in the pool; nil for nowhere
}

// newConn takes over a connection and the socket below it. until is when it
// becomes too old to be used again.
func newConn(stream, tcp net.Conn, until time.Time) *conn {
	c := &conn{stream: stream, tcp: tcp, until: until}
	c.socket, _ = tcp.(*socket.Conn)
	c.reader = bufio.NewReaderSize(c.stream, readBufferBytes)
	return c
}

// close ends the connection at once, without a TLS close message, which could
// block behind a peer that does not read. Safe from any goroutine.
func (c *conn) close() {
	_ = c.tcp.Close()
}

// alive reports whether an idle connection can still carry a request: the peer
// has neither closed it nor sent anything that nobody asked for.
func (c *conn) alive() bool { return c.socket == nil || c.socket.Quiet() }

// begin notes where a request begins.
func (c *conn) begin() {
	if c.socket != nil {
		c.before = c.socket.Written()
	}
}

// untouched reports whether the peer's kernel has confirmed no byte of the
// request: then no program has read any.
func (c *conn) untouched() bool {
	if c.socket == nil {
		return false
	}
	n, known := c.socket.Acknowledged()
	return known && n <= c.before
}

// grow replaces the read buffer by one that holds the largest allowed head.
// Nothing that was buffered is lost.
func (c *conn) grow() {
	held, _ := c.reader.Peek(c.reader.Buffered())
	c.reader = bufio.NewReaderSize(io.MultiReader(bytes.NewReader(bytes.Clone(held)), c.stream), maxHeadBytes)
}

// grown reports whether grow was called; such a connection is not pooled, so
// that the pool's memory stays what it says.
func (c *conn) grown() bool {
	return c.reader.Size() > readBufferBytes
}
