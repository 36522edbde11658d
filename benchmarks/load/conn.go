package load

import (
	"errors"
	"fmt"
	"io"
	"net/netip"

	"golang.org/x/sys/unix"
)

// conn is a socket of the loop that writes without waiting.
type conn struct {
	l       *loop
	fd      int
	waiting []byte // to be written when there is room; owned
	tail    []byte // after waiting; borrowed
	armed   bool
	closed  bool
}

// write sends b, and then tail, which has to stay as it is until it is sent.
// What there is no room for now is sent later.
func (c *conn) write(b, tail []byte) error {
	if len(c.waiting)+len(c.tail) == 0 {
		n, err := c.send(b)
		if err != nil {
			return err
		}
		if b = b[n:]; len(b) == 0 {
			if n, err = c.send(tail); err != nil {
				return err
			}
			tail = tail[n:]
		}
	}
	c.waiting = append(c.waiting, b...)
	if len(tail) > 0 {
		c.tail = tail
	}
	return c.arm(len(c.waiting)+len(c.tail) > 0)
}

// flush sends what waits.
func (c *conn) flush() error {
	n, err := c.send(c.waiting)
	if err != nil {
		return err
	}
	c.waiting = append(c.waiting[:0], c.waiting[n:]...)
	if len(c.waiting) == 0 {
		if n, err = c.send(c.tail); err != nil {
			return err
		}
		c.tail = c.tail[n:]
	}
	return c.arm(len(c.waiting)+len(c.tail) > 0)
}

func (c *conn) arm(on bool) error {
	if on == c.armed {
		return nil
	}
	c.armed = on
	return c.l.writing(c.fd, on)
}

func (c *conn) send(b []byte) (n int, err error) {
	for len(b) > 0 {
		sent, err := unix.Write(c.fd, b)
		if errors.Is(err, unix.EAGAIN) {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("cannot write: %w", err)
		}
		n, b = n+sent, b[sent:]
	}
	return n, nil
}

// read hands on what has arrived. io.EOF: the other side has ended.
func (c *conn) read(room []byte, take func([]byte) error) error {
	for !c.closed {
		n, err := unix.Read(c.fd, room)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case err != nil:
			return fmt.Errorf("cannot read: %w", err)
		case n == 0:
			return io.EOF
		}
		if err := take(room[:n]); err != nil {
			return err
		}
		if n < len(room) { // nothing more was there
			return nil
		}
	}
	return nil
}

func (c *conn) close() {
	if !c.closed {
		c.closed = true
		c.l.drop(c.fd)
	}
}

func sockaddr(addr netip.AddrPort) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
}

// dial begins to connect; what is written meanwhile waits.
func dial(l *loop, to netip.AddrPort) (c conn, err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return conn{}, fmt.Errorf("cannot make a socket: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err = unix.Connect(fd, sockaddr(to)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		_ = unix.Close(fd)
		return conn{}, fmt.Errorf("cannot connect: %w", err)
	}
	return conn{l: l, fd: fd}, nil
}

// listen takes connections on a free port of the loopback.
func listen() (fd int, at netip.AddrPort, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, at, fmt.Errorf("cannot make a socket: %w", err)
	}
	const backlog = 4096
	bound := unix.Bind(fd, sockaddr(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)))
	listening := unix.Listen(fd, backlog)
	name, err := unix.Getsockname(fd)
	if err = errors.Join(bound, listening, err); err != nil {
		_ = unix.Close(fd)
		return 0, at, fmt.Errorf("cannot listen: %w", err)
	}
	own := name.(*unix.SockaddrInet4) //nolint:forcetypeassert // it was bound to one
	return fd, netip.AddrPortFrom(netip.AddrFrom4(own.Addr), uint16(own.Port)), nil
}
