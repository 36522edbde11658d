package front

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/ownkey/ownkey/internal/socket"
	"github.com/valyala/fasthttp"
)

// Conn is a client's connection. It is ctx.Conn of the requests on it.
type Conn struct {
	net.Conn // plain or TLS
	s        *Server
	raw      net.Conn // the socket itself
	client   net.Addr // whom a proxy relays it for; nil for none
	fd       int

	br      *bufio.Reader
	bw      *bufio.Writer
	lender  Room // of br, if that is a large one
	owner   Room // of what the response holds
	owned   int  // bytes
	body    body
	state   atomic.Int32
	refused bool // what the client sent was no request; it may be sending still
}

// States of a connection. Only one side takes it from fresh or idle: its own
// goroutine when a request comes, or Shutdown.
const (
	fresh int32 = iota // no request yet
	idle
	active
	stopped
)

// conn takes over an accepted connection. It waits for nothing.
func (s *Server) conn(raw net.Conn) *Conn {
	c := &Conn{Conn: socket.New(raw), s: s, fd: -1}
	c.raw, c.body = c.Conn, body{c: c, err: io.EOF}
	if own, ok := c.Conn.(*socket.Conn); ok {
		_ = own.Raw().Control(func(fd uintptr) { c.fd = int(fd) })
	}
	if s.o.TLS != nil {
		c.Conn = tls.Server(c.Conn, s.o.TLS) // its handshake comes with the first read
	}
	return c
}

// FD is the socket's descriptor, -1 if there is none. It stays open while a
// request of the connection is being answered.
func (c *Conn) FD() int { return c.fd }

// stop ends the connection if no request is being answered.
func (c *Conn) stop() {
	if c.state.CompareAndSwap(idle, stopped) {
		_ = c.raw.Close()
	} else if c.state.Load() == fresh {
		_ = c.raw.SetReadDeadline(time.Now().Add(freshTime))
	}
}

// cut ends the connection whatever it does, as if its client had left. The
// socket stays open until the request that uses it has ended.
func (c *Conn) cut() {
	if own, ok := c.raw.(*socket.Conn); ok {
		own.Cut()
	} else {
		_ = c.raw.Close()
	}
}

// serve answers the connection's requests, one after another.
func (c *Conn) serve() {
	if !c.introduced(c.s.o.HeadTimeout) {
		return
	}
	ctx := c.s.states.Get().(*fasthttp.RequestCtx) //nolint:forcetypeassert // the pool's New
	ctx.Init2(c, quiet{}, false)
	ctx.Response.Header.SetNoDefaultContentType(true)
	defer func() {
		c.release()
		ctx.Request.Reset()
		ctx.Response.Reset()
		ctx.ResetUserValues()
		c.s.states.Put(ctx)
	}()
	for c.await() {
		why := c.readHead(ctx)
		if why != nil {
			c.refuse(ctx, why)
			return
		}
		c.s.o.Handler(ctx)
		if !c.answer(ctx) {
			return
		}
		ctx.Request.Reset()
		ctx.Response.Reset()
		ctx.Response.Header.SetNoDefaultContentType(true)
		ctx.ResetUserValues()
	}
}

// quiet drops fasthttp's own messages: they could quote a request.
type quiet struct{}

// Printf does nothing.
func (quiet) Printf(string, ...any) {}

// await waits for the first byte of a request.
func (c *Conn) await() bool {
	wait := c.s.o.IdleTimeout
	was := fresh
	if c.state.Load() == fresh {
		wait = c.s.o.HeadTimeout
	} else {
		was = idle
		c.state.Store(idle)
	}
	if was == idle && c.s.stopping.Load() && (c.br == nil || c.br.Buffered() == 0) {
		return false
	}
	if c.br == nil {
		c.borrow(&c.s.small)
	}
	if c.br.Buffered() == 0 {
		if c.SetReadDeadline(time.Now().Add(wait)) != nil {
			return false
		}
		if was == fresh && c.s.stopping.Load() {
			c.stop() // it has set a nearer one, which must not be lost
		}
		if _, err := c.br.Peek(1); err != nil {
			c.handshook(err)
			return false // nobody waits for an answer
		}
	}
	if !c.state.CompareAndSwap(was, active) {
		return false
	}
	return c.SetReadDeadline(time.Now().Add(c.s.o.HeadTimeout)) == nil
}

