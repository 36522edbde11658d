package socket

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file asks the kernel what it knows of the peer.

// probe is a look at what has arrived. It is kept in the connection, with the
// function that the poller calls back, so that none is allocated for each.
type probe struct {
	b     [1]byte
	quiet bool
	at    func(fd uintptr) bool
}

// Quiet reports whether the peer has neither closed the connection nor sent
// anything that was not read. Nobody may read meanwhile.
func (c *Conn) Quiet() bool {
	c.look.quiet = false
	if err := c.raw.Read(c.look.at); err != nil {
		return false
	}
	return c.look.quiet
}

// peek looks without taking anything and without waiting.
func (p *probe) peek(fd uintptr) bool {
	for {
		//nolint:gosec // p lives until the call returns
		_, _, err := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&p.b[0])), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
		if err == unix.EINTR {
			continue
		}
		p.quiet = err == unix.EAGAIN
		return true
	}
}

// Written is how many bytes the kernel took to send. Call it while nobody
// writes.
func (c *Conn) Written() int64 { return c.written }

// Acknowledged is how many bytes the peer's kernel has confirmed. What it has
// not confirmed when it has closed the connection, no program there has read.
// It reports false where the kernel does not say.
func (c *Conn) Acknowledged() (n int64, known bool) {
	err := c.raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil || info.Bytes_acked == 0 {
			return
		}
		// The kernel counts the connection's SYN as one (Linux, tcp_snd_una_update).
		n, known = int64(info.Bytes_acked)-1, true //nolint:gosec // far below
	})
	return n, known && err == nil
}
