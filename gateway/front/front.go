package front

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
	"github.com/valyala/fasthttp"
)

// Room lends memory, or reports that there is none now. It is safe for
// concurrent use.
type Room interface {
	Take(bytes int) bool
	Give(bytes int)
}

// Options of a server. Every duration and every size must be set.
type Options struct {
	// Handler answers a request by filling in ctx.Response. Its body, if it has
	// one, is ctx.RequestBodyStream; what the handler leaves unread is dropped.
	// It is called by the connection's goroutine and must not panic.
	Handler func(ctx *fasthttp.RequestCtx)
	// Unreadable answers what is no valid request, for a reason that is one of
	// this package's errors. The connection is closed afterwards. Of the
	// request nothing is to be believed.
	Unreadable func(ctx *fasthttp.RequestCtx, why error)
	// Trouble is called when connections cannot be accepted, once for each
	// attempt: the gateway tries again after wait.
	Trouble func(err error, wait time.Duration)
	// Handshake is called for each connection whose TLS handshake failed, with
	// one of HandshakeCauses. It may be nil without TLS.
	Handshake func(cause string, from net.Addr)
	// TurnedAway is called for each connection beyond MaxConnections.
	TurnedAway func()
	// Proxied reports whether connections of a peer begin with a PROXY header,
	// which then gives their client's address; nil: none do.
	Proxied func(peer net.Addr) bool
	// BadHeader is called for a connection whose PROXY header is missing or broken.
	// It is closed without an answer, as HAProxy and nginx do.
	BadHeader func(err error, from net.Addr)
	// TLS of the listener; nil is plain HTTP.
	TLS *tls.Config
	// MaxConnections bounds connections that are served; 0 is no bound.
	MaxConnections int
	// MaxHeadBytes bounds a request's line and headers together.
	MaxHeadBytes int
	// Large lends room for a large head until its caller is known (ChargeHead).
	Large        Room
	HeadTimeout  time.Duration // of a head, and of the TLS handshake before the first
	IdleTimeout  time.Duration // between two requests
	WriteTimeout time.Duration // of a response; the handler may move it
}

const (
	// smallHeadBytes is the buffer that each connection has. SDKs send one to two
	// KiB (benchmarks/NOTES.md).
	smallHeadBytes = 6 << 10
	// writeBufferBytes holds our head and a usual unary response, or a run of
	// events; what is longer takes a second write. Every open stream has one.
	writeBufferBytes = 3 << 10
	// unreadBytes is how much of an unread body is read and dropped so that the
	// connection can be used again; beyond, it is closed (net/http's number).
	unreadBytes = 256 << 10
	// freshTime is how long a new connection may bring its first request once the
	// server stops.
	freshTime = time.Second
)

// Server serves HTTP/1.1 and 1.0.
type Server struct {
	o       Options
	linger  bounds
	drops   drops
	small   sync.Pool // *bufio.Reader of smallHeadBytes
	large   sync.Pool // *bufio.Reader of o.MaxHeadBytes
	writers sync.Pool // *bufio.Writer
	states  sync.Pool // *fasthttp.RequestCtx
	open    atomic.Int64
	turned  atomic.Int64 // connections that are being turned away

	stopping  atomic.Bool
	mu        sync.Mutex
	listening []net.Listener
	conns     map[*Conn]struct{}
	empty     chan struct{} // closed when the server stops and conns is empty
	once      sync.Once     // of closing it
}

// New makes a server. Serve starts it, Shutdown ends it.
func New(o Options) *Server {
	s := &Server{o: o, linger: bounds{lingerTime, lingerSilence, lingerBytes}, conns: map[*Conn]struct{}{}, empty: make(chan struct{})}
	s.small.New = func() any { return bufio.NewReaderSize(nil, min(smallHeadBytes, o.MaxHeadBytes)) }
	s.large.New = func() any { return bufio.NewReaderSize(nil, o.MaxHeadBytes) }
	s.writers.New = func() any { return bufio.NewWriterSize(nil, writeBufferBytes) }
	s.states.New = func() any { return &fasthttp.RequestCtx{} }
	return s
}

// Connections counts those that are open, those being turned away included.
func (s *Server) Connections() int { return int(s.open.Load() + s.turned.Load()) }

// Serve accepts connections until Shutdown, and then returns nil. Any other end
// is the listener's failure. It may be called for several listeners at once.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	s.listening = append(s.listening, l)
	s.mu.Unlock()
	if s.stopping.Load() {
		return l.Close()
	}
	return s.accept(l)
}

// Shutdown stops accepting, closes idle connections, and waits for requests in
// flight until ctx ends. It may be called again to wait longer.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if s.stopping.CompareAndSwap(false, true) {
		for _, l := range s.listening {
			_ = l.Close()
		}
		for c := range s.conns {
			c.stop()
		}
		s.checkEmpty()
	}
	s.mu.Unlock()
	select {
	case <-s.empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Cut ends all connections as if their clients had left: those whose requests
// have had their time. It is called behind Shutdown.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.cut()
	}
}

// start serves a connection in a goroutine of its own.
func (s *Server) start(c *Conn) {
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	if s.stopping.Load() {
		c.stop()
	}
	go func() {
		defer crash.Exit()
		c.serve()
		s.mu.Lock()
		delete(s.conns, c)
		s.checkEmpty()
		s.mu.Unlock()
		c.end() // may take a while, and nobody waits for it
		s.open.Add(-1)
	}()
}

// checkEmpty says so when the last connection of a server that stops has ended.
// The lock is held.
func (s *Server) checkEmpty() {
	if s.stopping.Load() && len(s.conns) == 0 {
		s.once.Do(func() { close(s.empty) })
	}
}
