package load

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// provider is the far end of the gateways: it answers what the mark in a
// request asks for, and notes when.
type provider struct {
	l     *loop
	fd    int
	addr  netip.AddrPort
	calls *calls
	room  []byte
	broke error // the provider's own trouble
	open  int

	received int64 // bytes of bodies
}

func startProvider(l *loop, c *calls) (*provider, error) {
	fd, addr, err := listen()
	if err != nil {
		return nil, err
	}
	p := &provider{l: l, fd: fd, addr: addr, calls: c, room: make([]byte, 256<<10)}
	return p, l.watch(fd, p)
}

// wake takes new connections.
func (p *provider) wake(uint32) {
	for {
		fd, _, err := unix.Accept4(p.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if errors.Is(err, unix.EAGAIN) {
			return
		}
		if err != nil {
			p.broke = err
			return
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		s := &served{p: p, conn: conn{l: p.l, fd: fd}}
		if err := p.l.watch(fd, s); err != nil {
			p.broke = err
			return
		}
		p.open++
	}
}

// served is a connection of a gateway.
type served struct {
	p *provider
	conn
	parser parser
	start  []byte // of a request's body
	call   *call  // that is being answered
	id     int
	sent   int // chunks
	out    []byte
}

// keepBytes of a body's beginning are searched for the mark.
const keepBytes = 4 << 10

func (s *served) wake(events uint32) {
	if events&unix.EPOLLOUT != 0 && s.flush() != nil {
		s.gone()
		return
	}
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
		return
	}
	if err := s.read(s.p.room, s.take); err != nil {
		s.gone()
	}
}

// gone notes that the gateway has closed the connection, maybe amid an answer.
func (s *served) gone() {
	if s.closed {
		return
	}
	s.close()
	s.p.open--
	if s.call != nil && s.call.id == s.id {
		s.call.ends(s.l.now())
	}
	s.call = nil
}

func (s *served) take(b []byte) error {
	for len(b) > 0 {
		rest, whole, err := s.parser.feed(b, func(part []byte) {
			s.p.received += int64(len(part))
			s.start = append(s.start, part[:min(len(part), keepBytes-len(s.start))]...)
		})
		if err != nil {
			return err
		}
		if b = rest; !whole {
			return nil
		}
		if err := s.answer(); err != nil {
			return err
		}
	}
	return nil
}

func (s *served) answer() error {
	kind, id, ok := readMark(s.start)
	s.start = s.start[:0]
	if !ok {
		// Whatever a gateway asks on its own: a list of models, a probe.
		return s.write([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n{\"object\":\"list\",\"data\":[]}"), nil)
	}
	c := s.p.calls.at(id)
	c.asked++
	c.received = s.l.now()
	switch kind {
	case kindUnary:
		s.out = append(s.out[:0], unaryAnswer...)
		putNumber(s.out[numberAt:], id)
		return s.write(s.out, nil)
	case kindSilent:
		s.call, s.id = c, id
		return nil
	}
	s.call, s.id, s.sent = c, id, 0
	if err := s.write([]byte(streamHead), nil); err != nil {
		return err
	}
	s.ring()
	return nil
}

// ring sends the next chunk.
func (s *served) ring() {
	if s.closed || s.call == nil || s.call.id != s.id {
		return
	}
	for {
		if err := s.chunk(); err != nil {
			s.gone()
			return
		}
		switch {
		case s.sent == s.call.plan.Chunks:
			s.call.ends(s.l.now())
			s.call = nil
			if s.write(end, nil) != nil {
				s.gone()
			}
			return
		case s.call.plan.Hold:
			return
		case s.call.plan.Gap > 0:
			s.l.at(s.l.now()+s.call.plan.Gap, s)
			return
		}
	}
}

func (s *served) chunk() error {
	s.out = append(s.out[:0], event...)
	putNumber(s.out[eventAt:], s.sent)
	s.call.sends(s.sent, s.l.now())
	s.sent++
	return s.write(s.out, nil)
}
