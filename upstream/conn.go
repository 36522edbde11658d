package upstream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/ownkey/ownkey/internal/socket"
	"golang.org/x/sys/unix"
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
	stream  net.Conn // what is read and written: TLS, or tcp itself
	tcp     net.Conn
	raw     syscall.RawConn
	reader  *bufio.Reader
	idleAt  time.Time // when it was put into the pool
	peekErr error     // result of the peek callback, kept here so that it need not allocate
	peek    func(fd uintptr) bool
}

// dial connects to t. ctx carries the limit and the cancellation.
func dial(ctx context.Context, t *Target) (*conn, error) {
	d := net.Dialer{ControlContext: t.control, Resolver: t.resolver}
	tcp, err := d.DialContext(ctx, "tcp", t.HostPort)
	if err != nil {
		return nil, dialError(ctx, err)
	}
	tcp = socket.New(tcp)
	c := &conn{stream: tcp, tcp: tcp}
	if s, ok := tcp.(*socket.Conn); ok {
		c.raw, c.peek = s.Raw(), c.peekOnce
	}
	if t.TLS != nil {
		secure := tls.Client(tcp, t.TLS)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(dialError(ctx, err), tcp.Close())
		}
		c.stream = secure
	}
	c.reader = bufio.NewReaderSize(c.stream, readBufferBytes)
	return c, nil
}

// dialError says which of our errors a failed dial is. The cause stays inside
// for the operator; it names addresses and certificates, never secrets.
func dialError(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ErrCanceled
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%w: connect limit passed", ErrTimeout)
	}
	if errors.Is(err, ErrForbidden) {
		return ErrForbidden
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// close ends the connection at once, without a TLS close message, which could
// block behind a peer that does not read. Safe from any goroutine.
func (c *conn) close() {
	_ = c.tcp.Close()
}

// alive reports whether an idle connection can still carry a request: the peer
// has neither closed it nor sent anything that nobody asked for.
func (c *conn) alive() bool {
	if c.raw == nil {
		return true
	}
	if err := c.raw.Read(c.peek); err != nil {
		return false
	}
	return errors.Is(c.peekErr, unix.EAGAIN)
}

// peekOnce looks whether the socket has something to read, without taking it.
func (c *conn) peekOnce(fd uintptr) bool {
	var b [1]byte
	_, _, c.peekErr = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return true // never wait for readiness
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
