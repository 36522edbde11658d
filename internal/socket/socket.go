// Package socket reads and writes TCP connections without telling Go's
// scheduler, which need not know: sockets never block.
//
// What net.Conn does through syscall.Syscall first wakes the runtime's monitor,
// if that sleeps, in case the call lasts. On a busy server whose cores are idle
// for microseconds between calls, that is one thread woken, run and put to sleep
// for each call: 7 of 48 µs (benchmarks/NOTES.md, 2026-11-26).
package socket

import (
	"errors"
	"io"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Conn is a TCP connection. All but Read and Write is the connection's own:
// deadlines hold, and Close ends a wait. One goroutine at a time may read, and
// one may write.
type Conn struct {
	net.Conn

	// Blocked is called before a write first waits for the peer, from the
	// writer's goroutine: it must not block and not use the connection. nil for
	// nothing. Set it while nobody writes; it is forgotten when it was called.
	Blocked func()

	raw     syscall.RawConn
	in, out transfer
	look    probe
	written int64 // bytes that the kernel took, over the connection's life
}

// transfer is one Read or Write under way. It is kept here, with the function
// that the poller calls back, so that none is allocated for each.
type transfer struct {
	p    []byte
	done int
	err  unix.Errno
	move func(fd uintptr) bool
}

// New takes over a connection; what is not a socket (in tests) is given back as
// it is.
func New(c net.Conn) net.Conn {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return c
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return c // closed; whoever uses it will see
	}
	s := &Conn{Conn: c, raw: raw}
	s.in.move, s.out.move, s.look.at = s.receive, s.send, s.look.peek
	return s
}

// Raw is the way to the descriptor.
func (c *Conn) Raw() syscall.RawConn { return c.raw }

// CloseWrite shuts the sending side: the peer reads an end, and may still send.
func (c *Conn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// Cut ends both directions at once: whoever reads comes to the end, and whoever
// writes gets an error. The descriptor stays open until Close.
func (c *Conn) Cut() {
	_ = c.raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) }) // it may be closed already
}

// Read is net.Conn's.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.in.run(p, c.raw.Read)
	if err != nil {
		return 0, c.failed("read", err)
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Write is net.Conn's: all of p, or an error.
func (c *Conn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.out.run(p, c.raw.Write)
	if err != nil {
		return n, c.failed("write", err)
	}
	return n, nil
}

// run lets move have its way until it says that it is done; between, the
// poller waits for the socket.
func (t *transfer) run(p []byte, poll func(func(fd uintptr) bool) error) (int, error) {
	t.p, t.done, t.err = p, 0, 0
	err := poll(t.move)
	t.p = nil // it was borrowed
	if err == nil && t.err != 0 {
		err = t.err
	}
	return t.done, err
}

func (c *Conn) receive(fd uintptr) (done bool) {
	n, again := c.in.call(unix.SYS_READ, fd)
	c.in.done = n
	return !again
}

func (c *Conn) send(fd uintptr) (done bool) {
	t := &c.out
	for t.done < len(t.p) && t.err == 0 {
		n, again := t.call(unix.SYS_WRITE, fd)
		if again {
			if f := c.Blocked; f != nil {
				c.Blocked = nil
				f()
			}
			return false
		}
		t.done += n
		c.written += int64(n)
	}
	return true
}

// call makes the system call for what is left of p. again says that the
// socket has to be waited for.
func (t *transfer) call(trap, fd uintptr) (n int, again bool) {
	p := t.p[t.done:]
	for {
		n, _, err := unix.RawSyscall(trap, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p))) //nolint:gosec // p lives until the call returns
		switch err {
		case 0:
			return int(n), false
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return 0, true
		}
		t.err = err
		return 0, false
	}
}

// failed says it as net does, so that whoever asks for a timeout or for
// net.ErrClosed is answered.
func (c *Conn) failed(op string, err error) error {
	if raw, ok := errors.AsType[*net.OpError](err); ok {
		err = raw.Err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
