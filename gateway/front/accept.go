package front

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
)

const (
	// firstWait and lastWait bound how long is waited after a failed accept;
	// each failure doubles it (net/http's numbers).
	firstWait = 5 * time.Millisecond
	lastWait  = time.Second
	// turnedAway is how many connections beyond the limit are answered at once;
	// others are closed without an answer.
	turnedAway = 64
	// turnTime bounds such an answer, the TLS handshake included.
	turnTime = 2 * time.Second
)

// full is the answer beyond the limit: the request was not read.
var full = func() []byte {
	const body = `{"error":{"message":"too many connections are open (limits.max_connections)","type":"ownkey_error","param":null,"code":"too_many_connections"}}`
	return []byte("HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nOwnkey-Error: too_many_connections\r\n" +
		"Retry-After: 1\r\nConnection: close\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}()

// accept takes connections until the server stops. It never reads from one,
// writes to one or waits for one.
func (s *Server) accept(l net.Listener) error {
	for wait := time.Duration(0); ; {
		raw, err := l.Accept()
		switch {
		case err == nil:
			wait = 0
			s.take(raw)
		case s.stopping.Load():
			return nil
		case !passing(err):
			return fmt.Errorf("cannot accept connections: %w", err)
		default:
			wait = min(max(firstWait, 2*wait), lastWait)
			s.o.Trouble(err, wait)
			time.Sleep(wait)
		}
	}
}

// passing reports whether a failure to accept is of the moment, or of the
// connection that would have been next (accept(2), "Error handling").
func passing(err error) bool {
	for _, e := range [...]syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, // ours
		syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EINTR, syscall.EAGAIN, syscall.EPERM, syscall.EPROTO, syscall.ETIMEDOUT,
		syscall.ENETDOWN, syscall.ENOPROTOOPT, syscall.EHOSTDOWN, syscall.EHOSTUNREACH, syscall.EOPNOTSUPP, syscall.ENETUNREACH, // the peer's
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// take serves a connection, or turns it away.
func (s *Server) take(raw net.Conn) {
	if s.o.MaxConnections > 0 && s.open.Load() >= int64(s.o.MaxConnections) {
		s.turnAway(raw)
		return
	}
	s.open.Add(1)
	s.start(s.conn(raw))
}

// turnAway answers a connection beyond the limit, if few are being answered. The
// answer waits for the request to begin: clients take one that comes before it
// for a broken connection (net/http's Transport: "unsolicited response").
func (s *Server) turnAway(raw net.Conn) {
	s.o.TurnedAway()
	if s.turned.Add(1) > turnedAway {
		s.turned.Add(-1)
		_ = raw.Close()
		return
	}
	c := s.conn(raw)
	go func() {
		defer crash.Exit()
		defer s.turned.Add(-1)
		if !c.introduced(turnTime) {
			_ = raw.Close()
			return
		}
		_ = c.SetDeadline(time.Now().Add(turnTime))
		if t, ok := c.Conn.(*tls.Conn); ok && t.Handshake() != nil { //nolint:noctx // the deadline bounds it
			_ = raw.Close()
			return
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			_ = raw.Close()
			return
		}
		_, _ = c.Write(full)
		c.linger(bounds{turnTime, turnTime, unreadBytes})
	}()
}