// borrow takes a reader from a pool for this connection.
func (c *Conn) borrow(pool interface{ Get() any }) {
	c.br = pool.Get().(*bufio.Reader) //nolint:forcetypeassert // the pool's New
	c.br.Reset(c)
}

// readHead reads a request's head and decides where its body ends.
func (c *Conn) readHead(ctx *fasthttp.RequestCtx) error {
	h := &ctx.Request.Header
	err := c.readOnce(h)
	for ; err != nil && c.small(err); err = c.readOnce(h) {
		if !c.s.o.Large.Take(c.s.o.MaxHeadBytes) {
			return ErrNoRoom
		}
		c.lender = c.s.o.Large
		c.grow()
	}
	if err != nil {
		return reason(err)
	}
	length, err := strictFraming(h)
	if err != nil {
		return err
	}
	originForm(h)
	c.body.begin(c.br, length, ctx.Request.MayContinue())
	if length != 0 {
		ctx.Request.SetBodyStream(&c.body, length)
	}
	return nil
}

// readOnce reads a head that fits into the buffer, if its first line ends as it
// must: fasthttp also takes a bare line feed there, and before it.
func (c *Conn) readOnce(h *fasthttp.RequestHeader) error {
	for {
		line, _ := c.br.Peek(c.br.Buffered())
		line = bytes.TrimPrefix(line, []byte("\r\n")) // RFC 9112, section 2.2: one empty line is ignored
		end := bytes.IndexByte(line, '\n')
		if end == 0 || end > 0 && line[end-1] != '\r' {
			return errBareLine
		}
		if end == 1 { // a second empty line
			return errBareLine
		}
		if end > 1 {
			return h.Read(c.br)
		}
		if _, err := c.br.Peek(c.br.Buffered() + 1); err != nil {
			return h.Read(c.br) // it says why
		}
	}
}

// errBareLine is a first line that other servers would read otherwise.
var errBareLine = errors.New("the first line does not end with CRLF")

// small reports whether a head did not fit into the buffer, and a larger one is
// to be had.
func (c *Conn) small(err error) bool {
	_, full := errors.AsType[*fasthttp.ErrSmallBuffer](err)
	return full && c.lender == nil && c.br.Size() < c.s.o.MaxHeadBytes
}

// grow goes on with a large reader, which begins with what the small one has.
func (c *Conn) grow() {
	old := c.br
	begun, _ := old.Peek(old.Buffered())
	c.br = c.s.large.Get().(*bufio.Reader) //nolint:forcetypeassert // the pool's New
	c.br.Reset(&resumed{begun: bytes.Clone(begun), c: c})
	old.Reset(nil)
	c.s.small.Put(old)
}

// resumed reads what was read already, and then the connection.
type resumed struct {
	begun []byte
	c     *Conn
}

// Read reads.
func (r *resumed) Read(p []byte) (int, error) {
	if len(r.begun) == 0 {
		return r.c.Read(p)
	}
	n := copy(p, r.begun)
	r.begun = r.begun[n:]
	return n, nil
}

// ChargeHead makes a large head count in another room, that of its caller, or
// reports that it does not fit there. The handler may call it.
func (c *Conn) ChargeHead(to Room) bool {
	if c.lender == nil || c.lender == to {
		return true
	}
	if !to.Take(c.s.o.MaxHeadBytes) {
		return false
	}
	c.lender.Give(c.s.o.MaxHeadBytes)
	c.lender = to
	return true
}

// GiveWhenWritten gives bytes back to a room once the response is written, or
// cannot be. The handler may call it once for a response that it leaves in
// memory.
func (c *Conn) GiveWhenWritten(to Room, bytes int) { c.owner, c.owned = to, bytes }

// reason gives the error of this package for one of reading a head.
func reason(err error) error {
	if _, full := errors.AsType[*fasthttp.ErrSmallBuffer](err); full {
		return ErrHeadTooLarge
	}
	if network, ok := errors.AsType[net.Error](err); ok && network.Timeout() {
		return ErrSlowHead
	}
	if errors.Is(err, errBareLine) {
		return ErrFraming
	}
	return ErrMalformed
}

// refuse answers what is no valid request.
func (c *Conn) refuse(ctx *fasthttp.RequestCtx, why error) {
	ctx.Request.Reset() // half of it may be there
	c.s.o.Unreadable(ctx, why)
	ctx.SetConnectionClose()
	c.refused = true
	_ = c.write(ctx)
}

