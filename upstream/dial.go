package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
	"github.com/ownkey/ownkey/internal/socket"
)

const (
	// connMaxAge is how long a connection serves requests, so that a provider
	// that has moved in the DNS, or whose load balancer has grown, is followed
	// within minutes. Each connection lives up to a fifth shorter, so that those
	// of a burst do not end together.
	connMaxAge = 5 * time.Minute
	// nextAddress is how long an address may take before the next is tried
	// beside it (RFC 8305, section 5: Connection Attempt Delay).
	nextAddress = 250 * time.Millisecond
)

// control judges an address that is about to be dialed.
type control func(ctx context.Context, network, address string, c syscall.RawConn) error

// dial connects to t, through its proxy if it has one. ctx carries the limit
// and the cancellation.
func (t *Target) dial(ctx context.Context) (*conn, error) {
	stream, tcp, err := t.reach(ctx)
	if err != nil {
		return nil, dialFailure(ctx, err)
	}
	until := time.Now().Add(connMaxAge - rand.N(connMaxAge/5)) //nolint:gosec // a spread, not a secret
	if t.TLS == nil {
		return newConn(stream, tcp, until), nil
	}
	secure := tls.Client(stream, t.TLS)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = tcp.Close()
		if ctx.Err() == nil {
			err = fail(ErrUnreachable, handshakeCause(err))
		}
		return nil, dialFailure(ctx, err)
	}
	return newConn(secure, tcp, until), nil
}

// reach makes the connection below t's own TLS: what is read and written, and
// its socket.
func (t *Target) reach(ctx context.Context) (stream, tcp net.Conn, err error) {
	if t.proxy == nil {
		tcp, err = t.place.connect(ctx, t.control, t.Limits.Connect)
		return tcp, tcp, err
	}
	to := t.HostPort
	if t.control != nil { // a host of a tenant's choice: the proxy gets the address that was judged
		if to, err = t.judged(ctx); err != nil {
			return nil, nil, err
		}
	}
	return t.proxy.reach(ctx, to, t.throughTunnel(), t.Limits.Connect)
}

// judged is an address of t's host that may be dialed, as host:port.
func (t *Target) judged(ctx context.Context) (string, error) {
	addrs, err := t.place.resolve(ctx, t.Limits.Connect)
	if err != nil {
		return "", err
	}
	for _, a := range addrs {
		to := net.JoinHostPort(a.String(), t.place.port)
		if err = t.control(ctx, "tcp", to, nil); err == nil {
			return to, nil
		}
	}
	return "", err
}

// place is a host and port that is dialed.
type place struct {
	*names
	port string
}

func newPlace(hostPort string) place {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		panic("BUG: not host:port: " + hostPort)
	}
	return place{newNames(host), port}
}

// connect dials the place's addresses until one of them answers.
func (p place) connect(ctx context.Context, judge control, within time.Duration) (net.Conn, error) {
	addrs, err := p.resolve(ctx, within)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(p.port, 10, 16)
	if err != nil {
		return nil, fail(ErrUnreachable, CauseUnroutable)
	}
	d := net.Dialer{ControlContext: judge}
	c, err := race(ctx, addrs, func(ctx context.Context, a netip.Addr) (net.Conn, error) {
		return d.DialContext(ctx, "tcp", netip.AddrPortFrom(a, uint16(port)).String()) //nolint:gosec // parsed as 16 bits
	})
	if err != nil {
		return nil, err
	}
	return socket.New(c), nil
}

// dialed is what became of one address.
type dialed struct {
	c   net.Conn
	err error
}

// race dials addresses in their order, each as soon as the one before has
// failed or taken nextAddress, and gives the first connection. The error is
// that of the first address which says something of the provider.
func race(ctx context.Context, addrs []netip.Addr, dial func(context.Context, netip.Addr) (net.Conn, error)) (net.Conn, error) {
	if len(addrs) == 1 {
		return dial(ctx, addrs[0])
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	results := make(chan dialed, len(addrs))
	timer := time.NewTimer(0)
	defer timer.Stop()
	var failure error
	next, running := 0, 0
	for next < len(addrs) || running > 0 {
		select {
		case <-timer.C:
		case r := <-results:
			running--
			if r.err == nil {
				go discard(results, running)
				return r.c, nil
			}
			if failure == nil || unroutable(failure) {
				failure = r.err
			}
		}
		if next < len(addrs) {
			go func(a netip.Addr) {
				defer crash.Exit()
				c, err := dial(ctx, a)
				results <- dialed{c, err}
			}(addrs[next])
			next, running = next+1, running+1
			timer.Reset(nextAddress)
		}
	}
	return nil, failure
}

// unroutable reports whether an address could not be tried from here: of a
// family that this machine does not speak, say.
func unroutable(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

// discard closes the connections that came too late.
func discard(results <-chan dialed, n int) {
	defer crash.Exit()
	for range n {
		if r := <-results; r.err == nil {
			_ = r.c.Close()
		}
	}
}