// answer writes the response and makes the connection ready for the next
// request. It reports whether there may be one.
func (c *Conn) answer(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Response.Header
	last := ctx.Request.Header.ConnectionClose() || h.ConnectionClose() || c.s.stopping.Load() || !c.skippable()
	switch {
	case last:
		h.SetConnectionClose()
	case !ctx.Request.Header.IsHTTP11():
		h.Set(fasthttp.HeaderConnection, "keep-alive")
	}
	if ctx.IsHead() {
		ctx.Response.SkipBody = true
	}
	if c.body.whole() && c.br.Buffered() == 0 {
		c.release() // a stream may go on for an hour
	}
	if c.write(ctx) != nil {
		return false
	}
	if last || h.ConnectionClose() {
		return false
	}
	return c.skip()
}

// skippable reports whether what is left of the body may be read so that the
// connection can be used again. A client that waits for 100 Continue may send
// its body or not.
func (c *Conn) skippable() bool {
	return c.body.whole() || c.body.err == nil && !c.body.expects && c.body.left <= unreadBytes
}

// skip reads and drops what the handler has left of the body.
func (c *Conn) skip() bool {
	if c.body.whole() {
		return true
	}
	if c.SetReadDeadline(time.Now().Add(c.s.linger.silence)) != nil {
		return false
	}
	_, _ = io.CopyN(io.Discard, &c.body, unreadBytes+1)
	return c.body.whole()
}

// write sends the response and ends its stream, whatever happens.
func (c *Conn) write(ctx *fasthttp.RequestCtx) error {
	if c.bw == nil {
		c.bw = c.s.writers.Get().(*bufio.Writer) //nolint:forcetypeassert // the pool's New
		c.bw.Reset(c)
	}
	err := c.SetWriteDeadline(time.Now().Add(c.s.o.WriteTimeout))
	if ctx.Response.IsBodyStream() && !ctx.Request.Header.IsHTTP11() && ctx.Response.Header.ContentLength() < 0 {
		err = c.writeOld(ctx)
	} else if werr := ctx.Response.Write(c.bw); err == nil {
		err = werr
	}
	if err == nil {
		err = c.bw.Flush()
	}
	c.bw.Reset(nil)
	c.s.writers.Put(c.bw)
	c.bw = nil
	if c.owner != nil {
		c.owner.Give(c.owned)
		c.owner, c.owned = nil, 0
	}
	return err
}

// writeOld sends a stream of unknown length to a client of HTTP/1.0, which
// cannot read chunks: its end is the connection's.
func (c *Conn) writeOld(ctx *fasthttp.RequestCtx) error {
	h := &ctx.Response.Header
	h.SetContentLength(-2) // fasthttp's word for the connection's end
	h.Del(fasthttp.HeaderTransferEncoding)
	h.SetConnectionClose()
	err := h.Write(c.bw)
	if err == nil {
		err = c.bw.Flush()
	}
	if err == nil && !ctx.Response.SkipBody {
		err = copyStream(c.bw, ctx)
	}
	if cerr := ctx.Response.CloseBodyStream(); err == nil {
		err = cerr
	}
	return err
}

// copyStream passes a response's stream on, each run of bytes at once.
func copyStream(bw *bufio.Writer, ctx *fasthttp.RequestCtx) error {
	out := flushing{bw}
	stream := ctx.Response.BodyStream()
	if own, ok := stream.(io.WriterTo); ok {
		_, err := own.WriteTo(out)
		return err
	}
	_, err := io.Copy(out, stream)
	return err
}

// flushing is a writer that keeps nothing back.
type flushing struct{ bw *bufio.Writer }

// Write writes.
func (f flushing) Write(p []byte) (int, error) {
	n, err := f.bw.Write(p)
	if err == nil {
		err = f.bw.Flush()
	}
	return n, err
}

// release gives the reader back.
func (c *Conn) release() {
	if c.br == nil {
		return
	}
	pool := &c.s.small
	if c.lender != nil {
		c.lender.Give(c.s.o.MaxHeadBytes)
		pool, c.lender = &c.s.large, nil
	}
	c.br.Reset(nil)
	pool.Put(c.br)
	c.br, c.body.br = nil, nil
}

// proceed lets a client send the body that it has announced.
func (c *Conn) proceed() error {
	if err := c.SetWriteDeadline(time.Now().Add(c.s.o.WriteTimeout)); err != nil {
		return err
	}
	_, err := io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
	return err
}
